//! What can go wrong when an encoder is chosen or its published weights are read.

use thiserror::Error;

/// Why an encoder could not be made.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum VisionError {
    /// No encoder of that name.
    #[error("unknown vision encoder {name:?}: there are {known}{hint}")]
    UnknownName {
        /// What was asked for.
        name: String,
        /// The family's names.
        known: String,
        /// The nearest, as the end of a sentence.
        hint: String,
    },
    /// A `config.json` that does not describe an encoder of this family.
    #[error("the configuration of a {family} does not fit: {what}")]
    Config {
        /// The family that was expected.
        family: &'static str,
        /// The field, its value, and what was expected.
        what: String,
    },
}

impl VisionError {
    /// `name` is none of `known`.
    pub(crate) fn unknown<'a>(name: &str, known: impl IntoIterator<Item = &'a str> + Clone) -> Self {
        Self::UnknownName {
            name: name.to_owned(),
            known: known.clone().into_iter().collect::<Vec<_>>().join(", "),
            hint: flamingo_core::nearest::hint(name, known),
        }
    }
}
