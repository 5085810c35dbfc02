//! Shards to batches: pictures decoded, resized and normalised, captions to ids. One of it is one picture.
//!
//! The stream is read as training reads it, with as many workers as there are threads.

use std::sync::Arc;
use std::time::Instant;

use anyhow::Context as _;
use flamingo::core::PreprocessSpec;
use flamingo::data::stream::MixedSource;
use flamingo::data::{Augment, Store, Stream, StreamSpec, TextTokenizer};
use serde_json::json;

use crate::assets;
use crate::case::{Case, Context, Prepared, Suite};
use crate::count::Work;

const SIZE: usize = 224;
const BATCH: usize = 32;
/// Batches of a repetition: more than are on the way at once.
const BATCHES: usize = 8;

pub fn cases() -> anyhow::Result<Vec<Case>> {
    Ok(vec![
        case("pairs-exact", "a 640 x 480 JPEG to 224 pixels, bicubic as PIL computes it", false),
        case("pairs-training", "the same, mirrored at random, decoded at a fraction where that does", true),
    ])
}

fn case(name: &'static str, about: &'static str, training: bool) -> Case {
    Case {
        suite: Suite::Data,
        name,
        about,
        work: Work::default(),
        peer: Some(
            json!({"kind": "data", "training": training, "size": SIZE, "batch": BATCH, "batches": BATCHES}),
        ),
        prepare: Box::new(move |context| {
            let encoder = Arc::new(TextTokenizer::load(assets::tokenizer(&context.assets))?);
            let stream = Stream::open(spec(context, training), &Store::default(), encoder)?;
            let mut repetition = repetition(stream);
            Ok(Prepared::Timed(Box::new(move |goes_on| {
                while goes_on(repetition()?) {}
                Ok(())
            })))
        }),
    }
}

fn repetition(mut stream: Stream) -> impl FnMut() -> anyhow::Result<f64> {
    move || {
        let start = Instant::now();
        let mut pictures = 0;
        for _ in 0..BATCHES {
            pictures += stream.next().context("the stream has an end")??.media;
        }
        Ok(start.elapsed().as_secs_f64() * 1e3 / pictures as f64)
    }
}

fn spec(context: &Context, training: bool) -> StreamSpec {
    let source = MixedSource {
        name: "pairs".to_owned(),
        format: "pairs".to_owned(),
        paths: vec![assets::shards(&context.assets).join("*.tar").to_string_lossy().into_owned()],
        options: serde_json::Map::new(),
        weight: 1.0,
        flips: true,
    };
    let mut spec = StreamSpec::new(vec![source]);
    spec.batch = BATCH;
    spec.pixels.preprocess = PreprocessSpec::clip(SIZE);
    spec.pixels.augment = training.then(|| Augment { flip: 0.5, ..Augment::none() });
    spec.workers = Some(context.threads);
    // A pool of eight batches would come at once.
    spec.pool_batches = 1;
    spec
}
