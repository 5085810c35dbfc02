//! What a run has worked out so far, beside its output: killed at any moment, the next run goes on from here.
//!
//! Work is cut into blocks whose results are files of their own, each put in place whole. A file that tells the run's
//! rules and input keeps results of one run from being taken for another's.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use rayon::prelude::*;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::DataError;

/// Items of a block.
const BLOCK: usize = 512;

/// The folder of a run's state.
#[derive(Debug)]
pub(crate) struct State {
    folder: PathBuf,
}

impl State {
    /// The state, in the folder `output`, of the run that `identity` tells apart from others.
    ///
    /// # Errors
    ///
    /// [`DataError::OtherRun`] if the folder has another run's state or shards.
    pub fn open(output: &Path, identity: &str) -> Result<Self, DataError> {
        let other = || DataError::OtherRun { path: output.to_owned() };
        let folder = output.join(".interleave");
        fs::create_dir_all(&folder).map_err(|error| io_error(&folder, error))?;
        let path = folder.join("identity");
        match fs::read_to_string(&path) {
            Ok(found) if found == identity => {}
            Ok(_) => return Err(other()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                // Shards without a state are somebody else's, and would be taken for finished ones.
                if crate::webdataset::list_shards(output).is_ok() {
                    return Err(other());
                }
                write_whole(&path, identity.as_bytes())?;
            }
            Err(error) => return Err(io_error(&path, error)),
        }
        Ok(Self { folder })
    }

    /// `work` done on all items, in parallel; blocks that are done already are read. `progress` is told the number of
    /// items done.
    ///
    /// # Errors
    ///
    /// [`DataError::Io`] if a block cannot be written.
    pub fn all<I: Sync, T: Serialize + DeserializeOwned + Send>(
        &self,
        name: &str,
        items: &[I],
        work: impl Fn(&I) -> T + Sync,
        progress: impl Fn(usize),
    ) -> Result<Vec<T>, DataError> {
        let mut results = Vec::with_capacity(items.len());
        for (index, block) in items.chunks(BLOCK).enumerate() {
            let path = self.folder.join(format!("{name}-{index:06}.json"));
            // A block that cannot be read is done again.
            let done = fs::read(&path).ok().and_then(|bytes| serde_json::from_slice::<Vec<T>>(&bytes).ok());
            match done.filter(|done| done.len() == block.len()) {
                Some(done) => results.extend(done),
                None => {
                    let done: Vec<T> = block.par_iter().map(&work).collect();
                    let bytes = serde_json::to_vec(&done).map_err(|error| io_error(&path, error.into()))?;
                    write_whole(&path, &bytes)?;
                    results.extend(done);
                }
            }
            progress(results.len());
        }
        Ok(results)
    }
}

/// Writes a file that is there whole or not at all.
pub(crate) fn write_whole(path: &Path, bytes: &[u8]) -> Result<(), DataError> {
    let partial = partial(path);
    fs::write(&partial, bytes)
        .and_then(|()| fs::rename(&partial, path))
        .map_err(|error| io_error(path, error))
}

/// Where a file is written before it is whole.
pub(crate) fn partial(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".{name}.partial"))
}

pub(crate) fn io_error(path: &Path, source: io::Error) -> DataError {
    DataError::Io { path: path.to_owned(), source }
}
