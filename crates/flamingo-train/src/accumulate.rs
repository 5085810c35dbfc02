//! The gradient of one update: the batches of all sources, cut into parts, several parts at once.
//!
//! Parts are computed in waves of as many as there are threads, and added in their order whoever finishes first: the
//! result does not depend on the number of threads.

use std::panic::resume_unwind;
use std::thread;

use burn::optim::{GradientsAccumulator, GradientsParams};
use flamingo_core::Precision;

use crate::config::SourceSpec;
use crate::error::TrainError;
use crate::objective::{LossOutput, Objective};
use crate::precision::{narrowed, with_own_leaves};

/// A part of the batch of one source.
pub(crate) struct Part<B> {
    pub(crate) source: usize,
    /// Its share of the batch's loss.
    pub(crate) share: f64,
    pub(crate) batch: B,
}

/// How parts are computed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Passes<'a> {
    pub(crate) sources: &'a [SourceSpec],
    pub(crate) precision: Precision,
    /// Factor on every gradient; see [`LossScale`](crate::LossScale).
    pub(crate) scale: f64,
    /// How many parts at once.
    pub(crate) threads: usize,
}

/// One loss for each source that has a part, with its index and in its order, and the gradient of their weighted sum
/// times the scale.
///
/// # Errors
///
/// [`TrainError::NothingTrainable`] if a loss has no gradient.
pub(crate) fn accumulate<O: Objective>(
    objective: &O,
    model: &O::Model,
    passes: Passes<'_>,
    parts: Vec<Part<O::Batch>>,
) -> Result<(Vec<(usize, LossOutput)>, GradientsParams), TrainError> {
    let mut accumulator = GradientsAccumulator::new();
    let mut outputs: Vec<Option<LossOutput>> = passes.sources.iter().map(|_| None).collect();
    let mut parts = parts.into_iter();
    loop {
        let wave: Vec<_> = parts.by_ref().take(passes.threads.max(1)).collect();
        if wave.is_empty() {
            break;
        }
        for (source, result) in side_by_side(objective, model, passes, wave) {
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
    passes: Passes<'_>,
    wave: Vec<Part<O::Batch>>,
) -> Vec<(usize, PartResult)> {
    if wave.len() == 1 {
        let of_part = |part: Part<O::Batch>| (part.source, compute(objective, model, passes, part));
        return wave.into_iter().map(of_part).collect();
    }
    thread::scope(|scope| {
        let start = |part: Part<O::Batch>| {
            let model = with_own_leaves(model.clone());
            (part.source, scope.spawn(move || compute(objective, &model, passes, part)))
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
    passes: Passes<'_>,
    part: Part<O::Batch>,
) -> PartResult {
    let spec = &passes.sources[part.source];
    let mut output = objective.loss(&narrowed(model, passes.precision), part.source, part.batch);
    if !output.loss.is_tracked() {
        return Err(TrainError::NothingTrainable { source_name: spec.name.clone() });
    }
    output.loss = output.loss.mul_scalar(part.share);
    let gradients = output.loss.clone().mul_scalar(spec.weight * passes.scale).backward();
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
