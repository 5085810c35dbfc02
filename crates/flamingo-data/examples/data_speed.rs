//! How fast shards become batches of pixels and tokens, and what a picture costs on the way.
//!
//! `cargo run --release --example data_speed -- FOLDER TOKENIZER.json [eval|train] [SECONDS]` streams the `.tar` shards of
//! the folder as training does, with two workers, and prints images/s and records/s; then the milliseconds that a picture
//! takes in one thread. `data_speed.py` beside it does the same in Python, and makes shards of JPEGs. Records are pairs
//! (`jpg` and `txt`) or documents (`json` whose `chunks` name the images).

use std::error::Error;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use flamingo_core::PreprocessSpec;
use flamingo_data::stream::{MixedSource, Stream, StreamSpec};
use flamingo_data::{Augment, ImageTransform, PretrainedEncoder, ShardReader, Store, list_shards};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

const SIZE: usize = 224;
const WORKERS: usize = 2;
/// Batches before the clock starts.
const FIRST: usize = 4;
/// Records whose pictures are timed one by one.
const ALONE: usize = 200;

type Failure = Box<dyn Error + Send + Sync>;

fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [folder, tokenizer, rest @ ..] = &arguments[..] else {
        return Err("expected FOLDER TOKENIZER.json [eval|train] [SECONDS]".into());
    };
    let train = rest.first().is_some_and(|mode| mode == "train");
    let seconds: f64 = rest.get(1).map_or(Ok(10.0), |text| text.parse())?;
    let augment = train.then(|| Augment { flip: 0.5, ..Augment::none() });

    let encoder = Arc::new(PretrainedEncoder::open(tokenizer)?);
    let mut stream = Stream::open(spec(folder, augment.clone())?, &Store::default(), encoder)?;
    for batch in stream.by_ref().take(FIRST) {
        batch?;
    }
    let (mut images, mut records) = (0, 0);
    let limit = Duration::from_secs_f64(seconds);
    let start = Instant::now();
    while start.elapsed() < limit {
        let batch = stream.next().ok_or("the stream has an end")??;
        images += batch.media;
        records += batch.rows.len();
    }
    let took = start.elapsed().as_secs_f64();
    println!("{:.0} images/s, {:.0} records/s", images as f64 / took, records as f64 / took);
    drop(stream);

    let spec = PreprocessSpec::clip(SIZE);
    let transform = ImageTransform::new(spec, augment);
    println!("one thread: {:.2} ms an image", alone(folder, &transform)? * 1e3);
    Ok(())
}

/// A stream of the folder's shards, with the paper's sequences: 256 tokens, up to 5 images of them.
fn spec(folder: &str, augment: Option<Augment>) -> Result<StreamSpec, Failure> {
    let shards = list_shards(folder)?;
    let first = shards.first().ok_or("a folder without shards")?;
    let record = ShardReader::open(first)?.next().ok_or("an empty shard")??;
    let format = if record.fields.contains_key("json") { "documents" } else { "pairs" };
    let source = MixedSource {
        name: "shards".to_owned(),
        format: format.to_owned(),
        paths: vec![Path::new(folder).join("*.tar").to_string_lossy().into_owned()],
        options: serde_json::Map::new(),
        weight: 1.0,
        flips: true,
    };
    let mut spec = StreamSpec::new(vec![source]);
    spec.pixels.preprocess = PreprocessSpec::clip(SIZE);
    spec.pixels.augment = augment;
    spec.workers = Some(WORKERS);
    Ok(spec)
}

/// Seconds that a picture takes to be decoded and transformed in one thread: the best of three rounds.
fn alone(folder: &str, transform: &ImageTransform) -> Result<f64, Failure> {
    let shards = list_shards(folder)?;
    let records: Vec<_> = ShardReader::open(&shards[0])?.take(ALONE).collect::<Result<_, _>>()?;
    let is_image =
        |name: &str| matches!(name.rsplit('.').next(), Some("jpg" | "jpeg" | "png" | "webp" | "gif"));
    let fields = records.iter().flat_map(|record| &record.fields);
    let images: Vec<_> = fields.filter(|(name, _)| is_image(name)).map(|(_, bytes)| bytes).collect();
    let mut out = vec![0.0; 3 * SIZE * SIZE];
    let mut best = f64::INFINITY;
    for _ in 0..3 {
        let start = Instant::now();
        for bytes in &images {
            transform.read(bytes, "an image", &mut ChaCha8Rng::seed_from_u64(0), &mut out)?;
        }
        best = best.min(start.elapsed().as_secs_f64());
    }
    Ok(best / images.len() as f64)
}
