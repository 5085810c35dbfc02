//! What sequences need of a tokenizer: ids of plain text, and the tokens that are not text.

use std::fmt::Debug;
use std::path::Path;
use std::sync::Arc;

use flamingo_weights::Checkpoint;

use crate::error::DataError;
use crate::pretrained::PretrainedTokenizer;
use crate::tokenizer::{SpecialTokens, TextTokenizer};

/// Turns text into token ids.
///
/// No text becomes a special token, whatever it says: a page about `<image>` tags has no more images than it shows.
pub trait TextEncoder: Debug + Send + Sync {
    /// The ids of `text`, without any special token.
    fn encode(&self, text: &str) -> Vec<u32>;

    /// The text of `ids`, as far as it can be told.
    fn decode(&self, ids: &[u32]) -> String;

    /// The ids of the special tokens.
    fn special(&self) -> SpecialTokens;
}

/// How many tokens a text becomes: all that words which stand for nothing need to know of a tokenizer.
pub trait TokenCount {
    /// Number of tokens of `text` alone.
    fn count(&self, text: &str) -> usize;
}

impl<T: TextEncoder + ?Sized> TokenCount for T {
    fn count(&self, text: &str) -> usize {
        self.encode(text).len()
    }
}

impl TextEncoder for TextTokenizer {
    fn encode(&self, text: &str) -> Vec<u32> {
        TextTokenizer::encode(self, text)
    }

    fn decode(&self, ids: &[u32]) -> String {
        TextTokenizer::decode(self, ids)
    }

    fn special(&self) -> SpecialTokens {
        TextTokenizer::special(self)
    }
}

impl<T: TextEncoder + ?Sized> TextEncoder for Arc<T> {
    fn encode(&self, text: &str) -> Vec<u32> {
        (**self).encode(text)
    }

    fn decode(&self, ids: &[u32]) -> String {
        (**self).decode(ids)
    }

    fn special(&self) -> SpecialTokens {
        (**self).special()
    }
}

/// A published tokenizer that encodes training text.
#[derive(Debug, Clone)]
pub struct PretrainedEncoder {
    inner: PretrainedTokenizer,
    special: SpecialTokens,
}

impl PretrainedEncoder {
    /// The tokenizer of a `tokenizer.json`, of a folder with one, or of a GGUF file.
    ///
    /// # Errors
    ///
    /// [`DataError::TokenizerFile`] if there is none, or if it cannot be used.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, DataError> {
        let path = path.as_ref();
        let is_gguf = path.extension().is_some_and(|extension| extension == "gguf");
        let tokenizer = match is_gguf {
            true => Checkpoint::open(path)
                .map_err(|error| DataError::TokenizerFile { path: path.to_owned(), what: error.to_string() })
                .and_then(|checkpoint| PretrainedTokenizer::from_gguf(&checkpoint))?,
            false => PretrainedTokenizer::open(path)?,
        };
        Self::new(tokenizer)
    }

    /// Appends OpenFlamingo's tokens where they are missing, and reads special tokens in text as plain text.
    ///
    /// A tokenizer without a token for padding pads with its EOS: models have rows for the new tokens, and none for another.
    /// A tokenizer without BOS begins sequences with its EOS, as GPT-2's family does.
    ///
    /// # Errors
    ///
    /// [`DataError::TokenizerFile`] if the tokenizer has no EOS.
    pub fn new(mut tokenizer: PretrainedTokenizer) -> Result<Self, DataError> {
        let own_pad = tokenizer.pad();
        let added = tokenizer.add_open_flamingo()?;
        let eos = tokenizer.require_eos()?;
        let bos = tokenizer.bos().unwrap_or(eos);
        tokenizer.read_special_as_text();
        let special =
            SpecialTokens { pad: own_pad.unwrap_or(eos), bos, eos, image: added.image, eoc: added.eoc };
        Ok(Self { inner: tokenizer, special })
    }

    /// The token of an id, as the vocabulary has it: a space may be `Ġ` or `▁`.
    pub fn piece(&self, id: u32) -> Option<String> {
        self.inner.piece(id)
    }
}

impl TextEncoder for PretrainedEncoder {
    /// Characters that the vocabulary cannot spell are left out.
    fn encode(&self, text: &str) -> Vec<u32> {
        self.inner.encode_part(text).unwrap_or_else(|_| {
            let mut utf8 = [0; 4];
            let letters = text.chars().map(|letter| self.inner.encode_part(letter.encode_utf8(&mut utf8)));
            letters.filter_map(Result::ok).flatten().collect()
        })
    }

    fn decode(&self, ids: &[u32]) -> String {
        self.inner.decode(ids).unwrap_or_else(|_| ids.iter().filter_map(|id| self.inner.piece(*id)).collect())
    }

    fn special(&self) -> SpecialTokens {
        self.special
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn published_tokenizers_read_special_tokens_as_text() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tokenizer.json");
        TextTokenizer::train(["cow face"], 300).unwrap().save(&path).unwrap();
        let names = r#"{"bos_token": "<BOS>", "eos_token": "<EOS>", "pad_token": "<PAD>"}"#;
        std::fs::write(folder.path().join("tokenizer_config.json"), names).unwrap();
        let encoder = PretrainedEncoder::new(PretrainedTokenizer::open(folder.path()).unwrap()).unwrap();
        let special = encoder.special();
        let ids = encoder.encode("a cow <image> face <|endofchunk|><EOS>");
        let specials = [special.pad, special.bos, special.eos, special.image, special.eoc];
        assert!(ids.iter().all(|id| !specials.contains(id)), "{ids:?}");
        assert_eq!(encoder.decode(&ids), "a cow <image> face <|endofchunk|><EOS>");
        assert_ne!(special.bos, special.eos);
    }

    #[test]
    fn a_tokenizer_without_an_end_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tokenizer.json");
        TextTokenizer::train(["cow face"], 300).unwrap().save(&path).unwrap();
        let error =
            PretrainedEncoder::new(PretrainedTokenizer::open(&path).unwrap()).unwrap_err().to_string();
        assert!(error.contains("EOS"), "{error}");
    }
}
