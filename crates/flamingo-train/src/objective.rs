//! What is trained: anything that turns a batch into a loss.

use std::collections::BTreeMap;

use burn::module::Module;
use burn::tensor::{Tensor, TensorData};

/// The contract between the training loop and a task.
///
/// Parts of an update may be computed on several threads at once, hence `Sync`.
pub trait Objective: Sync {
    /// The model, on an autodiff device, with the parts that must not learn frozen (`no_grad`).
    type Model: Module;
    /// What a source gives for one update, usually still on the host.
    type Batch: Send + 'static;

    /// One forward pass over a batch of the source with index `source` in
    /// [`TrainConfig::sources`](crate::TrainConfig::sources).
    fn loss(&self, model: &Self::Model, source: usize, batch: Self::Batch) -> LossOutput;

    /// Cuts a batch into at most `parts` smaller ones and the share of each: the sum of their losses, each times its
    /// share, must be the loss of the whole. The default does not cut, as is right where every example is compared
    /// with every other.
    fn split(&self, batch: Self::Batch, _parts: usize) -> Vec<(Self::Batch, f64)> {
        vec![(batch, 1.0)]
    }

    /// What to keep of a batch on which training diverged: named tensors, which go into a safetensors file. The default
    /// keeps nothing.
    fn describe(&self, _batch: &Self::Batch) -> BTreeMap<String, TensorData> {
        BTreeMap::new()
    }

    /// The first part of `model` whose output on `batch` is not finite, as a name for people: asked once, when training
    /// has diverged. The default does not know.
    fn diagnose(&self, _model: &Self::Model, _source: usize, _batch: &Self::Batch) -> Option<String> {
        None
    }

    /// Named numbers of the model itself (gates, temperatures), logged with each metric record.
    fn probes(&self, _model: &Self::Model) -> Vec<(String, f64)> {
        Vec::new()
    }
}

/// What one batch gave.
#[derive(Debug)]
pub struct LossOutput {
    /// `[1]`: what to minimise, before lambda_m: a mean over whatever `units` counts.
    pub loss: Tensor<1>,
    /// How many units (tokens, pairs) the loss is a mean of.
    pub units: f64,
    /// How many images the batch held.
    pub images: usize,
    /// Further numbers to log, such as accuracies.
    pub extra: Vec<(String, f64)>,
}
