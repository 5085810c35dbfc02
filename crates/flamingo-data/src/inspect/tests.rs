//! Inspection of a source in memory.

use super::*;
use crate::document::{Chunk, Document};
use crate::fixtures::png;
use crate::reject::Reason;
use crate::sample::Medium;
use crate::source::Records;
use crate::store::Location;

/// One shard of the given samples; `None` is a bad record.
struct Memory {
    shards: Vec<Location>,
    samples: Vec<Option<Sample>>,
}

impl Memory {
    fn new(samples: Vec<Option<Sample>>) -> Self {
        Self { shards: vec![Location::from("memory".to_owned())], samples }
    }
}

impl Source for Memory {
    fn shards(&self) -> &[Location] {
        &self.shards
    }

    fn open(&self, _shard: usize, skip: usize) -> Result<Records, Reject> {
        let records = self.samples.clone().into_iter().skip(skip).map(|sample| {
            let reject = || Reject::new("memory", "x", Reason::BadDescription, "is bad");
            sample.map(|sample| Unread::new(sample.key.clone(), 1, move || Ok(sample))).ok_or_else(reject)
        });
        Ok(Box::new(records))
    }
}

fn page(key: &str) -> Option<Sample> {
    let chunks = vec![
        Chunk::Text("Look <script>alert(1)</script> here:".to_owned()),
        Chunk::Image(0),
        Chunk::Text("a \"cow\" & more".to_owned()),
        Chunk::Image(1),
    ];
    let picture = png(&crate::RgbaImage::from_pixel(100, 40, image::Rgba([9, 8, 7, 255])));
    let media = vec![Medium::Image(picture), Medium::Image(b"no image".to_vec())];
    let content = Content::Page(Document { chunks, tie: Some(flamingo_core::TextTie::Previous) });
    Some(Sample { key: key.to_owned(), content, media, losses: Vec::new() })
}

fn pair(index: usize) -> Option<Sample> {
    let media = vec![Medium::Image(png(&crate::RgbaImage::new(300, 200)))];
    let content = Content::Pair(vec![format!("thing {index}"), "a thing".to_owned()]);
    Some(Sample { key: format!("pair-{index}"), content, media, losses: Vec::new() })
}

#[test]
fn everything_is_counted() {
    let tokenizer = TextTokenizer::train(["thing"], 300).unwrap();
    let source = Memory::new(vec![page("p"), pair(1), None, pair(2)]);
    let found = inspect(&source, &InspectSpec::default(), Some(&tokenizer)).unwrap();
    let summary = &found.summary;
    assert_eq!((summary.pages, summary.pairs, summary.texts), (1, 2, 0));
    assert_eq!((summary.images, summary.bad_images, summary.clips), (4, 1, 0));
    assert_eq!(summary.words, 7 + 4 + 4);
    assert!(summary.tokens.unwrap() > summary.words);
    assert_eq!(summary.rejects[&Reason::BadDescription], 1);
    let sides: Vec<_> = summary.image_sides.bins().collect();
    assert_eq!(sides, [(64, 127, 1), (128, 255, 0), (256, 511, 2)]);
    let shown = summary.to_string();
    for part in ["3 records", "1 rejected: bad-description", "256–511         2 ██", "15 words"] {
        assert!(shown.contains(part), "{shown}");
    }
    let limited = InspectSpec { limit: Some(2), ..InspectSpec::default() };
    assert_eq!(inspect(&source, &limited, None).unwrap().summary.pairs, 1);
    let strict = InspectSpec { max_reject_rate: 0.001, ..InspectSpec::default() };
    let bad = Memory::new(vec![None; 200]);
    assert!(matches!(inspect(&bad, &strict, None), Err(DataError::TooManyRejects { .. })));
}

#[test]
fn the_sheet_shows_pages_and_sequences_and_no_markup_of_theirs() {
    let tokenizer = TextTokenizer::train(["a cow and more"], 300).unwrap();
    let source = Memory::new(vec![page("<b>key</b>"), pair(1)]);
    let found = inspect(&source, &InspectSpec::default(), None).unwrap();
    let sheet = found.sheet("a & b", Some(&tokenizer));
    assert!(!sheet.contains("<script") && !sheet.contains("<b>key"), "{sheet}");
    for part in [
        "<h1>a &amp; b</h1>",
        "&lt;script&gt;alert(1)",
        "data:image/jpeg;base64,",
        "data:image/png;base64,",
        "no usable image",
        "&lt;b&gt;key",
        "<b class=\"none free\">&lt;BOS&gt;</b><span class=\"none\">Look",
        "<b class=\"s0 free\">&lt;image&gt;</b>",
        "<span class=\"s0\">a &quot;cow&quot; &amp; more</span><b class=\"s0\">&lt;EOC&gt;</b><b class=\"s1 free\">",
    ] {
        let part = part.replace("no usable image", "is not a usable image");
        assert!(sheet.contains(&part), "{part} is not in {sheet}");
    }
    assert!(!found.sheet("x", None).contains("Training sequences"));
}

#[test]
fn random_records_are_chosen_by_the_seed_alone() {
    let source = Memory::new((0..500).map(pair).collect());
    let keys = |seed| {
        let spec = InspectSpec { shown: 20, seed, ..InspectSpec::default() };
        let shown = inspect(&source, &spec, None).unwrap().shown;
        shown.into_iter().map(|sample| sample.key).collect::<Vec<_>>()
    };
    assert_eq!(keys(None)[19], "pair-19");
    assert_eq!(keys(Some(1)), keys(Some(1)));
    assert_ne!(keys(Some(1)), keys(Some(2)));
    assert!(keys(Some(3)).iter().filter(|key| key.len() == "pair-100".len()).count() > 10);
}

#[test]
fn histograms_count_by_powers_of_two() {
    let mut histogram = Histogram::default();
    for value in [0, 1, 2, 3, 4, 1000, u64::MAX] {
        histogram.count(value);
    }
    let bins: Vec<_> = histogram.bins().filter(|(_, _, count)| *count > 0).collect();
    assert_eq!(bins, [(0, 0, 1), (1, 1, 1), (2, 3, 2), (4, 7, 1), (512, 1023, 1), (1 << 63, u64::MAX, 1)]);
}
