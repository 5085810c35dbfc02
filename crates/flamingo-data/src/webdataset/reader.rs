//! Shards that are known to be good.

use std::path::PathBuf;

use super::{Limits, Record, ShardRecords};
use crate::DataError;
use crate::reject::Reject;
use crate::store::{ByteStream, Location};

/// Iterates over the records of one shard; ends after the first error.
///
/// ```no_run
/// use flamingo_data::ShardReader;
///
/// for record in ShardReader::open("pictures-000.tar.gz")? {
///     let record = record?;
///     println!("{}: {:?}", record.key, record.fields.keys());
/// }
/// # Ok::<(), flamingo_data::DataError>(())
/// ```
pub struct ShardReader {
    path: PathBuf,
    records: ShardRecords,
    done: bool,
}

impl ShardReader {
    /// Opens a shard on this machine.
    ///
    /// # Errors
    ///
    /// [`DataError::MissingShard`] if the file cannot be opened.
    pub fn open(path: impl Into<PathBuf>) -> Result<Self, DataError> {
        let path = path.into();
        let stream = ByteStream::file(&path, 0).and_then(ByteStream::unpacked);
        let stream = stream.map_err(|error| DataError::MissingShard {
            path: path.clone(),
            hint: format!("cannot open it ({error}); check the path, or rebuild the data set"),
        })?;
        let records = ShardRecords::new(Location::from(path.as_path()), stream, Limits::default());
        Ok(Self { path, records, done: false })
    }

    fn corrupt(&self, reject: Reject) -> DataError {
        DataError::CorruptShard { path: self.path.clone(), record: reject.record, what: reject.what }
    }
}

impl Iterator for ShardReader {
    type Item = Result<Record, DataError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.done {
            return None;
        }
        let record = self.records.next()?.map_err(|reject| self.corrupt(reject));
        self.done = record.is_err();
        Some(record)
    }
}
