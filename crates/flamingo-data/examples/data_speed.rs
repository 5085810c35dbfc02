//! How fast shards become batches of pixels and tokens, and what a picture costs on the way.
//!
//! `cargo run --release --example data_speed -- FOLDER TOKENIZER.json [eval|train] [SECONDS]` goes round the `.tar` shards
//! of the folder and prints images/s and records/s with two threads; then, with one thread, the milliseconds that a
//! picture takes to be decoded and to be transformed. `data_speed.py` beside it does the same in Python. Records are
//! pairs (`jpg` and `txt`) or documents (`json` whose `chunks` name the images).

use std::collections::BTreeMap;
use std::error::Error;
use std::time::{Duration, Instant};

use flamingo_core::PreprocessSpec;
use flamingo_data::{Augment, ImageTransform, PretrainedTokenizer, Record, ShardReader, image, list_shards};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;
use serde_json::Value;

const SIZE: usize = 224;
const BATCH: usize = 32;
const THREADS: usize = 2;
/// The most tokens of a record.
const TOKENS: usize = 256;
/// The most images of a record.
const IMAGES: usize = 5;

type Failure = Box<dyn Error + Send + Sync>;

fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [folder, tokenizer, rest @ ..] = &arguments[..] else {
        return Err("expected FOLDER TOKENIZER.json [eval|train] [SECONDS]".into());
    };
    let train = rest.first().is_some_and(|mode| mode == "train");
    let seconds: f64 = rest.get(1).map_or(Ok(10.0), |text| text.parse())?;
    let reader = Reader { tokenizer: PretrainedTokenizer::open(tokenizer)?, transform: transform(train) };
    let shards = list_shards(folder)?;

    rayon::ThreadPoolBuilder::new().num_threads(THREADS).build_global()?;
    let mut records = shards.iter().cycle().flat_map(|shard| ShardReader::open(shard).into_iter().flatten());
    let limit = Duration::from_secs_f64(seconds);
    let (mut images, mut count) = (0, 0);
    let start = Instant::now();
    while start.elapsed() < limit {
        let batch: Vec<Record> = records.by_ref().take(BATCH).collect::<Result<_, _>>()?;
        let batch = reader.batch(&batch)?;
        images += batch.pixels.len() / (3 * SIZE * SIZE);
        count += batch.tokens.len();
    }
    let took = start.elapsed().as_secs_f64();
    println!("{:.0} images/s, {:.0} records/s", images as f64 / took, count as f64 / took);

    let records: Vec<Record> = ShardReader::open(&shards[0])?.take(200).collect::<Result<_, _>>()?;
    costs(&records, &reader.transform)
}

fn transform(train: bool) -> ImageTransform {
    let spec = PreprocessSpec::clip(SIZE);
    match train {
        true => ImageTransform::train(spec, Augment { flip: 0.5, ..Augment::none() }),
        false => ImageTransform::eval(spec),
    }
}

struct Reader {
    tokenizer: PretrainedTokenizer,
    transform: ImageTransform,
}

struct Batch {
    /// `[images, 3, I, I]`.
    pixels: Vec<f32>,
    tokens: Vec<Vec<u32>>,
}

impl Reader {
    fn batch(&self, records: &[Record]) -> Result<Batch, Failure> {
        let samples: Vec<(Vec<u32>, Vec<&[u8]>)> =
            records.par_iter().map(|record| self.sample(record)).collect::<Result<_, _>>()?;
        let images: Vec<&[u8]> = samples.iter().flat_map(|(_, images)| images.iter().copied()).collect();
        let mut pixels = vec![0.0; images.len() * 3 * SIZE * SIZE];
        let slots = pixels.par_chunks_mut(3 * SIZE * SIZE).zip(&images).enumerate();
        slots.try_for_each(|(slot, (out, bytes))| {
            let picture = image::decode(bytes, "an image")?;
            self.transform.apply(&picture, &mut ChaCha8Rng::seed_from_u64(slot as u64), out);
            Ok::<_, Failure>(())
        })?;
        Ok(Batch { pixels, tokens: samples.into_iter().map(|(tokens, _)| tokens).collect() })
    }

    fn sample<'a>(&self, record: &'a Record) -> Result<(Vec<u32>, Vec<&'a [u8]>), Failure> {
        let (text, images) = taken_apart(record)?;
        let mut tokens = self.tokenizer.encode(&text)?;
        tokens.truncate(TOKENS);
        Ok((tokens, images))
    }
}

/// The text of a record and its encoded images.
fn taken_apart(record: &Record) -> Result<(String, Vec<&[u8]>), Failure> {
    if !record.fields.contains_key("json") {
        return Ok((String::from_utf8(record.field("txt")?.to_vec())?, vec![record.field("jpg")?]));
    }
    let page: BTreeMap<String, Value> = serde_json::from_slice(record.field("json")?)?;
    let chunks = page.get("chunks").and_then(Value::as_array).ok_or("a document without chunks")?;
    let text: String = chunks.iter().map(|chunk| chunk["text"].as_str().unwrap_or("<image>")).collect();
    let names = chunks.iter().filter_map(|chunk| chunk["image"].as_str());
    let images: Result<_, _> = names.take(IMAGES).map(|name| record.field(name)).collect();
    Ok((text, images?))
}

/// Prints what a picture costs in one thread: the best of three rounds.
fn costs(records: &[Record], transform: &ImageTransform) -> Result<(), Failure> {
    let images: Vec<&[u8]> = records
        .iter()
        .map(|record| Ok(taken_apart(record)?.1))
        .collect::<Result<Vec<_>, Failure>>()?
        .concat();
    let mut out = vec![0.0; 3 * SIZE * SIZE];
    let mut best = [f64::INFINITY; 2];
    for _ in 0..3 {
        let mut sums = [0.0; 2];
        for bytes in &images {
            let start = Instant::now();
            let picture = image::decode(bytes, "an image")?;
            sums[0] += start.elapsed().as_secs_f64();
            let start = Instant::now();
            transform.apply(&picture, &mut ChaCha8Rng::seed_from_u64(0), &mut out);
            sums[1] += start.elapsed().as_secs_f64();
        }
        best = [best[0].min(sums[0]), best[1].min(sums[1])];
    }
    let [decode, transform] = best.map(|sum| sum * 1e3 / images.len() as f64);
    println!("one thread: decode {decode:.2} ms, transform {transform:.2} ms an image");
    Ok(())
}
