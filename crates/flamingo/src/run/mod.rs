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

mod config;
mod evaluate;
mod report;

pub use config::{ContrastiveStage, DataConfig, EvaluationConfig, FlamingoStage, LanguageStage, RunConfig};
pub use evaluate::{Evaluation, SplitScores};
pub use report::{Report, StageTime};

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use burn::module::Module;
use burn::tensor::Device;
use flamingo_core::device::concurrency;
use flamingo_core::seed::{derive, word};
use flamingo_data::{ConceptSet, DataError, ImageTransform, PageComposer, Split, TextTokenizer, list_shards};
use flamingo_lm::Decoder;
use flamingo_train::{
    Alone, BoxStream, Existing, Indexed, JsonlSink, MetricSink, Objective, Progress, RunDir, TensorBoardSink,
    TrainConfig, Trainer, load_module, save_module,
};
use flamingo_vision::ContrastiveModel;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use crate::error::FlamingoError;
use crate::model::Flamingo;
use crate::pretrained::folder::{ModelFolder, TOKENIZER, WEIGHTS, read_json, write_json};
use crate::stages::contrastive::{ContrastiveObjective, PairSampler};
use crate::stages::flamingo::{CaptionSampler, FlamingoObjective, PageSampler, Sampling};
use crate::stages::language::{LanguageObjective, TextSampler};
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
/// `device` is without a gradient graph; `stop` is looked at after every update.
///
/// # Errors
///
/// On anything wrong with the configuration, the data or the folder; what was finished before stays.
pub fn train(request: &RunRequest, device: &Device, stop: &AtomicBool) -> Result<RunEnd, FlamingoError> {
    Run::open(request, device)?.go(request, stop)
}

struct Run {
    dir: RunDir,
    config: RunConfig,
    device: Device,
    set: Arc<ConceptSet>,
    composer: Arc<PageComposer>,
    tokenizer: Arc<TextTokenizer>,
}

impl Run {
    /// Checks everything that can be checked before anything is written.
    fn open(request: &RunRequest, device: &Device) -> Result<Self, FlamingoError> {
        let config = request.config.clone();
        config.validate(device)?;
        let shards =
            config.data.folders.iter().map(list_shards).collect::<Result<Vec<_>, DataError>>()?.concat();
        let set = Arc::new(ConceptSet::load(&shards)?);
        let composer = Arc::new(PageComposer::new(&set, config.data.pages.clone())?);

        let dir = RunDir::create(&request.folder, request.existing)?;
        let written = dir.join("config.json");
        if written.is_file() {
            let before: RunConfig = read_json(&written)?;
            if before != config {
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
            None => TextTokenizer::train(corpus(&composer, config.seed), config.model.lm.vocab)?,
        };
        tokenizer.save(&own)?;
        write_json(&written, &config)?;
        let run = Self { dir, config, device: device.clone(), set, composer, tokenizer: Arc::new(tokenizer) };
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
        let pretrained =
            ModelFolder { model, config: self.config.model.clone(), tokenizer: (*self.tokenizer).clone() };
        pretrained.save(self.dir.path())?;
        Ok(RunEnd::Finished(Box::new(self.report(&contrastive, &pretrained)?)))
    }

    fn contrastive(&self, stop: &AtomicBool) -> Result<Option<ContrastiveModel>, FlamingoError> {
        let stage = &self.config.contrastive;
        let fresh =
            self.seeded(Stage::Contrastive, || stage.towers.init(&self.config.model.vision, &self.device));
        let sampler = PairSampler::new(
            self.set.clone(),
            self.tokenizer.clone(),
            ImageTransform::train(self.config.model.preprocess.clone(), stage.augment.clone()),
            [stage.batch, stage.towers.text.max_len],
            self.stream_seed("pairs"),
        );
        let objective = ContrastiveObjective {
            device: self.graph_device(),
            label_smoothing: stage.towers.label_smoothing,
        };
        self.stage(
            Stage::Contrastive,
            &stage.train,
            &objective,
            fresh,
            vec![stream(move |k| sampler.batch(k))],
            stop,
        )
    }

    fn language(&self, stop: &AtomicBool) -> Result<Option<Decoder>, FlamingoError> {
        let stage = &self.config.language;
        let fresh = self.seeded(Stage::Language, || self.config.model.lm.init(&self.device));
        let sampler = TextSampler {
            composer: self.composer.clone(),
            tokenizer: self.tokenizer.clone(),
            spec: stage.sequence.clone(),
            batch: stage.batch,
            seed: self.stream_seed("text"),
        };
        let objective = LanguageObjective { device: self.graph_device(), loss: stage.loss };
        self.stage(
            Stage::Language,
            &stage.train,
            &objective,
            fresh,
            vec![stream(move |k| sampler.batch(k))],
            stop,
        )
    }

    fn flamingo(
        &self,
        contrastive: &ContrastiveModel,
        lm: Decoder,
        stop: &AtomicBool,
    ) -> Result<Option<Flamingo>, FlamingoError> {
        let stage = &self.config.flamingo;
        let mut fresh = self.seeded(Stage::Flamingo, || self.config.model.init(&self.device))?;
        fresh.vision = contrastive.vision.clone();
        fresh.lm = match &stage.lora {
            Some(lora) => lora.attach(lm)?,
            None => lm,
        };
        let sampling = |batch, source| Sampling {
            set: self.set.clone(),
            tokenizer: self.tokenizer.clone(),
            transform: ImageTransform::train(self.config.model.preprocess.clone(), stage.augment.clone()),
            spec: stage.sequence.clone(),
            batch,
            seed: self.stream_seed(source),
        };
        let pages =
            PageSampler { sampling: sampling(stage.pages_batch, "pages"), composer: self.composer.clone() };
        let captions = CaptionSampler::new(sampling(stage.pairs_batch, "captions"));
        let streams = vec![stream(move |k| pages.batch(k)), stream(move |k| captions.batch(k))];
        let objective = FlamingoObjective { device: self.graph_device(), loss: stage.loss };
        self.stage(Stage::Flamingo, &stage.train, &objective, fresh.frozen_for_training(), streams, stop)
    }

    /// Trains one stage, or loads it if it is finished; `None` if it was stopped. The result has no gradient graph.
    fn stage<O: Objective>(
        &self,
        stage: Stage,
        config: &TrainConfig,
        objective: &O,
        fresh: O::Model,
        mut streams: Vec<BoxStream<O::Batch>>,
        stop: &AtomicBool,
    ) -> Result<Option<O::Model>, FlamingoError> {
        let weights = self.dir.join(weights_file(stage));
        if self.finished_file(stage).is_file() {
            // Adapters were merged when the stage was finished.
            return Ok(Some(load_module(fresh.valid().materialize(), &weights)?));
        }
        let trainer = Trainer {
            stage: stage.name().to_owned(),
            config: TrainConfig { seed: derive(self.config.seed, [word(stage.name())]), ..config.clone() },
            checkpoints: self.dir.checkpoints(stage.name()),
            progress: Progress::Auto,
            threads: concurrency(&self.device),
            sync: Arc::new(Alone),
        };
        let mut sinks: Vec<Box<dyn MetricSink>> = vec![
            Box::new(JsonlSink::new(self.metrics_file())),
            Box::new(TensorBoardSink::new(self.dir.join("tensorboard"))),
        ];
        let model = if stage == Stage::Flamingo { fresh } else { fresh.train() };
        let outcome = trainer.fit(objective, model, &mut streams, &mut sinks, stop)?;
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
        let evaluation = Evaluation::run(&self.config, &self.set, contrastive, pretrained, &self.device)?;
        let mut times = BTreeMap::new();
        for stage in Stage::ALL {
            times.insert(stage.name().to_owned(), read_json::<StageTime>(&self.finished_file(stage))?);
        }
        let report = Report::new(&self.config, times, evaluation)?;
        report.write(&self.dir, &self.set, &JsonlSink::read(&self.metrics_file())?)?;
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
                std::fs::copy(&from, self.dir.join(&name)).map_err(|error| FlamingoError::Folder {
                    path: from,
                    message: format!("cannot take over the {stage} stage: {error}"),
                })?;
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

    fn graph_device(&self) -> Device {
        self.device.clone().autodiff()
    }

    fn stream_seed(&self, source: &str) -> u64 {
        derive(self.config.seed, [word(source)])
    }

    /// Random weights that depend on the seed and the stage alone.
    fn seeded<M>(&self, stage: Stage, init: impl FnOnce() -> M) -> M {
        self.device.seed(derive(self.config.seed, [word("weights"), word(stage.name())]));
        init()
    }
}

/// The last stage's weights are the model's.
fn weights_file(stage: Stage) -> String {
    match stage {
        Stage::Flamingo => WEIGHTS.to_owned(),
        tower => format!("{tower}.safetensors"),
    }
}

/// A stream whose k-th batch is `make(k)`, made ahead of time.
fn stream<B: Send + 'static>(make: impl Fn(u64) -> B + Send + Sync + 'static) -> BoxStream<B> {
    const AHEAD: usize = 2;
    Box::new(Indexed::new(AHEAD, move |index| Ok::<B, std::convert::Infallible>(make(index))))
}

/// Text enough to learn a tokenizer from: every name comes many times.
fn corpus(composer: &PageComposer, seed: u64) -> impl Iterator<Item = String> + '_ {
    const TEXTS: usize = 20_000;
    let mut rng = ChaCha8Rng::seed_from_u64(derive(seed, [word("tokenizer")]));
    (0..TEXTS).map(move |_| composer.text(&mut rng))
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
