//! Text to token ids and back: byte-level BPE (GPT-2's kind), in the `tokenizer.json` format.
//!
//! The last two ids are `<image>` and `<EOC>`: the language model knows them only after Flamingo training, which
//! learns their embeddings in a table of its own behind the frozen one. `<PAD>`, `<BOS>` and `<EOS>` are ordinary
//! ids of the language model. Text never becomes a special token: a page that says `<image>` is encoded as those
//! seven characters.

use std::path::{Path, PathBuf};

use tokenizers::models::ModelWrapper;
use tokenizers::models::bpe::{BPE, BpeTrainerBuilder};
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::{AddedToken, Tokenizer};

use crate::DataError;

const PAD: &str = "<PAD>";
const BOS: &str = "<BOS>";
const EOS: &str = "<EOS>";
const IMAGE: &str = "<image>";
const EOC: &str = "<EOC>";

/// The bytes and the three special tokens that every vocabulary has.
const SMALLEST_VOCAB: usize = 256 + 3;

/// The ids of the tokens that are not text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SpecialTokens {
    /// Fills rows up to the batch's length.
    pub pad: u32,
    /// Starts every sequence.
    pub bos: u32,
    /// Ends a text or a pair.
    pub eos: u32,
    /// Marks an image's place in the text. The last but one id.
    pub image: u32,
    /// Ends a chunk: the text that belongs to one image. The last id.
    pub eoc: u32,
}

/// A trained byte-level BPE tokenizer with Flamingo's special tokens.
#[derive(Debug, Clone)]
pub struct TextTokenizer {
    inner: Tokenizer,
    special: SpecialTokens,
}

impl TextTokenizer {
    /// Learns a vocabulary of at most `vocab_size` tokens from `texts`; `<image>` and `<EOC>` come on top.
    ///
    /// Each text counts twice, as it is and after a space, so that its first word has a token in both positions.
    /// The result is a function of the texts, whatever their order and the number of threads.
    ///
    /// # Errors
    ///
    /// [`DataError::TokenizerTraining`] if `vocab_size` cannot hold the 256 bytes and the special tokens.
    pub fn train<S: AsRef<str>>(
        texts: impl IntoIterator<Item = S>,
        vocab_size: usize,
    ) -> Result<Self, DataError> {
        let failed = |what: String| DataError::TokenizerTraining { what };
        if vocab_size < SMALLEST_VOCAB {
            return Err(failed(format!(
                "{vocab_size} tokens are too few; at least {SMALLEST_VOCAB} are needed"
            )));
        }
        let texts: Vec<String> = texts
            .into_iter()
            .flat_map(|text| [text.as_ref().to_owned(), format!(" {}", text.as_ref())])
            .collect();
        let mut trainer = BpeTrainerBuilder::new()
            .show_progress(false)
            .vocab_size(vocab_size)
            .initial_alphabet(ByteLevel::alphabet().into_iter().collect())
            .special_tokens([PAD, BOS, EOS].map(special).to_vec())
            .build()
            .into();
        let mut inner = Tokenizer::new(BPE::default());
        inner
            .with_pre_tokenizer(Some(ByteLevel::default().add_prefix_space(false)))
            .with_decoder(Some(ByteLevel::default()))
            .train::<tokenizers::models::TrainerWrapper, _, _>(&mut trainer, texts.into_iter())
            .map_err(|error| failed(error.to_string()))?;
        inner.add_special_tokens(&[IMAGE, EOC].map(special));
        Self::checked(inner).map_err(failed)
    }

    /// Reads a `tokenizer.json` that [`TextTokenizer::save`] wrote.
    ///
    /// # Errors
    ///
    /// [`DataError::TokenizerFile`] if the file is missing, broken, or of another kind.
    pub fn load(path: impl AsRef<Path>) -> Result<Self, DataError> {
        let path = path.as_ref();
        let unusable = |what: String| DataError::TokenizerFile { path: path.to_owned(), what };
        let bytes = std::fs::read(path).map_err(|error| unusable(format!("cannot be read ({error})")))?;
        let inner = Tokenizer::from_bytes(bytes)
            .map_err(|error| unusable(format!("is not a tokenizer.json ({error})")))?;
        Self::checked(inner).map_err(unusable)
    }

    /// Writes a `tokenizer.json`. The file is whole or not there.
    ///
    /// # Errors
    ///
    /// [`DataError::Io`] if the file cannot be written.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<(), DataError> {
        let path = path.as_ref();
        let failed = |source: std::io::Error| DataError::Io { path: path.to_owned(), source };
        let text = self.inner.to_string(false).map_err(|error| failed(std::io::Error::other(error)))?;
        let mut unfinished = path.as_os_str().to_owned();
        unfinished.push(".unfinished");
        let unfinished = PathBuf::from(unfinished);
        std::fs::write(&unfinished, text).and_then(|()| std::fs::rename(&unfinished, path)).map_err(failed)
    }

    /// The ids of `text`, without any special token.
    pub fn encode(&self, text: &str) -> Vec<u32> {
        let encoding = self.inner.encode_fast(text, false);
        encoding.expect("checked: a byte-level vocabulary encodes every text").get_ids().to_vec()
    }

    /// The text of `ids`; special tokens and unknown ids are left out, broken UTF-8 is replaced.
    pub fn decode(&self, ids: &[u32]) -> String {
        self.inner.decode(ids, true).expect("checked: a byte-level decoder accepts every token")
    }

    /// The token of an id, as the vocabulary has it: a space is `Ġ`.
    pub fn piece(&self, id: u32) -> Option<String> {
        self.inner.id_to_token(id)
    }

    /// The ids of the special tokens.
    pub fn special(&self) -> SpecialTokens {
        self.special
    }

    /// Tokens of the language model: all but `<image>` and `<EOC>`.
    pub fn base_vocab(&self) -> usize {
        self.special.image as usize
    }

    /// All tokens: [`TextTokenizer::base_vocab`] and two more.
    pub fn vocab(&self) -> usize {
        self.base_vocab() + 2
    }

    /// Accepts only what the rest of this file relies on.
    fn checked(mut inner: Tokenizer) -> Result<Self, String> {
        let ModelWrapper::BPE(model) = inner.get_model() else {
            return Err("is not a byte-pair-encoding tokenizer".to_owned());
        };
        let vocab = model.get_vocab();
        if let Some(byte) = ByteLevel::alphabet().iter().find(|byte| !vocab.contains_key(&byte.to_string())) {
            return Err(format!("is not byte-level: it lacks the token {byte:?}"));
        }
        let id = |token: &str| inner.token_to_id(token).ok_or_else(|| format!("lacks the token {token:?}"));
        let special =
            SpecialTokens { pad: id(PAD)?, bos: id(BOS)?, eos: id(EOS)?, image: id(IMAGE)?, eoc: id(EOC)? };
        let last = inner.get_vocab_size(true) as u32;
        if special.image + 2 != last || special.eoc + 1 != last {
            return Err(format!(
                "must have {IMAGE} and {EOC} as its last ids, {} and {}, but has them at {} and {}",
                last.saturating_sub(2),
                last.saturating_sub(1),
                special.image,
                special.eoc
            ));
        }
        inner.set_encode_special_tokens(true);
        Ok(Self { inner, special })
    }
}

fn special(token: &str) -> AddedToken {
    AddedToken::from(token, true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::menagerie;
    use crate::{PageComposer, PageSpec, fixtures::rng};

    const TEXTS: [&str; 4] = [
        "grinning face: smile, happy",
        "cow face: animal, cow, moo",
        "all about animals",
        "flag: côte d’ivoire",
    ];

    fn tokenizer() -> TextTokenizer {
        TextTokenizer::train(TEXTS, 500).unwrap()
    }

    #[test]
    fn known_words_are_one_token_and_every_text_round_trips() {
        let tokenizer = tokenizer();
        assert_eq!(tokenizer.encode("grinning face").len(), 2);
        assert_eq!(tokenizer.encode(" grinning face").len(), 2);
        assert_ne!(tokenizer.encode(" grinning")[0], tokenizer.encode("grinning")[0]);
        for text in ["", "cow face", "  two spaces\n", "unseen Wörds 😀 \u{0}", "<image> is <EOC> text <PAD>"]
        {
            assert_eq!(tokenizer.decode(&tokenizer.encode(text)), text);
        }
    }

    #[test]
    fn special_tokens_have_their_places_and_never_come_from_text() {
        let tokenizer = tokenizer();
        let special = tokenizer.special();
        assert_eq!((special.pad, special.bos, special.eos), (0, 1, 2));
        assert_eq!(special.image as usize, tokenizer.base_vocab());
        assert_eq!(special.eoc as usize + 1, tokenizer.vocab());
        let ids = tokenizer.encode("a<image>b<EOC><BOS><EOS><PAD>");
        let specials = [special.pad, special.bos, special.eos, special.image, special.eoc];
        assert!(ids.iter().all(|id| !specials.contains(id)), "{ids:?}");
        let marked: Vec<u32> =
            [vec![special.bos, special.image], tokenizer.encode("cow"), vec![special.eoc, special.eos]]
                .concat();
        assert_eq!(tokenizer.decode(&marked), "cow");
    }

    /// On text with many ties, in another order, several times: `tokenizers` counts in hash maps and threads.
    #[test]
    fn training_is_deterministic() {
        let composer = PageComposer::new(&menagerie(), PageSpec::default()).unwrap();
        let mut rng = rng(0);
        let mut texts: Vec<String> = (0..300).map(|_| composer.text(&mut rng)).collect();
        texts.push("aaaaaaaa ooooooo ababababab".to_owned());
        let first = TextTokenizer::train(&texts, 600).unwrap();
        for _ in 0..4 {
            texts.reverse();
            let again = TextTokenizer::train(&texts, 600).unwrap();
            assert_eq!(first.inner.to_string(false).unwrap(), again.inner.to_string(false).unwrap());
        }
    }

    #[test]
    fn a_saved_tokenizer_is_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tokenizer.json");
        let tokenizer = tokenizer();
        tokenizer.save(&path).unwrap();
        let loaded = TextTokenizer::load(&path).unwrap();
        assert_eq!(loaded.special(), tokenizer.special());
        assert_eq!(loaded.vocab(), tokenizer.vocab());
        let text = "grinning moo <image> cow";
        assert_eq!(loaded.encode(text), tokenizer.encode(text));
        assert_eq!(folder.path().read_dir().unwrap().count(), 1, "no temporary file stays behind");
    }

    #[test]
    fn unusable_files_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tokenizer.json");
        let error = TextTokenizer::load(&path).unwrap_err().to_string();
        assert!(error.contains("tokenizer.json"), "{error}");
        std::fs::write(&path, "{}").unwrap();
        assert!(matches!(TextTokenizer::load(&path), Err(DataError::TokenizerFile { .. })));

        let mut without = tokenizer();
        without.inner.add_tokens(&[AddedToken::from("late", false)]);
        without.save(&path).unwrap();
        let error = TextTokenizer::load(&path).unwrap_err().to_string();
        assert!(error.contains("last ids"), "{error}");
    }

    #[test]
    fn a_vocabulary_without_room_for_the_bytes_is_refused() {
        assert!(matches!(TextTokenizer::train(["a"], 100), Err(DataError::TokenizerTraining { .. })));
    }
}
