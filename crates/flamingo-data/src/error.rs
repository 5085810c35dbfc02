//! What can go wrong between the disk and a batch.

use std::io;
use std::path::PathBuf;

use thiserror::Error;

/// Why data could not be read, written or used.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum DataError {
    /// A shard, or the folder that should hold some, is not there.
    #[error("no shard at {}: {hint}", path.display())]
    MissingShard {
        /// Where it was looked for.
        path: PathBuf,
        /// What to do about it.
        hint: String,
    },
    /// A shard is there, but its contents are not what a shard holds.
    #[error("corrupt shard {}, {record}: {what}; fetch or rebuild the shard", path.display())]
    CorruptShard {
        /// The shard.
        path: PathBuf,
        /// The record's key, or the position where no key could be read.
        record: String,
        /// What is wrong.
        what: String,
    },
    /// A record's description lacks a field, or the field has a value that makes no sense.
    #[error("shard {}, record {record:?}: field `{field}` {what}", path.display())]
    Metadata {
        /// The shard.
        path: PathBuf,
        /// The record's key.
        record: String,
        /// The field, or the record's file extension where a whole file is missing.
        field: String,
        /// What is wrong, and what was expected.
        what: String,
    },
    /// Bytes that should be an image are not one that can be decoded.
    #[error("{name} is not a usable image: {reason} (expected JPEG, PNG, WebP or GIF)")]
    NotAnImage {
        /// The file or record.
        name: String,
        /// What the decoder says.
        reason: String,
    },
    /// A file could not be read or written.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// A tokenizer file is missing or is not one that this crate can use.
    #[error("tokenizer file {}: {what}", path.display())]
    TokenizerFile {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        what: String,
    },
    /// A tokenizer could not be trained.
    #[error("training a tokenizer: {what}")]
    TokenizerTraining {
        /// What is wrong.
        what: String,
    },
    /// A data set has nothing of a kind that is needed.
    #[error("the data set has no {what}: {hint}")]
    Empty {
        /// What is missing.
        what: &'static str,
        /// What to do about it.
        hint: &'static str,
    },
}
