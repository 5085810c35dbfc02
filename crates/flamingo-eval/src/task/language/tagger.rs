//! nltk's tagger of parts of speech: an averaged perceptron (Honnibal 2013, `nltk/tag/perceptron.py`) with the weights that nltk
//! publishes as `averaged_perceptron_tagger_eng`.
//!
//! A word that has nearly always one tag is in a list. For others, weights are summed that belong to the word, its letters, its
//! neighbours and the two tags before; the tag with the highest sum is taken, the last in the alphabet of equals.

use std::collections::{BTreeSet, HashMap};
use std::path::Path;

use super::super::read::{json, odd};
use crate::EvalError;

/// What stands before and behind a sentence.
const START: [&str; 2] = ["-START-", "-START2-"];
const END: [&str; 2] = ["-END-", "-END2-"];

#[derive(Debug)]
pub(super) struct Tagger {
    /// In order.
    tags: Vec<String>,
    /// Tags of words that have one.
    listed: HashMap<String, String>,
    /// By feature: of each tag that has one, its place and its weight.
    weights: HashMap<String, Vec<(usize, f64)>>,
}

impl Tagger {
    /// Reads the folder's three files.
    pub fn open(folder: &Path) -> Result<Self, EvalError> {
        let path = |part: &str| folder.join(format!("averaged_perceptron_tagger_eng.{part}.json"));
        let tags: BTreeSet<String> = json(&path("classes"))?;
        let listed = json(&path("tagdict"))?;
        let of = path("weights");
        let weights: HashMap<String, HashMap<String, f64>> = json(&of)?;
        let tags: Vec<String> = tags.into_iter().collect();
        if tags.is_empty() {
            return Err(odd(&path("classes"), "all of it", "there is no tag"));
        }
        let place = |feature: &str, tag: String| {
            let what =
                || format!("{tag:?} is not one of the {} tags in {}", tags.len(), path("classes").display());
            tags.binary_search(&tag).map_err(|_| odd(&of, format!("feature {feature:?}"), what()))
        };
        let weights = weights.into_iter().map(|(feature, by_tag)| {
            let by_tag = by_tag.into_iter().map(|(tag, weight)| Ok((place(&feature, tag)?, weight)));
            Ok((feature.clone(), by_tag.collect::<Result<Vec<_>, EvalError>>()?))
        });
        let weights = weights.collect::<Result<_, EvalError>>()?;
        Ok(Self { tags, listed, weights })
    }

    /// The tag of each word of a sentence.
    pub fn tag(&self, words: &[String]) -> Vec<&str> {
        let context: Vec<String> = START
            .map(str::to_owned)
            .into_iter()
            .chain(words.iter().map(|word| normal(word)))
            .chain(END.map(str::to_owned))
            .collect();
        let mut tags: Vec<&str> = Vec::with_capacity(words.len());
        for (place, word) in words.iter().enumerate() {
            let before = |back: usize| match place.checked_sub(back) {
                Some(place) => tags[place],
                // One step back from the first word is the first of START, as nltk has it, and two is the second.
                None => START[back - place - 1],
            };
            let tag = match self.listed.get(word) {
                Some(tag) if !tag.is_empty() => tag,
                _ => self.guess(word, &context[place..place + 5], before(1), before(2)),
            };
            tags.push(tag);
        }
        tags
    }

    /// The tag of the word in the middle of five.
    fn guess(&self, word: &str, context: &[String], last: &str, second_last: &str) -> &str {
        let [before_that, before, own, behind, behind_that] = context else { unreachable!("five words") };
        let first: String = word.chars().take(1).collect();
        let features = [
            "bias".to_owned(),
            format!("i suffix {}", suffix(word)),
            format!("i pref1 {first}"),
            format!("i-1 tag {last}"),
            format!("i-2 tag {second_last}"),
            format!("i tag+i-2 tag {last} {second_last}"),
            format!("i word {own}"),
            format!("i-1 tag+i word {last} {own}"),
            format!("i-1 word {before}"),
            format!("i-1 suffix {}", suffix(before)),
            format!("i-2 word {before_that}"),
            format!("i+1 word {behind}"),
            format!("i+1 suffix {}", suffix(behind)),
            format!("i+2 word {behind_that}"),
        ];
        let mut sums = vec![0.0; self.tags.len()];
        for (tag, weight) in features.iter().filter_map(|feature| self.weights.get(feature)).flatten() {
            sums[*tag] += weight;
        }
        let best = sums.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1).then(a.0.cmp(&b.0)));
        best.map_or("", |(place, _)| &self.tags[place])
    }
}

/// The last three characters.
fn suffix(word: &str) -> &str {
    let start = word.char_indices().rev().nth(2).map_or(0, |(place, _)| place);
    &word[start..]
}

/// A word as it stands in features of words.
fn normal(word: &str) -> String {
    let mut characters = word.chars();
    let first = characters.next();
    if word.contains('-') && first != Some('-') {
        "!HYPHEN".to_owned()
    } else if word.chars().count() == 4 && word.chars().all(char::is_numeric) {
        "!YEAR".to_owned()
    } else if first.is_some_and(char::is_numeric) {
        "!DIGITS".to_owned()
    } else {
        word.to_lowercase()
    }
}

#[cfg(test)]
pub(in super::super) mod tests {
    use std::fs;

    use super::*;

    /// A tagger that knows little: words in -s are plurals, those in -ing verbs, the others nouns.
    pub fn small(folder: &Path) {
        let files = [
            ("classes", r#"["NN", "NNS", "VBG", "DT", "RB"]"#),
            ("tagdict", r#"{"the": "DT", "quickly": "RB"}"#),
            (
                "weights",
                r#"{"bias": {"NN": 1.0}, "i suffix ing": {"VBG": 3.0}, "i suffix ats": {"NNS": 2.5}, "i suffix ogs": {"NNS": 2.5},
                    "i-1 tag VBG": {"NNS": 0.5}, "i pref1 z": {"NNS": 1.0}, "i+1 word of": {"NN": 2.0}}"#,
            ),
        ];
        for (part, text) in files {
            fs::write(folder.join(format!("averaged_perceptron_tagger_eng.{part}.json")), text).unwrap();
        }
    }

    fn tags(text: &str) -> String {
        let folder = tempfile::tempdir().unwrap();
        small(folder.path());
        let words: Vec<String> = text.split(' ').map(str::to_owned).collect();
        Tagger::open(folder.path()).unwrap().tag(&words).join(" ")
    }

    #[test]
    fn weights_are_summed() {
        assert_eq!(tags("the cats running dog quickly"), "DT NNS VBG NN RB");
        assert_eq!(tags("cats"), "NNS");
        assert_eq!(tags("cats of"), "NN NN", "a neighbour counts");
        assert_eq!(tags("z"), "NNS", "of equals the last in the alphabet");
        assert_eq!(tags("ing"), "VBG", "a word of three letters is its suffix");
    }

    #[test]
    fn words_are_normal() {
        for (word, expected) in [
            ("T-shirt", "!HYPHEN"),
            ("-x", "-x"),
            ("1999", "!YEAR"),
            ("19", "!DIGITS"),
            ("3rd", "!DIGITS"),
            ("Cat", "cat"),
        ] {
            assert_eq!(normal(word), expected);
        }
        assert_eq!((suffix("été"), suffix("détente"), suffix("a")), ("été", "nte", "a"));
    }

    #[test]
    fn a_tag_that_is_not_known_is_named() {
        let folder = tempfile::tempdir().unwrap();
        small(folder.path());
        let path = folder.path().join("averaged_perceptron_tagger_eng.classes.json");
        fs::write(&path, r#"["NN", "NNS", "DT", "RB"]"#).unwrap();
        let error = Tagger::open(folder.path()).unwrap_err().to_string();
        assert!(
            error.contains("weights.json: feature \"i suffix ing\": \"VBG\" is not one of the 4 tags"),
            "{error}"
        );
    }
}
