//! What some metrics know of English beside letters: the base forms of words.

use std::path::Path;

use crate::EvalError;
use crate::metrics::wordnet::WordNet;

/// WordNet.
#[derive(Debug)]
pub struct Language {
    wordnet: WordNet,
}

impl Language {
    /// Reads a folder of WordNet's files.
    ///
    /// # Errors
    ///
    /// If a file is missing or is not as such files are.
    pub fn open(wordnet: &Path) -> Result<Self, EvalError> {
        Ok(Self { wordnet: WordNet::open(wordnet)? })
    }

    /// The meanings of words.
    pub fn wordnet(&self) -> &WordNet {
        &self.wordnet
    }
}
