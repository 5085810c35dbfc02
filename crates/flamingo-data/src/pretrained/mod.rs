//! The tokenizers that published language models come with.
//!
//! They are read from a `tokenizer.json`, from `vocab.json` and `merges.txt`, or from a GGUF file's metadata. Flamingo's
//! own tokens are appended as OpenFlamingo did, so that its embedding rows keep their ids. Unlike the
//! [`TextTokenizer`](crate::TextTokenizer) that this program trains, special tokens in a text count as such:
//! OpenFlamingo's prompts are written that way.

mod cut;
mod files;
mod gguf;

use std::path::{Path, PathBuf};

use flamingo_weights::Checkpoint;
use tokenizers::{AddedToken, Tokenizer};

use crate::error::DataError;

/// Ids of the tokens that OpenFlamingo adds, in the order in which it adds them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OpenFlamingoTokens {
    /// `<|endofchunk|>`.
    pub eoc: u32,
    /// `<image>`.
    pub image: u32,
    /// What fills rows: the tokenizer's own, or `<PAD>`.
    pub pad: u32,
}

/// A tokenizer made by others.
#[derive(Debug, Clone)]
pub struct PretrainedTokenizer {
    inner: Tokenizer,
    source: PathBuf,
    ends: Ends,
}

/// Tokens around a text, by their text.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Ends {
    bos: Option<String>,
    eos: Option<String>,
    pad: Option<String>,
}

impl PretrainedTokenizer {
    /// Opens a `tokenizer.json`, or a folder with one (or with `vocab.json` and `merges.txt`); from the
    /// `tokenizer_config.json` beside it come the names of BOS, EOS and padding.
    ///
    /// # Errors
    ///
    /// [`DataError::TokenizerFile`] if there is none, or it is broken.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, DataError> {
        files::open(path.as_ref())
    }

    /// The tokenizer of a folder, if it has one.
    ///
    /// # Errors
    ///
    /// [`DataError::TokenizerFile`] if it is broken.
    pub fn find(folder: &Path) -> Result<Option<Self>, DataError> {
        let there = ["tokenizer.json", "vocab.json"].iter().any(|file| folder.join(file).exists());
        there.then(|| files::open(folder)).transpose()
    }

    /// The tokenizer in the metadata of a GGUF file.
    ///
    /// # Errors
    ///
    /// [`DataError::TokenizerFile`] if the file has none, or one of a kind that is not known.
    pub fn from_gguf(checkpoint: &Checkpoint) -> Result<Self, DataError> {
        gguf::read(checkpoint)
    }

    /// Number of tokens, added ones too.
    pub fn vocab(&self) -> usize {
        self.inner.get_vocab_size(true)
    }

    /// Begins a text.
    pub fn bos(&self) -> Option<u32> {
        self.ends.bos.as_deref().and_then(|token| self.id(token))
    }

    /// Ends a text.
    pub fn eos(&self) -> Option<u32> {
        self.ends.eos.as_deref().and_then(|token| self.id(token))
    }

    /// Fills rows.
    pub fn pad(&self) -> Option<u32> {
        self.ends.pad.as_deref().and_then(|token| self.id(token))
    }

    /// The id of a token.
    pub fn id(&self, token: &str) -> Option<u32> {
        self.inner.token_to_id(token)
    }

    /// The token of an id, as the vocabulary has it: a space may be `Ġ` or `▁`.
    pub fn piece(&self, id: u32) -> Option<String> {
        self.inner.id_to_token(id)
    }

    /// The id of a special token, which is appended to the vocabulary if it is not there.
    ///
    /// # Errors
    ///
    /// [`DataError::TokenizerFile`] if `token` is empty.
    pub fn add_special(&mut self, token: &str) -> Result<u32, DataError> {
        self.inner.add_special_tokens(&[AddedToken::from(token, true).normalized(false)]);
        self.id(token).ok_or_else(|| self.failed(format!("cannot have {token:?} as a special token")))
    }

    /// Finds or appends the tokens of OpenFlamingo, in its order: its checkpoints' embedding rows follow it.
    ///
    /// # Errors
    ///
    /// As [`PretrainedTokenizer::add_special`].
    pub fn add_open_flamingo(&mut self) -> Result<OpenFlamingoTokens, DataError> {
        let (eoc, image) = (self.add_special("<|endofchunk|>")?, self.add_special("<image>")?);
        let pad = match self.pad() {
            Some(pad) => pad,
            None => {
                self.ends.pad = Some("<PAD>".to_owned());
                self.add_special("<PAD>")?
            }
        };
        Ok(OpenFlamingoTokens { eoc, image, pad })
    }

    /// The token that ends a text.
    ///
    /// # Errors
    ///
    /// [`DataError::TokenizerFile`] if there is none.
    pub(crate) fn require_eos(&self) -> Result<u32, DataError> {
        self.eos().ok_or_else(|| {
            self.failed("has no EOS; name it as `eos_token` in a tokenizer_config.json beside it".to_owned())
        })
    }

    /// From now on, text that spells a special token is text.
    pub(crate) fn read_special_as_text(&mut self) {
        self.inner.set_encode_special_tokens(true);
    }

    /// The ids of a text, with BOS in front if this tokenizer puts it there.
    ///
    /// # Errors
    ///
    /// [`DataError::TokenizerFile`] if the vocabulary cannot spell the text.
    pub fn encode(&self, text: &str) -> Result<Vec<u32>, DataError> {
        self.encode_with(text, true)
    }

    /// The ids of a text that continues another: without BOS.
    ///
    /// # Errors
    ///
    /// As [`PretrainedTokenizer::encode`].
    pub fn encode_part(&self, text: &str) -> Result<Vec<u32>, DataError> {
        self.encode_with(text, false)
    }

    /// The text of `ids`; special tokens and unknown ids are left out.
    ///
    /// # Errors
    ///
    /// [`DataError::TokenizerFile`] if the decoder fails.
    pub fn decode(&self, ids: &[u32]) -> Result<String, DataError> {
        self.inner.decode(ids, true).map_err(|error| self.failed(format!("cannot decode ({error})")))
    }

    fn encode_with(&self, text: &str, ends: bool) -> Result<Vec<u32>, DataError> {
        let encoding = self.inner.encode_fast(text, ends);
        let encoding = encoding.map_err(|error| self.failed(format!("cannot encode a text ({error})")))?;
        Ok(encoding.get_ids().to_vec())
    }

    fn failed(&self, what: String) -> DataError {
        DataError::TokenizerFile { path: self.source.clone(), what }
    }
}
