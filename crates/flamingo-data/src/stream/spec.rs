//! What a stream is made of and in which order, as a configuration file says it.

use std::path::PathBuf;

use flamingo_core::PreprocessSpec;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use crate::Augment;
use crate::encoder::TextEncoder;
use crate::error::DataError;
use crate::sequence::SequenceSpec;
use crate::source::SourceSpec;
use crate::store::Location;
use crate::transform::ImageTransform;
use crate::video::FrameSampling;

/// A stream of batches. Only `sources` has no default.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StreamSpec {
    /// What is read; with several sources, each record comes from one of them, drawn by their weights.
    pub sources: Vec<MixedSource>,
    /// Rows in a batch (B).
    #[serde(default = "defaults::batch")]
    pub batch: usize,
    /// How records become rows.
    #[serde(default)]
    pub sequence: SequenceSpec,
    /// How images and clips become pixels.
    #[serde(default)]
    pub pixels: PixelSpec,
    /// Seeds every random choice.
    #[serde(default)]
    pub seed: u64,
    /// How often each source is read; without end if absent.
    #[serde(default)]
    pub epochs: Option<u64>,
    /// How far records are moved from their place.
    #[serde(default)]
    pub shuffle: Shuffling,
    /// Shards of a source that are read in turns.
    #[serde(default = "defaults::open_shards")]
    pub open_shards: usize,
    /// Batches' worth of records among which rows of about one length are put together; 1 leaves the order as it is.
    #[serde(default = "defaults::pool_batches")]
    pub pool_batches: usize,
    /// The most bytes of such records; a pool that reaches it is closed early.
    #[serde(default = "defaults::pool_bytes")]
    pub pool_bytes: usize,
    /// This process among `world`.
    #[serde(default)]
    pub rank: usize,
    /// Processes that share the records.
    #[serde(default = "defaults::world")]
    pub world: usize,
    /// Batches that are ready, or being made, before they are asked for.
    #[serde(default = "defaults::prefetch")]
    pub prefetch: usize,
    /// The most bytes of records on the way between reading and pooling.
    #[serde(default = "defaults::prefetch_bytes")]
    pub prefetch_bytes: usize,
    /// Threads that take apart, tokenise, decode and transform; as many as the machine has if absent. They change the
    /// speed and nothing else.
    #[serde(default)]
    pub workers: Option<usize>,
    /// The share of bad records that ends the stream.
    #[serde(default = "defaults::max_reject_rate")]
    pub max_reject_rate: f64,
    /// Where bad records are written down, one JSON object a line.
    #[serde(default)]
    pub rejects: Option<PathBuf>,
}

/// A source in a mixture.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MixedSource {
    /// As [`SourceSpec::name`].
    pub name: String,
    /// As [`SourceSpec::format`].
    pub format: String,
    /// As [`SourceSpec::paths`].
    pub paths: Vec<String>,
    /// As [`SourceSpec::options`].
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub options: Map<String, Value>,
    /// How often a record comes from this source, in relation to the other weights.
    #[serde(default = "defaults::weight")]
    pub weight: f64,
    /// Whether its images may be mirrored, as often as [`Augment::flip`] says. Not where they show text, or where left
    /// and right are told apart.
    #[serde(default = "defaults::flips", skip_serializing_if = "Clone::clone")]
    pub flips: bool,
}

/// How far records are moved from their place: the buffer from which the next one is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Shuffling {
    /// Records of each source; 1 keeps their order.
    pub records: usize,
    /// The most bytes of them.
    pub bytes: usize,
}

/// How images and clips become pixels.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PixelSpec {
    /// Size, resizing rule and normalisation of the encoder.
    pub preprocess: PreprocessSpec,
    /// Random changes; all frames of a clip change alike. With them pixels are computed in the fastest way
    /// ([`Fidelity::Fast`](crate::transform::Fidelity)), even if each of them is none; without this table, exactly.
    pub augment: Option<Augment>,
    /// Which frames of a clip are shown. Where it is a window, a place for it is drawn.
    pub clip: FrameSampling,
}

impl Default for Shuffling {
    fn default() -> Self {
        Self { records: 1000, bytes: 256 << 20 }
    }
}

impl Default for PixelSpec {
    /// The paper's: 320 pixels, 8 frames at 1 a second.
    fn default() -> Self {
        let preprocess = PreprocessSpec::imagenet(320);
        Self { preprocess, augment: None, clip: FrameSampling::training() }
    }
}

impl PixelSpec {
    /// The transform of a source whose images may be mirrored, or may not.
    pub(super) fn transform(&self, flips: bool) -> ImageTransform {
        let augment = self.augment.clone().map(|it| if flips { it } else { it.without_flips() });
        ImageTransform::new(self.preprocess.clone(), augment)
    }
}

impl MixedSource {
    /// The source alone.
    pub fn spec(&self) -> SourceSpec {
        SourceSpec {
            name: self.name.clone(),
            format: self.format.clone(),
            paths: self.paths.clone(),
            options: self.options.clone(),
        }
    }
}

impl StreamSpec {
    /// A stream over `sources` with all other settings at their defaults.
    pub fn new(sources: Vec<MixedSource>) -> Self {
        Self {
            sources,
            batch: defaults::batch(),
            sequence: SequenceSpec::default(),
            pixels: PixelSpec::default(),
            seed: 0,
            epochs: None,
            shuffle: Shuffling::default(),
            open_shards: defaults::open_shards(),
            pool_batches: defaults::pool_batches(),
            pool_bytes: defaults::pool_bytes(),
            rank: 0,
            world: defaults::world(),
            prefetch: defaults::prefetch(),
            prefetch_bytes: defaults::prefetch_bytes(),
            workers: None,
            max_reject_rate: defaults::max_reject_rate(),
            rejects: None,
        }
    }

    /// Refuses what cannot be done.
    pub(super) fn check(&self) -> Result<(), DataError> {
        let refuse = |what: String| Err(DataError::StreamSpec { what });
        let counts = [
            ("batch", self.batch),
            ("sequence.len", self.sequence.len),
            ("pixels.preprocess.size", self.pixels.preprocess.size),
            ("pixels.clip.max_frames", self.pixels.clip.max_frames),
            ("shuffle.records", self.shuffle.records),
            ("open_shards", self.open_shards),
            ("pool_batches", self.pool_batches),
            ("prefetch", self.prefetch),
            ("workers", self.workers.unwrap_or(1)),
        ];
        if let Some((name, _)) = counts.iter().find(|(_, count)| *count == 0) {
            return refuse(format!("`{name}` is 0, and must be at least 1"));
        }
        if self.rank >= self.world {
            return refuse(format!("`rank` is {}, and must be less than `world`, {}", self.rank, self.world));
        }
        if self.sources.is_empty() {
            return refuse("`sources` is empty; name at least one".to_owned());
        }
        for source in &self.sources {
            if !source.weight.is_finite() || source.weight <= 0.0 {
                let (name, weight) = (&source.name, source.weight);
                return refuse(format!("the weight of source {name:?} is {weight}, and must be more than 0"));
            }
        }
        Ok(())
    }

    /// Tells whether a state belongs to this stream: a hash of all that the batches depend on.
    pub(super) fn fingerprint(&self, shards: &[&[Location]], encoder: &dyn TextEncoder) -> String {
        // What changes only speed, memory and reports is left out.
        let decisive = Self {
            prefetch: 1,
            prefetch_bytes: 0,
            workers: None,
            max_reject_rate: 0.0,
            rejects: None,
            ..self.clone()
        };
        let special = encoder.special();
        let special = [special.pad, special.bos, special.eos, special.image, special.eoc];
        let seen = (decisive, shards, special, encoder.encode("Cute pics of my 2 pets, côte d’ivoire!"));
        let json = serde_json::to_vec(&seen).expect("numbers, texts and lists have a JSON form");
        Sha256::digest(json).iter().take(16).map(|byte| format!("{byte:02x}")).collect()
    }
}

mod defaults {
    pub(super) fn batch() -> usize {
        32
    }
    pub(super) fn open_shards() -> usize {
        4
    }
    pub(super) fn pool_batches() -> usize {
        8
    }
    pub(super) fn pool_bytes() -> usize {
        256 << 20
    }
    pub(super) fn world() -> usize {
        1
    }
    pub(super) fn prefetch() -> usize {
        2
    }
    pub(super) fn prefetch_bytes() -> usize {
        128 << 20
    }
    pub(super) fn max_reject_rate() -> f64 {
        0.1
    }
    pub(super) fn weight() -> f64 {
        1.0
    }
    pub(super) fn flips() -> bool {
        true
    }
}
