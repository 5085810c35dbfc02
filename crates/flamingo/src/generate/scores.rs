//! What a model says about the next token.

use std::fmt;
use std::ops::Range;

use crate::error::FlamingoError;

/// Scores of every token of the vocabulary, for one or more rows; before or after softmax's logarithm, which makes no
/// difference to anything but the repetition penalty.
#[derive(Clone, PartialEq)]
pub struct Scores {
    values: Vec<f32>,
    vocab: usize,
}

impl Scores {
    /// `values` `[rows, V]`, row by row.
    ///
    /// # Panics
    ///
    /// If `values` are not a whole number of rows of `vocab`.
    pub fn new(values: Vec<f32>, vocab: usize) -> Self {
        assert!(
            vocab > 0 && values.len().is_multiple_of(vocab),
            "{} scores are no rows of {vocab}",
            values.len()
        );
        Self { values, vocab }
    }

    /// The rows of all of `parts`, in order.
    ///
    /// # Panics
    ///
    /// If there are none, or they have different vocabularies.
    pub fn beside(parts: impl IntoIterator<Item = Self>) -> Self {
        let mut parts = parts.into_iter();
        let mut all = parts.next().expect("at least one part");
        for part in parts {
            assert_eq!(part.vocab, all.vocab, "sizes of vocabularies");
            all.values.extend(part.values);
        }
        all
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.values.len() / self.vocab
    }

    /// Size of the vocabulary.
    pub fn vocab(&self) -> usize {
        self.vocab
    }

    /// One row, `[V]`.
    ///
    /// # Panics
    ///
    /// If there are not so many.
    pub fn row(&self, row: usize) -> &[f32] {
        &self.values[row * self.vocab..(row + 1) * self.vocab]
    }

    /// Some rows, in their order.
    pub(super) fn some(&self, rows: Range<usize>) -> impl Iterator<Item = &[f32]> {
        rows.map(|row| self.row(row))
    }
}

impl fmt::Debug for Scores {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Scores[{}, {}]", self.rows(), self.vocab)
    }
}

/// What is to be taken from each of a row's scores to make it a log-probability, in nats.
///
/// # Errors
///
/// [`FlamingoError::Scores`] if the scores are no distribution.
pub(super) fn log_normaliser(scores: &[f32]) -> Result<f64, FlamingoError> {
    let highest = f64::from(scores.iter().copied().fold(f32::NEG_INFINITY, f32::max));
    let sum: f64 = scores.iter().map(|score| (f64::from(*score) - highest).exp()).sum();
    let normaliser = highest + sum.ln();
    if normaliser.is_finite() { Ok(normaliser) } else { Err(FlamingoError::Scores { vocab: scores.len() }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn probabilities_add_up_to_one() {
        let scores = [300.0f32, 301.0, f32::NEG_INFINITY, 299.5];
        let normaliser = log_normaliser(&scores).unwrap();
        let sum: f64 = scores.iter().map(|score| (f64::from(*score) - normaliser).exp()).sum();
        assert!((sum - 1.0).abs() < 1e-12);
    }

    #[test]
    fn what_is_no_distribution_is_refused() {
        for wrong in [f32::NAN, f32::INFINITY] {
            assert!(log_normaliser(&[0.0, wrong]).is_err());
        }
        assert!(log_normaliser(&[f32::NEG_INFINITY; 2]).is_err());
    }

    #[test]
    #[should_panic(expected = "5 scores are no rows of 3")]
    fn rows_are_whole() {
        let _ = Scores::new(vec![0.0; 5], 3);
    }
}
