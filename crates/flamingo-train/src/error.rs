//! What can go wrong while training, and what to do about it.

use std::io;
use std::path::{Path, PathBuf};

use flamingo_core::DeviceError;
use thiserror::Error;

use crate::divergence::Evidence;
use crate::stream::StreamError;

/// A training run that cannot start or go on.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum TrainError {
    /// The configuration contradicts itself or the model.
    #[error("training config, `{key}`: {message}")]
    Config {
        /// The offending key.
        key: String,
        /// What is wrong, and what is expected.
        message: String,
    },
    /// A new run would overwrite an old one.
    #[error(
        "{} already holds a run: continue it with --resume, or name another folder",
        path.display()
    )]
    RunExists {
        /// The folder.
        path: PathBuf,
    },
    /// The operating system refused.
    #[error("cannot {action} {}", path.display())]
    Io {
        /// What was tried, as a verb.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// A file of this crate's own making does not read back.
    #[error("{}: {message}", path.display())]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// Where it breaks, and what to do.
        message: String,
    },
    /// A checkpoint is damaged.
    #[error("the checkpoint {} does not read back; delete that folder to {}", path.display(), way_out(before.as_deref()))]
    TornCheckpoint {
        /// Its folder.
        path: PathBuf,
        /// The one before it.
        before: Option<PathBuf>,
        /// What is wrong with it.
        source: Box<TrainError>,
    },
    /// A checkpoint or a metric record could not be written.
    #[error(
        "update {step} could not be saved{}; {}: make room, or give the right to write there, then go on with --resume",
        need.map(|bytes| format!(" (a checkpoint takes {})", size(bytes))).unwrap_or_default(),
        what_is_left(kept.as_deref())
    )]
    Unsaved {
        /// Updates done.
        step: u64,
        /// Bytes that a checkpoint takes, if that was what should have been written.
        need: Option<u64>,
        /// The newest checkpoint that is there.
        kept: Option<PathBuf>,
        /// Which file, and why.
        source: Box<TrainError>,
    },
    /// Another process trains in the same folder.
    #[error("{} is in use by another training run: wait for its end, or give this run another name", path.display())]
    RunBusy {
        /// The folder.
        path: PathBuf,
    },
    /// A measurement during training failed.
    #[error("the evaluation after update {step} failed")]
    Evaluation {
        /// Updates done.
        step: u64,
        /// The evaluator's own error.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The model has a parameter that the file lacks.
    #[error(
        "{}: tensor {name:?} is missing{hint}; the file must come from a model of the same configuration",
        path.display()
    )]
    MissingTensor {
        /// The file.
        path: PathBuf,
        /// The parameter's path in the model.
        name: String,
        /// The nearest name in the file, as the end of a sentence.
        hint: String,
    },
    /// The file has a tensor for which the model has no use.
    #[error(
        "{}: the model has no use for tensor {name:?}{hint}; the file must come from a model of the same \
         configuration",
        path.display()
    )]
    UnusedTensor {
        /// The file.
        path: PathBuf,
        /// The tensor's name in the file.
        name: String,
        /// The nearest parameter of the model, as the end of a sentence.
        hint: String,
    },
    /// A tensor of the file does not fit its parameter.
    #[error(
        "{}: tensor {name:?}: expected {expected}, found {found}; the file must come from a model of the same \
         configuration",
        path.display()
    )]
    TensorMismatch {
        /// The file.
        path: PathBuf,
        /// The tensor's name.
        name: String,
        /// Shape or number format of the model.
        expected: String,
        /// Shape or number format in the file.
        found: String,
    },
    /// A checkpoint belongs to another run.
    #[error(
        "{}: `{key}` was {before} and is now {now}; put it back to resume, or start a new run folder",
        path.display()
    )]
    ResumeMismatch {
        /// The checkpoint's state file.
        path: PathBuf,
        /// What differs.
        key: String,
        /// Its value when the checkpoint was made.
        before: String,
        /// Its value now.
        now: String,
    },
    /// A source of batches failed.
    #[error("source {source_name:?} failed at step {step}")]
    Stream {
        /// The source's name in the configuration.
        source_name: String,
        /// The update that needed the batch, counted from 1; 0 while restoring.
        step: u64,
        /// The stream's own error.
        #[source]
        error: StreamError,
    },
    /// Training diverged. The last checkpoint is untouched.
    #[error(
        "step {step}: {what} is {value}{evidence}; nothing was overwritten: resume from the last checkpoint with a \
         lower learning rate, a longer warm-up or a smaller clip_norm"
    )]
    NonFinite {
        /// The update, counted from 1.
        step: u64,
        /// Which number: a source's loss, or the gradient norm.
        what: String,
        /// Its value, NaN or infinite.
        value: f64,
        /// Where it shows, and on which batch.
        evidence: Box<Evidence>,
    },
    /// The device cannot do what the configuration asks for.
    #[error(transparent)]
    Device(#[from] DeviceError),
    /// Another replica of a data-parallel run has ended.
    #[error("replica {rank} has ended, so this one cannot go on; its own message says why")]
    ReplicaLost {
        /// Which one, from 0.
        rank: usize,
    },
    /// Replicas do not understand each other.
    #[error("a replica sent what this one cannot read ({message}); do all run the same program?")]
    ReplicaGarbled {
        /// What is wrong.
        message: String,
    },
    /// No parameter can learn from the loss.
    #[error(
        "the loss of source {source_name:?} depends on no trainable parameter: put the model on an autodiff \
         device and leave the parts to train unfrozen"
    )]
    NothingTrainable {
        /// The source's name in the configuration.
        source_name: String,
    },
}

fn way_out(before: Option<&Path>) -> String {
    match before {
        Some(before) => format!("go on from {}", before.display()),
        None => "train the stage from its start: there is no other".to_owned(),
    }
}

fn what_is_left(kept: Option<&Path>) -> String {
    match kept {
        Some(kept) => format!("the checkpoint {} is whole", kept.display()),
        None => "there is no checkpoint of this stage yet".to_owned(),
    }
}

/// `1.5 MB`.
pub fn size(bytes: u64) -> String {
    match bytes as f64 {
        bytes if bytes >= 1e9 => format!("{:.1} GB", bytes / 1e9),
        bytes if bytes >= 1e6 => format!("{:.1} MB", bytes / 1e6),
        bytes => format!("{:.1} kB", bytes / 1e3),
    }
}

impl TrainError {
    /// For `map_err` on file operations.
    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| TrainError::Io { action, path, source }
    }

    pub(crate) fn config(key: impl Into<String>, message: impl Into<String>) -> Self {
        TrainError::Config { key: key.into(), message: message.into() }
    }

    pub(crate) fn corrupt(path: &Path, message: impl Into<String>) -> Self {
        TrainError::Corrupt { path: path.to_owned(), message: message.into() }
    }
}
