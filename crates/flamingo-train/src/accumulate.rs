//! The gradient of one update: the batches of all sources, cut into parts, several parts at once.
//!
//! Parts are computed in waves of as many as there are workers, and added in their order whoever finishes first: the
//! result does not depend on their number.

use burn::optim::{GradientsAccumulator, GradientsParams};
use flamingo_core::Precision;

use crate::config::SourceSpec;
use crate::error::TrainError;
use crate::objective::{LossOutput, Objective};
use crate::precision::{narrowed, with_own_leaves};
use crate::workers::Workers;

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
    /// Who computes them.
    pub(crate) workers: &'a Workers,
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
        let at_once = passes.workers.at_once();
        // Leaves of its own are of use to a part that has others beside it.
        let own = |model| if at_once > 1 { with_own_leaves(model) } else { model };
        let wave: Vec<_> = parts.by_ref().take(at_once).map(|part| (own(model.clone()), part)).collect();
        if wave.is_empty() {
            break;
        }
        let of_part = |(model, part)| compute(objective, &model, passes, part);
        for result in passes.workers.each(wave, of_part) {
            let (source, output, gradients) = result?;
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

/// Forward and backward pass. The graph is gone when this returns.
fn compute<O: Objective>(
    objective: &O,
    model: &O::Model,
    passes: Passes<'_>,
    part: Part<O::Batch>,
) -> Result<(usize, LossOutput, GradientsParams), TrainError> {
    let spec = &passes.sources[part.source];
    let mut output = objective.loss(&narrowed(model, passes.precision), part.source, part.batch);
    if !output.loss.is_tracked() {
        return Err(TrainError::NothingTrainable { source_name: spec.name.clone() });
    }
    output.loss = output.loss.mul_scalar(part.share);
    let gradients = output.loss.clone().mul_scalar(spec.weight * passes.scale).backward();
    output.loss = output.loss.inner();
    output.extra.iter_mut().for_each(|(_, value)| *value *= part.share);
    Ok((part.source, output, GradientsParams::from_grads(gradients, model)))
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
