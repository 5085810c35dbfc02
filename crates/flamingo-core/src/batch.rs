//! A batch of interleaved sequences: on the host as the data pipeline makes it, on a device as the model reads it.

use burn::tensor::{Device, Int, Tensor, TensorData};

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
    /// Normalised pixels `[B, M, F, 3, I, I]`.
    pub pixels: Vec<f32>,
}

impl HostBatch {
    /// Images in the batch, padding included.
    pub fn images(&self) -> usize {
        self.batch * self.media * self.frames
    }

    /// Cuts the rows into at most `parts` batches of nearly equal size, in order; none is empty.
    ///
    /// # Panics
    ///
    /// If a buffer's length is not the product of the dimensions in its documentation.
    pub fn split(&self, parts: usize) -> Vec<HostBatch> {
        let parts = parts.clamp(1, self.batch.max(1));
        let pixels = self.media * self.frames * 3 * self.size * self.size;
        let cut = |part: usize| part * self.batch / parts;
        let part = |from: usize, to: usize| HostBatch {
            batch: to - from,
            ids: self.ids[from * self.len..to * self.len].to_vec(),
            media_index: self.media_index[from * self.len..to * self.len].to_vec(),
            loss_weights: self.loss_weights[from * self.len..to * self.len].to_vec(),
            pixels: self.pixels[from * pixels..to * pixels].to_vec(),
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
        Batch {
            pixels: (self.media > 0).then(|| {
                let shape = [self.batch, self.media, self.frames, 3, self.size, self.size];
                Tensor::from_data(TensorData::new(self.pixels.clone(), shape), device)
            }),
            ids: Tensor::from_data(TensorData::new(ids, text), device),
            media: MediaLayout::new(&self.media_index, self.batch, self.len, device),
            loss_weights: Tensor::from_data(TensorData::new(self.loss_weights.clone(), text), device),
        }
    }
}

/// A batch on a device.
#[derive(Debug, Clone)]
pub struct Batch {
    /// `[B, M, F, 3, I, I]`, or `None` for text alone.
    pub pixels: Option<Tensor<6>>,
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
}
