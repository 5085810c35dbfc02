//! CIDEr-D: how much a caption has in common with what several people wrote, rare words counting more.
//!
//! Vedantam et al. 2015, in the form with clipping and a penalty on length that the COCO caption evaluation uses and every
//! published CIDEr of captioning models is (`pycocoevalcap`, `cider_scorer.py`). What it takes from that program beside
//! the paper's formula: document frequencies are those of the references at hand, the number of documents is that of
//! examples, and the length whose difference is penalised is the number of bigrams.

use std::collections::HashMap;

use super::ngrams::{Counts, MAX, Ngram, Words, place};
use super::tokens::{Caption, References};
use super::{Mean, Measure};
use crate::EvalError;

/// The standard deviation of the penalty on length, in words.
const SIGMA: f64 = 6.0;

/// The scores of captions: 0 has no n-gram in common, 10 is word for word the only reference.
#[derive(Debug, Clone, PartialEq)]
pub struct Cider(Mean);

impl Cider {
    /// Scores captions, each against its references.
    ///
    /// # Errors
    ///
    /// If an example has no reference, or numbers of captions and references differ.
    pub fn new(captions: &[Caption], references: &References) -> Result<Self, EvalError> {
        references.check("CIDEr", captions.len())?;
        let mut words = Words::default();
        let captions: Vec<Counts> = captions.iter().map(|it| words.count(it.words())).collect();
        let references: Vec<Vec<Counts>> =
            references.iter().map(|them| them.iter().map(|it| words.count(it.words())).collect()).collect();
        let frequencies = Frequencies::of(&references);
        let each = captions.iter().zip(&references).map(|(caption, references)| {
            let caption = frequencies.vector(caption);
            let sum: f64 = references.iter().map(|it| caption.likeness(&frequencies.vector(it))).sum();
            10.0 * sum / references.len() as f64
        });
        Ok(Self(Mean(each.collect())))
    }
}

impl Measure for Cider {
    fn len(&self) -> usize {
        self.0.len()
    }

    /// Document frequencies stay those of all examples.
    fn of(&self, rows: &[usize]) -> Option<f64> {
        self.0.of(rows)
    }

    fn each(&self) -> Option<&[f64]> {
        self.0.each()
    }
}

/// In how many examples' references an n-gram is.
struct Frequencies {
    documents: HashMap<Ngram, u32>,
    log_examples: f64,
}

/// A text by the weights of its n-grams.
struct Vector {
    weights: HashMap<Ngram, f64>,
    /// Of the n-grams of each size.
    norms: [f64; MAX],
    bigrams: u32,
}

impl Frequencies {
    fn of(references: &[Vec<Counts>]) -> Self {
        let mut documents = HashMap::new();
        for texts in references {
            let mut grams: Vec<&Ngram> = texts.iter().flat_map(|text| text.grams.keys()).collect();
            grams.sort_unstable();
            grams.dedup();
            for gram in grams {
                *documents.entry(*gram).or_insert(0) += 1;
            }
        }
        Self { documents, log_examples: (references.len() as f64).ln() }
    }

    fn vector(&self, text: &Counts) -> Vector {
        let mut vector =
            Vector { weights: HashMap::with_capacity(text.grams.len()), norms: [0.0; MAX], bigrams: 0 };
        for (gram, count) in &text.grams {
            let documents = self.documents.get(gram).copied().unwrap_or(1);
            let weight = f64::from(*count) * (self.log_examples - f64::from(documents).ln());
            vector.weights.insert(*gram, weight);
            vector.norms[place(gram)] += weight * weight;
            if place(gram) == 1 {
                vector.bigrams += count;
            }
        }
        vector.norms = vector.norms.map(f64::sqrt);
        vector
    }
}

impl Vector {
    /// The mean over sizes of the cosines, with the reference's weights as bounds, and the penalty on length.
    fn likeness(&self, reference: &Self) -> f64 {
        let mut products = [0.0; MAX];
        for (gram, weight) in &self.weights {
            let other = reference.weights.get(gram).copied().unwrap_or(0.0);
            products[place(gram)] += weight.min(other) * other;
        }
        for (product, (a, b)) in products.iter_mut().zip(self.norms.iter().zip(reference.norms)) {
            if *a != 0.0 && b != 0.0 {
                *product /= a * b;
            }
        }
        let longer = f64::from(self.bigrams) - f64::from(reference.bigrams);
        let penalty = (-longer * longer / (2.0 * SIGMA * SIGMA)).exp();
        penalty * products.iter().sum::<f64>() / MAX as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn captions(texts: &[&str]) -> Vec<Caption> {
        texts.iter().map(|text| Caption::from_tokens(text.split(' ').filter(|it| !it.is_empty()))).collect()
    }

    fn cider(texts: &[&str], references: &[&[&str]]) -> Vec<f64> {
        let references = References::new(references.iter().map(|them| captions(them)).collect());
        Cider::new(&captions(texts), &references).unwrap().each().unwrap().to_vec()
    }

    #[test]
    fn the_only_reference_word_for_word_is_ten() {
        let references: [&[&str]; 2] = [&["a dog runs home"], &["two cats sleep here"]];
        let scores = cider(&["a dog runs home", "two cats sleep"], &references);
        assert!((scores[0] - 10.0).abs() < 1e-12 && scores[1] > 5.0 && scores[1] < 10.0, "{scores:?}");
    }

    #[test]
    fn nothing_in_common_nothing_said_and_one_example_are_zero() {
        let references: [&[&str]; 2] = [&["a dog runs home"], &["two cats"]];
        assert_eq!(cider(&["two cats", ""], &references), [0.0, 0.0]);
        assert_eq!(cider(&["a dog"], &[&["a dog"]]), [0.0], "every word is in every example");
    }

    #[test]
    fn words_of_every_example_weigh_nothing() {
        let references: [&[&str]; 2] = [&["a dog"], &["a cat"]];
        assert_eq!(cider(&["a", "a"], &references), [0.0, 0.0]);
    }

    #[test]
    fn an_example_without_references_is_named() {
        let references = References::new(vec![captions(&["a"]), vec![]]);
        let error = Cider::new(&captions(&["a", "b"]), &references).unwrap_err().to_string();
        assert!(error.contains("example 1") && error.contains("reference"), "{error}");
        let error = Cider::new(&captions(&["a"]), &references).unwrap_err().to_string();
        assert!(error.contains("1 predictions") && error.contains("2"), "{error}");
    }
}
