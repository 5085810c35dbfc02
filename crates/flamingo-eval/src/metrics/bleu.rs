//! BLEU-1 to BLEU-4: which part of a caption's n-grams is in its references.
//!
//! Papineni et al. 2002, with the brevity of the closest reference and without smoothing, as `pycocoevalcap`'s
//! `bleu_scorer.py` computes it for COCO: counts have 1e-15 and 1e-9 added so that nothing is divided by 0.

use std::collections::HashMap;

use super::Measure;
use super::ngrams::{Counts, MAX, Ngram, Words, place};
use super::tokens::{Caption, References};
use crate::EvalError;

/// The scores of captions for n-grams of up to `size` words.
#[derive(Debug, Clone, PartialEq)]
pub struct Bleu {
    size: usize,
    examples: Vec<Matches>,
    each: Vec<f64>,
}

/// What is counted of captions.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
struct Matches {
    /// Words of the caption.
    words: u64,
    /// Words of the reference that is nearest in length, the shorter one of two.
    closest: u64,
    /// N-grams of each size.
    grams: [u64; MAX],
    /// Those of them that are in a reference, as often as they are there.
    found: [u64; MAX],
}

impl Bleu {
    /// Scores captions by n-grams of 1 to `size` words.
    ///
    /// # Errors
    ///
    /// If an example has no reference, or numbers of captions and references differ.
    ///
    /// # Panics
    ///
    /// If `size` is not 1 to 4.
    pub fn new(size: usize, captions: &[Caption], references: &References) -> Result<Self, EvalError> {
        assert!((1..=MAX).contains(&size), "BLEU-{size}: n-grams have 1 to {MAX} words");
        references.check("BLEU", captions.len())?;
        let mut words = Words::default();
        let mut examples = Vec::with_capacity(captions.len());
        for (caption, references) in captions.iter().zip(references.iter()) {
            let references: Vec<Counts> = references.iter().map(|it| words.count(it.words())).collect();
            examples.push(Matches::of(&words.count(caption.words()), &references));
        }
        let each = examples.iter().map(|example| example.bleu(size)).collect();
        Ok(Self { size, examples, each })
    }
}

impl Measure for Bleu {
    fn len(&self) -> usize {
        self.examples.len()
    }

    /// From the counts of all of `rows` together: this is not the mean of their scores.
    fn of(&self, rows: &[usize]) -> Option<f64> {
        let mut sum = Matches::default();
        for row in rows {
            sum.add(&self.examples[*row]);
        }
        (!rows.is_empty()).then(|| sum.bleu(self.size))
    }

    fn each(&self) -> Option<&[f64]> {
        Some(&self.each)
    }
}

impl Matches {
    fn of(caption: &Counts, references: &[Counts]) -> Self {
        let mut most: HashMap<&Ngram, u32> = HashMap::new();
        for (gram, count) in references.iter().flat_map(|reference| &reference.grams) {
            let most = most.entry(gram).or_insert(0);
            *most = (*most).max(*count);
        }
        let lengths = references.iter().map(|reference| reference.words);
        let closest = lengths.min_by_key(|length| (length.abs_diff(caption.words), *length)).unwrap_or(0);
        let grams = std::array::from_fn(|place| caption.words.saturating_sub(place) as u64);
        let mut found = [0; MAX];
        for (gram, count) in &caption.grams {
            let most = most.get(gram).copied().unwrap_or(0);
            found[place(gram)] += u64::from(most.min(*count));
        }
        Self { words: caption.words as u64, closest: closest as u64, grams, found }
    }

    fn add(&mut self, other: &Self) {
        self.words += other.words;
        self.closest += other.closest;
        for (sum, more) in self.grams.iter_mut().zip(other.grams) {
            *sum += more;
        }
        for (sum, more) in self.found.iter_mut().zip(other.found) {
            *sum += more;
        }
    }

    fn bleu(&self, size: usize) -> f64 {
        let product: f64 = (0..size)
            .map(|place| (self.found[place] as f64 + 1e-15) / (self.grams[place] as f64 + 1e-9))
            .product();
        let ratio = (self.words as f64 + 1e-15) / (self.closest as f64 + 1e-9);
        let brevity = if ratio < 1.0 { (1.0 - 1.0 / ratio).exp() } else { 1.0 };
        product.powf(1.0 / size as f64) * brevity
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn caption(text: &str) -> Caption {
        Caption::from_tokens(text.split(' ').filter(|it| !it.is_empty()))
    }

    fn bleu(size: usize, text: &str, references: &[&str]) -> f64 {
        let references = References::new(vec![references.iter().map(|it| caption(it)).collect()]);
        Bleu::new(size, &[caption(text)], &references).unwrap().score().unwrap()
    }

    #[test]
    fn repeated_words_count_as_often_as_in_a_reference() {
        // The paper's example.
        let references = ["the cat is on the mat", "there is a cat on the mat"];
        assert!((bleu(1, "the the the the the the the", &references) - 2.0 / 7.0).abs() < 1e-9);
    }

    #[test]
    fn a_short_caption_is_punished() {
        let score = bleu(1, "the cat", &["the cat sat there"]);
        assert!((score - (-1.0f64).exp()).abs() < 1e-8, "{score}");
        assert!(bleu(4, "", &["a cat"]) < 1e-9);
    }

    #[test]
    fn the_corpus_is_not_the_mean() {
        let texts = [caption("a b c d"), caption("a")];
        let references = References::new(vec![vec![caption("a b c d")], vec![caption("b")]]);
        let bleu = Bleu::new(1, &texts, &references).unwrap();
        assert!((bleu.score().unwrap() - 0.8).abs() < 1e-8);
        assert!((bleu.each().unwrap()[0] - 1.0).abs() < 1e-8);
        assert_eq!(bleu.of(&[]), None);
    }
}
