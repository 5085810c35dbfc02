//! What can go wrong between a published language model and the decoder.

use std::path::PathBuf;

use flamingo_weights::WeightsError;
use thiserror::Error;

/// Why a language model could not be described or loaded.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum LmError {
    /// A file could not be read.
    #[error("cannot read {}: {source}; a language model's folder has a config.json", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// A `config.json` is not JSON.
    #[error("{} is not JSON: {source}", path.display())]
    Json {
        /// The file.
        path: PathBuf,
        /// Where and why.
        source: serde_json::Error,
    },
    /// The model says what it is, and it is none of ours.
    #[error("{key} is {name:?}, a language model that this program does not know; it knows {known}{hint}")]
    UnknownFamily {
        /// Where the name was read.
        key: &'static str,
        /// The name.
        name: String,
        /// All known names.
        known: String,
        /// The nearest of them.
        hint: String,
    },
    /// The model does not say what it is.
    #[error("neither `model_type` nor `architectures` is in the configuration, so its family is unknown")]
    NoFamily,
    /// A configuration lacks something, or has something of the wrong type.
    #[error("the configuration of this {family} model cannot be used: {source}")]
    Config {
        /// The family's name.
        family: &'static str,
        /// The field and what is wrong.
        source: serde_json::Error,
    },
    /// A configuration asks for something that the decoder has not.
    #[error(
        "the configuration of this {family} model has {setting}, which is not supported; expected {expected}"
    )]
    Unsupported {
        /// The family's name.
        family: &'static str,
        /// The key and its value.
        setting: String,
        /// What would be.
        expected: &'static str,
    },
    /// A GGUF file lacks a key, or it has the wrong type.
    #[error("the GGUF metadata has no usable {key:?}: expected {expected}, found {found}")]
    Metadata {
        /// The key.
        key: String,
        /// What it should be.
        expected: &'static str,
        /// What it is.
        found: String,
    },
    /// Sizes that cannot be true together.
    #[error("the sizes of this language model do not fit: {what}; is its configuration damaged?")]
    Sizes {
        /// Which, and why.
        what: String,
    },
    /// Adapters that cannot be.
    #[error("LoRA config, `{key}`: {what}")]
    Lora {
        /// The offending key.
        key: &'static str,
        /// What is wrong, and what is expected.
        what: String,
    },
    /// The weights do not fit the configuration.
    #[error(transparent)]
    Weights(#[from] WeightsError),
}
