//! From sources to batches: shuffled, mixed, grouped by length, on all cores, and resumable at any batch.
//!
//! The records of a stream have one order, which is a function of the specification alone: of the seed and of how often
//! each source was read before. Shards are permuted and dealt to the ranks (`walk.rs`), several are read in turns, a
//! buffer shuffles their records, and a draw by weights mixes the sources. What is random in a record (its window, its
//! caption, the changes of its images) comes from a generator of its own, made of the seed and the record's place.
//! So neither the number of threads nor a restart changes a single pixel.
//!
//! Memory is bounded by the specification: the shuffle buffer of each source (`shuffle`), records on their way
//! (`prefetch_bytes`), two pools of encoded records (`pool_bytes`), and pixels of `prefetch` batches and the one that was
//! asked for. Pixels are made only when a batch is due.
//!
//! A stream that is given features of media ([`FeatureLookup`]) neither decodes nor transforms those. A batch carries the
//! features of all its media, or else the pixels of all: where the features of one that can be decoded are not there (a
//! window of a long clip lies somewhere else every time), none are used. Nothing else changes: the rows, their order,
//! what is refused, and the state are those of the stream without features.
//!
//! ```no_run
//! use std::sync::Arc;
//!
//! use flamingo_data::stream::{Stream, StreamSpec, StreamState};
//! use flamingo_data::{Store, TextTokenizer};
//!
//! let spec: StreamSpec = serde_json::from_str(
//!     r#"{"sources": [{"name": "pages", "format": "documents", "paths": ["pages/{000..127}.tar"]}], "batch": 8}"#,
//! )?;
//! let tokenizer = Arc::new(TextTokenizer::load("tokenizer.json")?);
//! let mut stream = Stream::open(spec, &Store::default(), tokenizer)?;
//! for batch in stream.by_ref().take(100) {
//!     println!("{} rows", batch?.host.batch);
//! }
//! stream.state().save("stream.json")?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod draw;
mod engine;
mod mix;
mod pool;
mod render;
mod row;
mod set;
mod spec;
mod state;
mod walk;

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::sync::mpsc::Receiver;

pub use render::StreamBatch;
pub use row::RowId;
pub use set::{StreamSet, StreamSetSpec, WeightedStream};
pub use spec::{MixedSource, PixelSpec, Shuffling, StreamSpec};
pub use state::StreamState;
pub use walk::Place;

use crate::encoder::TextEncoder;
use crate::error::DataError;
use crate::features::FeatureLookup;
use crate::reject::RejectLog;
use crate::source::Source;
use crate::store::{Location, Store};
use engine::{Delivered, Delivery, Shared};
use mix::Mix;
use state::Cursor;

/// Batches, one after another. Its threads work ahead; they end when it is dropped.
///
/// After an error it is at its end.
pub struct Stream {
    shared: Arc<Shared>,
    deliveries: Option<Receiver<Result<Delivery, DataError>>>,
    /// Where the pool of the last delivery began, and how much of it was taken.
    last: (Arc<Cursor>, usize),
    /// Counts and fingerprint; its cursor is the one that the stream began with.
    begun: StreamState,
    batches: u64,
    log: RejectLog,
}

impl Stream {
    /// Opens the sources of `spec` and starts to read.
    ///
    /// # Errors
    ///
    /// [`DataError::StreamSpec`] on settings that make no sense; what is wrong with a source; [`DataError::Io`] if the
    /// file of rejects cannot be opened.
    pub fn open(spec: StreamSpec, store: &Store, encoder: Arc<dyn TextEncoder>) -> Result<Self, DataError> {
        Self::open_with(spec, store, encoder, None)
    }

    /// [`Stream::open`], with features that were kept of media.
    ///
    /// # Errors
    ///
    /// As [`Stream::over_with`].
    pub fn open_with(
        spec: StreamSpec,
        store: &Store,
        encoder: Arc<dyn TextEncoder>,
        features: Option<Arc<dyn FeatureLookup>>,
    ) -> Result<Self, DataError> {
        let sources = open_sources(&spec, store)?;
        Self::over_with(spec, sources, encoder, None, features)
    }

    /// Continues behind the last batch that was delivered before `state` was taken.
    ///
    /// The records of the shuffle buffers are read again, and those of the batches' pool; nothing is decoded. That takes
    /// about as long as reading `shuffle.records + 2 · pool_batches · batch` records.
    ///
    /// # Errors
    ///
    /// As [`Stream::open`]; [`DataError::StreamState`] if the state belongs to another stream,
    /// [`DataError::ShardChanged`] if a shard no longer has a record that is needed.
    pub fn resume(
        spec: StreamSpec,
        store: &Store,
        encoder: Arc<dyn TextEncoder>,
        state: StreamState,
    ) -> Result<Self, DataError> {
        Self::resume_with(spec, store, encoder, state, None)
    }

    /// [`Stream::resume`], with features that were kept of media; the stream of the state may have had others or none.
    ///
    /// # Errors
    ///
    /// As [`Stream::over_with`].
    pub fn resume_with(
        spec: StreamSpec,
        store: &Store,
        encoder: Arc<dyn TextEncoder>,
        state: StreamState,
        features: Option<Arc<dyn FeatureLookup>>,
    ) -> Result<Self, DataError> {
        let sources = open_sources(&spec, store)?;
        Self::over_with(spec, sources, encoder, Some(state), features)
    }

    /// A stream over sources that are open already, in the order of the specification: formats of one's own.
    ///
    /// # Errors
    ///
    /// As [`Stream::resume`].
    pub fn over(
        spec: StreamSpec,
        sources: Vec<Arc<dyn Source>>,
        encoder: Arc<dyn TextEncoder>,
        state: Option<StreamState>,
    ) -> Result<Self, DataError> {
        Self::over_with(spec, sources, encoder, state, None)
    }

    /// [`Stream::over`], with features that were kept of media, by the encoder and the preprocessing of the stream.
    ///
    /// # Errors
    ///
    /// As [`Stream::resume`]; [`DataError::AugmentedFeatures`] if there are features and the specification asks for
    /// augmentation.
    pub fn over_with(
        spec: StreamSpec,
        sources: Vec<Arc<dyn Source>>,
        encoder: Arc<dyn TextEncoder>,
        state: Option<StreamState>,
        features: Option<Arc<dyn FeatureLookup>>,
    ) -> Result<Self, DataError> {
        spec.check()?;
        if features.is_some() && spec.pixels.augment.is_some() {
            return Err(DataError::AugmentedFeatures);
        }
        if sources.len() != spec.sources.len() {
            let (given, named) = (sources.len(), spec.sources.len());
            let what = format!("{given} sources are open, but `sources` names {named}");
            return Err(DataError::StreamSpec { what });
        }
        let shards: Vec<&[Location]> = sources.iter().map(|source| source.shards()).collect();
        let fingerprint = spec.fingerprint(&shards, &*encoder);
        if let Some(state) = &state {
            state.check(&fingerprint)?;
        }
        let mix = Mix::new(&spec, &sources, state.as_ref().map(|state| &state.cursor.mix))?;
        let begun = state.unwrap_or_else(|| StreamState::start(fingerprint));
        let mut log = RejectLog::new(spec.rejects.as_deref(), spec.max_reject_rate)?;
        log.resume(begun.accepted, begun.rejected.clone());

        let names =
            spec.sources.iter().zip(&shards).map(|(source, shards)| {
                (source.name.clone(), shards.iter().map(ToString::to_string).collect())
            });
        let names = names.collect();
        let shared = Arc::new(Shared::new(spec, encoder, features, names));
        let deliveries = Some(engine::start(&shared, mix, &begun.cursor)?);
        let last = (Arc::new(begun.cursor.clone()), begun.cursor.delivered);
        Ok(Self { shared, deliveries, last, batches: begun.batches, begun, log })
    }

    /// Where the stream stands: behind the last batch that it gave.
    pub fn state(&self) -> StreamState {
        let (cursor, delivered) = &self.last;
        StreamState {
            batches: self.batches,
            accepted: self.log.accepted(),
            rejected: self.log.by_reason().clone(),
            cursor: Cursor { delivered: *delivered, ..Cursor::clone(cursor) },
            ..self.begun.clone()
        }
    }

    /// The records so far, good and bad. A good record is one whose batch was given.
    pub fn rejects(&self) -> &RejectLog {
        &self.log
    }

    /// What the stream was made from.
    pub fn spec(&self) -> &StreamSpec {
        &self.shared.spec
    }

    fn advance(&mut self) -> Result<Option<StreamBatch>, DataError> {
        loop {
            let Some(deliveries) = &self.deliveries else { return Ok(None) };
            // Threads that end leave a last word if something was wrong.
            let Ok(delivery) = deliveries.recv() else { return Ok(None) };
            let Delivery { cursor, delivered, content } = delivery?;
            let (batch, rejects) = match content {
                Delivered::Rejects(rejects) => (None, rejects),
                Delivered::Batch(answer) => match engine::wait(&answer) {
                    Some(rendered) => {
                        let rendered = rendered??;
                        (Some(rendered.batch), rendered.rejects)
                    }
                    None => return Ok(None),
                },
            };
            self.last = (cursor, delivered);
            for _ in batch.iter().flat_map(|batch| &batch.rows) {
                self.log.accept();
            }
            for reject in &rejects {
                self.log.reject(reject)?;
            }
            // All rows of a batch may be bad.
            if let Some(batch) = batch.filter(|batch| !batch.rows.is_empty()) {
                self.batches += 1;
                return Ok(Some(batch));
            }
        }
    }
}

impl Iterator for Stream {
    type Item = Result<StreamBatch, DataError>;

    fn next(&mut self) -> Option<Self::Item> {
        let next = self.advance().transpose();
        if !matches!(next, Some(Ok(_))) {
            self.deliveries = None;
            self.shared.stop();
        }
        next
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.shared.stop();
    }
}

fn open_sources(spec: &StreamSpec, store: &Store) -> Result<Vec<Arc<dyn Source>>, DataError> {
    spec.check()?;
    spec.sources.iter().map(|source| source.spec().open(store).map(Arc::from)).collect()
}
