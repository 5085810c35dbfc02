//! Words that nobody has read: pronounceable, without a meaning.

use std::collections::BTreeSet;

use flamingo_core::seed::{derive, word as number};
use rand::Rng;
use rand::seq::IndexedRandom;

use crate::concepts::ConceptSet;
use crate::encoder::TokenCount;
use crate::wording;

/// Of a word's first syllable: a consonant, so that the article is "a".
const ONSETS: [&str; 26] = [
    "b", "d", "f", "g", "k", "l", "m", "n", "p", "r", "s", "t", "v", "z", "bl", "br", "dr", "fl", "gl", "gr",
    "kl", "pl", "sk", "sn", "tr", "zw",
];
/// Of the others. Words are short: every token more is one that pictures do not decide.
const INNER_ONSETS: [&str; 14] = ["b", "d", "f", "g", "k", "l", "m", "n", "p", "r", "s", "t", "v", "z"];
const VOWELS: [&str; 7] = ["a", "e", "i", "o", "u", "oo", "ee"];
/// Of a word's last syllable; the others are open.
const CODAS: [&str; 11] = ["b", "d", "g", "k", "m", "n", "p", "r", "t", "x", "z"];

/// Of so many words, one is kept for evaluation.
const RESERVED: u64 = 5;

/// What a word is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Training episodes.
    Training,
    /// Trials; never trained.
    Evaluation,
}

/// Invents words, and knows which are none: all of a data set's texts, held-out names included.
#[derive(Debug, Clone)]
pub struct InventedWords {
    known: BTreeSet<String>,
}

impl InventedWords {
    /// Words that are in no name, keyword or group of `set`, and in none of the sentences that pages are made of.
    pub fn new(set: &ConceptSet) -> Self {
        let mut words = Self { known: BTreeSet::new() };
        words.avoid(&wording::all_words());
        for image in set.images() {
            for text in [&image.name, &image.group, &image.subgroup].into_iter().chain(&image.keywords) {
                words.avoid(text);
            }
        }
        words
    }

    /// Takes the words of another text as known: of every other text that is trained on.
    pub fn avoid(&mut self, text: &str) {
        let words = text.split(|letter: char| !letter.is_alphabetic()).filter(|word| !word.is_empty());
        self.known.extend(words.map(str::to_lowercase));
    }

    /// What a word is for: a function of the word alone, the same in all runs.
    pub fn purpose(word: &str) -> Purpose {
        match derive(number(word), [number("evaluation words")]).is_multiple_of(RESERVED) {
            true => Purpose::Evaluation,
            false => Purpose::Training,
        }
    }

    /// Whether a word is in one of the texts.
    pub fn is_known(&self, word: &str) -> bool {
        self.known.contains(word)
    }

    /// `count` different words of `syllables` syllables each. None is the beginning of another.
    ///
    /// What is a single token of `tokenizer` is a word that a model has read often ("ban", "robot"): not one of these.
    ///
    /// # Panics
    ///
    /// If `syllables` is 0, or if there are not enough such words, of which there are over a thousand.
    pub fn draw(
        &self,
        count: usize,
        syllables: usize,
        purpose: Purpose,
        tokenizer: &(impl TokenCount + ?Sized),
        rng: &mut impl Rng,
    ) -> Vec<String> {
        assert!(syllables > 0, "a word has a syllable");
        let mut words: Vec<String> = Vec::with_capacity(count);
        for _ in 0..1_000 * (count + 1) {
            if words.len() == count {
                break;
            }
            let word = spell(syllables, rng);
            let confused = words
                .iter()
                .any(|other| other.starts_with(word.as_str()) || word.starts_with(other.as_str()));
            let read = |text: &str| tokenizer.count(text) < 2;
            if Self::purpose(&word) == purpose
                && !confused
                && !self.is_known(&word)
                && !read(&word)
                && !read(&format!(" {word}"))
            {
                words.push(word);
            }
        }
        assert!(words.len() == count, "no {count} words of {syllables} syllables are left to be invented");
        words
    }
}

fn spell(syllables: usize, rng: &mut impl Rng) -> String {
    let mut pick = |from: &[&'static str]| *from.choose(rng).expect("no list is empty");
    let mut word = String::from(pick(&ONSETS));
    for _ in 1..syllables {
        word += pick(&VOWELS[..5]);
        word += pick(&INNER_ONSETS);
    }
    word + pick(&VOWELS) + pick(&CODAS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::TextTokenizer;
    use crate::fixtures::{menagerie, rng};

    fn tokenizer() -> TextTokenizer {
        TextTokenizer::train(["cow face", "a page of pictures"], 300).unwrap()
    }

    #[test]
    fn words_are_new_have_no_two_purposes_and_can_be_told_apart() {
        let (set, tokenizer, mut rng) = (menagerie(), tokenizer(), rng(1));
        let words = InventedWords::new(&set);
        let mut seen = [BTreeSet::new(), BTreeSet::new()];
        for round in 0..600 {
            let purpose = [Purpose::Training, Purpose::Evaluation][round % 2];
            let drawn = words.draw(5, 1 + round % 3, purpose, &tokenizer, &mut rng);
            for (index, word) in drawn.iter().enumerate() {
                assert!(!words.is_known(word) && InventedWords::purpose(word) == purpose);
                assert!(!word.starts_with(['a', 'e', 'i', 'o', 'u']), "{word}");
                assert!(tokenizer.encode(word).len() > 1);
                let others = drawn.iter().enumerate().filter(|(other, _)| *other != index);
                assert!(others.into_iter().all(|(_, other)| !other.starts_with(word.as_str())), "{drawn:?}");
            }
            seen[round % 2].extend(drawn);
        }
        assert!(seen[0].is_disjoint(&seen[1]));
        assert!(seen[0].len() > 900 && seen[1].len() > 700, "{:?}", seen.each_ref().map(BTreeSet::len));
    }

    #[test]
    fn a_fifth_of_all_words_is_kept_for_evaluation() {
        let mut rng = rng(2);
        let kept = (0..5000).filter(|_| InventedWords::purpose(&spell(3, &mut rng)) == Purpose::Evaluation);
        let kept = kept.count();
        assert!((850..1150).contains(&kept), "{kept}");
    }

    #[test]
    fn words_of_texts_are_known_in_any_case() {
        let mut words = InventedWords::new(&menagerie());
        // A held-out name, a keyword, a group, a sentence of pages.
        for word in ["zyxxy", "oink", "mammal", "pictures", "collection"] {
            assert!(words.is_known(word), "{word}");
        }
        let mut rng = rng(3);
        let all: BTreeSet<String> = (0..200_000).map(|_| spell(1, &mut rng)).collect();
        let kept: Vec<&String> =
            all.iter().filter(|word| InventedWords::purpose(word) == Purpose::Evaluation).take(20).collect();
        for word in all.iter().filter(|word| !kept.contains(word)) {
            words.avoid(&format!("The {}!", word.to_uppercase()));
        }
        let mut drawn: Vec<String> = Vec::new();
        for _ in 0..300 {
            drawn.extend(words.draw(1, 1, Purpose::Evaluation, &tokenizer(), &mut rng));
        }
        assert!(drawn.iter().all(|word| kept.contains(&word)));
    }
}
