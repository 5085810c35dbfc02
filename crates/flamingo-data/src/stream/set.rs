//! Streams side by side: one batch of each per update, as the paper trains.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{Stream, StreamBatch, StreamSpec, StreamState};
use crate::encoder::TextEncoder;
use crate::error::DataError;
use crate::features::FeatureLookup;
use crate::store::Store;

/// Several streams.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StreamSetSpec {
    /// The streams.
    pub streams: Vec<WeightedStream>,
}

/// A stream among others.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WeightedStream {
    /// lambda: the weight of its batches' loss in an update (section 2.4; 1 for M3W, 0.2 for ALIGN and LTIP, 0.03 for
    /// VTP).
    pub weight: f32,
    /// The stream itself.
    pub stream: StreamSpec,
}

/// Several streams that advance together.
pub struct StreamSet {
    streams: Vec<(f32, Stream)>,
}

impl StreamSet {
    /// Opens all streams; with `states`, in the same order, continues each behind its last batch.
    ///
    /// # Errors
    ///
    /// As [`Stream::resume`]; [`DataError::StreamState`] if there are not as many states as streams.
    pub fn open(
        spec: StreamSetSpec,
        store: &Store,
        encoder: &Arc<dyn TextEncoder>,
        states: Option<Vec<StreamState>>,
    ) -> Result<Self, DataError> {
        Self::open_with(spec, store, encoder, states, None)
    }

    /// [`StreamSet::open`], with features that were kept of media: see [`Stream::over_with`].
    ///
    /// # Errors
    ///
    /// As [`StreamSet::open`] and [`Stream::over_with`].
    pub fn open_with(
        spec: StreamSetSpec,
        store: &Store,
        encoder: &Arc<dyn TextEncoder>,
        states: Option<Vec<StreamState>>,
        features: Option<&Arc<dyn FeatureLookup>>,
    ) -> Result<Self, DataError> {
        let count = spec.streams.len();
        let states = match states {
            Some(states) if states.len() != count => {
                let what = format!("it has {} streams, and the specification {count}", states.len());
                return Err(DataError::StreamState { what });
            }
            Some(states) => states.into_iter().map(Some).collect(),
            None => vec![None; count],
        };
        let streams =
            spec.streams.into_iter().zip(states).map(|(WeightedStream { weight, stream }, state)| {
                let encoder = Arc::clone(encoder);
                let stream = match state {
                    Some(state) => Stream::resume_with(stream, store, encoder, state, features.cloned()),
                    None => Stream::open_with(stream, store, encoder, features.cloned()),
                };
                Ok((weight, stream?))
            });
        Ok(Self { streams: streams.collect::<Result<_, DataError>>()? })
    }

    /// Where each stream stands.
    pub fn states(&self) -> Vec<StreamState> {
        self.streams.iter().map(|(_, stream)| stream.state()).collect()
    }
}

impl Iterator for StreamSet {
    /// A batch of each stream and the weight of its loss.
    type Item = Result<Vec<(f32, StreamBatch)>, DataError>;

    /// `None` as soon as one of the streams ends.
    fn next(&mut self) -> Option<Self::Item> {
        if self.streams.is_empty() {
            return None;
        }
        self.streams
            .iter_mut()
            .map(|(weight, stream)| Some(stream.next()?.map(|batch| (*weight, batch))))
            .collect()
    }
}
