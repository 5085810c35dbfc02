//! What a source holds, to be looked at: counts and histograms for a terminal, and a page with pictures.
//!
//! ```no_run
//! use flamingo_data::inspect::{self, InspectSpec};
//! use flamingo_data::{SourceSpec, Store};
//!
//! let spec = SourceSpec {
//!     name: "my pages".to_owned(),
//!     format: "documents".to_owned(),
//!     paths: vec!["pages/*.tar".to_owned()],
//!     options: serde_json::Map::new(),
//! };
//! let source = spec.open(&Store::default())?;
//! let found = inspect::inspect(source.as_ref(), &InspectSpec::default(), None)?;
//! println!("{}", found.summary);
//! let page = found.sheet(&spec.name, None);
//! # let _ = page;
//! # Ok::<(), flamingo_data::DataError>(())
//! ```

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use crate::DataError;
use crate::encoder::TextEncoder;
use crate::reject::{Reject, RejectLog};
use crate::sample::{Content, Sample};
use crate::source::{Source, Unread};
use crate::tokenizer::TextTokenizer;

mod html;
mod sequences;
mod sheet;
mod summary;

pub use summary::{Histogram, Summary};

/// Records that are read and counted at once.
const BATCH: usize = 256;

/// Records that a tokenizer is learnt from, and its size.
const LEARNT_FROM: usize = 4096;
const LEARNT_VOCAB: usize = 4096;

/// What to look at.
#[derive(Debug, Clone, PartialEq)]
pub struct InspectSpec {
    /// Records to show.
    pub shown: usize,
    /// Shows random records, the same for the same seed, instead of the first ones.
    pub seed: Option<u64>,
    /// Training sequences to show.
    pub sequences: usize,
    /// Reads no more records than this.
    pub limit: Option<u64>,
    /// The share of bad records that is allowed, in `0..=1`.
    pub max_reject_rate: f64,
}

impl Default for InspectSpec {
    fn default() -> Self {
        Self { shown: 48, seed: None, sequences: 10, limit: None, max_reject_rate: 1.0 }
    }
}

/// What was found.
#[derive(Debug)]
pub struct Inspection {
    /// Counts of all records that were read.
    pub summary: Summary,
    /// The records to show.
    pub shown: Vec<Sample>,
    spec: InspectSpec,
}

/// Reads a source from its beginning to its end, or to the limit. With a tokenizer, tokens are counted too.
///
/// # Errors
///
/// [`DataError::TooManyRejects`] if more records are bad than `spec` allows.
pub fn inspect(
    source: &dyn Source,
    spec: &InspectSpec,
    tokenizer: Option<&dyn TextEncoder>,
) -> Result<Inspection, DataError> {
    let mut log = RejectLog::new(None, spec.max_reject_rate)?;
    let mut summary = Summary::default();
    let mut choice = Choice::new(spec);
    let mut records = (0..source.shards().len()).flat_map(|shard| match source.open(shard, 0) {
        Ok(records) => records,
        Err(reject) => Box::new(std::iter::once(Err(reject))),
    });
    let mut left = spec.limit.unwrap_or(u64::MAX);
    while left > 0 {
        let wanted = left.min(BATCH as u64) as usize;
        let batch: Vec<Result<Unread, Reject>> = records.by_ref().take(wanted).collect();
        if batch.is_empty() {
            break;
        }
        left -= batch.len() as u64;
        let read: Vec<Result<(Sample, Summary), Reject>> = batch
            .into_par_iter()
            .map(|unread| {
                let sample = unread?.read()?;
                let counts = Summary::of(&sample, tokenizer);
                Ok((sample, counts))
            })
            .collect();
        for result in read {
            match result {
                Ok((sample, counts)) => {
                    log.accept();
                    sample.losses.iter().try_for_each(|lost| log.reject(lost))?;
                    summary.add(counts);
                    choice.offer(sample);
                }
                Err(reject) => log.reject(&reject)?,
            }
        }
    }
    summary.rejects = log.by_reason().clone();
    summary.shards = source.shards().len();
    Ok(Inspection { summary, shown: choice.kept, spec: spec.clone() })
}

/// A small tokenizer, learnt from the texts of a source's first shards: for looking at sequences where no model's own
/// tokenizer is at hand.
///
/// # Errors
///
/// If it cannot be trained.
pub fn learn_tokenizer(source: &dyn Source) -> Result<TextTokenizer, DataError> {
    let shards = (0..source.shards().len()).filter_map(|shard| source.open(shard, 0).ok());
    let samples = shards.flatten().filter_map(|unread| unread.ok()?.read().ok()).take(LEARNT_FROM);
    let texts = samples.flat_map(|sample| match sample.content {
        Content::Page(document) => vec![document.text()],
        Content::Pair(captions) => captions,
        Content::Text(text) => vec![text],
    });
    TextTokenizer::train(texts, LEARNT_VOCAB)
}

impl Inspection {
    /// A self-contained HTML page: the summary, the shown records with their pictures, and, with a tokenizer, training
    /// sequences decoded back to text, in which each text has the colour of the image that it sees.
    pub fn sheet(&self, title: &str, tokenizer: Option<&dyn TextEncoder>) -> String {
        let sequences = tokenizer.map(|tokenizer| {
            let mut rng = ChaCha8Rng::seed_from_u64(self.spec.seed.unwrap_or_default());
            sequences::figures(&self.shown, self.spec.sequences, tokenizer, &mut rng)
        });
        sheet::page(title, &self.summary, &self.shown, &sequences.unwrap_or_default())
    }
}

/// Keeps the first records, or as many at random (reservoir sampling), in their order.
struct Choice {
    wanted: usize,
    rng: Option<ChaCha8Rng>,
    seen: u64,
    kept: Vec<Sample>,
}

impl Choice {
    fn new(spec: &InspectSpec) -> Self {
        let rng = spec.seed.map(ChaCha8Rng::seed_from_u64);
        Self { wanted: spec.shown, rng, seen: 0, kept: Vec::new() }
    }

    fn offer(&mut self, sample: Sample) {
        self.seen += 1;
        if self.kept.len() < self.wanted {
            self.kept.push(sample);
        } else if let Some(rng) = &mut self.rng
            && rng.random_range(0..self.seen) < self.wanted as u64
        {
            let out = rng.random_range(0..self.kept.len());
            self.kept.remove(out);
            self.kept.push(sample);
        }
    }
}

#[cfg(test)]
mod tests;
