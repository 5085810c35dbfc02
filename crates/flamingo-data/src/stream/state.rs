//! Where a stream stands, small enough to go into every checkpoint.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write};
use std::path::Path;

use serde::{Deserialize, Serialize};
use tempfile::NamedTempFile;

use super::mix::MixState;
use crate::error::DataError;
use crate::reject::Reason;

/// The version that this program writes.
const VERSION: u32 = 1;

/// Where a stream stands after some batches. Serialises to JSON of about 20 bytes for each record of the shuffle buffer.
///
/// It is a snapshot of the reading positions some records back, and how far the stream has come since. No record's
/// bytes are in it: [`super::Stream::resume`] reads them again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StreamState {
    pub(super) version: u32,
    pub(super) fingerprint: String,
    /// Batches that were delivered.
    pub batches: u64,
    /// Records that could be used.
    pub accepted: u64,
    /// Records that could not, by reason.
    pub rejected: BTreeMap<Reason, u64>,
    pub(super) cursor: Cursor,
}

/// The place of a delivery.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Cursor {
    /// The positions before record `read`.
    pub mix: MixState,
    /// Records read before the snapshot.
    pub read: u64,
    /// Records read before the pool's first one.
    pub pool_start: u64,
    /// The pool's number.
    pub pool: u64,
    /// Deliveries of the pool that were taken.
    pub delivered: usize,
}

impl StreamState {
    pub(super) fn start(fingerprint: String) -> Self {
        let (batches, accepted, rejected, cursor) = Default::default();
        Self { version: VERSION, fingerprint, batches, accepted, rejected, cursor }
    }

    /// Refuses a state of another stream.
    pub(super) fn check(&self, fingerprint: &str) -> Result<(), DataError> {
        let refuse = |what: String| Err(DataError::StreamState { what });
        if self.version != VERSION {
            let version = self.version;
            return refuse(format!("it is of version {version}, and this program reads version {VERSION}"));
        }
        if self.fingerprint != fingerprint {
            return refuse(
                "the stream's settings, its list of shards or its tokenizer have changed since it was written; \
                 restore them, or start anew without the state"
                    .to_owned(),
            );
        }
        Ok(())
    }

    /// Reads a state that [`StreamState::save`] wrote.
    ///
    /// # Errors
    ///
    /// [`DataError::Io`] if the file cannot be read, [`DataError::StreamState`] if it is no state.
    pub fn load(path: impl AsRef<Path>) -> Result<Self, DataError> {
        let path = path.as_ref();
        let bytes = fs::read(path).map_err(|source| DataError::Io { path: path.to_owned(), source })?;
        serde_json::from_slice(&bytes).map_err(|error| DataError::StreamState {
            what: format!("{} is not a stream's state ({error})", path.display()),
        })
    }

    /// Writes the state as JSON. The file is the old one or the new one at any moment, never a part.
    ///
    /// # Errors
    ///
    /// [`DataError::Io`] if the file cannot be written.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<(), DataError> {
        let path = path.as_ref();
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let written = || -> io::Result<()> {
            let mut file = NamedTempFile::new_in(folder)?;
            file.write_all(&serde_json::to_vec(self)?)?;
            file.as_file().sync_all()?;
            file.persist(path).map_err(|error| error.error)?;
            Ok(())
        };
        written().map_err(|source| DataError::Io { path: path.to_owned(), source })
    }
}
