//! The gradient of one update: the batches of all sources, cut into parts, several parts at once.
//!
//! Parts are computed in waves of as many as there are threads, and added in their order whoever finishes first: the
//! result does not depend on the number of threads.

use std::panic::resume_unwind;
use std::thread;

use burn::module::{Module, ModuleMapper, Param};
use burn::optim::{GradientsAccumulator, GradientsParams};
use burn::tensor::Tensor;

use crate::config::SourceSpec;
use crate::error::TrainError;
use crate::objective::{LossOutput, Objective};
use crate::optimizer::leaf_like;

/// A part of the batch of one source.
pub(crate) struct Part<B> {
    pub(crate) source: usize,
    /// Its share of the batch's loss.
    pub(crate) share: f64,
    pub(crate) batch: B,
}

/// One loss for each source that has a part, with its index and in its order, and the gradient of their weighted sum.
///
/// # Errors
///
/// [`TrainError::NothingTrainable`] if a loss has no gradient.
pub(crate) fn accumulate<O: Objective>(
    objective: &O,
    model: &O::Model,
    sources: &[SourceSpec],
    parts: Vec<Part<O::Batch>>,
    threads: usize,
) -> Result<(Vec<(usize, LossOutput)>, GradientsParams), TrainError> {
    let mut accumulator = GradientsAccumulator::new();
    let mut outputs: Vec<Option<LossOutput>> = sources.iter().map(|_| None).collect();
    let mut parts = parts.into_iter();
    loop {
        let wave: Vec<_> = parts.by_ref().take(threads.max(1)).collect();
        if wave.is_empty() {
            break;
        }
        for (source, result) in side_by_side(objective, model, sources, wave) {
            let (output, gradients) = result?;
            accumulator.accumulate(model, gradients);
            outputs[source] = Some(match outputs[source].take() {
                Some(sum) => sum.plus(output),
                None => output,
            });
        }
    }
    let outputs = outputs.into_iter().enumerate();
    let seen = outputs.filter_map(|(source, output)| Some((source, output?))).collect();
    Ok((seen, accumulator.grads()))
}

type PartResult = Result<(LossOutput, GradientsParams), TrainError>;

/// Each part on a thread of its own; alone, on this one.
fn side_by_side<O: Objective>(
    objective: &O,
    model: &O::Model,
    sources: &[SourceSpec],
    wave: Vec<Part<O::Batch>>,
) -> Vec<(usize, PartResult)> {
    if wave.len() == 1 {
        let of_part = |part: Part<O::Batch>| (part.source, compute(objective, model, sources, part));
        return wave.into_iter().map(of_part).collect();
    }
    thread::scope(|scope| {
        let start = |part: Part<O::Batch>| {
            let model = with_own_leaves(model.clone());
            (part.source, scope.spawn(move || compute(objective, &model, sources, part)))
        };
        let running: Vec<_> = wave.into_iter().map(start).collect();
        let end = |(source, thread): (usize, thread::ScopedJoinHandle<'_, PartResult>)| {
            (source, thread.join().unwrap_or_else(|panic| resume_unwind(panic)))
        };
        running.into_iter().map(end).collect()
    })
}

/// Forward and backward pass. The graph is gone when this returns.
fn compute<O: Objective>(
    objective: &O,
    model: &O::Model,
    sources: &[SourceSpec],
    part: Part<O::Batch>,
) -> PartResult {
    let spec = &sources[part.source];
    let mut output = objective.loss(model, part.source, part.batch);
    if !output.loss.is_tracked() {
        return Err(TrainError::NothingTrainable { source_name: spec.name.clone() });
    }
    output.loss = output.loss.mul_scalar(part.share);
    let gradients = output.loss.clone().mul_scalar(spec.weight).backward();
    output.loss = output.loss.inner();
    output.extra.iter_mut().for_each(|(_, value)| *value *= part.share);
    Ok((output, GradientsParams::from_grads(gradients, model)))
}

impl LossOutput {
    /// Of two parts of one batch, already multiplied by their shares.
    fn plus(self, other: Self) -> Self {
        let extra = self.extra.into_iter().zip(other.extra);
        Self {
            loss: self.loss + other.loss,
            units: self.units + other.units,
            images: self.images + other.images,
            extra: extra.map(|((name, a), (_, b))| (name, a + b)).collect(),
        }
    }
}

/// The same weights under the same ids as new leaves: Burn keeps everything that hangs on one leaf in one graph behind
/// one lock, and threads that share leaves would wait for each other.
fn with_own_leaves<M: Module>(model: M) -> M {
    model.map(&mut OwnLeaves)
}

struct OwnLeaves;

impl ModuleMapper for OwnLeaves {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        if !param.val().is_require_grad() {
            return param;
        }
        let (id, tensor, mapper) = param.consume();
        let leaf = leaf_like(tensor.clone().inner(), &tensor);
        Param::from_mapped_value(id, leaf, mapper)
    }
}
