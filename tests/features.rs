//! The feature cache: what it keeps is what the encoder makes, training does not notice it, and a kill leaves it usable.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use burn::module::Module;
use burn::optim::GradientsParams;
use burn::tensor::{Device, Tensor, TensorData};
use flamingo::data::features::{of_concepts, of_source};
use flamingo::data::stream::{MixedSource, StreamSpec};
use flamingo::data::video::FrameSampling;
use flamingo::data::{
    ConceptSet, FeatureLookup, ImageTransform, MediaKey, RgbaImage, SequenceSpec, Source, Store, Stream,
    TextEncoder, TextTokenizer, list_shards,
};
use flamingo::features::{FillOptions, Filled};
use flamingo::loss::LossSpec;
use flamingo::resampler::Resampler;
use flamingo::stages::flamingo::{CaptionSampler, FlamingoObjective, Sampling};
use flamingo::train::{Objective, Progress, load_module, save_module};
use flamingo::{FeatureCache, Flamingo, FlamingoConfig, HostBatch};
use half::f16;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use serde_json::json;

/// Of half precision (2^-11 of the value), and of sums in another order.
const RELATIVE: f32 = 1e-3;
const ABSOLUTE: f32 = 1e-3;

fn emoji() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../datasets/emoji")
}

fn pictures(count: usize) -> ConceptSet {
    let set = ConceptSet::load(&list_shards(emoji()).unwrap()).unwrap();
    ConceptSet::new(set.images()[..count].to_vec())
}

/// With open gates: what is seen counts.
fn model(config: &FlamingoConfig) -> Flamingo {
    let mut model = config.init(&Device::flex()).unwrap();
    for block in &mut model.xattn {
        block.attention_gate = block.attention_gate.clone().map(|gate| gate.map(|gate| gate + 0.5));
        block.feed_forward_gate = block.feed_forward_gate.clone().map(|gate| gate.map(|gate| gate + 0.5));
    }
    model
}

fn open(root: &Path, model: &Flamingo, config: &FlamingoConfig) -> FeatureCache {
    FeatureCache::open(root, &model.vision, &config.vision, &config.preprocess).unwrap()
}

fn options() -> FillOptions {
    FillOptions { images: 16, progress: Progress::Hidden, ..FillOptions::default() }
}

fn fill(cache: &FeatureCache, model: &Flamingo, set: &ConceptSet) -> Filled {
    cache.fill(&model.vision, of_concepts(set), &options(), &AtomicBool::new(false)).unwrap()
}

/// The encoder's own features `[P, E]` of a picture.
fn of_picture(model: &Flamingo, config: &FlamingoConfig, picture: &RgbaImage) -> Vec<f32> {
    let size = config.preprocess.size;
    let mut pixels = vec![0.0; 3 * size * size];
    let transform = ImageTransform::eval(config.preprocess.clone());
    transform.apply(picture, &mut ChaCha8Rng::seed_from_u64(0), &mut pixels);
    let pixels = Tensor::from_data(TensorData::new(pixels, [1, 1, 1, 3, size, size]), &Device::flex());
    model.features(pixels).into_data().iter().collect()
}

fn assert_near(kept: &[f16], made: &[f32]) {
    assert_eq!(kept.len(), made.len());
    for (kept, made) in kept.iter().zip(made) {
        let difference = (kept.to_f32() - made).abs();
        assert!(difference <= RELATIVE * made.abs() + ABSOLUTE, "{kept} is kept of {made}");
    }
}

#[test]
fn what_is_kept_is_what_the_encoder_makes() {
    let (config, root) = (FlamingoConfig::nano(), tempfile::tempdir().unwrap());
    let (model, set) = (model(&config), pictures(40));
    let cache = open(root.path(), &model, &config);
    let different: BTreeSet<MediaKey> = set.images().iter().map(|picture| picture.key).collect();
    let filled = fill(&cache, &model, &set);
    assert!(filled.finished && filled.rejects.is_empty());
    assert_eq!((filled.added as usize, cache.len()), (different.len(), different.len()));
    assert_eq!(cache.keys(), different.into_iter().collect::<Vec<_>>());

    // Another process would open it again.
    let cache = open(root.path(), &model, &config);
    let again = fill(&cache, &model, &set);
    assert_eq!((again.added, again.known), (0, 40));
    for picture in &set.images()[..10] {
        let mut kept = Vec::new();
        assert_eq!(cache.read(&picture.key, &mut kept).unwrap(), Some(1));
        assert_near(&kept, &of_picture(&model, &config, &picture.image));
    }
    assert_eq!(cache.read(&MediaKey::image(b"none"), &mut Vec::new()).unwrap(), None);
}

#[test]
fn a_training_step_with_kept_features_is_the_step_without() {
    let (config, root) = (FlamingoConfig::nano(), tempfile::tempdir().unwrap());
    let (model, set) = (model(&config), Arc::new(pictures(24)));
    let cache = Arc::new(open(root.path(), &model, &config));
    let names = set.images().iter().map(|picture| picture.name.clone());
    let tokenizer: Arc<dyn TextEncoder> =
        Arc::new(TextTokenizer::train(names.collect::<Vec<_>>(), config.lm.vocab).unwrap());
    let sampler = |features: Option<Arc<dyn FeatureLookup>>| {
        CaptionSampler::new(Sampling {
            set: Arc::clone(&set),
            tokenizer: tokenizer.clone(),
            transform: ImageTransform::eval(config.preprocess.clone()),
            spec: SequenceSpec::default(),
            features,
            batch: 6,
            seed: 3,
        })
    };
    let lookup: Arc<dyn FeatureLookup> = Arc::clone(&cache) as _;
    let error = sampler(Some(Arc::clone(&lookup))).batch(0).unwrap_err().to_string();
    assert!(set.images().iter().any(|picture| error.contains(&format!("{:?}", picture.name))), "{error}");
    fill(&cache, &model, &set);

    let plain = sampler(None).batch(0).unwrap();
    let kept = sampler(Some(lookup)).batch(0).unwrap();
    assert!(kept.pixels.is_empty() && kept.features.is_some());
    assert_eq!((&kept.ids, &kept.media_index, kept.batch), (&plain.ids, &plain.media_index, plain.batch));

    let model = model.frozen_for_training();
    let objective = FlamingoObjective { device: Device::flex().autodiff(), loss: LossSpec::default() };
    let step = |batch: HostBatch| {
        let loss = objective.loss(&model, 0, batch).loss;
        let gradients = GradientsParams::from_grads(loss.backward(), &model);
        let Resampler::Perceiver(resampler) = &model.resampler else { panic!("the preset's resampler") };
        let latents = gradients.get::<2>(resampler.latents.id).unwrap();
        let value = loss.into_data().iter::<f32>().next().unwrap();
        (value, latents.into_data().iter::<f32>().collect::<Vec<_>>())
    };
    let ((loss, gradient), (loss_kept, gradient_kept)) = (step(plain), step(kept));
    assert!((loss - loss_kept).abs() < 1e-3 * loss, "{loss} {loss_kept}");
    let norm = |values: &mut dyn Iterator<Item = f32>| values.map(|value| value * value).sum::<f32>().sqrt();
    let size = norm(&mut gradient.iter().copied());
    let difference = norm(&mut gradient.iter().zip(&gradient_kept).map(|(a, b)| a - b));
    assert!(size > 0.0 && difference < 1e-2 * size, "{difference} of {size}");
}

#[test]
fn a_stream_with_features_gives_the_rows_of_the_one_without() {
    let (config, root) = (FlamingoConfig::nano(), tempfile::tempdir().unwrap());
    let model = model(&config);
    let cache = open(root.path(), &model, &config);
    let spec = spec(&config);
    let source = noto();
    let media = of_source(&*source, &FrameSampling::training()).take(40);
    let filled = cache.fill(&model.vision, media, &options(), &AtomicBool::new(false)).unwrap();
    assert_eq!(filled.added + filled.known, 40);

    let encoder = Arc::new(TextTokenizer::train(["cow face", "pig face"], 300).unwrap());
    let plain = Stream::open(spec.clone(), &Store::default(), encoder.clone()).unwrap();
    let features: Arc<dyn FeatureLookup> = Arc::new(cache);
    let kept = Stream::open_with(spec, &Store::default(), encoder, Some(features)).unwrap();
    for (plain, kept) in plain.zip(kept).take(5) {
        let (plain, kept) = (plain.unwrap(), kept.unwrap());
        assert_eq!((&kept.rows, &kept.host.ids), (&plain.rows, &plain.host.ids));
        let (plain, kept) = (plain.host, kept.host);
        assert!(kept.pixels.is_empty());
        let made = model.features(plain.to_device(&Device::flex()).pixels.unwrap());
        assert_near(&kept.features.unwrap().values, &made.into_data().iter::<f32>().collect::<Vec<_>>());
    }
}

fn noto() -> Box<dyn Source> {
    spec(&FlamingoConfig::nano()).sources[0].spec().open(&Store::default()).unwrap()
}

/// The records of one shard in their order, 8 in a batch.
fn spec(config: &FlamingoConfig) -> StreamSpec {
    let mut spec = StreamSpec::new(vec![MixedSource {
        name: "emoji".to_owned(),
        format: "pairs".to_owned(),
        paths: vec![emoji().join("noto-000000.tar.gz").display().to_string()],
        options: serde_json::from_value(json!({"captions": ["name"]})).unwrap(),
        weight: 1.0,
        flips: true,
    }]);
    spec.pixels.preprocess = config.preprocess.clone();
    (spec.batch, spec.shuffle.records, spec.open_shards, spec.pool_batches) = (8, 1, 1, 1);
    spec
}

/// Tells the process that is killed where to write.
const FOLDER: &str = "FLAMINGO_TEST_FILL";

/// Each chunk is a shard.
fn one_by_one() -> FillOptions {
    FillOptions { images: 8, shard_time: Duration::ZERO, ..options() }
}

#[test]
fn a_kill_in_the_middle_leaves_a_usable_cache() {
    let (config, root) = (FlamingoConfig::nano(), tempfile::tempdir().unwrap());
    let model = model(&config);
    save_module(&model.vision, &root.path().join("vision.safetensors")).unwrap();
    let folder = open(root.path(), &model, &config).folder().to_owned();
    let shards = || {
        let names = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name());
        names.filter(|name| name.to_string_lossy().starts_with("features-")).count()
    };
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["features::the_one_that_is_killed", "--exact", "--ignored"])
        .env(FOLDER, root.path())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let start = Instant::now();
    while shards() < 3 {
        assert!(start.elapsed() < Duration::from_secs(120), "nothing is written");
        assert!(child.try_wait().unwrap().is_none(), "it ended by itself");
        std::thread::sleep(Duration::from_millis(1));
    }
    child.kill().unwrap();
    assert!(!child.wait().unwrap().success(), "it was killed");

    let cache = open(root.path(), &model, &config);
    let (before, written) = (cache.len(), shards());
    assert!(before >= 8 * (written - 1) && before <= 8 * written, "{before} media in {written} shards");
    let stop = AtomicBool::new(false);
    let source = noto();
    let media = || of_source(&*source, &FrameSampling::training());
    let filled = cache.fill(&model.vision, media().take(400), &one_by_one(), &stop).unwrap();
    assert!(filled.finished && filled.added > 0 && filled.known as usize >= before.min(400), "{filled:?}");
    for item in media().take(20).map(Result::unwrap) {
        let mut kept = Vec::new();
        cache.read(&item.key, &mut kept).unwrap().unwrap();
        assert_near(&kept, &of_picture(&model, &config, &item.pictures().unwrap()[0]));
    }
}

#[test]
#[ignore = "the test of kills starts and kills it"]
fn the_one_that_is_killed() {
    let root = PathBuf::from(std::env::var_os(FOLDER).expect("the test of kills sets it"));
    let config = FlamingoConfig::nano();
    let mut model = model(&config);
    model.vision = load_module(model.vision, &root.join("vision.safetensors")).unwrap();
    let cache = open(&root, &model, &config);
    let source = noto();
    let media = of_source(&*source, &FrameSampling::training());
    cache.fill(&model.vision.no_grad(), media, &one_by_one(), &AtomicBool::new(false)).unwrap();
}
