//! Where samples come from: one file per format, one line each in [`FORMATS`].
//!
//! A [`Source`] is a list of shards (archives, tables, folders) and, for each, its records in order. Reading is in
//! two steps, so that it can be spread over threads: [`Source::open`] walks through a shard's bytes, which is
//! sequential and cheap, and gives [`Unread`] records; [`Unread::read`] takes one of them apart, on any thread.
//!
//! Record numbers within a shard count everything that the iterator gives, bad records too: a place in a source is a
//! shard and such a number, and does not depend on threads.

mod assignment;
pub mod documents;
mod files;
pub mod html;
pub mod mmc4;
pub mod obelics;
mod page;
pub mod pairs;
pub(crate) mod rows;
mod sharded;
pub mod table;

#[cfg(test)]
pub(crate) mod testing;

use std::fmt::{self, Debug};

use flamingo_core::overlay_value;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::DataError;
use crate::reject::Reject;
use crate::sample::Sample;
use crate::store::{Location, Store};

/// All formats.
pub const FORMATS: &[Format] = &[
    documents::FORMAT,
    html::FORMAT,
    mmc4::FORMAT,
    obelics::FORMAT,
    pairs::FORMAT,
    table::IMAGES,
    table::CLIPS,
];

/// A way in which samples lie on disk.
pub struct Format {
    /// The name in configuration files.
    pub name: &'static str,
    /// What it reads, in one line, for help texts.
    pub summary: &'static str,
    /// Finds a source's shards and checks its options.
    pub open: OpenSource,
}

/// Opens a source of one format.
pub type OpenSource = fn(&SourceSpec, &Store) -> Result<Box<dyn Source>, DataError>;

/// A source in a configuration file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SourceSpec {
    /// What reports call the source.
    pub name: String,
    /// Its format: a name of [`FORMATS`].
    pub format: String,
    /// Paths or URLs of its shards; braces (`{000..127}`, `{a,b}`) and, for files, globs (`*`, `?`, `[…]`) are
    /// expanded.
    pub paths: Vec<String>,
    /// What only this format knows, such as the names of columns; an unknown key is an error.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub options: Map<String, Value>,
}

/// Shards and their records.
pub trait Source: Send + Sync {
    /// The shards, in a fixed order.
    fn shards(&self) -> &[Location];

    /// The records of a shard from number `skip` on, in order. What is skipped is read as cheaply as the format
    /// allows.
    ///
    /// # Errors
    ///
    /// If the shard cannot be opened. A bad record is an item, and records after it follow if they can be found.
    fn open(&self, shard: usize, skip: usize) -> Result<Records, Reject>;
}

/// A shard's records.
pub type Records = Box<dyn Iterator<Item = Result<Unread, Reject>> + Send>;

/// A record whose bytes are there, but not yet taken apart.
pub struct Unread {
    /// The record's name within its shard.
    pub key: String,
    /// Memory that it takes, in bytes.
    pub bytes: usize,
    read: Box<dyn FnOnce() -> Result<Sample, Reject> + Send>,
}

impl Unread {
    /// A record of `bytes` bytes that `read` takes apart.
    pub fn new(
        key: impl Into<String>,
        bytes: usize,
        read: impl FnOnce() -> Result<Sample, Reject> + Send + 'static,
    ) -> Self {
        Self { key: key.into(), bytes, read: Box::new(read) }
    }

    /// Takes the record apart: parses its description, finds its images. Nothing is decoded yet.
    ///
    /// # Errors
    ///
    /// If the record is not what its format promises.
    pub fn read(self) -> Result<Sample, Reject> {
        (self.read)()
    }
}

impl Debug for Unread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Unread").field("key", &self.key).field("bytes", &self.bytes).finish_non_exhaustive()
    }
}

impl SourceSpec {
    /// Opens the source: finds its format and its shards.
    ///
    /// # Errors
    ///
    /// [`DataError::UnknownFormat`]; and what the format finds wrong with paths and options.
    pub fn open(&self, store: &Store) -> Result<Box<dyn Source>, DataError> {
        let format = FORMATS.iter().find(|format| format.name == self.format);
        let format = format.ok_or_else(|| DataError::UnknownFormat {
            source_name: self.name.clone(),
            format: self.format.clone(),
            known: FORMATS.iter().map(|format| format.name).collect(),
        })?;
        (format.open)(self, store)
    }

    /// The options, laid over the defaults of the format.
    ///
    /// # Errors
    ///
    /// [`DataError::Options`] on a key that the defaults lack, which names the nearest one, and on a value of the wrong
    /// type.
    pub fn options<T: Default + Serialize + DeserializeOwned>(&self) -> Result<T, DataError> {
        let origin = format!("source {:?}, options", self.name);
        Ok(overlay_value(&T::default(), Value::Object(self.options.clone()), origin)?)
    }

    /// An error about the options, which says `what` is wrong with them.
    pub(crate) fn bad_option(&self, what: impl Into<String>) -> DataError {
        DataError::SourceOptions { source_name: self.name.clone(), what: what.into() }
    }
}
