//! What two metrics know of English beside letters: how OKVQA's answers were cut to their stems, and which words NextQA
//! compares.
//!
//! Both begin with nltk: its word tokenizer ([`words`]), its tagger of parts of speech (`tagger`), WordNet. OKVQA's
//! answers were then cut by rules and a table (`stems`), NextQA's are brought to base forms as `pywsd` 1.2.4 does.
//! What nltk learnt from texts is in two folders that it publishes: WordNet's files, and those of its tagger,
//! `averaged_perceptron_tagger_eng`.
//!
//! Answers are read as one sentence. nltk looks for sentences first, by statistics that are not read here; an answer of two
//! sentences keeps the full stop at the first one's last word.

mod porter;
mod singular;
mod stems;
mod tagger;
mod words;

use std::collections::HashSet;
use std::path::Path;

use crate::EvalError;
use crate::metrics::wordnet::{Pos, WordNet};
use tagger::Tagger;

/// WordNet, a tagger, and words that do not count.
#[derive(Debug)]
pub struct Language {
    wordnet: WordNet,
    tagger: Tagger,
    stop_words: HashSet<String>,
}

impl Language {
    /// Reads a folder of WordNet's files, and one of nltk's tagger.
    ///
    /// # Errors
    ///
    /// If a file is missing or is not as such files are.
    pub fn open(wordnet: &Path, tagger: &Path) -> Result<Self, EvalError> {
        let (wordnet, tagger) = (WordNet::open(wordnet)?, Tagger::open(tagger)?);
        Ok(Self { wordnet, tagger, stop_words: HashSet::new() })
    }

    /// The same, with words that do not count.
    #[must_use]
    pub fn with_stop_words(self, stop_words: HashSet<String>) -> Self {
        Self { stop_words, ..self }
    }

    /// Whether a word does not count.
    pub fn is_stop_word(&self, word: &str) -> bool {
        self.stop_words.contains(word)
    }

    /// The meanings of words.
    pub fn wordnet(&self) -> &WordNet {
        &self.wordnet
    }

    /// The tag of each word of a sentence, as the Penn Treebank has them.
    pub fn tags(&self, words: &[String]) -> Vec<&str> {
        self.tagger.tag(words)
    }

    /// An answer as OKVQA's are, word by word: what the table of its authors has; or the base form of a word in -ing; or the
    /// singular of a plural. Equal to `OKVQAStemmer` of open_flamingo's `ok_vqa_utils.py`.
    pub fn stem_answer(&self, answer: &str) -> String {
        let words = words(answer);
        let tags = self.tags(&words);
        let stem = |(word, tag): (&String, &str)| match stems::listed(word) {
            Some(stem) => stem.to_owned(),
            None if word.ends_with("ing") => self.wordnet.lemma(word, Pos::Verb),
            None if tag.starts_with("NNS") || tag.starts_with("NNPS") => singular(word),
            None => word.clone(),
        };
        words.iter().zip(tags).map(stem).collect::<Vec<_>>().join(" ")
    }

    /// The words of an answer in small letters and in base form, as `lemmatize_sentence` of `pywsd` 1.2.4 has them: a form that
    /// WordNet does not know gives way to the stem, if it knows that.
    pub fn base_words(&self, answer: &str) -> Vec<String> {
        let words = words(answer);
        let tags = self.tags(&words);
        words.iter().zip(tags).map(|(word, tag)| self.base_word(&word.to_lowercase(), tag)).collect()
    }

    fn base_word(&self, word: &str, tag: &str) -> String {
        let alone = || self.tagger.tag(&[word.to_owned()]).first().copied().and_then(part_of_speech);
        let lemma = self.wordnet.lemma(word, part_of_speech(tag).or_else(alone).unwrap_or(Pos::Noun));
        if !self.wordnet.synsets(&lemma).is_empty() {
            return lemma;
        }
        let stem = stem(word);
        if self.wordnet.synsets(&stem).is_empty() { word.to_owned() } else { stem }
    }
}

/// Which of WordNet's files a tag belongs to.
fn part_of_speech(tag: &str) -> Option<Pos> {
    Some(match tag.get(..2)? {
        "NN" => Pos::Noun,
        "JJ" => Pos::Adjective,
        "VB" => Pos::Verb,
        "RB" => Pos::Adverb,
        _ => return None,
    })
}

pub use porter::stem;
pub use singular::singular;
pub use words::words;

#[cfg(test)]
pub(super) use tagger::tests::small;
