//! What the stages of a run are made of: data, tokenizer, fresh models, objectives and streams of batches.

use std::convert::Infallible;
use std::path::PathBuf;
use std::sync::Arc;

use burn::module::Module;
use burn::tensor::Device;
use flamingo_core::device::concurrency;
use flamingo_core::seed::{derive, word};
use flamingo_data::{ConceptSet, DataError, ImageTransform, PageComposer, TextTokenizer, list_shards};
use flamingo_lm::Decoder;
use flamingo_train::{BoxStream, Evaluators, Objective, Progress, SourceSpec, TrainConfig, Trainer};
use flamingo_vision::{ContrastiveModel, VisionEncoder};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use super::config::{FlamingoStage, PairSource, RunConfig};
use super::evaluate::{HeldoutCaptions, HeldoutRetrieval};
use crate::error::FlamingoError;
use crate::model::Flamingo;
use crate::replica::Replica;
use crate::stages::Stage;
use crate::stages::contrastive::{ContrastiveObjective, PairSampler};
use crate::stages::flamingo::{CaptionSampler, FlamingoObjective, PageSampler, Sampling};
use crate::stages::language::{LanguageObjective, TextSampler};

/// The pictures, and the pages made of them.
pub(super) struct Material {
    set: Arc<ConceptSet>,
    composer: Arc<PageComposer>,
}

impl Material {
    /// Also checks the configuration.
    pub(super) fn load(config: &RunConfig, device: &Device) -> Result<Self, FlamingoError> {
        config.validate(device)?;
        let shards =
            config.data.folders.iter().map(list_shards).collect::<Result<Vec<_>, DataError>>()?.concat();
        let set = Arc::new(ConceptSet::load(&shards)?);
        config.contrastive.validate_sources(&set)?;
        let composer = Arc::new(PageComposer::new(&set, config.data.pages.clone())?);
        Ok(Self { set, composer })
    }

    /// One that is made from the training text.
    pub(super) fn tokenizer(&self, config: &RunConfig) -> Result<TextTokenizer, FlamingoError> {
        Ok(TextTokenizer::train(corpus(&self.composer, config.seed), config.model.lm.vocab)?)
    }

    pub(super) fn setup(self, config: RunConfig, replica: &Replica, tokenizer: TextTokenizer) -> Setup {
        let Self { set, composer } = self;
        Setup { config, replica: replica.clone(), set, composer, tokenizer: Arc::new(tokenizer) }
    }
}

/// Everything that a stage needs, but a folder.
#[derive(Clone)]
pub(super) struct Setup {
    pub(super) config: RunConfig,
    pub(super) replica: Replica,
    pub(super) set: Arc<ConceptSet>,
    composer: Arc<PageComposer>,
    pub(super) tokenizer: Arc<TextTokenizer>,
}

/// What a [`Trainer`] is given.
pub(super) struct StageParts<O: Objective> {
    pub(super) objective: O,
    /// Fresh, on the device with a gradient graph.
    pub(super) model: O::Model,
    /// In the order of the sources.
    pub(super) streams: Vec<BoxStream<O::Batch>>,
}

impl Setup {
    /// Without a gradient graph.
    pub(super) fn device(&self) -> &Device {
        &self.replica.device
    }

    /// The same for another replica.
    pub(super) fn of(&self, replica: &Replica) -> Self {
        Self { replica: replica.clone(), ..self.clone() }
    }

    pub(super) fn contrastive(&self) -> StageParts<ContrastiveObjective> {
        let stage = &self.config.contrastive;
        let model =
            self.seeded(Stage::Contrastive, || stage.towers.init(&self.config.model.vision, self.device()));
        let pairs = |source: &SourceSpec| {
            let PairSource { styles, batch } = stage.sources.get(&source.name).cloned().unwrap_or_default();
            let sampler = PairSampler::new(
                self.set.clone(),
                &styles,
                self.tokenizer.clone(),
                ImageTransform::train(self.config.model.preprocess.clone(), stage.augment.clone()),
                [batch.unwrap_or(stage.batch), stage.towers.text.max_len],
                self.stream_seed(&source.name),
            );
            self.replica.stream(move |k| Ok::<_, Infallible>(sampler.batch(k)))
        };
        let objective = ContrastiveObjective {
            device: self.graph_device(),
            label_smoothing: stage.towers.label_smoothing,
        };
        StageParts {
            objective,
            model: model.train(),
            streams: stage.train.sources.iter().map(pairs).collect(),
        }
    }

    pub(super) fn language(&self) -> StageParts<LanguageObjective> {
        let stage = &self.config.language;
        let model = self.seeded(Stage::Language, || self.config.model.lm.init(self.device()));
        let sampler = TextSampler {
            composer: self.composer.clone(),
            tokenizer: self.tokenizer.clone(),
            spec: stage.sequence.clone(),
            batch: stage.batch,
            seed: self.stream_seed("text"),
        };
        let objective = LanguageObjective { device: self.graph_device(), loss: stage.loss };
        StageParts {
            objective,
            model: model.train(),
            streams: vec![self.replica.stream(move |k| Ok::<_, Infallible>(sampler.batch(k)))],
        }
    }

    /// `towers` are the results of the stages before; without them, fresh ones of the same sizes.
    pub(super) fn flamingo(
        &self,
        towers: Option<(VisionEncoder, Decoder)>,
    ) -> Result<StageParts<FlamingoObjective>, FlamingoError> {
        let stage = &self.config.flamingo;
        let mut model: Flamingo = self.seeded(Stage::Flamingo, || self.config.model.init(self.device()))?;
        if let Some((vision, lm)) = towers {
            model.vision = vision;
            model.lm = lm;
        }
        if let Some(lora) = &stage.lora {
            model.lm = lora.attach(model.lm)?;
        }
        let sampling = |batch, source| Sampling {
            set: self.set.clone(),
            tokenizer: self.tokenizer.clone(),
            transform: ImageTransform::train(self.config.model.preprocess.clone(), stage.augment.clone()),
            spec: stage.sequence.clone(),
            features: None,
            batch,
            seed: self.stream_seed(source),
        };
        let sources = stage.train.sources.iter().map(|source| match source.name.as_str() {
            FlamingoStage::PAGES => {
                let sampling = sampling(stage.pages_batch, "pages");
                let pages = PageSampler { sampling, composer: self.composer.clone() };
                self.replica.stream(move |k| pages.batch(k))
            }
            // Nothing else was let in.
            _ => {
                let captions = CaptionSampler::new(sampling(stage.pairs_batch, "captions"));
                self.replica.stream(move |k| captions.batch(k))
            }
        });
        let streams = sources.collect();
        let objective = FlamingoObjective { device: self.graph_device(), loss: stage.loss };
        Ok(StageParts { objective, model: model.frozen_for_training(), streams })
    }

    pub(super) fn contrastive_evaluators(&self) -> Evaluators<'_, ContrastiveModel> {
        vec![Box::new(HeldoutRetrieval(self))]
    }

    pub(super) fn flamingo_evaluators(&self) -> Evaluators<'_, Flamingo> {
        vec![Box::new(HeldoutCaptions(self))]
    }

    /// A trainer of `stage` that has no folder and is silent.
    pub(super) fn trainer(&self, stage: Stage, config: &TrainConfig) -> Trainer {
        Trainer {
            stage: stage.name().to_owned(),
            config: TrainConfig { seed: derive(self.config.seed, [word(stage.name())]), ..config.clone() },
            checkpoints: PathBuf::new(),
            progress: Progress::Hidden,
            threads: concurrency(self.device()),
            sync: self.replica.sync.clone(),
        }
    }

    fn graph_device(&self) -> Device {
        self.device().clone().autodiff()
    }

    fn stream_seed(&self, source: &str) -> u64 {
        derive(self.config.seed, [word(source)])
    }

    /// Random weights that depend on the seed and the stage alone.
    fn seeded<M>(&self, stage: Stage, init: impl FnOnce() -> M) -> M {
        self.device().seed(derive(self.config.seed, [word("weights"), word(stage.name())]));
        init()
    }
}

/// Text enough to learn a tokenizer from: every name comes many times.
fn corpus(composer: &PageComposer, seed: u64) -> impl Iterator<Item = String> + '_ {
    const TEXTS: usize = 20_000;
    let mut rng = ChaCha8Rng::seed_from_u64(derive(seed, [word("tokenizer")]));
    (0..TEXTS).map(move |_| composer.text(&mut rng))
}
