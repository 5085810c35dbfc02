//! WUPS: how near the words of an answer are in meaning to those of the right one, by which NextQA is scored.
//!
//! Malinowski and Fritz 2014, as NExT-OE's `metrics.py` computes it for NextQA: the similarity of two words is that of
//! their first meanings in WordNet, a tenth of it below a threshold; each word counts by its most similar counterpart,
//! and words without one do not count. What is done before that, base forms and the removal of stop words
//! (`remove_stop` in NExT-OE's `eval_oe.py`, which needs a tagger of parts of speech), is the caller's.

use std::collections::HashMap;

use super::Mean;
use super::wordnet::WordNet;
use crate::EvalError;

/// WUPS of answers, each against the best of several right ones. `alpha` is the threshold, 0 for NextQA.
///
/// # Errors
///
/// If an example has no right answer, or lengths differ.
pub fn wups(
    wordnet: &WordNet,
    alpha: f64,
    answers: &[Vec<String>],
    right: &[Vec<Vec<String>>],
) -> Result<Mean, EvalError> {
    if answers.len() != right.len() {
        let what = format!("{} answers, but {} questions", answers.len(), right.len());
        return Err(EvalError::Undefined { metric: "WUPS", what });
    }
    let mut words = Words { wordnet, alpha, known: HashMap::new() };
    let mut each = Vec::with_capacity(answers.len());
    for (example, (answer, right)) in answers.iter().zip(right).enumerate() {
        let scores = right.iter().map(|right| words.both_ways(answer, right));
        let best = scores.max_by(f64::total_cmp).ok_or_else(|| EvalError::Example {
            example: example.to_string(),
            what: "no right answer; WUPS needs at least one".to_owned(),
        })?;
        each.push(best);
    }
    Ok(Mean(each))
}

/// Similarities, each computed once.
struct Words<'a> {
    wordnet: &'a WordNet,
    alpha: f64,
    known: HashMap<(String, String), f64>,
}

impl Words<'_> {
    fn both_ways(&mut self, a: &[String], b: &[String]) -> f64 {
        self.one_way(a, b).min(self.one_way(b, a))
    }

    fn one_way(&mut self, from: &[String], to: &[String]) -> f64 {
        let mut product = None;
        for word in from {
            let best = to.iter().map(|other| self.similarity(word, other)).fold(0.0, f64::max);
            if best > 0.0 {
                product = Some(product.unwrap_or(1.0) * best);
            }
        }
        product.unwrap_or(0.0)
    }

    fn similarity(&mut self, a: &str, b: &str) -> f64 {
        if a == b {
            return 1.0;
        }
        let key = (a.to_owned(), b.to_owned());
        if let Some(known) = self.known.get(&key) {
            return *known;
        }
        let first = |word| self.wordnet.synsets(word).first().copied();
        let similarity = match (first(a), first(b)) {
            (Some(a), Some(b)) => self.wordnet.wup_similarity(a, b).unwrap_or(0.0),
            _ => 0.0,
        };
        let similarity = if similarity < self.alpha { 0.1 * similarity } else { similarity };
        self.known.insert(key, similarity);
        similarity
    }
}

#[cfg(test)]
mod tests {
    use super::super::Measure;
    use super::super::wordnet::tests::small;
    use super::*;

    fn words(text: &str) -> Vec<String> {
        text.split(' ').filter(|it| !it.is_empty()).map(str::to_owned).collect()
    }

    fn score(alpha: f64, answer: &str, right: &[&str]) -> f64 {
        let folder = tempfile::tempdir().unwrap();
        small(folder.path());
        let wordnet = WordNet::open(folder.path()).unwrap();
        let right = vec![right.iter().map(|it| words(it)).collect()];
        wups(&wordnet, alpha, &[words(answer)], &right).unwrap().score().unwrap()
    }

    #[test]
    fn words_count_by_their_nearest_counterpart_both_ways() {
        assert_eq!(score(0.0, "dog", &["cat"]), 0.8);
        // From here: 1; from there: 1 and what run and dog have in common.
        assert!((score(0.0, "dog", &["dog run"]) - 2.0 / 9.0).abs() < 1e-12);
        assert_eq!(score(0.0, "dog xyzzy", &["dog"]), 1.0, "a word without a counterpart does not count");
        assert_eq!(score(0.0, "dog", &["cat", "dog"]), 1.0, "the best of several");
    }

    #[test]
    fn below_the_threshold_a_tenth_is_left() {
        assert!((score(0.9, "dog", &["cat"]) - 0.08).abs() < 1e-12);
    }

    #[test]
    fn nothing_said_is_zero_and_no_right_answer_an_error() {
        assert_eq!(score(0.0, "", &["dog"]), 0.0);
        let folder = tempfile::tempdir().unwrap();
        small(folder.path());
        let wordnet = WordNet::open(folder.path()).unwrap();
        let error = wups(&wordnet, 0.0, &[words("dog")], &[vec![]]).unwrap_err().to_string();
        assert!(error.contains("example 0: no right answer"), "{error}");
    }
}
