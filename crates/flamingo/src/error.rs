//! Everything that can go wrong when a Flamingo is made, loaded, trained or asked.

use std::path::PathBuf;

use flamingo_core::{DeviceError, OverlayError};
use flamingo_data::DataError;
use flamingo_lm::LmError;
use flamingo_train::TrainError;
use flamingo_vision::VisionError;
use flamingo_weights::WeightsError;
use thiserror::Error;

/// The library's error.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum FlamingoError {
    /// No preset of that name.
    #[error("unknown preset {name:?}: there are {known}{hint}")]
    UnknownPreset {
        /// What was asked for.
        name: String,
        /// The presets that there are.
        known: String,
        /// The nearest, as the end of a sentence.
        hint: String,
    },
    /// Two sizes that must be equal are not.
    #[error("the model's parts do not fit: {left} is {a}, {right} is {b}; make them equal")]
    Mismatch {
        /// One size.
        left: &'static str,
        /// Its value.
        a: usize,
        /// The other size.
        right: &'static str,
        /// Its value.
        b: usize,
    },
    /// `xattn.every` is 0.
    #[error("xattn.every must be at least 1: it is the number of language-model layers per gated block")]
    NoBlocks,
    /// A folder that should hold a model or a run does not.
    #[error("{}: {message}", path.display())]
    Folder {
        /// The folder or file.
        path: PathBuf,
        /// What is missing and what to do.
        message: String,
    },
    /// A published model that is not as such models are.
    #[error("{what}")]
    Published {
        /// The file, what is odd about it, and what was expected.
        what: String,
    },
    /// A feature cache cannot be used.
    #[error("feature cache: {what}")]
    Features {
        /// What is wrong.
        what: String,
    },
    /// A prompt that does not suit the model.
    #[error("the prompt: {what}")]
    Prompt {
        /// What is wrong with it, and what was expected.
        what: String,
    },
    /// A prompt's file that is not as such files are.
    #[error("{}: {what}", path.display())]
    PromptFile {
        /// The file.
        path: PathBuf,
        /// The part, what is wrong with it, and what was expected.
        what: String,
    },
    /// A prompt that is longer than the language model can read.
    #[error(
        "the prompt has {tokens} tokens, the language model reads {context}: shorten it, or leave out examples"
    )]
    TooLong {
        /// Tokens of the prompt.
        tokens: usize,
        /// Tokens that the language model was trained to read at once.
        context: usize,
    },
    /// A choice of a generation that cannot be.
    #[error("{field} = {value}: must be {allowed}")]
    GenerateOption {
        /// Its name in [`GenerateOptions`](crate::generate::GenerateOptions).
        field: &'static str,
        /// What was asked for.
        value: String,
        /// What can be asked for.
        allowed: &'static str,
    },
    /// A model's scores are no distribution.
    #[error(
        "the model's {vocab} scores of the next token are not all finite numbers: its weights are damaged, or too large \
         for the number format that it runs in; try f32"
    )]
    Scores {
        /// Size of the vocabulary.
        vocab: usize,
    },
    /// Bans leave no token.
    #[error(
        "none of {vocab} tokens can come next: banned_ids, no_repeat_ngram and min_new_tokens forbid them all; allow more"
    )]
    NoToken {
        /// Size of the vocabulary.
        vocab: usize,
    },
    /// Weights that have a name of their own are not there yet.
    #[error("the weights {name:?} are not at {}: get them by `cargo xtask data fetch {name}`", path.display())]
    NotFetched {
        /// What was asked for.
        name: String,
        /// Where they would be.
        path: PathBuf,
    },
    /// Neither a path nor the id of a model.
    #[error(
        "{name:?} is no path that exists, and no id of a model on the hub either, which is written owner/name or \
         owner/name@revision"
    )]
    NoSuchModel {
        /// What was asked for.
        name: String,
    },
    /// A model is not in the hub's cache, and nothing may be fetched.
    #[error(
        "{id} is no path that exists, nor is it whole in the cache {cache}, and HF_HUB_OFFLINE forbids to fetch it: \
         unset that, or name a folder with the model's files"
    )]
    Offline {
        /// What was asked for.
        id: String,
        /// The cache's folder.
        cache: PathBuf,
    },
    /// The hub does not give a model.
    #[error("{id} is no path that exists, and cannot be had as a model of the hub: {what}")]
    Hub {
        /// The model.
        id: String,
        /// What is wrong and what to do.
        what: String,
    },
    /// Checkpoint files.
    #[error(transparent)]
    Weights(#[from] WeightsError),
    /// Language-model families.
    #[error(transparent)]
    Language(#[from] LmError),
    /// Vision families.
    #[error(transparent)]
    Vision(#[from] VisionError),
    /// Data.
    #[error(transparent)]
    Data(#[from] DataError),
    /// Training, checkpoints, run folders.
    #[error(transparent)]
    Train(#[from] TrainError),
    /// Configuration files.
    #[error(transparent)]
    Config(#[from] OverlayError),
    /// Devices.
    #[error(transparent)]
    Device(#[from] DeviceError),
}
