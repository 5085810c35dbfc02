//! What an update shares between replicas: gradients, and the numbers that decide what all of them do next.

use std::collections::BTreeSet;

use burn::module::{Module, ModuleVisitor, Param};
use burn::optim::GradientsParams;
use burn::tensor::{FloatDType, Tensor, TensorData};
use flamingo_core::precision::widen;
use serde::{Deserialize, Serialize};

use super::GradientSync;
use crate::error::TrainError;
use crate::objective::LossOutput;

/// What one replica has seen in an update.
#[derive(Debug, Serialize, Deserialize)]
struct Seen {
    outputs: Vec<Numbers>,
    /// Places, among the parameters that learn, of those that have a gradient.
    reached: BTreeSet<usize>,
}

/// A [`LossOutput`] on the host.
#[derive(Debug, Serialize, Deserialize)]
struct Numbers {
    /// `None` stands for a number that is not finite, which JSON has not.
    loss: Option<f64>,
    units: f64,
    images: usize,
    extra: Vec<Option<f64>>,
}

/// Makes losses, further numbers and gradients the means over all replicas, and counts their sums.
///
/// A parameter that no replica's batch has reached (a resampler, where no text had an image) has no gradient afterwards;
/// one that some have reached counts as zero for the others.
pub(crate) fn share<M: Module>(
    sync: &dyn GradientSync,
    model: &M,
    outputs: Vec<(usize, LossOutput)>,
    grads: &mut GradientsParams,
) -> Result<Vec<(usize, LossOutput)>, TrainError> {
    if sync.world() == 1 {
        return Ok(outputs);
    }
    let mut take = Take { grads, zeros: None, place: 0, reached: BTreeSet::new(), taken: Vec::new() };
    model.visit(&mut take);
    let mine =
        Seen { outputs: outputs.iter().map(|(_, output)| numbers(output)).collect(), reached: take.reached };
    let all = gather(sync, &mine)?;
    let reached: BTreeSet<usize> = all.iter().flat_map(|seen| seen.reached.iter().copied()).collect();

    let mut take =
        Take { grads, zeros: Some(&reached), place: 0, reached: BTreeSet::new(), taken: Vec::new() };
    model.visit(&mut take);
    let means = sync.mean(take.taken)?;
    model.visit(&mut Put { grads, reached: &reached, place: 0, means: means.into_iter() });

    let means = outputs.into_iter().enumerate().map(|(index, (source, output))| {
        let of_all = || all.iter().map(move |seen| &seen.outputs[index]);
        let mean = |value: &dyn Fn(&Numbers) -> Option<f64>| {
            of_all().map(|numbers| value(numbers).unwrap_or(f64::NAN)).sum::<f64>() / all.len() as f64
        };
        let loss = TensorData::new(vec![mean(&|numbers| numbers.loss) as f32], [1]);
        let extra = output.extra.into_iter().enumerate();
        let output = LossOutput {
            loss: Tensor::from_data(loss, &output.loss.device()),
            units: of_all().map(|numbers| numbers.units).sum(),
            images: of_all().map(|numbers| numbers.images).sum(),
            extra: extra.map(|(place, (name, _))| (name, mean(&|numbers| numbers.extra[place]))).collect(),
        };
        (source, output)
    });
    Ok(means.collect())
}

/// Refuses replicas that do not start from the same weights: equal updates would keep them apart for ever.
pub(crate) fn agree<M: Module>(sync: &dyn GradientSync, model: &M) -> Result<(), TrainError> {
    if sync.world() == 1 {
        return Ok(());
    }
    let mut print = Print { sum: 0.0 };
    model.visit(&mut print);
    // Bits: a float may not come back from JSON as it was, if it is not finite.
    let all = sync.gather(print.sum.to_bits().into())?;
    match all.iter().all(|other| *other == all[0]) {
        true => Ok(()),
        false => {
            let message = "they start from different weights; make one model, and give each replica a copy on its device";
            Err(TrainError::config("replicas", message))
        }
    }
}

/// A number that other weights, or the same in other places, hardly have.
struct Print {
    sum: f64,
}

impl ModuleVisitor for Print {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if param.is_require_grad() {
            let values = param.val().inner().into_data();
            let weighted = values.iter::<f64>().enumerate().map(|(place, value)| (place + 1) as f64 * value);
            self.sum = weighted.fold(1.1 * self.sum, |sum, value| sum + value);
        }
    }
}

fn numbers(output: &LossOutput) -> Numbers {
    let finite = |value: f64| value.is_finite().then_some(value);
    let loss: f32 = output.loss.clone().cast(FloatDType::F32).into_scalar();
    Numbers {
        loss: finite(loss.into()),
        units: output.units,
        images: output.images,
        extra: output.extra.iter().map(|(_, value)| finite(*value)).collect(),
    }
}

fn gather(sync: &dyn GradientSync, mine: &Seen) -> Result<Vec<Seen>, TrainError> {
    let garbled = |error: serde_json::Error| TrainError::ReplicaGarbled { message: error.to_string() };
    let all = sync.gather(serde_json::to_value(mine).map_err(garbled)?)?;
    all.into_iter().map(|seen| serde_json::from_value(seen).map_err(garbled)).collect()
}

/// Notes which parameters have gradients; with `zeros`, takes those of the places in it, in order.
struct Take<'a> {
    grads: &'a mut GradientsParams,
    zeros: Option<&'a BTreeSet<usize>>,
    place: usize,
    reached: BTreeSet<usize>,
    taken: Vec<Tensor<1>>,
}

impl ModuleVisitor for Take<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if !param.is_require_grad() {
            return;
        }
        let place = self.place;
        self.place += 1;
        match self.zeros {
            None if self.grads.get::<D>(param.id).is_some() => {
                self.reached.insert(place);
            }
            Some(wanted) if wanted.contains(&place) => {
                let zeros = || param.val().inner().zeros_like();
                let gradient = self.grads.remove::<D>(param.id).unwrap_or_else(zeros);
                let count = gradient.shape().num_elements();
                self.taken.push(widen(gradient).reshape([count]));
            }
            _ => {}
        }
    }
}

struct Put<'a> {
    grads: &'a mut GradientsParams,
    reached: &'a BTreeSet<usize>,
    place: usize,
    means: std::vec::IntoIter<Tensor<1>>,
}

impl ModuleVisitor for Put<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if !param.is_require_grad() {
            return;
        }
        if self.reached.contains(&self.place)
            && let Some(mean) = self.means.next()
        {
            self.grads.register::<D>(param.id, mean.reshape(param.shape()));
        }
        self.place += 1;
    }
}
