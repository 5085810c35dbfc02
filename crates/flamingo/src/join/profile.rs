//! Where the time of an update goes, measured on the finished model: each part waits for the device to be done.

use std::time::Instant;

use burn::module::{Module, ModuleVisitor, Param};
use burn::optim::GradientsParams;
use burn::tensor::{Device, Tensor};
use flamingo_core::HostBatch;
use flamingo_train::precision::{Shelf, narrowed};
use flamingo_train::{BoxStream, PathAdamW, TrainConfig};
use serde::{Deserialize, Serialize};

use crate::error::FlamingoError;
use crate::loss::{LossSpec, Targets, weighted_nll};
use crate::model::Flamingo;
use crate::recompute::recomputed_nll;

/// Updates that are measured, behind one that is not.
const UPDATES: usize = 5;

/// Mean milliseconds of an update, by part.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct TimeSplit {
    /// Waiting for batches: text and features (or pixels) on the host.
    pub data: f64,
    /// The frozen encoder; 0 where features are read from the cache.
    pub vision: f64,
    /// Resampler, gated blocks, language model, loss; with gradient checkpointing, their gradients too.
    pub forward: f64,
    /// Gradients.
    pub backward: f64,
    /// Gradients of all sources added up, and AdamW.
    pub optimizer: f64,
}

impl TimeSplit {
    /// Measures updates of `model` (on the graph device) over `streams`. The updated model is thrown away.
    ///
    /// # Errors
    ///
    /// If a stream fails.
    pub fn measure(
        model: &Flamingo,
        config: &TrainConfig,
        loss: LossSpec,
        streams: &mut [BoxStream<HostBatch>],
        device: &Device,
    ) -> Result<Self, FlamingoError> {
        let mut sum = Self::default();
        let (mut model, _shelf) = Shelf::fill(model.clone(), config.precision);
        // Recomputation makes a graph of its own.
        let batches = if loss.gradient_checkpointing { device.clone().inner() } else { device.clone() };
        let mut optimizer = PathAdamW::default();
        for update in 0..=UPDATES {
            let mut split = Self::default();
            let mut gradients = Vec::new();
            let forward = narrowed(&model, config.precision);
            for (stream, source) in streams.iter_mut().zip(&config.sources) {
                let (batch, waited) = timed(|| stream.next());
                let batch = batch.map_err(|error| flamingo_train::TrainError::Stream {
                    source_name: source.name.clone(),
                    step: update as u64,
                    error,
                })?;
                split.data += waited;
                let targets = Targets::new(&batch, device);
                let mut batch = batch.to_device(&batches);
                if let Some(pixels) = batch.pixels.take() {
                    let (features, seconds) = timed(|| done(model.features(pixels)));
                    batch.features = Some(features);
                    split.vision += seconds;
                }
                let (loss, seconds) = timed(|| {
                    let nll = match loss.gradient_checkpointing {
                        true => recomputed_nll(&forward, &batch, &targets, loss),
                        false => weighted_nll(&forward.lm, forward.hidden(&batch), &targets, loss),
                    };
                    done(nll.mul_scalar(source.weight))
                });
                split.forward += seconds;
                let (found, seconds) = timed(|| {
                    let found = GradientsParams::from_grads(loss.backward(), &model);
                    wait_for(&model, &found);
                    found
                });
                split.backward += seconds;
                gradients.push(found);
            }
            let (updated, seconds) = timed(|| {
                let mut sum = burn::optim::GradientsAccumulator::new();
                gradients.into_iter().for_each(|gradients| sum.accumulate(&model, gradients));
                let lr = config.schedule.at(config.steps - 1, config.steps);
                let updated = optimizer.step(config, lr, model.clone(), sum.grads());
                wait_for_rows(&updated);
                updated
            });
            model = updated;
            split.optimizer += seconds;
            if update > 0 {
                sum = sum.plus(split);
            }
        }
        Ok(sum.over(UPDATES as f64 / 1e3))
    }

    /// The parts with their names, in the order of an update.
    pub fn parts(&self) -> [(&'static str, f64); 5] {
        [
            ("data", self.data),
            ("vision", self.vision),
            ("forward", self.forward),
            ("backward", self.backward),
            ("optimizer", self.optimizer),
        ]
    }

    fn plus(self, other: Self) -> Self {
        Self {
            data: self.data + other.data,
            vision: self.vision + other.vision,
            forward: self.forward + other.forward,
            backward: self.backward + other.backward,
            optimizer: self.optimizer + other.optimizer,
        }
    }

    fn over(self, divisor: f64) -> Self {
        Self {
            data: self.data / divisor,
            vision: self.vision / divisor,
            forward: self.forward / divisor,
            backward: self.backward / divisor,
            optimizer: self.optimizer / divisor,
        }
    }
}

fn timed<T>(work: impl FnOnce() -> T) -> (T, f64) {
    let start = Instant::now();
    let result = work();
    (result, start.elapsed().as_secs_f64())
}

/// The tensor, once it is computed: reading one number of it waits for the device.
fn done<const D: usize>(tensor: Tensor<D>) -> Tensor<D> {
    let _ = tensor.clone().sum().into_data();
    tensor
}

/// Waits for the updated rows of the new tokens, and so for the device, which works in order.
fn wait_for_rows(model: &Flamingo) {
    if let Some(rows) = &model.lm.new_embedding {
        done(rows.val());
    }
}

/// Waits for all gradients.
fn wait_for(model: &Flamingo, gradients: &GradientsParams) {
    struct Wait<'a>(&'a GradientsParams);
    impl ModuleVisitor for Wait<'_> {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            if let Some(gradient) = self.0.get::<D>(param.id) {
                let _ = gradient.sum().into_data();
            }
        }
    }
    model.visit(&mut Wait(gradients));
}
