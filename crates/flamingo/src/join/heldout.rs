//! Does the model look? Held-out sequences with their own images, with other sequences' images, and with none.

use burn::tensor::Device;
use flamingo_core::HostBatch;
use serde::{Deserialize, Serialize};

use crate::model::Flamingo;
use crate::run::token_losses;

/// Mean negative log-likelihoods of the tokens of one held-out set, in nats; loss weights count.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HeldoutScores {
    /// Sequences.
    pub sequences: usize,
    /// Tokens that count, by their weights.
    pub tokens: f64,
    /// With the sequences' own images.
    pub right: f64,
    /// With the images of other sequences.
    pub shuffled: f64,
    /// Without images.
    pub no_image: f64,
}

impl HeldoutScores {
    /// Of batches in which `<image>` has the id `image`.
    pub fn measure(model: &Flamingo, batches: &[HostBatch], image: u32, device: &Device) -> Self {
        let mut sums = [[0.0; 2]; 3];
        for batch in batches {
            for (sum, seen) in sums.iter_mut().zip([batch.clone(), shuffled(batch, image), blind(batch)]) {
                for (losses, weights) in
                    token_losses(model, &seen, device).iter().zip(batch.loss_weights.chunks(batch.len))
                {
                    for (loss, weight) in losses.iter().zip(&weights[1..]) {
                        sum[0] += loss * f64::from(*weight);
                        sum[1] += f64::from(*weight);
                    }
                }
            }
        }
        let [right, shuffled, no_image] = sums.map(|[nll, weight]| nll / f64::max(weight, 1e-9));
        let sequences = batches.iter().map(|batch| batch.batch).sum();
        Self { sequences, tokens: sums[0][1], right, shuffled, no_image }
    }
}

/// The same texts; each image is that of another place in the batch, half-way round, so of another sequence wherever no
/// sequence has more than half of the images.
fn shuffled(batch: &HostBatch, image: u32) -> HostBatch {
    let rows = batch.ids.chunks(batch.len.max(1));
    let slots: Vec<usize> = rows
        .enumerate()
        .flat_map(|(row, ids)| {
            let images = ids.iter().filter(|id| **id == image).count();
            (0..images.min(batch.media)).map(move |medium| row * batch.media + medium)
        })
        .collect();
    let mut other = batch.clone();
    let from = |place: usize| slots[(place + slots.len() / 2) % slots.len()];
    for (place, slot) in slots.iter().enumerate() {
        other.copy_medium(batch, from(place), *slot);
    }
    other
}

/// The same texts without images. The `<image>` tokens stay: the text is to be the same.
fn blind(batch: &HostBatch) -> HostBatch {
    HostBatch {
        media: 0,
        media_index: vec![0; batch.media_index.len()],
        pixels: Vec::new(),
        features: None,
        ..batch.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch() -> HostBatch {
        HostBatch {
            batch: 3,
            len: 3,
            media: 2,
            frames: 1,
            size: 1,
            // `<image>` is 9; the rows have one, two and one images.
            ids: vec![9, 1, 2, 9, 9, 3, 4, 9, 0],
            media_index: vec![1, 1, 1, 1, 2, 2, 0, 1, 0],
            loss_weights: vec![1.0; 9],
            pixels: [1.0, 0.0, 2.0, 3.0, 4.0, 0.0].into_iter().flat_map(|value| [value; 3]).collect(),
            features: None,
        }
    }

    #[test]
    fn images_are_those_of_another_place() {
        let other = shuffled(&batch(), 9);
        let values: Vec<f32> = other.pixels.chunks(3).map(|pixels| pixels[0]).collect();
        assert_eq!(values, [3.0, 0.0, 4.0, 1.0, 2.0, 0.0]);
        assert_eq!((&other.ids, &other.media_index), (&batch().ids, &batch().media_index));
    }

    #[test]
    fn the_blind_batch_keeps_its_text() {
        let blind = blind(&batch());
        assert_eq!((blind.media, blind.pixels.len(), blind.ids), (0, 0, batch().ids));
        assert!(blind.media_index.iter().all(|index| *index == 0));
    }
}
