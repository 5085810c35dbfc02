//! The tokens of a batch that count.

use burn::tensor::{Device, Int, Tensor, TensorData};
use flamingo_core::HostBatch;

/// The N tokens of a batch whose weight is not 0, and from where each is predicted.
///
/// Which they are is decided on the host, from the batch as the data pipeline made it: padding, prompts and image tags,
/// often most of a batch, are never scored, and no device is asked.
#[derive(Debug, Clone)]
pub struct Targets {
    /// `[N]`: the predicting position, as a row of hidden states `[B * L, D]`.
    pub(super) places: Tensor<1, Int>,
    /// `[N]`: the token predicted.
    pub(super) ids: Tensor<1, Int>,
    /// `[N]`: how much it counts; without a gradient graph.
    pub(super) weights: Tensor<1>,
    /// N.
    pub(super) count: usize,
    /// Sum of the weights.
    pub(super) weight: f64,
    /// Sequences in the batch (B).
    pub(super) rows: usize,
}

impl Targets {
    /// Of a batch; the tensors are on `device`.
    ///
    /// # Panics
    ///
    /// If a buffer of the batch has not the length that its documentation says.
    pub fn new(batch: &HostBatch, device: &Device) -> Self {
        let scored: Vec<usize> = (0..batch.batch * batch.len)
            .filter(|place| place % batch.len != 0 && batch.loss_weights[*place] != 0.0)
            .collect();
        let weights: Vec<f32> = scored.iter().map(|place| batch.loss_weights[*place]).collect();
        let weight = weights.iter().map(|weight| f64::from(*weight)).sum();
        let count = scored.len();
        let ints = |value: &dyn Fn(usize) -> i32| {
            let values: Vec<i32> = scored.iter().map(|place| value(*place)).collect();
            Tensor::<1, Int>::from_data(TensorData::new(values, [count]), device).inner()
        };
        Self {
            places: ints(&|place| (place - 1) as i32),
            ids: ints(&|place| batch.ids[place] as i32),
            weights: Tensor::<1>::from_data(TensorData::new(weights, [count]), device).inner(),
            count,
            weight,
            rows: batch.batch,
        }
    }

    /// How many tokens count (N).
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether none does.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }
}
