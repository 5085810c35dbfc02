//! What a feature cache saves: seconds per image of a frozen EfficientNet-Lite2, and the speed of a second epoch.
//!
//! ```sh
//! cargo xtask data fetch efficientnet-lite2   # prints the path of FILE
//! cargo run --release -p flamingo --example feature_speed -- FILE [SIZE] [IMAGES] [THREADS]
//! ```
//!
//! Reads `datasets/emoji` as pairs, in batches of 8. Lines: the encoder's time for each part of the network, then
//! images per second of an epoch that decodes and looks, and of one that reads the cache.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use burn::tensor::{Device, Distribution, Tensor};
use flamingo::core::PreprocessSpec;
use flamingo::data::features::of_source;
use flamingo::data::stream::{MixedSource, StreamSpec};
use flamingo::data::video::FrameSampling;
use flamingo::data::{FeatureLookup, Store, Stream, TextTokenizer};
use flamingo::features::{FeatureCache, FillOptions};
use flamingo::train::Progress;
use flamingo::vision::efficientnet::EfficientNet;
use flamingo::vision::families::efficientnet::{Naming, key_map};
use flamingo::vision::{EfficientNetConfig, VisionConfig, VisionEncoder};
use flamingo::weights::{Checkpoint, load_into};
use serde_json::json;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let file =
        arguments.next().ok_or("name the file of weights: cargo xtask data fetch efficientnet-lite2")?;
    let mut number = |default: usize| arguments.next().map_or(Ok(default), |text| text.parse());
    let (size, images, threads) = (number(224)?, number(256)?, number(2)?);
    rayon::ThreadPoolBuilder::new().num_threads(threads).build_global()?;

    let config = EfficientNetConfig {
        tap: flamingo::vision::encoder::FeatureTap::Final,
        ..EfficientNetConfig::lite(2)
    };
    let device = Device::flex();
    let checkpoint = Checkpoint::open(&file)?;
    let (net, _) = load_into(config.init(&device), &checkpoint, &key_map(&config, Naming::of(&checkpoint)))?;
    profile(&net, size, &device);

    let vision = VisionConfig::from(config);
    let encoder = VisionEncoder::Efficientnet(net);
    let preprocess = PreprocessSpec::inception(size);
    let folder = std::env::temp_dir().join(format!("flamingo-feature-speed-{}", std::process::id()));
    let cache = FeatureCache::open(&folder, &encoder, &vision, &preprocess)?;
    let spec = spec(&preprocess);
    let source = spec.sources[0].spec().open(&Store::default())?;
    let media = of_source(&*source, &FrameSampling::training()).take(images);
    let options = FillOptions { progress: Progress::Hidden, ..FillOptions::default() };
    let filled = cache.fill(&encoder, media, &options, &AtomicBool::new(false))?;
    println!(
        "fill: {} images, {:.2} s, {:.2} s of it in the encoder, {:.4} s an image",
        filled.added,
        filled.seconds,
        filled.encoder_seconds,
        filled.seconds / filled.added.max(1) as f64
    );

    let first = epoch(&spec, images, None, &encoder, &device)?;
    let second = epoch(&spec, images, Some(Arc::new(cache)), &encoder, &device)?;
    println!(
        "features of an epoch: {first:.1} images/s without the cache, {second:.1} with it, {:.0} times",
        second / first
    );
    std::fs::remove_dir_all(folder)?;
    Ok(())
}

/// Images per second until their features are on the device.
fn epoch(
    spec: &StreamSpec,
    images: usize,
    features: Option<Arc<dyn FeatureLookup>>,
    encoder: &VisionEncoder,
    device: &Device,
) -> Result<f64> {
    let tokenizer = Arc::new(TextTokenizer::train(["cow face"], 300)?);
    let start = Instant::now();
    let mut seen = 0;
    for batch in Stream::open_with(spec.clone(), &Store::default(), tokenizer, features)? {
        let host = batch?.host;
        let batch = host.to_device(device);
        if let Some(pixels) = batch.pixels {
            let [rows, media, frames, channels, height, width] = pixels.dims();
            let images = pixels.reshape([rows * media * frames, channels, height, width]);
            encoder.features(images).into_data();
        }
        seen += host.batch;
        if seen >= images {
            break;
        }
    }
    Ok(seen as f64 / start.elapsed().as_secs_f64())
}

/// One shard in its order.
fn spec(preprocess: &PreprocessSpec) -> StreamSpec {
    let emoji: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../datasets/emoji");
    let mut options = serde_json::Map::new();
    options.insert("captions".to_owned(), json!(["name"]));
    let mut spec = StreamSpec::new(vec![MixedSource {
        name: "emoji".to_owned(),
        format: "pairs".to_owned(),
        paths: vec![emoji.join("noto-000000.tar.gz").display().to_string()],
        options,
        weight: 1.0,
        flips: true,
    }]);
    spec.pixels.preprocess = preprocess.clone();
    (spec.batch, spec.shuffle.records, spec.open_shards, spec.pool_batches) = (8, 1, 1, 1);
    spec
}

/// Milliseconds an image of the stem, of each block's three convolutions, and of the end.
fn profile(net: &EfficientNet, size: usize, device: &Device) {
    const BATCH: usize = 16;
    let images = Tensor::<4>::random([BATCH, 3, size, size], Distribution::Normal(0.0, 1.0), device);
    let timed = |run: &dyn Fn() -> Tensor<4>| {
        run().into_data();
        let start = Instant::now();
        let out = run();
        device.sync().expect("the device works");
        (out, start.elapsed().as_secs_f64() * 1e3 / BATCH as f64)
    };
    let relu6 = |x: Tensor<4>| x.clamp(0.0, 6.0);
    let (mut x, time) = timed(&|| relu6(net.stem.forward(images.clone())));
    println!("stem {time:7.2} ms an image");
    let (mut sums, mut all) = ([0.0; 3], time);
    for (number, block) in net.blocks.iter().enumerate() {
        let (inner, expand) = match &block.expand {
            Some(expand) => timed(&|| relu6(expand.forward(x.clone()))),
            None => (x.clone(), 0.0),
        };
        let (mixed, depthwise) = timed(&|| relu6(block.depthwise.forward(inner.clone())));
        let (_, project) = timed(&|| block.project.forward(mixed.clone()));
        let [_, channels, height, _] = inner.dims();
        let [_, _, kernel, _] = block.depthwise.weight.dims();
        println!(
            "block {number:2}: {channels:4} channels, side {height:3}: expand {expand:6.2}, depthwise {kernel}x{kernel} \
             {depthwise:6.2}, project {project:6.2}"
        );
        x = block.forward(x);
        for (sum, time) in sums.iter_mut().zip([expand, depthwise, project]) {
            *sum += time;
            all += time;
        }
    }
    let (_, end) = timed(&|| relu6(net.final_conv.forward(x.clone())));
    let [expand, depthwise, project] = sums;
    println!("end {end:7.2}");
    println!(
        "size {size}: {:.2} ms an image: expand {expand:.2}, depthwise {depthwise:.2}, project {project:.2}",
        all + end
    );
    let start = Instant::now();
    net.features(images).into_data();
    println!(
        "the whole network at once: {:.2} ms an image",
        start.elapsed().as_secs_f64() * 1e3 / BATCH as f64
    );
}
