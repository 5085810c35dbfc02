//! What examples in a prompt cost, and what they cost from the second query on.
//!
//! `cargo run --release --example few_shot_speed -- [TOKENS PER EXAMPLE]` makes a model of real sizes (CLIP ViT-B/32, a
//! resampler of 2 layers, SmolLM2-135M with a gated block every 6 layers) with random weights, and prints the best of
//! several rounds: tokens a second behind one image; each part of a query behind so many examples; whole queries behind 32
//! examples, asked one after the other.

use std::error::Error;
use std::sync::Arc;
use std::time::Instant;

use burn::tensor::{Device, Distribution, Int, Tensor};
use flamingo::core::PreprocessSpec;
use flamingo::core::media::{TextTie, media_index};
use flamingo::dialect::{Dialect, Style};
use flamingo::generate::GenerateOptions;
use flamingo::lm::DecoderConfig;
use flamingo::lm::families::LanguageModel;
use flamingo::nn::Act;
use flamingo::resampler::ResamplerConfig;
use flamingo::vision::families::clip;
use flamingo::xattn::GatedXattnConfig;
use flamingo::{
    Engine, Flamingo, FlamingoConfig, MediaLayout, Medium, Network, Pretrained, Prompt, Seen, Source,
};
use image::RgbaImage;

const ROUNDS: usize = 3;
const SHOTS: [usize; 5] = [0, 4, 8, 16, 32];

/// The first id behind SmolLM2's own.
const IMAGE: u32 = 49_152;

/// What `config.json` of SmolLM2-135M says.
const SMOLLM2: &str = r#"{"model_type": "llama", "vocab_size": 49152, "hidden_size": 576, "intermediate_size": 1536,
    "num_hidden_layers": 30, "num_attention_heads": 9, "num_key_value_heads": 3, "hidden_act": "silu",
    "max_position_embeddings": 8192, "rms_norm_eps": 1e-5, "rope_theta": 100000, "tie_word_embeddings": true}"#;

fn config() -> Result<FlamingoConfig, Box<dyn Error>> {
    let vision =
        flamingo::vision::VitConfig { keep_class: false, d_projection: None, ..clip::named("ViT-B-32")? };
    let lm = LanguageModel::from_config(&serde_json::from_str(SMOLLM2)?)?.config;
    let lm = DecoderConfig { new_tokens: 2, ..lm };
    let d_media = vision.d_features();
    Ok(FlamingoConfig {
        preprocess: PreprocessSpec::clip(vision.image_size),
        resampler: ResamplerConfig { n_layers: 2, ..ResamplerConfig::paper(d_media) },
        xattn: GatedXattnConfig {
            n_heads: 8,
            d_head: 64,
            act: Act::Gelu,
            ..GatedXattnConfig::paper(lm.d_model, lm.n_heads, d_media, 6)
        },
        vision: vision.into(),
        lm,
    })
}

fn main() -> Result<(), Box<dyn Error>> {
    let each = std::env::args().nth(1).map_or(Ok(20), |text| text.parse::<usize>())?;
    let config = config()?;
    let model = config.init(&Device::flex())?;
    rates(&model, config.preprocess.size);
    println!("\nms, best of {ROUNDS}; {each} tokens for each image\n");
    println!("{:>32}{:>14}{:>31}{:>30}", "", "keys and", "prefill", "a token");
    println!(
        "shots   vision  resampler       values         all  cross-attention       all  cross-attention"
    );
    for shots in SHOTS {
        parts(&model, config.preprocess.size, shots, each);
    }
    queries(model, &config, each)
}

/// How fast an image and 511 tokens are read, and how fast 32 more follow.
fn rates(model: &Flamingo, size: usize) {
    let (len, new) = (512, 32);
    let device = model.lm.embedding.device();
    let pixels = Tensor::random([1, 1, 1, 3, size, size], Distribution::Normal(0.0, 1.0), &device);
    let media = model.media(model.visual_tokens(pixels));
    let text = Tensor::<1, Int>::arange(1..len as i64 + 1, &device).unsqueeze::<2>();
    let seen = model.see(&media, &MediaLayout::new(&vec![1; len], 1, len, &device));
    let mut cache = model.lm.cache(1, len + new);
    let prefill = best(|| {
        cache.truncate(0);
        let hidden = model.lm.extend(text.clone(), &mut cache, &seen).narrow(1, len - 1, 1);
        finished(model.lm.logits(hidden));
    });
    let seen = model.see(&media, &MediaLayout::new(&[1], 1, 1, &device));
    let token = Tensor::<2, Int>::from_data([[5]], &device);
    let decode = best(|| {
        cache.truncate(len);
        for _ in 0..new {
            let hidden = model.lm.extend(token.clone(), &mut cache, &seen);
            let _ = model.lm.logits(hidden).argmax(2).into_data();
        }
    });
    let rate = |tokens: usize, ms: f64| tokens as f64 / ms * 1e3;
    println!("{len} tokens behind an image: {:.0} tokens/s", rate(len, prefill));
    println!("{new} tokens behind those: {:.1} tokens/s", rate(new, decode));
}

/// One row of the first table.
fn parts(model: &Flamingo, size: usize, shots: usize, each: usize) {
    let device = model.lm.embedding.device();
    let images = shots + 1;
    let pixels = Tensor::random([1, images, 1, 3, size, size], Distribution::Normal(0.0, 1.0), &device);
    let features = model.features(pixels.clone());
    let visual = model.resample(features.clone());
    let media = model.media(visual.clone());
    let vision = best(|| finished(model.features(pixels.clone())));
    let resampler = best(|| finished(model.resample(features.clone())));
    let keys = best(|| drop(model.media(visual.clone())));

    let ids = ids(images, each);
    let len = ids.len();
    let layout = MediaLayout::new(&media_index(&ids, IMAGE, TextTie::Previous), 1, len, &device);
    let values: Vec<i32> = ids.iter().map(|id| *id as i32).collect();
    let text = Tensor::<1, Int>::from_data(values.as_slice(), &device).unsqueeze::<2>();
    let prefill =
        |seen: &Seen<'_>| best(|| finished(model.lm.extend(text.clone(), &mut model.lm.cache(1, len), seen)));
    let all = prefill(&model.see(&media, &layout));
    let blind = prefill(&model.see_nothing());

    // What comes next sees the last image only.
    let last = model.media(visual.narrow(1, shots, 1));
    let here = MediaLayout::new(&[1], 1, 1, &device);
    let mut cache = model.lm.cache(1, len + 100);
    let _ = model.lm.extend(text, &mut cache, &model.see(&media, &layout));
    let token = Tensor::<2, Int>::from_data([[5]], &device);
    let mut step = |seen: &Seen<'_>| {
        let tokens = 8;
        let time = best(|| {
            for _ in 0..tokens {
                let hidden = model.lm.extend(token.clone(), &mut cache, seen);
                finished(model.lm.logits(hidden));
            }
        });
        cache.truncate(len);
        time / f64::from(tokens)
    };
    let (one, one_blind) = (step(&model.see(&last, &here)), step(&model.see_nothing()));
    let share = |all: f64, blind: f64| format!("{:.1} ({:.1} %)", all - blind, 100.0 * (all - blind) / all);
    println!(
        "{shots:>5} {vision:>8.0} {resampler:>10.1} {keys:>12.2} {all:>11.1} {:>16} {one:>9.2} {:>16}",
        share(all, blind),
        share(one, one_blind),
    );
}

/// Queries behind the same 32 examples, each with an image of its own.
fn queries(model: Flamingo, config: &FlamingoConfig, each: usize) -> Result<(), Box<dyn Error>> {
    let network = Network::Flamingo { model: Box::new(model), preprocess: config.preprocess.clone() };
    let dialect = Dialect::of_ids(Style::Paper, Some(IMAGE), None);
    let mut engine = Engine::new(Pretrained { network, dialect, reports: Vec::new() });
    let options = GenerateOptions { max_new_tokens: 5, ..GenerateOptions::default() };
    println!("\n32 examples, then a query and 5 new tokens:\n");
    println!("query   images  prefill   decode    whole      of the first");
    let mut first = None;
    for query in 1..=4 {
        let pictures = (0..32).chain([100 + query]).map(|seed| Medium::Image(Source::Picture(picture(seed))));
        let prompt = Prompt::Tokens { ids: ids(33, each), media: pictures.collect() };
        let start = Instant::now();
        engine.generate(&[prompt], &options)?;
        let whole = start.elapsed().as_secs_f64() * 1e3;
        let first = *first.get_or_insert(whole);
        let [images, prefill, decode] = {
            let timings = engine.timings();
            [timings.images, timings.prefill, timings.decode].map(|time| time.as_secs_f64() * 1e3)
        };
        println!(
            "{query:>5} {images:>8.0} {prefill:>8.0} {decode:>8.0} {whole:>8.0} {:>13} {:>3.1}",
            "1 /",
            first / whole
        );
    }
    Ok(())
}

/// Each image, and text behind it.
fn ids(images: usize, each: usize) -> Vec<u32> {
    let text = |image: usize| (1..each).map(move |token| ((image * 31 + token * 7) % 1000) as u32);
    (0..images).flat_map(|image| [IMAGE].into_iter().chain(text(image))).collect()
}

/// A picture that no other seed has.
fn picture(seed: u32) -> Arc<RgbaImage> {
    let colour = |x: u32, y: u32, k: u32| ((x * (3 + seed) + y * (5 + k) + 17 * seed) % 256) as u8;
    Arc::new(RgbaImage::from_fn(320, 240, |x, y| {
        image::Rgba([colour(x, y, 0), colour(x, y, 1), colour(x, y, 2), 255])
    }))
}

/// Milliseconds of the fastest of some rounds.
fn best(mut work: impl FnMut()) -> f64 {
    let times = (0..ROUNDS).map(|_| {
        let start = Instant::now();
        work();
        start.elapsed().as_secs_f64() * 1e3
    });
    times.fold(f64::INFINITY, f64::min)
}

/// Waits until a tensor is computed.
fn finished<const D: usize>(tensor: Tensor<D>) {
    let _ = tensor.into_data();
}
