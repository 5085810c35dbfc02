//! What a run would take, without running it: parameters, memory and time of each stage.

use std::fmt;

use burn::tensor::Device;
use flamingo_core::HostBatch;
use flamingo_train::footprint::{forget_peak, peak_resident, resident};
use flamingo_train::progress::duration;
use flamingo_train::{Footprint, Objective, TrainConfig, TrainError, error::size};
use serde_json::Value;

use super::activations;
use super::config::RunConfig;
use super::setup::{Material, Setup, StageParts};
use crate::error::FlamingoError;
use crate::inspect::grouped;
use crate::replica::Replica;
use crate::stages::Stage;
use crate::stages::contrastive::PairBatch;

/// What a run would take.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Bytes of memory with the data and the tokenizer in it, before any model; `None` where the system does not say.
    pub data: Option<u64>,
    /// In their order.
    pub stages: Vec<StagePlan>,
}

/// What a stage would take.
#[derive(Debug, Clone)]
pub struct StagePlan {
    /// Which.
    pub stage: Stage,
    /// Its updates.
    pub steps: u64,
    /// Its model.
    pub model: Footprint,
    /// Parts of an update that are computed at once.
    pub at_once: usize,
    /// Estimated bytes of activations kept for the backward passes; `None` if the model's operators are not counted.
    pub activations: Option<u64>,
    /// Seconds of each update that was tried, the first included, which also warms up.
    pub tried: Vec<f64>,
    /// The most memory that this process held while they were, where the system says.
    pub measured: Option<u64>,
}

impl StagePlan {
    /// Estimated bytes of weights, gradients, optimizer state and activations.
    pub fn estimate(&self) -> Option<u64> {
        let fixed = self.model.weights() + self.model.gradients(self.at_once) + self.model.optimizer();
        self.activations.map(|activations| fixed + activations)
    }

    /// Seconds of an update: the mean of those tried, but for the first.
    pub fn update_seconds(&self) -> f64 {
        let warm = if self.tried.len() > 1 { &self.tried[1..] } else { &self.tried[..] };
        warm.iter().sum::<f64>() / warm.len().max(1) as f64
    }
}

/// Looks what the stages up to `until` would take on `device` (without a gradient graph), by `updates` updates of each,
/// whose results are thrown away. Reads the data; writes nothing.
///
/// # Errors
///
/// On anything wrong with the configuration or the data.
pub fn plan(config: &RunConfig, until: Stage, device: &Device, updates: u64) -> Result<Plan, FlamingoError> {
    let material = Material::load(config, device)?;
    let tokenizer = material.tokenizer(config)?;
    let setup = material.setup(config.clone(), &Replica::alone(device), tokenizer);
    let data = resident();
    let mut stages = Vec::new();
    for stage in Stage::ALL {
        forget_peak();
        stages.push(match stage {
            Stage::Contrastive => {
                let kept = |batch: &PairBatch| activations::contrastive(config, batch);
                try_stage(&setup, stage, &config.contrastive.train, setup.contrastive(), kept, updates)?
            }
            Stage::Language => {
                let kept = |batch: &HostBatch| Some(activations::language(config, batch));
                try_stage(&setup, stage, &config.language.train, setup.language(), kept, updates)?
            }
            Stage::Flamingo => {
                let kept = |batch: &HostBatch| Some(activations::flamingo(config, batch));
                try_stage(&setup, stage, &config.flamingo.train, setup.flamingo(None)?, kept, updates)?
            }
        });
        if stage == until {
            break;
        }
    }
    Ok(Plan { data, stages })
}

fn try_stage<O: Objective>(
    setup: &Setup,
    stage: Stage,
    config: &TrainConfig,
    parts: StageParts<O>,
    kept: impl Fn(&O::Batch) -> Option<u64>,
    updates: u64,
) -> Result<StagePlan, FlamingoError> {
    let StageParts { objective, model, mut streams } = parts;
    let trainer = setup.trainer(stage, config);
    // What is kept for each part of the first update. They are computed in waves, of which the largest counts.
    let mut sizes = Vec::new();
    for (spec, stream) in config.sources.iter().zip(&mut streams) {
        let failed = |error| TrainError::Stream { source_name: spec.name.clone(), step: 0, error };
        let batch = stream.next().map_err(failed)?;
        sizes.extend(objective.split(batch, config.microbatches).iter().map(|(part, _)| kept(part)));
        stream.restore(&Value::from(0)).map_err(failed)?;
    }
    let at_once = trainer.threads.clamp(1, sizes.len().max(1));
    let waves = sizes.chunks(at_once).map(|wave| wave.iter().copied().sum::<Option<u64>>());
    let activations = waves.collect::<Option<Vec<u64>>>().map(|waves| waves.into_iter().max().unwrap_or(0));

    let footprint = Footprint::of(&model);
    let tried = trainer.rehearse(&objective, model, &mut streams, updates)?;
    Ok(StagePlan {
        stage,
        steps: config.steps,
        model: footprint,
        at_once,
        activations,
        tried,
        measured: peak_resident(),
    })
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for stage in &self.stages {
            writeln!(f, "{stage}")?;
            if let (Some(data), Some(estimate), Some(measured)) =
                (self.data, stage.estimate(), stage.measured)
            {
                writeln!(
                    f,
                    "  memory in all     {} estimated with the data, {} at most while updates were tried here",
                    size(data + estimate),
                    size(measured)
                )?;
            }
        }
        if let Some(data) = self.data {
            writeln!(f, "data and program    {}", size(data))?;
        }
        let seconds: f64 = self.stages.iter().map(|stage| stage.update_seconds() * stage.steps as f64).sum();
        writeln!(f, "time in all         {}, evaluations aside", duration(seconds))
    }
}

impl fmt::Display for StagePlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [trained, frozen] = self.model.numbers();
        writeln!(f, "{}", self.stage)?;
        for part in &self.model.parts {
            let state = match (part.trained, part.frozen) {
                (_, 0) => "trained".to_owned(),
                (0, _) => "frozen".to_owned(),
                (trained, _) => format!("{} of them trained", grouped(trained)),
            };
            writeln!(f, "  {:<24} {:>15}  {state}", part.name, grouped(part.trained + part.frozen))?;
        }
        writeln!(f, "  {:<24} {:>15}  and {} frozen", "trained", grouped(trained), grouped(frozen))?;
        writeln!(
            f,
            "  memory            weights {}, gradients {}, optimizer {}, activations {} ({} parts of an update at once)",
            size(self.model.weights()),
            size(self.model.gradients(self.at_once)),
            size(self.model.optimizer()),
            self.activations.map_or("not known".to_owned(), size),
            self.at_once
        )?;
        let (update, total) = (self.update_seconds(), self.update_seconds() * self.steps as f64);
        let measured = match self.tried.len() {
            1 => "one update tried here".to_owned(),
            tried => format!("{} updates tried here after one to warm up", tried - 1),
        };
        write!(
            f,
            "  time              {} for {} updates of {:.0} ms, by {measured}",
            duration(total),
            grouped(self.steps as usize),
            1000.0 * update
        )
    }
}
