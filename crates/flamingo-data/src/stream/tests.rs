//! One order whatever the threads, the restarts and the ranks; bounded memory; nothing lost in silence.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::{Duration, Instant};

use half::f16;
use image::codecs::gif::GifEncoder;
use image::{Delay, Frame, Rgba, RgbaImage};
use rand::Rng;

use super::*;
use crate::features::MediaKey;
use crate::fixtures::{png, rng};
use crate::reject::{Reason, Reject};
use crate::sample::{Content, Medium, Sample};
use crate::source::{Records, Unread};
use crate::video::{Coverage, FrameSampling, Interval};
use crate::{Augment, Chunk, Document, TextTokenizer};

/// Pages and pairs that are functions of their place.
struct Made {
    shards: Vec<Location>,
    records: usize,
    /// What becomes of a record; by shard and number.
    kind: fn(usize, usize) -> Kind,
    /// Records whose bytes are in memory, and the most that ever were.
    alive: Arc<Alive>,
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Page,
    Pair,
    Clip,
    BadImage,
    Reject,
    Panic,
}

#[derive(Default)]
struct Alive {
    now: AtomicUsize,
    most: AtomicUsize,
}

struct Counted(Arc<Alive>);

impl Counted {
    fn new(alive: &Arc<Alive>) -> Self {
        let now = alive.now.fetch_add(1, SeqCst) + 1;
        alive.most.fetch_max(now, SeqCst);
        Self(Arc::clone(alive))
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.now.fetch_sub(1, SeqCst);
    }
}

fn made(shards: usize, records: usize, kind: fn(usize, usize) -> Kind) -> Made {
    let shards = (0..shards).map(|shard| Location::from(format!("{shard:03}.tar"))).collect();
    Made { shards, records, kind, alive: Arc::default() }
}

fn ordinary(shard: usize, record: usize) -> Kind {
    if (shard + record).is_multiple_of(3) { Kind::Page } else { Kind::Pair }
}

fn some_bad(shard: usize, record: usize) -> Kind {
    match (shard * 7 + record) % 11 {
        0 => Kind::Reject,
        1 => Kind::BadImage,
        _ => ordinary(shard, record),
    }
}

impl Source for Made {
    fn shards(&self) -> &[Location] {
        &self.shards
    }

    fn open(&self, shard: usize, skip: usize) -> Result<Records, Reject> {
        let (kind, alive) = (self.kind, Arc::clone(&self.alive));
        Ok(Box::new((skip..self.records).map(move |record| {
            let key = format!("{shard}/{record}");
            let kind = kind(shard, record);
            if kind == Kind::Reject {
                return Err(Reject::new(shard, key, Reason::CorruptShard, "is broken"));
            }
            let counted = Counted::new(&alive);
            Ok(Unread::new(key.clone(), 100, move || {
                drop(counted);
                Ok(sample(key, shard, record, kind))
            }))
        })))
    }
}

fn sample(key: String, shard: usize, record: usize, kind: Kind) -> Sample {
    let words = "moo ".repeat(1 + (shard * 31 + record * 17) % 40);
    // Left and right differ.
    let colour = |shade: usize, x: u32| Rgba([shade as u8, record as u8, 40 * x as u8, 255]);
    let picture = |shade: usize| RgbaImage::from_fn(6, 4, |x, _| colour(shade, x));
    let image = |shade| Medium::Image(png(&picture(shade)));
    let caption = || Content::Pair(vec![words.clone(), format!("{words}again")]);
    let (content, media) = match kind {
        Kind::Page => {
            let chunks =
                vec![Chunk::Image(0), Chunk::Text(words.clone()), Chunk::Image(1), Chunk::Text(words)];
            (Content::Page(Document { chunks, tie: None }), vec![image(shard), image(shard + 100)])
        }
        Kind::Clip => {
            let mut gif = Vec::new();
            let second = Delay::from_saturating_duration(Duration::from_secs(1));
            let frames = (0..3).map(|frame| Frame::from_parts(picture(80 * frame), 0, 0, second));
            GifEncoder::new(&mut gif).encode_frames(frames).unwrap();
            (caption(), vec![Medium::Video(gif, Interval::WHOLE)])
        }
        Kind::BadImage => (caption(), vec![Medium::Image(b"no image".to_vec())]),
        Kind::Panic => panic!("the worker fell"),
        _ => (caption(), vec![image(shard)]),
    };
    let lost = Reject::new(shard, key.clone(), Reason::Filtered, "an image is too small");
    let losses = if record == 12 { vec![lost] } else { Vec::new() };
    Sample { key, content, media, losses }
}

fn spec(sources: usize) -> StreamSpec {
    let source = |number: usize| MixedSource {
        name: format!("source {number}"),
        format: "made".to_owned(),
        paths: Vec::new(),
        options: serde_json::Map::new(),
        weight: 1.0 + number as f64,
        flips: true,
    };
    let mut spec = StreamSpec::new((0..sources).map(source).collect());
    spec.batch = 4;
    spec.sequence.len = 48;
    spec.pixels.preprocess = flamingo_core::PreprocessSpec::imagenet(4);
    spec.pixels.augment = Some(Augment::light());
    spec.shuffle.records = 10;
    spec.open_shards = 2;
    spec.pool_batches = 3;
    spec.workers = Some(2);
    spec.max_reject_rate = 1.0;
    spec
}

fn encoder() -> Arc<TextTokenizer> {
    Arc::new(TextTokenizer::train(["moo"], 259).unwrap())
}

fn over(spec: &StreamSpec, sources: Vec<Made>, state: Option<StreamState>) -> Stream {
    let sources = sources.into_iter().map(|source| Arc::new(source) as Arc<dyn Source>).collect();
    Stream::over(spec.clone(), sources, encoder(), state).unwrap()
}

fn batches(stream: Stream, count: usize) -> Vec<StreamBatch> {
    stream.take(count).map(Result::unwrap).collect()
}

fn two() -> Vec<Made> {
    vec![made(5, 13, some_bad), made(2, 40, ordinary)]
}

fn places(batches: &[StreamBatch]) -> Vec<Place> {
    batches.iter().flat_map(|batch| &batch.rows).map(|row| row.place).collect()
}

/// The source and the pixels of each row, where all images are mirrored but those of sources that forbid it.
fn mirrored(flip: f32, flips: [bool; 2]) -> Vec<(usize, Vec<f32>)> {
    let mut spec = spec(2);
    spec.pixels.augment = Some(Augment { flip, ..Augment::none() });
    for (source, flips) in spec.sources.iter_mut().zip(flips) {
        source.flips = flips;
    }
    let rows = |batch: StreamBatch| {
        let sources: Vec<usize> = batch.rows.iter().map(|row| row.place.source).collect();
        let len = batch.host.pixels.len() / batch.host.batch;
        sources.into_iter().zip(batch.host.pixels.chunks(len).map(<[f32]>::to_vec)).collect::<Vec<_>>()
    };
    batches(over(&spec, two(), None), 20).into_iter().flat_map(rows).collect()
}

#[test]
fn a_source_that_forbids_flips_is_never_mirrored() {
    let [never, always] = [mirrored(0.0, [true; 2]), mirrored(1.0, [true; 2])];
    let mixed = mirrored(1.0, [false, true]);
    let mut seen = [0; 2];
    for ((never, always), mixed) in never.iter().zip(&always).zip(&mixed) {
        // A text alone has zeros where others have pictures.
        if never.1.iter().all(|value| *value == 0.0) {
            continue;
        }
        assert_ne!(never.1, always.1, "a picture that has no left and right shows nothing");
        assert_eq!(mixed, if mixed.0 == 0 { never } else { always });
        seen[mixed.0] += 1;
    }
    assert!(seen[0] > 10 && seen[1] > 10, "{seen:?}");
}

#[test]
fn threads_change_nothing() {
    let run = |workers: usize, prefetch: usize| {
        let folder = tempfile::tempdir().unwrap();
        let rejects = folder.path().join("rejects.jsonl");
        let spec = StreamSpec { workers: Some(workers), prefetch, rejects: Some(rejects.clone()), ..spec(2) };
        let mut stream = over(&spec, two(), None);
        let batches: Vec<StreamBatch> = stream.by_ref().take(60).map(Result::unwrap).collect();
        (batches, stream.state(), std::fs::read_to_string(rejects).unwrap())
    };
    let one = run(1, 1);
    for part in ["bad-image", "filtered", r#""source":"source 0""#] {
        assert!(one.2.contains(part), "{part} is not in {}", one.2);
    }
    for (workers, prefetch) in [(2, 3), (4, 2)] {
        let other = run(workers, prefetch);
        assert!(one == other, "{workers} workers");
    }
}

#[test]
fn a_resumed_stream_goes_on_as_if_nothing_had_happened() {
    let spec = spec(2);
    let mut whole = over(&spec, two(), None);
    let all: Vec<(StreamBatch, StreamState)> =
        (0..90).map(|_| (whole.next().unwrap().unwrap(), whole.state())).collect();
    let mut rng = rng(5);
    for _ in 0..20 {
        let kill = rng.random_range(0..60);
        let json = serde_json::to_string(&all[kill].1).unwrap();
        let mut resumed = over(&spec, two(), Some(serde_json::from_str(&json).unwrap()));
        assert_eq!(resumed.state(), all[kill].1, "a state is what it was made from");
        for (expected, state) in &all[kill + 1..kill + 20] {
            assert!(resumed.next().unwrap().unwrap() == *expected, "after {kill}");
            assert_eq!(resumed.state(), *state, "after {kill}");
        }
    }
}

#[test]
fn a_stream_with_epochs_ends_and_gives_every_record_once_in_each() {
    let spec = StreamSpec { epochs: Some(2), ..spec(2) };
    let sources = || vec![made(5, 13, ordinary), made(2, 40, ordinary)];
    let given = places(&batches(over(&spec, sources(), None), 1000));
    assert_eq!(given.len(), 2 * (5 * 13 + 2 * 40));
    assert_eq!(given.iter().collect::<BTreeSet<_>>().len(), given.len());
    let mut stream = over(&spec, sources(), None);
    assert!(stream.by_ref().all(|batch| batch.is_ok()) && stream.next().is_none());
    let state = stream.state();
    assert!(over(&spec, sources(), Some(state)).next().is_none(), "what has ended stays at its end");
}

#[test]
fn seeds_and_epochs_have_orders_of_their_own() {
    let order = |seed: u64, epoch: u64| {
        let spec = StreamSpec { seed, epochs: Some(2), pool_batches: 1, ..spec(1) };
        let given = places(&batches(over(&spec, vec![made(5, 13, ordinary)], None), 1000));
        let of_epoch = given.into_iter().filter(|place| place.epoch == epoch);
        of_epoch.map(|place| (place.shard, place.record)).collect::<Vec<_>>()
    };
    assert_eq!(order(1, 0), order(1, 0));
    assert_ne!(order(1, 0), order(1, 1));
    assert_ne!(order(1, 0), order(2, 0));
}

#[test]
fn ranks_share_the_records() {
    for (shards, world) in [(6, 2), (7, 3), (2, 3), (1, 4)] {
        let mut seen: BTreeMap<Place, usize> = BTreeMap::new();
        for rank in 0..world {
            let spec = StreamSpec { rank, world, epochs: Some(1), ..spec(1) };
            let given = places(&batches(over(&spec, vec![made(shards, 9, ordinary)], None), 1000));
            assert!(given.len() >= 2, "rank {rank} of {world} has something to do");
            given.into_iter().for_each(|place| *seen.entry(place).or_default() += 1);
        }
        assert!(seen.len() == shards * 9 && seen.values().all(|count| *count == 1), "{shards}, {world}");
    }
}

#[test]
fn a_rank_without_records_says_so() {
    let spec = StreamSpec { rank: 2, world: 3, ..spec(1) };
    let error = over(&spec, vec![made(1, 2, ordinary)], None).next().unwrap().unwrap_err().to_string();
    assert!(error.contains("no record for rank 2 of 3"), "{error}");
}

#[test]
fn sources_come_by_their_weights() {
    let spec = StreamSpec { batch: 30, ..spec(3) };
    let sources = vec![made(2, 50, ordinary), made(2, 50, ordinary), made(3, 50, ordinary)];
    let given = places(&batches(over(&spec, sources, None), 100));
    for (source, weight) in [1.0, 2.0, 3.0].into_iter().enumerate() {
        let count = given.iter().filter(|place| place.source == source).count() as f64;
        let (mean, share) = (given.len() as f64 * weight / 6.0, weight / 6.0);
        let deviation = (given.len() as f64 * share * (1.0 - share)).sqrt();
        assert!((count - mean).abs() < 4.0 * deviation, "source {source}: {count}, expected {mean}");
    }
}

#[test]
fn grouping_by_length_wastes_less() {
    let pad_share = |pool_batches: usize| {
        let mut spec = StreamSpec { pool_batches, batch: 8, ..spec(1) };
        spec.sequence.len = 256;
        let batches = batches(over(&spec, vec![made(4, 100, ordinary)], None), 48);
        let cells: usize = batches.iter().map(|batch| batch.host.ids.len()).sum();
        let tokens: usize = batches.iter().map(|batch| batch.tokens).sum();
        1.0 - tokens as f64 / cells as f64
    };
    let (alone, grouped) = (pad_share(1), pad_share(8));
    assert!(grouped < 0.5 * alone, "{grouped} of {alone}");
}

#[test]
fn memory_is_bounded_however_far_the_stream_runs() {
    let spec = StreamSpec { prefetch_bytes: 1000, ..spec(1) };
    let source = made(4, 500, |_, _| Kind::Pair);
    let alive = Arc::clone(&source.alive);
    let mut stream = over(&spec, vec![source], None);
    for _ in 0..100 {
        stream.next().unwrap().unwrap();
    }
    // The shuffle buffer, what `prefetch_bytes` allow at 100 bytes a record, and the record in hand.
    assert!(alive.most.load(SeqCst) <= 10 + 10 + 1, "{}", alive.most.load(SeqCst));
}

#[test]
fn dropping_a_stream_stops_its_threads() {
    let source = made(4, 500, ordinary);
    let alive = Arc::clone(&source.alive);
    let mut stream = over(&spec(1), vec![source], None);
    stream.next().unwrap().unwrap();
    drop(stream);
    let start = Instant::now();
    // The source, which the reader owns, and what is unread let go of it.
    while Arc::strong_count(&alive) > 1 {
        assert!(start.elapsed() < Duration::from_secs(5), "threads go on");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_panic_is_an_error_and_the_end() {
    let kind = |_, record| if record == 20 { Kind::Panic } else { Kind::Pair };
    let mut stream = over(&spec(1), vec![made(1, 40, kind)], None);
    let error = stream.by_ref().find_map(Result::err).unwrap().to_string();
    assert!(error.contains("the worker fell"), "{error}");
    assert!(stream.next().is_none());
}

#[test]
fn too_many_bad_records_end_the_stream() {
    let spec = StreamSpec { max_reject_rate: 0.05, ..spec(1) };
    let mut stream = over(&spec, vec![made(5, 100, some_bad)], None);
    let error = stream.by_ref().find_map(Result::err).unwrap().to_string();
    assert!(error.contains("corrupt-shard") && error.contains("bad-image"), "{error}");
    let all_bad = made(2, 10, |_, _| Kind::Reject);
    let error = over(&spec, vec![all_bad], None).next().unwrap().unwrap_err();
    assert!(matches!(error, DataError::TooManyRejects { .. }), "{error}");
}

#[test]
fn clips_have_frames_and_batches_of_their_own() {
    let kind = |_, record: usize| if record.is_multiple_of(2) { Kind::Clip } else { Kind::Pair };
    let mut spec = spec(1);
    spec.pixels.clip.max_frames = 4;
    let batches = batches(over(&spec, vec![made(3, 20, kind)], None), 12);
    let frame_counts: BTreeSet<usize> = batches.iter().map(|batch| batch.host.frames).collect();
    assert_eq!(frame_counts, BTreeSet::from([1, 4]));
    for batch in &batches {
        let host = &batch.host;
        assert_eq!(host.pixels.len(), host.images() * 3 * 16);
        let moving = |row: &RowId| row.place.record.is_multiple_of(2);
        assert!(batch.rows.iter().all(|row| moving(row) == (host.frames == 4)));
        if host.frames == 4 {
            let frames: Vec<&[f32]> = host.pixels[..4 * 48].chunks(48).collect();
            assert!(frames[0] != frames[1] && frames[1] != frames[2], "the clip moves");
            assert_eq!(frames[2], frames[3], "and stands still at its end");
        }
    }
}

/// Features of one position and width 2: the first byte of the medium's key, plus 1, and the frame's number.
struct Kept {
    frames: BTreeMap<MediaKey, usize>,
}

impl FeatureLookup for Kept {
    fn shape(&self) -> [usize; 2] {
        [1, 2]
    }

    fn read(&self, key: &MediaKey, out: &mut Vec<f16>) -> Result<Option<usize>, DataError> {
        let frames = self.frames.get(key).copied();
        for frame in 0..frames.unwrap_or(0) {
            out.extend([1.0 + f32::from(key.0[0]), frame as f32].map(f16::from_f32));
        }
        Ok(frames)
    }
}

/// Of all media of a source that can be decoded; of clips, the whole.
fn kept(shards: usize, records: usize, kind: fn(usize, usize) -> Kind, clips: &FrameSampling) -> Kept {
    let whole = FrameSampling { coverage: Coverage::Whole, ..*clips };
    let mut frames = BTreeMap::new();
    for (shard, record) in (0..shards).flat_map(|shard| (0..records).map(move |record| (shard, record))) {
        let kind = kind(shard, record);
        if matches!(kind, Kind::Reject | Kind::BadImage) {
            continue;
        }
        for medium in sample(String::new(), shard, record, kind).media {
            match medium {
                Medium::Video(bytes, part) => frames.insert(MediaKey::clip(&bytes, &part, &whole), 3),
                Medium::Image(bytes) => frames.insert(MediaKey::image(&bytes), 1),
                Medium::VideoFile(..) => None,
            };
        }
    }
    Kept { frames }
}

fn with_features(spec: &StreamSpec, source: Made, features: &Arc<Kept>) -> Stream {
    let features: Arc<dyn FeatureLookup> = Arc::clone(features) as _;
    Stream::over_with(spec.clone(), vec![Arc::new(source)], encoder(), None, Some(features)).unwrap()
}

#[test]
fn features_change_nothing_but_the_pixels() {
    let kind = |shard, record: usize| match some_bad(shard, record) {
        Kind::Pair if record.is_multiple_of(5) => Kind::Clip,
        kind => kind,
    };
    let mut spec = StreamSpec { epochs: Some(2), ..spec(1) };
    spec.pixels.augment = None;
    spec.pixels.clip.max_frames = 4;
    let features = Arc::new(kept(3, 40, kind, &spec.pixels.clip));
    let mut plain = over(&spec, vec![made(3, 40, kind)], None);
    let mut kept = with_features(&spec, made(3, 40, kind), &features);
    let (mut clips, mut places) = (0, 0);
    loop {
        let (plain, kept) = match (plain.next(), kept.next()) {
            (Some(plain), Some(kept)) => (plain.unwrap(), kept.unwrap()),
            (None, None) => break,
            (plain, kept) => panic!("one stream ends before the other: {plain:?} {kept:?}"),
        };
        assert_eq!((&kept.rows, kept.tokens, kept.media), (&plain.rows, plain.tokens, plain.media));
        let (host, pixels) = (kept.host, plain.host);
        let features = host.features.clone().unwrap();
        assert_eq!((features.positions, features.width, host.pixels.len()), (1, 2, 0));
        assert_eq!(features.values.len(), 2 * pixels.images());
        for (frame, values) in features.values.chunks(2).enumerate() {
            let shown = pixels.pixels[frame * 48..][..48].iter().any(|value| *value != 0.0);
            assert_eq!(shown, values[0] != f16::ZERO, "padding is zero in both, and nothing else is");
            let last = (frame % pixels.frames).min(2) as f32;
            assert_eq!(values[1].to_f32(), if shown && pixels.frames == 4 { last } else { 0.0 });
            places += usize::from(shown);
        }
        clips += usize::from(host.frames == 4);
        assert_eq!(
            flamingo_core::HostBatch { pixels: pixels.pixels.clone(), features: None, ..host },
            pixels
        );
    }
    assert!(clips > 0 && places > 100, "{clips} {places}");
    assert_eq!(kept.state(), plain.state());
    assert_eq!(kept.rejects().by_reason(), plain.rejects().by_reason());
    assert!(kept.rejects().by_reason()[&Reason::BadImage] > 0);
}

#[test]
fn a_batch_with_a_medium_that_has_no_features_has_pixels() {
    let mut spec = spec(1);
    spec.pixels.augment = None;
    let mut features = kept(2, 30, ordinary, &spec.pixels.clip);
    // One picture is unknown: that of shard 1's pairs with number 3.
    let Medium::Image(bytes) = &sample(String::new(), 1, 3, Kind::Pair).media[0] else { panic!("an image") };
    assert_eq!(features.frames.remove(&MediaKey::image(bytes)), Some(1));
    let stream = with_features(
        &StreamSpec { epochs: Some(1), ..spec.clone() },
        made(2, 30, ordinary),
        &Arc::new(features),
    );
    let batches: Vec<StreamBatch> = stream.map(Result::unwrap).collect();
    for batch in &batches {
        let unknown = batch.rows.iter().any(|row| (row.place.shard, row.place.record) == (1, 3));
        assert_eq!((batch.host.features.is_none(), !batch.host.pixels.is_empty()), (unknown, unknown));
    }
    assert_eq!(batches.iter().filter(|batch| batch.host.features.is_none()).count(), 1);

    spec.pixels.augment = Some(Augment::light());
    let source: Arc<dyn Source> = Arc::new(made(2, 30, ordinary));
    let features: Arc<dyn FeatureLookup> = Arc::new(kept(1, 1, ordinary, &spec.pixels.clip));
    let error = Stream::over_with(spec, vec![source], encoder(), None, Some(features)).map(drop).unwrap_err();
    assert!(matches!(error, DataError::AugmentedFeatures), "{error}");
}

#[test]
fn a_state_of_another_stream_is_refused() {
    let mut stream = over(&spec(1), vec![made(3, 20, ordinary)], None);
    assert!(stream.by_ref().take(8).all(|batch| batch.is_ok()));
    let state = stream.state();
    let resume = |spec: StreamSpec, shards| {
        let source: Arc<dyn Source> = Arc::new(made(shards, 20, ordinary));
        Stream::over(spec, vec![source], encoder(), Some(state.clone())).map(drop)
    };
    let speed = StreamSpec { workers: Some(1), prefetch: 5, ..spec(1) };
    resume(speed, 3).unwrap();
    for (spec, shards) in [(StreamSpec { seed: 9, ..spec(1) }, 3), (spec(1), 4)] {
        let error = resume(spec, shards).unwrap_err().to_string();
        assert!(error.contains("have changed"), "{error}");
    }
    let shorter: Arc<dyn Source> = Arc::new(made(3, 1, ordinary));
    let error =
        Stream::over(spec(1), vec![shorter], encoder(), Some(state)).map(drop).unwrap_err().to_string();
    assert!(error.contains("has changed since the state was written"), "{error}");
}

#[test]
fn settings_without_sense_are_refused() {
    let refused = |spec: StreamSpec| spec.check().unwrap_err().to_string();
    assert!(refused(StreamSpec { batch: 0, ..spec(1) }).contains("`batch` is 0"));
    assert!(refused(StreamSpec { rank: 2, world: 2, ..spec(1) }).contains("`rank` is 2"));
    assert!(refused(spec(0)).contains("`sources` is empty"));
    let mut negative = spec(2);
    negative.sources[1].weight = -1.0;
    assert!(refused(negative).contains("source 1"));
    let unknown =
        serde_json::from_str::<StreamSpec>(r#"{"sources": [], "btach": 3}"#).unwrap_err().to_string();
    assert!(unknown.contains("btach"), "{unknown}");
}

#[test]
fn states_are_saved_whole() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("stream.json");
    let mut stream = over(&spec(1), vec![made(3, 20, ordinary)], None);
    for _ in 0..2 {
        stream.next().unwrap().unwrap();
        stream.state().save(&path).unwrap();
        assert_eq!(StreamState::load(&path).unwrap(), stream.state());
    }
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    std::fs::write(&path, "{").unwrap();
    assert!(StreamState::load(&path).unwrap_err().to_string().contains("is not a stream's state"));
}
