//! A batch of interleaved sequences: on the host as the data pipeline makes it, on a device as the model reads it.

use burn::tensor::{Device, Int, Tensor, TensorData};
use half::f16;

use crate::media::MediaLayout;

/// A batch as plain numbers, made by data workers that know no device.
///
/// Rows are padded on the right to one length `L`; images are padded with zeros to `M` media per row. Padded
/// positions have loss weight 0; padded media are never any position's image, hence inert.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct HostBatch {
    /// Rows (B).
    pub batch: usize,
    /// Tokens per row (L).
    pub len: usize,
    /// Media per row (M); 0 for text alone.
    pub media: usize,
    /// Frames per media (F).
    pub frames: usize,
    /// Image side (I), in pixels.
    pub size: usize,
    /// Token ids `[B, L]`.
    pub ids: Vec<u32>,
    /// phi `[B, L]`: 1-based index of each position's image, 0 for none.
    pub media_index: Vec<u32>,
    /// How much the prediction *of* each token counts, `[B, L]`. Position 0 is never predicted.
    pub loss_weights: Vec<f32>,
    /// Normalised pixels `[B, M, F, 3, I, I]`; empty where there are features.
    pub pixels: Vec<f32>,
    /// What the frozen encoder made of the images, in the place of pixels.
    pub features: Option<HostFeatures>,
}

/// A frozen encoder's output for the images of a batch, in half precision.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct HostFeatures {
    /// Positions per frame (P).
    pub positions: usize,
    /// Width (E).
    pub width: usize,
    /// As the encoder gives them, `[B, M, F, P, E]`; zeros for padded media.
    pub values: Vec<f16>,
}

impl HostBatch {
    /// Images in the batch, padding included.
    pub fn images(&self) -> usize {
        self.batch * self.media * self.frames
    }

    /// Numbers in a row of images that have `image` each.
    fn row_len(&self, image: usize) -> usize {
        self.media * self.frames * image
    }

    /// Puts the medium in place `source` of another batch, counted over all rows, into place `target` of this one.
    ///
    /// # Panics
    ///
    /// If a place is beyond the batch, or the batches' media are not alike in shape.
    pub fn copy_medium(&mut self, from: &HostBatch, source: usize, target: usize) {
        let len = self.frames * 3 * self.size * self.size;
        if let (Some(own), Some(other)) = (&mut self.features, &from.features) {
            let len = self.frames * own.positions * own.width;
            own.values[target * len..][..len].copy_from_slice(&other.values[source * len..][..len]);
        } else {
            self.pixels[target * len..][..len].copy_from_slice(&from.pixels[source * len..][..len]);
        }
    }

    /// Cuts the rows into at most `parts` batches of nearly equal size, in order; none is empty.
    ///
    /// # Panics
    ///
    /// If a buffer's length is not the product of the dimensions in its documentation.
    pub fn split(&self, parts: usize) -> Vec<HostBatch> {
        let parts = parts.clamp(1, self.batch.max(1));
        let pixels = if self.features.is_some() { 0 } else { self.row_len(3 * self.size * self.size) };
        let cut = |part: usize| part * self.batch / parts;
        let part = |from: usize, to: usize| HostBatch {
            batch: to - from,
            ids: self.ids[from * self.len..to * self.len].to_vec(),
            media_index: self.media_index[from * self.len..to * self.len].to_vec(),
            loss_weights: self.loss_weights[from * self.len..to * self.len].to_vec(),
            pixels: self.pixels[from * pixels..to * pixels].to_vec(),
            features: self.features.as_ref().map(|features| {
                let len = self.row_len(features.positions * features.width);
                HostFeatures { values: features.values[from * len..to * len].to_vec(), ..*features }
            }),
            ..*self
        };
        (0..parts).map(|index| part(cut(index), cut(index + 1))).collect()
    }

    /// Moves the batch to `device`.
    ///
    /// # Panics
    ///
    /// If a buffer's length is not the product of the dimensions in its documentation.
    pub fn to_device(&self, device: &Device) -> Batch {
        let ids: Vec<i32> = self.ids.iter().map(|id| *id as i32).collect();
        let text = [self.batch, self.len];
        let features = self.features.as_ref().filter(|_| self.media > 0).map(|features| {
            let shape = [self.batch, self.media, self.frames, features.positions, features.width];
            let values: Vec<f32> = features.values.iter().map(|value| value.to_f32()).collect();
            Tensor::from_data(TensorData::new(values, shape), device)
        });
        Batch {
            pixels: (self.media > 0 && features.is_none()).then(|| {
                let shape = [self.batch, self.media, self.frames, 3, self.size, self.size];
                Tensor::from_data(TensorData::new(self.pixels.clone(), shape), device)
            }),
            features,
            ids: Tensor::from_data(TensorData::new(ids, text), device),
            media: MediaLayout::new(&self.media_index, self.batch, self.len, device),
            loss_weights: Tensor::from_data(TensorData::new(self.loss_weights.clone(), text), device),
        }
    }
}

/// A batch on a device.
#[derive(Debug, Clone)]
pub struct Batch {
    /// `[B, M, F, 3, I, I]`, or `None` for text alone and where there are features.
    pub pixels: Option<Tensor<6>>,
    /// The frozen encoder's output `[B, M, F, P, E]`, where it was there already.
    pub features: Option<Tensor<5>>,
    /// Token ids `[B, L]`.
    pub ids: Tensor<2, Int>,
    /// Which position sees which image.
    pub media: MediaLayout,
    /// How much the prediction of each token counts, `[B, L]`.
    pub loss_weights: Tensor<2>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_the_whole_again() {
        let whole = HostBatch {
            batch: 5,
            len: 2,
            media: 1,
            frames: 1,
            size: 1,
            ids: (0..10).collect(),
            media_index: vec![0; 10],
            loss_weights: (0..10).map(|x| x as f32).collect(),
            pixels: (0..15).map(|x| x as f32).collect(),
            features: None,
        };
        for parts in 1..8 {
            let split = whole.split(parts);
            assert_eq!(split.len(), parts.min(5));
            assert!(split.iter().all(|part| part.batch > 0 && part.pixels.len() == 3 * part.batch));
            let ids: Vec<u32> = split.iter().flat_map(|part| part.ids.clone()).collect();
            let pixels: Vec<f32> = split.iter().flat_map(|part| part.pixels.clone()).collect();
            assert_eq!((ids, pixels), (whole.ids.clone(), whole.pixels.clone()));
        }
        assert_eq!(HostBatch::default().split(3).len(), 1);
    }

    #[test]
    fn features_take_the_place_of_pixels() {
        let values = (0..3 * 2 * 2 * 4 * 2).map(|x| f16::from_f32(x as f32)).collect();
        let whole = HostBatch {
            batch: 3,
            len: 1,
            media: 2,
            frames: 2,
            size: 8,
            ids: vec![1; 3],
            media_index: vec![1; 3],
            loss_weights: vec![1.0; 3],
            features: Some(HostFeatures { positions: 4, width: 2, values }),
            ..HostBatch::default()
        };
        let parts = whole.split(2);
        let counts: Vec<usize> =
            parts.iter().map(|part| part.features.as_ref().unwrap().values.len()).collect();
        assert_eq!(counts, [32, 64]);
        let batch = parts[1].to_device(&Device::flex());
        assert!(batch.pixels.is_none());
        let features = batch.features.unwrap();
        assert_eq!(features.dims(), [2, 2, 2, 4, 2]);
        let read: Vec<f32> = features.into_data().iter().collect();
        assert_eq!((read[0], read[63]), (32.0, 95.0));
    }
}
