//! What a run would take, without running it: parameters, memory and time.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use burn::tensor::Device;
use flamingo_core::device::concurrency;
use flamingo_data::stream::PixelSpec;
use flamingo_train::footprint::{forget_peak, peak_resident};
use flamingo_train::progress::duration;
use flamingo_train::{Footprint, Progress, Trainer, error::size};

use super::config::JoinConfig;
use super::streams::Mixture;
use super::{Parts, STAGE};
use crate::error::FlamingoError;
use crate::inspect::grouped;
use crate::replica::Replica;
use crate::stages::flamingo::FlamingoObjective;

/// What a run would take.
#[derive(Debug, Clone)]
pub struct JoinPlan {
    /// Its updates.
    pub steps: u64,
    /// Its model.
    pub model: Footprint,
    /// Seconds of each update that was tried, the first included, which also warms up. The encoder looked at the images of
    /// each: with cached features updates are faster.
    pub tried: Vec<f64>,
    /// The most memory that this process held while they were, where the system says.
    pub measured: Option<u64>,
}

/// Looks what a run would take on `device` (without a gradient graph), by `updates` updates, whose results are thrown
/// away. Reads towers and data; writes nothing, no features either.
///
/// # Errors
///
/// On anything wrong with the configuration, the towers or the data.
pub fn plan(config: &JoinConfig, device: &Device, updates: u64) -> Result<JoinPlan, FlamingoError> {
    let Parts { set, model, tokenizer, preprocess, .. } = Parts::open(config, device)?;
    let pixels = PixelSpec { preprocess, ..PixelSpec::default() };
    let mixture = Mixture { config, set: &set, tokenizer: Arc::new(tokenizer), pixels, features: None };
    let replica = Replica::alone(device);
    let mut streams = mixture.streams(&replica)?;
    let trainer = Trainer {
        stage: STAGE.to_owned(),
        config: config.updates(),
        checkpoints: PathBuf::new(),
        progress: Progress::Hidden,
        threads: concurrency(device),
        sync: replica.sync,
    };
    let objective = FlamingoObjective { device: device.clone().autodiff(), loss: config.loss };
    let model = super::ready(model, config);
    let footprint = Footprint::of(&model);
    forget_peak();
    let tried = trainer.rehearse(&objective, model, &mut streams, updates)?;
    Ok(JoinPlan { steps: config.train.steps, model: footprint, tried, measured: peak_resident() })
}

impl fmt::Display for JoinPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [trained, frozen] = self.model.numbers();
        writeln!(f, "trained {:>15}\nfrozen  {:>15}", grouped(trained), grouped(frozen))?;
        writeln!(
            f,
            "memory  weights {}, gradients {}, optimizer {}; {} at most while updates were tried here",
            size(self.model.weights()),
            size(self.model.gradients(1)),
            size(self.model.optimizer()),
            self.measured.map_or("not known".to_owned(), size),
        )?;
        let warm = if self.tried.len() > 1 { &self.tried[1..] } else { &self.tried[..] };
        let update = warm.iter().sum::<f64>() / warm.len().max(1) as f64;
        writeln!(
            f,
            "time    {} for {} updates of {:.0} ms, as tried here with the encoder at work; less with cached features",
            duration(update * self.steps as f64),
            grouped(self.steps as usize),
            1000.0 * update
        )
    }
}
