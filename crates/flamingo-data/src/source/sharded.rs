//! What the formats in tar shards share: shards, options, and a function from a record to a sample.

use super::{Records, Source, SourceSpec, Unread};
use crate::DataError;
use crate::reject::Reject;
use crate::sample::Sample;
use crate::store::{Location, Store};
use crate::webdataset::{Limits, Record, ShardRecords};

/// A source of tar shards, whose records `sample` takes apart by `options`.
pub(super) struct Sharded<O> {
    shards: Vec<Location>,
    store: Store,
    options: O,
    limits: Limits,
    sample: fn(Record, &O) -> Result<Sample, Reject>,
}

impl<O: Clone + Send + Sync + 'static> Sharded<O> {
    /// Finds the shards of `spec`.
    ///
    /// # Errors
    ///
    /// If there are none.
    pub fn open(
        spec: &SourceSpec,
        store: &Store,
        options: O,
        limits: Limits,
        sample: fn(Record, &O) -> Result<Sample, Reject>,
    ) -> Result<Box<dyn Source>, DataError> {
        Ok(Box::new(Self {
            shards: store.shards(&spec.paths)?,
            store: store.clone(),
            options,
            limits,
            sample,
        }))
    }
}

impl<O: Clone + Send + Sync + 'static> Source for Sharded<O> {
    fn shards(&self) -> &[Location] {
        &self.shards
    }

    fn open(&self, shard: usize, skip: usize) -> Result<Records, Reject> {
        let records = ShardRecords::open(&self.store, &self.shards[shard], self.limits)?;
        let (options, sample) = (self.options.clone(), self.sample);
        Ok(Box::new(records.skip(skip).map(move |record| {
            let (record, options) = (record?, options.clone());
            Ok(Unread::new(record.key.clone(), record.len(), move || sample(record, &options)))
        })))
    }
}
