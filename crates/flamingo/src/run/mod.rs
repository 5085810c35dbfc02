//! A whole training run: three stages, each resumable, then the report.
//!
//! ```text
//! runs/NAME/config.json            everything the run was told
//!           tokenizer.json         made from the training text
//!           metrics.jsonl          one record every few updates
//!           tensorboard/STAGE/     the same for TensorBoard
//!           contrastive.safetensors, language.safetensors    finished towers
//!           checkpoints/STAGE/     of the stage in progress
//!           model.safetensors, model.json, report.json, report.html
//! ```

mod activations;
pub(crate) mod charts;
mod config;
mod evaluate;
mod plan;
mod report;
mod setup;

pub(crate) use config::check_precision;
pub use config::{ContrastiveStage, DataConfig, EvaluationConfig, FlamingoStage, LanguageStage, RunConfig};
pub(crate) use evaluate::token_losses;
pub use evaluate::{Evaluation, PageScores, SplitScores};
pub use plan::{Plan, StagePlan, plan};
pub(crate) use report::png;
pub use report::{Report, StageTime};

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;

use burn::module::Module;
use flamingo_data::{ConceptSet, Split, TextTokenizer};
use flamingo_lm::Decoder;
use flamingo_train::{
    Evaluators, Existing, JsonlSink, MetricSink, Objective, Progress, RunDir, TensorBoardSink, TrainConfig,
    Trainer, load_module, save_module,
};
use flamingo_vision::ContrastiveModel;

use self::setup::{Material, Setup, StageParts};
use crate::error::FlamingoError;
use crate::model::Flamingo;
use crate::pretrained::folder::{ModelFolder, TOKENIZER, WEIGHTS, read_json, write_json};
use crate::replica::{self, Replica};
use crate::stages::{Stage, pictures_by_concept};

/// What a run is asked to do.
#[derive(Debug, Clone)]
pub struct RunRequest {
    /// Its folder.
    pub folder: PathBuf,
    /// What to train and how.
    pub config: RunConfig,
    /// Whether the folder may hold a run already.
    pub existing: Existing,
    /// The last stage to do; later ones are left for a resumption.
    pub until: Stage,
    /// A run whose finished towers are taken over instead of being trained again.
    pub towers_from: Option<PathBuf>,
    /// How to show progress.
    pub progress: Progress,
}

/// How a run ended.
#[derive(Debug)]
pub enum RunEnd {
    /// All was done.
    Finished(Box<Report>),
    /// It was asked to stop, or to do only some stages; it can be resumed.
    Paused {
        /// The stage that is next, or not yet finished.
        stage: Stage,
    },
}

/// Trains, or goes on with, a run.
///
/// `replicas` are all that learn, usually one; the first of them measures. `stop` is looked at after every update.
///
/// # Errors
///
/// On anything wrong with the configuration, the data or the folder; what was finished before stays.
pub fn train(request: &RunRequest, replicas: &[Replica], stop: &AtomicBool) -> Result<RunEnd, FlamingoError> {
    Run::open(request, replicas)?.go(request, stop)
}

struct Run<'a> {
    dir: RunDir,
    /// Of the first replica.
    setup: Setup,
    replicas: &'a [Replica],
    progress: Progress,
}

impl<'a> Run<'a> {
    /// Checks everything that can be checked before anything is written.
    fn open(request: &RunRequest, replicas: &'a [Replica]) -> Result<Self, FlamingoError> {
        let first = replica::first(replicas)?;
        let material = Material::load(&request.config, &first.device)?;
        let dir = RunDir::create(&request.folder, request.existing)?;
        let written = dir.join("config.json");
        if written.is_file() {
            let before: RunConfig = read_json(&written)?;
            if before.with_bookkeeping_of(&request.config) != request.config {
                return Err(FlamingoError::Folder {
                    path: written,
                    message:
                        "the run was started with another configuration; give the same one, or another --name"
                            .to_owned(),
                });
            }
        }
        let own = dir.join(TOKENIZER);
        let tokenizer = match &request.towers_from {
            // Towers have learned their own run's tokens.
            Some(other) => TextTokenizer::load(other.join(TOKENIZER))?,
            None if own.is_file() => TextTokenizer::load(&own)?,
            None => material.tokenizer(&request.config)?,
        };
        tokenizer.save(&own)?;
        write_json(&written, &request.config)?;
        let setup = material.setup(request.config.clone(), first, tokenizer);
        let run = Self { dir, setup, replicas, progress: request.progress };
        if let Some(other) = &request.towers_from {
            run.take_towers(other)?;
        }
        Ok(run)
    }

    fn go(&self, request: &RunRequest, stop: &AtomicBool) -> Result<RunEnd, FlamingoError> {
        let Some(contrastive) = self.contrastive(stop)? else {
            return Ok(RunEnd::Paused { stage: Stage::Contrastive });
        };
        if request.until == Stage::Contrastive {
            return Ok(RunEnd::Paused { stage: Stage::Language });
        }
        let Some(lm) = self.language(stop)? else {
            return Ok(RunEnd::Paused { stage: Stage::Language });
        };
        if request.until == Stage::Language {
            return Ok(RunEnd::Paused { stage: Stage::Flamingo });
        }
        let Some(model) = self.flamingo(&contrastive, lm, stop)? else {
            return Ok(RunEnd::Paused { stage: Stage::Flamingo });
        };
        let pretrained = ModelFolder {
            model,
            config: self.setup.config.model.clone(),
            tokenizer: (*self.setup.tokenizer).clone(),
        };
        pretrained.save(self.dir.path())?;
        Ok(RunEnd::Finished(Box::new(self.report(&contrastive, &pretrained)?)))
    }

    fn contrastive(&self, stop: &AtomicBool) -> Result<Option<ContrastiveModel>, FlamingoError> {
        let parts = |setup: &Setup| Ok(setup.contrastive());
        let config = &self.setup.config.contrastive.train;
        self.stage(Stage::Contrastive, config, parts, Setup::contrastive_evaluators, stop)
    }

    fn language(&self, stop: &AtomicBool) -> Result<Option<Decoder>, FlamingoError> {
        let parts = |setup: &Setup| Ok(setup.language());
        self.stage(Stage::Language, &self.setup.config.language.train, parts, |_| Vec::new(), stop)
    }

    fn flamingo(
        &self,
        contrastive: &ContrastiveModel,
        lm: Decoder,
        stop: &AtomicBool,
    ) -> Result<Option<Flamingo>, FlamingoError> {
        let parts = |setup: &Setup| {
            let on_its_device = (contrastive.vision.clone(), lm.clone()).to_device(setup.device());
            setup.flamingo(Some(on_its_device))
        };
        let config = &self.setup.config.flamingo.train;
        self.stage(Stage::Flamingo, config, parts, Setup::flamingo_evaluators, stop)
    }

    /// Trains one stage, or loads it if it is finished; `None` if it was stopped. The result has no gradient graph.
    fn stage<O: Objective + Send>(
        &self,
        stage: Stage,
        config: &TrainConfig,
        parts: impl Fn(&Setup) -> Result<StageParts<O>, FlamingoError>,
        evaluators: impl for<'s> Fn(&'s Setup) -> Evaluators<'s, O::Model> + Sync,
        stop: &AtomicBool,
    ) -> Result<Option<O::Model>, FlamingoError>
    where
        O::Model: Send,
    {
        let weights = self.dir.join(weights_file(stage));
        if self.finished_file(stage).is_file() {
            // Adapters were merged when the stage was finished.
            let model = parts(&self.setup)?.model;
            return Ok(Some(load_module(model.valid().materialize(), &weights)?));
        }
        let first = parts(&self.setup)?;
        // One fresh model, of which each has a copy: what is drawn for another from the same seed need not be the same.
        let of = |replica: &Replica| {
            let setup = self.setup.of(replica);
            let model = first.model.clone().fork(&replica.device.clone().autodiff());
            Ok((StageParts { model, ..parts(&setup)? }, setup))
        };
        let others = self.replicas[1..].iter().map(of).collect::<Result<Vec<_>, FlamingoError>>()?;
        let parts = std::iter::once((first, self.setup.clone())).chain(others).collect();
        let train = |(parts, setup): (StageParts<O>, Setup)| {
            let StageParts { objective, model, mut streams } = parts;
            let trainer = Trainer {
                checkpoints: self.dir.checkpoints(stage.name()),
                progress: self.progress,
                ..setup.trainer(stage, config)
            };
            let mut sinks: Vec<Box<dyn MetricSink>> = vec![
                Box::new(JsonlSink::new(self.metrics_file())),
                Box::new(TensorBoardSink::new(self.dir.join("tensorboard"))),
            ];
            let evaluators = if config.evaluate_every == 0 { Vec::new() } else { evaluators(&setup) };
            trainer.fit_evaluated(&objective, model, &mut streams, evaluators, &mut sinks, stop)
        };
        let outcome = replica::together(self.replicas, parts, train)?;
        if !outcome.finished {
            return Ok(None);
        }
        let model = outcome.model.valid().materialize();
        save_module(&model, &weights)?;
        write_json(&self.finished_file(stage), &StageTime { seconds: outcome.seconds })?;
        Ok(Some(model))
    }

    fn report(
        &self,
        contrastive: &ContrastiveModel,
        pretrained: &ModelFolder,
    ) -> Result<Report, FlamingoError> {
        let Setup { config, set, .. } = &self.setup;
        let evaluation = Evaluation::run(config, set, contrastive, pretrained, self.setup.device())?;
        let mut times = BTreeMap::new();
        for stage in Stage::ALL {
            times.insert(stage.name().to_owned(), read_json::<StageTime>(&self.finished_file(stage))?);
        }
        let report = Report::new(config, times, evaluation)?;
        report.write(&self.dir, set, &JsonlSink::read(&self.metrics_file())?)?;
        Ok(report)
    }

    /// Copies the towers that `other` has finished and this run has not.
    fn take_towers(&self, other: &std::path::Path) -> Result<(), FlamingoError> {
        for stage in [Stage::Contrastive, Stage::Language] {
            let finished = format!("{stage}.json");
            if self.dir.join(&finished).is_file() {
                continue;
            }
            // The time goes last: it marks the stage as finished.
            for name in [weights_file(stage), finished] {
                let from = other.join(&name);
                let bytes = std::fs::read(&from).map_err(|error| FlamingoError::Folder {
                    path: from,
                    message: format!("cannot take over the {stage} stage: {error}"),
                })?;
                self.dir.write_atomic(&name, bytes)?;
            }
        }
        Ok(())
    }

    fn finished_file(&self, stage: Stage) -> PathBuf {
        self.dir.join(format!("{stage}.json"))
    }

    fn metrics_file(&self) -> PathBuf {
        self.dir.join("metrics.jsonl")
    }
}

/// The last stage's weights are the model's.
fn weights_file(stage: Stage) -> String {
    match stage {
        Stage::Flamingo => WEIGHTS.to_owned(),
        tower => format!("{tower}.safetensors"),
    }
}

/// The pictures of a split that an evaluation looks at: one for each of at most `most` concepts, spread evenly, in
/// turns of the styles that there are.
pub(crate) fn sample(set: &ConceptSet, split: Split, most: usize) -> Vec<usize> {
    let concepts = pictures_by_concept(set, split);
    let count = most.min(concepts.len());
    let picture = |index: usize| {
        let styles = &concepts[index * concepts.len() / count];
        styles[index % styles.len()]
    };
    (0..count).map(picture).collect()
}
