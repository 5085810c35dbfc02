//! Damaged files, several fillers, bad pictures, statistics.

use std::fs::{self, File};
use std::sync::atomic::AtomicBool;
use std::time::SystemTime;

use burn::module::Param;
use burn::tensor::{DType, Device, Tensor, TensorData};
use flamingo_data::features::{MediaItem, of_concepts};
use flamingo_data::{ConceptImage, ConceptSet, RgbaImage, Split};
use flamingo_train::Progress;
use flamingo_vision::{EfficientNetConfig, NfNetConfig};
use flamingo_weights::{TensorPlan, save_safetensors};

use super::*;

fn config() -> VisionConfig {
    let mut config = EfficientNetConfig::lite(0);
    config.stages.truncate(2);
    config.stages.iter_mut().for_each(|stage| stage.width = 8);
    config.into()
}

fn preprocess() -> PreprocessSpec {
    PreprocessSpec::inception(16)
}

fn encoder() -> VisionEncoder {
    config().init(&Device::flex())
}

fn set(pictures: std::ops::Range<u8>) -> ConceptSet {
    let picture = |shade: u8| ConceptImage {
        concept: shade.to_string(),
        style: "plain".to_owned(),
        name: format!("shade {shade}"),
        keywords: Vec::new(),
        group: "shades".to_owned(),
        subgroup: "grey".to_owned(),
        split: Split::Train,
        image: RgbaImage::from_fn(8, 8, |x, y| image::Rgba([shade, 30 * x as u8, 30 * y as u8, 255])),
        key: MediaKey::image(&[shade]),
    };
    ConceptSet::new(pictures.map(picture).collect())
}

fn open(root: &Path, encoder: &VisionEncoder) -> Result<FeatureCache, FlamingoError> {
    FeatureCache::open(root, encoder, &config(), &preprocess())
}

fn fill(cache: &FeatureCache, encoder: &VisionEncoder, set: &ConceptSet) -> Result<Filled, FlamingoError> {
    let options = FillOptions { images: 4, progress: Progress::Hidden, ..FillOptions::default() };
    cache.fill(encoder, of_concepts(set), &options, &AtomicBool::new(false))
}

fn shards(cache: &FeatureCache) -> Vec<PathBuf> {
    let paths = fs::read_dir(cache.folder()).unwrap().map(|entry| entry.unwrap().path());
    paths.filter(|path| path.extension().is_some_and(|end| end == "safetensors")).collect()
}

#[test]
fn each_encoder_has_a_folder_of_its_own() {
    let root = tempfile::tempdir().unwrap();
    let (one, other) = (encoder(), encoder());
    let folder = |encoder: &VisionEncoder, config: &VisionConfig, spec: &PreprocessSpec| {
        FeatureCache::open(root.path(), encoder, config, spec).unwrap().folder().to_owned()
    };
    let first = folder(&one, &config(), &preprocess());
    assert_eq!(folder(&one, &config(), &preprocess()), first);
    assert_ne!(folder(&other, &config(), &preprocess()), first, "other weights");
    assert_ne!(folder(&one, &config(), &PreprocessSpec::inception(32)), first, "other pictures");
    let VisionConfig::Efficientnet(sizes) = config() else { panic!("an EfficientNet") };
    let tap = flamingo_vision::encoder::FeatureTap::Final;
    assert_ne!(
        folder(&one, &EfficientNetConfig { tap, ..sizes }.into(), &preprocess()),
        first,
        "another tap"
    );
    let nfnet = VisionConfig::from(NfNetConfig::nano());
    assert_ne!(folder(&nfnet.init(&Device::flex()), &nfnet, &preprocess()), first);
    let about: serde_json::Value =
        serde_json::from_slice(&fs::read(first.join("cache.json")).unwrap()).unwrap();
    assert_eq!(
        (&about["vision"]["kind"], &about["preprocess"]["size"]),
        (&"efficientnet".into(), &16.into())
    );
}

#[test]
fn damaged_shards_are_named_and_what_is_not_damaged_stays() {
    let root = tempfile::tempdir().unwrap();
    let encoder = encoder();
    let cache = open(root.path(), &encoder).unwrap();
    fill(&cache, &encoder, &set(0..5)).unwrap();
    let [path] = &shards(&cache)[..] else { panic!("one shard") };
    let whole = fs::read(path).unwrap();
    let name = path.file_name().unwrap().to_str().unwrap();
    let refused = |bytes: &[u8]| {
        fs::write(path, bytes).unwrap();
        let error = open(root.path(), &encoder).map(drop).unwrap_err().to_string();
        assert!(error.contains(name) && error.contains("remove the file"), "{error}");
        error
    };
    for cut in [0, 5, 100, whole.len() / 2, whole.len() - 1] {
        refused(&whole[..cut]);
    }
    // Under the eyes of a cache that is open, too.
    fs::write(path, &whole).unwrap();
    let read = |shade: u8| cache.read(&MediaKey::image(&[shade]), &mut Vec::new());
    assert_eq!(read(4).unwrap(), Some(1));
    fs::write(path, &whole[..100]).unwrap();
    let error = read(4).unwrap_err().to_string();
    assert!(error.contains(name), "{error}");

    let [positions, width] = cache.shape();
    let key = MediaKey::image(b"x").to_string();
    let wrong: [(&str, Vec<usize>, DType); 4] = [
        ("x", vec![1, positions, width], DType::F16),
        (&key, vec![1, positions, width + 1], DType::F16),
        (&key, vec![positions, width], DType::F16),
        (&key, vec![1, positions, width], DType::F32),
    ];
    for (tensor, shape, dtype) in wrong {
        let plan = TensorPlan { name: tensor.to_owned(), shape: shape.clone(), dtype };
        let count = shape.iter().product();
        save_safetensors(path, &[plan], &Default::default(), |_| {
            Ok(TensorData::new(vec![0.0f32; count], shape.clone()))
        })
        .unwrap();
        let error = refused(&fs::read(path).unwrap());
        assert!(error.contains(&format!("{tensor:?}")), "{error}");
    }
    fs::write(path, &whole).unwrap();
    assert_eq!(open(root.path(), &encoder).unwrap().len(), 5);
    fs::remove_file(path).unwrap();
    let cache = open(root.path(), &encoder).unwrap();
    assert_eq!(fill(&cache, &encoder, &set(0..5)).unwrap().added, 5);
}

#[test]
fn several_fill_one_cache() {
    let root = tempfile::tempdir().unwrap();
    let encoder = encoder();
    let ranges = [0..20, 10..30, 20..40, 0..20];
    std::thread::scope(|scope| {
        for range in ranges {
            // As processes do, each opens it for itself.
            let cache = open(root.path(), &encoder).unwrap();
            let encoder = &encoder;
            scope.spawn(move || fill(&cache, encoder, &set(range)).unwrap());
        }
    });
    let cache = open(root.path(), &encoder).unwrap();
    assert_eq!(cache.len(), 40);
    let hidden = fs::read_dir(cache.folder()).unwrap().filter_map(Result::ok);
    assert_eq!(hidden.filter(|entry| entry.file_name().to_string_lossy().starts_with('.')).count(), 0);
}

#[test]
fn what_killed_processes_left_is_removed_after_a_day() {
    let root = tempfile::tempdir().unwrap();
    let encoder = encoder();
    let cache = open(root.path(), &encoder).unwrap();
    let left = |name: &str, age: u64| {
        let path = cache.folder().join(name);
        let file = File::create(&path).unwrap();
        file.set_modified(SystemTime::now() - std::time::Duration::from_secs(age)).unwrap();
        path
    };
    let old = left(".features-000000-00000000.safetensors.1.tmp", 100_000);
    let new = left(".features-000001-00000000.safetensors.2.tmp", 100);
    let other = left(".other.tmp", 100_000);
    fill(&cache, &encoder, &set(0..1)).unwrap();
    assert_eq!([&old, &new, &other].map(|path| path.exists()), [false, true, true]);
}

#[test]
fn bad_media_are_told_and_passed_over() {
    let root = tempfile::tempdir().unwrap();
    let encoder = encoder();
    let cache = open(root.path(), &encoder).unwrap();
    let pictures = set(0..6);
    let broken = || {
        of_concepts(&pictures).enumerate().map(|(number, item)| match number {
            2 => Err(item.unwrap().refuse(flamingo_data::Reason::BadImage, "is torn")),
            _ => item,
        })
    };
    let options = FillOptions { progress: Progress::Hidden, ..FillOptions::default() };
    let filled = cache.fill(&encoder, broken(), &options, &AtomicBool::new(false)).unwrap();
    assert_eq!((filled.added, filled.rejects.len(), filled.rejects[0].what.as_str()), (5, 1, "is torn"));

    let stopped = cache.fill(&encoder, of_concepts(&pictures), &options, &AtomicBool::new(true)).unwrap();
    assert_eq!((stopped.finished, stopped.added), (false, 0));
}

#[test]
fn numbers_that_half_precision_cannot_hold_are_refused() {
    let root = tempfile::tempdir().unwrap();
    let VisionEncoder::Efficientnet(mut net) = encoder() else { panic!("an EfficientNet") };
    // The last convolution of the last block is not clamped.
    let last = &mut net.blocks.last_mut().unwrap().project;
    last.bias = Param::from_tensor(Tensor::<1>::full([8], 1e6, &Device::flex()));
    let encoder = VisionEncoder::Efficientnet(net);
    let cache = open(root.path(), &encoder).unwrap();
    let filled = fill(&cache, &encoder, &set(0..3)).unwrap();
    assert_eq!((filled.added, cache.len(), filled.rejects.len()), (0, 0, 3));
    assert!(filled.rejects[0].to_string().contains("half precision"), "{}", filled.rejects[0]);
    let error = fill(&cache, &encoder, &set(0..200)).unwrap_err().to_string();
    assert!(error.contains("bad"), "{error}");
}

#[test]
fn channels_have_their_means_and_spreads() {
    let root = tempfile::tempdir().unwrap();
    let encoder = encoder();
    let cache = open(root.path(), &encoder).unwrap();
    fill(&cache, &encoder, &set(0..30)).unwrap();
    let stats = cache.channel_stats(cache.keys()).unwrap();
    let [positions, width] = cache.shape();
    assert_eq!((stats.count as usize, stats.mean.len()), (30 * positions, width));
    let mut values = Vec::new();
    for key in cache.keys() {
        cache.read(&key, &mut values).unwrap();
    }
    let count = (30 * positions) as f64;
    for channel in 0..width {
        let column = || values.iter().skip(channel).step_by(width).map(|value| value.to_f64());
        let mean = column().sum::<f64>() / count;
        let std = (column().map(|value| (value - mean).powi(2)).sum::<f64>() / count).sqrt();
        assert!((stats.mean[channel] - mean).abs() < 1e-12 * (1.0 + mean.abs()), "channel {channel}");
        assert!((stats.std[channel] - std).abs() < 1e-12 * (1.0 + std), "channel {channel}");
    }
    assert!(stats.std.iter().any(|std| *std > 0.0), "{stats:?}");
    assert!(cache.channel_stats([MediaKey::image(b"absent")]).is_err());
    assert!(cache.channel_stats([]).is_err());
}

/// A medium may come several times.
#[test]
fn a_medium_that_comes_twice_is_looked_at_once() {
    let root = tempfile::tempdir().unwrap();
    let encoder = encoder();
    let cache = open(root.path(), &encoder).unwrap();
    let pictures = set(0..3);
    let twice: Vec<Result<MediaItem<'_>, _>> = of_concepts(&pictures).chain(of_concepts(&pictures)).collect();
    let options = FillOptions { progress: Progress::Hidden, ..FillOptions::default() };
    let filled = cache.fill(&encoder, twice.into_iter(), &options, &AtomicBool::new(false)).unwrap();
    assert_eq!((filled.added, filled.known, cache.len()), (3, 3, 3));
}
