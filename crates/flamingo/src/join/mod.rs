//! A run that joins two published models: both stay as they are, and a resampler, gated blocks and the rows of the new
//! tokens learn to make one model of them.
//!
//! ```text
//! runs/NAME/config.json        everything the run was told
//!           channels.json      mean and deviation of the encoder's channels
//!           metrics.jsonl      one record every few updates
//!           tensorboard/       the same for TensorBoard
//!           checkpoints/join/  while it trains
//!           towers.json, model.json, model-0000N-of-0000M.safetensors, report.json, report.html
//! ```

mod binding;
mod config;
mod heldout;
mod measure;
mod plan;
mod profile;
mod report;
mod streams;

pub use binding::{BindingScores, BindingSpec};
pub use config::{JoinConfig, JoinEvaluation, JoinSource, Needs, Origin, StreamOrigin};
pub use heldout::HeldoutScores;
pub use plan::{JoinPlan, plan};
pub use profile::TimeSplit;
pub use report::{JoinReport, ShownCaption};

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use burn::tensor::{DType, Device};
use flamingo_core::PreprocessSpec;
use flamingo_core::seed::{derive, word};
use flamingo_data::features::{of_concepts, of_source};
use flamingo_data::stream::PixelSpec;
use flamingo_data::{Augment, ConceptSet, FeatureLookup, PretrainedEncoder, Split, Store};
use flamingo_train::{Existing, Progress, RunDir, TrainError};

use crate::config::FlamingoConfig;
use crate::error::FlamingoError;
use crate::features::{self, ChannelStats, FeatureCache, FillOptions};
use crate::hub::locate;
use crate::model::Flamingo;
use crate::pretrained::folder::{read_json, write_json};
use crate::pretrained::joined::{Joined, JoinedFolder};
use crate::replica::{self, Replica};
use crate::run::check_precision;
use crate::towers::{OpenLanguage, OpenVision};
use measure::{Run, Trained};
use streams::Mixture;

/// The trainer's name for the only stage.
const STAGE: &str = "join";
const CHANNELS: &str = "channels.json";
/// Pictures over which channels are measured where features are not cached.
const CHANNEL_SAMPLE: usize = 1000;

/// What a run is asked to do.
#[derive(Debug, Clone)]
pub struct JoinRequest {
    /// Its folder.
    pub folder: PathBuf,
    /// What to train and how.
    pub config: JoinConfig,
    /// Whether the folder may hold a run already.
    pub existing: Existing,
    /// Where features are kept; the project's cache folder if absent.
    pub features: Option<PathBuf>,
    /// How to show progress.
    pub progress: Progress,
}

/// How a run ended.
#[derive(Debug)]
pub enum JoinEnd {
    /// All was done.
    Finished(Box<JoinReport>),
    /// It was asked to stop; it can be resumed.
    Paused,
}

/// Trains, or goes on with, a run.
///
/// `replicas` are all that learn, usually one; the first of them measures. `stop` is looked at after every update.
///
/// # Errors
///
/// On anything wrong with the configuration, the towers, the data or the folder; what was finished before stays.
pub fn join(
    request: &JoinRequest,
    replicas: &[Replica],
    stop: &AtomicBool,
) -> Result<JoinEnd, FlamingoError> {
    let config = &request.config;
    let device = &replica::first(replicas)?.device;
    let Parts { set, mut model, config: model_config, tokenizer, preprocess, joined } =
        Parts::open(config, device)?;
    let dir = RunDir::create(&request.folder, request.existing)?;
    begin(&dir, config)?;

    let Some(cache) = features(request, &model, &model_config, &set, stop)? else {
        return Ok(JoinEnd::Paused);
    };
    // What was trained before expects the channels as they were then.
    if config.resampler.d_input.is_some() && config.start.is_none() {
        let stats = channels(&dir, &cache, &set)?;
        model.resampler = model.resampler.map_input(|input| input.standardised(&stats.mean, &stats.std));
    }
    let mixture = Mixture {
        config,
        set: &set,
        tokenizer: Arc::new(tokenizer.clone()),
        pixels: PixelSpec {
            preprocess,
            augment: (!config.cache_features).then(Augment::light),
            ..PixelSpec::default()
        },
        features: config.cache_features.then(|| Arc::new(cache) as Arc<dyn FeatureLookup>),
    };
    let run = Run { dir, config, device, progress: request.progress, stop };
    let Some(Trained { model, mut streams, seconds }) = run.train(replicas, model, &mixture)? else {
        return Ok(JoinEnd::Paused);
    };
    let split = TimeSplit::measure(
        &ready(model.clone(), config),
        &config.updates(),
        config.loss,
        &mut streams,
        &device.clone().autodiff(),
    )?;
    drop(streams);
    let folder = JoinedFolder { model, config: model_config, tokenizer, towers: joined };
    folder.save(run.dir.path(), DType::BF16)?;
    let report = run.report(&folder, &mixture, split, seconds)?;
    Ok(JoinEnd::Finished(Box::new(report)))
}

/// What a run works on: pictures, and a model whose towers are the published ones and whose other parts are fresh.
struct Parts {
    set: Arc<ConceptSet>,
    model: Flamingo,
    config: FlamingoConfig,
    tokenizer: PretrainedEncoder,
    preprocess: PreprocessSpec,
    joined: Joined,
}

impl Parts {
    fn open(config: &JoinConfig, device: &Device) -> Result<Self, FlamingoError> {
        config.validate()?;
        let checkpointing = config.loss.gradient_checkpointing;
        check_precision(config.train.precision, checkpointing, "train.precision", device)?;
        let set = Arc::new(ConceptSet::load(&streams::concept_shards(&config.concepts)?)?);
        if let Some(start) = &config.start {
            return Self::continued(config, start, set, device);
        }
        let lm = config.towers.lm.open(device)?;
        let vision = config.towers.vision.open(device)?;
        let model_config = config.model(&lm.config)?;
        device.seed(derive(config.seed, [word("weights"), word(STAGE)]));
        let mut model = model_config.init(device)?;
        let OpenLanguage { decoder, tokenizer, fingerprint: lm_sha256, .. } = lm;
        let OpenVision { encoder, preprocess, fingerprint: vision_sha256, .. } = vision;
        (model.lm, model.vision) = (decoder, encoder);
        if let Some(lora) = &config.lora {
            model.lm = lora.attach(model.lm)?;
        }
        let (towers, vision_trained, lora) =
            (config.towers.clone(), config.train_vision, config.lora.clone());
        let joined = Joined { towers, lm_sha256, vision_sha256, vision_trained, lora };
        Ok(Self { set, model, config: model_config, tokenizer, preprocess, joined })
    }

    /// With the parts of a model that was trained before.
    fn continued(
        config: &JoinConfig,
        start: &str,
        set: Arc<ConceptSet>,
        device: &Device,
    ) -> Result<Self, FlamingoError> {
        let folder = locate(start)?;
        let JoinedFolder { model, config: sizes, tokenizer, towers: mut joined } =
            JoinedFolder::load(&folder, device)?;
        let model_config = config.model(&sizes.lm)?;
        let same = [
            ("towers.lm", joined.towers.lm == config.towers.lm),
            ("towers.vision.weights", joined.towers.vision.weights == config.towers.vision.weights),
            ("towers.vision", sizes.vision == model_config.vision),
            ("resampler", sizes.resampler == model_config.resampler),
            ("xattn", sizes.xattn == model_config.xattn),
            ("lora", joined.lora == config.lora),
        ];
        if let Some((key, _)) = same.into_iter().find(|(_, same)| !same) {
            let start = folder.display();
            let message = format!("is another one than that of the model to start from, in {start}");
            return Err(TrainError::Config { key: key.to_owned(), message }.into());
        }
        joined.towers = config.towers.clone();
        joined.vision_trained |= config.train_vision;
        let preprocess = model_config.preprocess.clone();
        Ok(Self { set, model, config: model_config, tokenizer, preprocess, joined })
    }
}

/// The model as it learns in this run.
fn ready(model: Flamingo, config: &JoinConfig) -> Flamingo {
    match config.train_vision {
        true => model.tuned_for_training(),
        false => model.frozen_for_training(),
    }
}

/// Writes the configuration, or compares it with the one that the run was started with.
fn begin(dir: &RunDir, config: &JoinConfig) -> Result<(), FlamingoError> {
    let path = dir.join("config.json");
    if !path.is_file() {
        return write_json(&path, config);
    }
    match read_json::<JoinConfig>(&path)? == *config {
        true => Ok(()),
        false => Err(FlamingoError::Folder {
            path,
            message: "the run was started with another configuration; give the same one, or another --name"
                .to_owned(),
        }),
    }
}

/// The cache of the encoder's features: with all that the run will look at in it, or, where features are computed at
/// every update, with enough to measure the channels.
fn features(
    request: &JoinRequest,
    model: &Flamingo,
    config: &FlamingoConfig,
    set: &ConceptSet,
    stop: &AtomicBool,
) -> Result<Option<FeatureCache>, FlamingoError> {
    let root =
        request.features.clone().or_else(features::default_root).ok_or_else(|| FlamingoError::Folder {
            path: PathBuf::from("features"),
            message: "nothing says where your cache folder is: set XDG_CACHE_HOME, or give --features"
                .to_owned(),
        })?;
    let cache = FeatureCache::open(root, &model.vision, &config.vision, &config.preprocess)?;
    let options = FillOptions { progress: request.progress, ..FillOptions::default() };
    if !request.config.cache_features {
        let sample = of_concepts(set).take(CHANNEL_SAMPLE);
        let filled = cache.fill(&model.vision, sample, &options, stop)?;
        return Ok(filled.finished.then_some(cache));
    }
    let mut finished = cache.fill(&model.vision, of_concepts(set), &options, stop)?.finished;
    let clips = PixelSpec::default().clip;
    for source in request.config.sources.iter().filter_map(JoinSource::stream) {
        for source in source.sources.iter().chain(&source.heldout) {
            let source = streams::resolved(source).spec().open(&Store::default())?;
            let filled = cache.fill(&model.vision, of_source(&*source, &clips), &options, stop)?;
            finished &= filled.finished;
        }
    }
    Ok(finished.then_some(cache))
}

/// Mean and deviation of each channel over named training pictures, measured once in a run.
fn channels(dir: &RunDir, cache: &FeatureCache, set: &ConceptSet) -> Result<ChannelStats, FlamingoError> {
    let path = dir.join(CHANNELS);
    if path.is_file() {
        return read_json(&path);
    }
    let pictures = set.images().iter().filter(|picture| picture.split == Split::Train);
    let keys = pictures.map(|picture| picture.key).filter(|key| cache.contains(key));
    let stats = cache.channel_stats(keys)?;
    write_json(&path, &stats)?;
    Ok(stats)
}
