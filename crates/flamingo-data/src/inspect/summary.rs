//! Counts and histograms, and how a terminal shows them.

use std::collections::BTreeMap;
use std::fmt::{self, Display};
use std::io::Cursor;

use image::ImageReader;

use crate::document::Chunk;
use crate::encoder::TextEncoder;
use crate::reject::Reason;
use crate::sample::{Content, Medium, Sample};

/// The longest bar, in characters.
const BAR: u64 = 40;

/// What a source holds.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Summary {
    /// Shards of the source.
    pub shards: usize,
    /// Pages with images.
    pub pages: u64,
    /// Images or clips with captions.
    pub pairs: u64,
    /// Texts alone.
    pub texts: u64,
    /// Images.
    pub images: u64,
    /// Images whose size cannot be read.
    pub bad_images: u64,
    /// Clips.
    pub clips: u64,
    /// Bytes of images and clips.
    pub media_bytes: u64,
    /// Words: what blanks separate.
    pub words: u64,
    /// Tokens, if there was a tokenizer.
    pub tokens: Option<u64>,
    /// Words in a record.
    pub words_per_record: Histogram,
    /// Images in a page.
    pub images_per_page: Histogram,
    /// The longer sides of images, in pixels.
    pub image_sides: Histogram,
    /// Bad records by reason.
    pub rejects: BTreeMap<Reason, u64>,
}

impl Summary {
    /// The counts of one record.
    pub(super) fn of(sample: &Sample, tokenizer: Option<&dyn TextEncoder>) -> Self {
        let mut summary = Self { tokens: tokenizer.map(|_| 0), ..Self::default() };
        let texts: Vec<&str> = match &sample.content {
            Content::Page(document) => {
                summary.pages = 1;
                summary.images_per_page.count(document.images().count() as u64);
                let chunks = document.chunks.iter();
                let texts = chunks.filter_map(|chunk| match chunk {
                    Chunk::Text(text) => Some(text.as_str()),
                    Chunk::Image(_) => None,
                });
                texts.collect()
            }
            Content::Pair(captions) => {
                summary.pairs = 1;
                captions.iter().map(String::as_str).collect()
            }
            Content::Text(text) => {
                summary.texts = 1;
                vec![text]
            }
        };
        summary.words = texts.iter().map(|text| text.split_whitespace().count() as u64).sum();
        summary.words_per_record.count(summary.words);
        if let (Some(tokens), Some(tokenizer)) = (&mut summary.tokens, tokenizer) {
            *tokens = texts.iter().map(|text| tokenizer.encode(text).len() as u64).sum();
        }
        for medium in &sample.media {
            summary.media_bytes += medium.len() as u64;
            match medium {
                Medium::Image(bytes) => {
                    summary.images += 1;
                    match side(bytes) {
                        Some(side) => summary.image_sides.count(side),
                        None => summary.bad_images += 1,
                    }
                }
                Medium::Video(..) | Medium::VideoFile(..) => summary.clips += 1,
            }
        }
        summary
    }

    pub(super) fn add(&mut self, other: Self) {
        self.pages += other.pages;
        self.pairs += other.pairs;
        self.texts += other.texts;
        self.images += other.images;
        self.bad_images += other.bad_images;
        self.clips += other.clips;
        self.media_bytes += other.media_bytes;
        self.words += other.words;
        self.tokens = match (self.tokens, other.tokens) {
            (None, None) => None,
            (one, two) => Some(one.unwrap_or_default() + two.unwrap_or_default()),
        };
        self.words_per_record.add(&other.words_per_record);
        self.images_per_page.add(&other.images_per_page);
        self.image_sides.add(&other.image_sides);
    }

    /// Names and numbers, in the order in which they are shown; what is not there is left out.
    pub(super) fn counts(&self) -> Vec<(&'static str, u64)> {
        let all = [
            ("shards", self.shards as u64),
            ("records", self.pages + self.pairs + self.texts),
            ("pages", self.pages),
            ("pairs", self.pairs),
            ("texts", self.texts),
            ("images", self.images),
            ("images that cannot be read", self.bad_images),
            ("clips", self.clips),
            ("bytes of images and clips", self.media_bytes),
            ("words", self.words),
            ("tokens", self.tokens.unwrap_or_default()),
        ];
        all.into_iter().filter(|(name, count)| *count > 0 || *name == "records").collect()
    }

    /// Titles and histograms; what is empty is left out.
    pub(super) fn histograms(&self) -> Vec<(&'static str, &Histogram)> {
        let all = [
            ("words in a record", &self.words_per_record),
            ("images in a page", &self.images_per_page),
            ("longer side of an image, in pixels", &self.image_sides),
        ];
        all.into_iter().filter(|(_, histogram)| !histogram.is_empty()).collect()
    }
}

/// The longer side, from the header alone.
fn side(bytes: &[u8]) -> Option<u64> {
    let reader = ImageReader::new(Cursor::new(bytes)).with_guessed_format().ok()?;
    let (width, height) = reader.into_dimensions().ok()?;
    Some(u64::from(width.max(height)))
}

impl Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, count) in self.counts() {
            writeln!(f, "{count:>12} {name}")?;
        }
        for (reason, count) in &self.rejects {
            writeln!(f, "{count:>12} rejected: {reason}")?;
        }
        for (title, histogram) in self.histograms() {
            write!(f, "\n{title}\n{histogram}")?;
        }
        Ok(())
    }
}

/// How often each size is: 0, 1, 2–3, 4–7, 8–15 and so on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Histogram(BTreeMap<u32, u64>);

impl Histogram {
    pub(super) fn count(&mut self, value: u64) {
        *self.0.entry(u64::BITS - value.leading_zeros()).or_default() += 1;
    }

    fn add(&mut self, other: &Self) {
        for (bin, count) in &other.0 {
            *self.0.entry(*bin).or_default() += count;
        }
    }

    /// Whether nothing was counted.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The bins from the first to the last that has something, as lowest value, highest value and count.
    pub fn bins(&self) -> impl Iterator<Item = (u64, u64, u64)> {
        let range = self.0.keys().next().zip(self.0.keys().next_back()).map(|(first, last)| *first..=*last);
        range.into_iter().flatten().map(|bin| {
            let low = if bin == 0 { 0 } else { 1 << (bin - 1) };
            let high = if bin == 0 { 0 } else { u64::MAX >> (u64::BITS - bin) };
            (low, high, self.0.get(&bin).copied().unwrap_or_default())
        })
    }
}

impl Display for Histogram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let most = self.bins().map(|(_, _, count)| count).max().unwrap_or(1).max(1);
        for (low, high, count) in self.bins() {
            let range = if low == high { low.to_string() } else { format!("{low}–{high}") };
            let bar = "█".repeat((count * BAR).div_ceil(most) as usize);
            writeln!(f, "{range:>12} {count:>9} {bar}")?;
        }
        Ok(())
    }
}
