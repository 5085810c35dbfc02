//! The metrics, one file each.
//!
//! Each computes what is known of single examples when it is made; a [`Measure`] then turns any selection of examples
//! into a number, the whole of them first of all. Texts of captioning metrics are tokenised by [`ptb`]; answers of
//! question answering are normalised by [`vqa`].

pub mod accuracy;
pub mod average_precision;
pub mod bleu;
pub mod bootstrap;
pub mod cider;
pub mod ndcg;
pub mod ngrams;
pub mod ptb;
pub mod rareact;
pub mod roc_auc;
pub mod rouge;
pub mod tokens;
pub mod vqa;
pub mod wordnet;
pub mod wups;

pub use bootstrap::{Bootstrap, Interval};

/// A metric over examples, of which any selection can be scored.
pub trait Measure: Sync {
    /// Number of examples.
    fn len(&self) -> usize;

    /// Whether there are none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The score of the examples at `rows`, where one may stand several times; none where it is not defined, such as
    /// that of no examples.
    fn of(&self, rows: &[usize]) -> Option<f64>;

    /// The score of every example, if the metric has such scores.
    fn each(&self) -> Option<&[f64]>;

    /// The score of all examples.
    fn score(&self) -> Option<f64> {
        self.of(&(0..self.len()).collect::<Vec<_>>())
    }
}

/// A metric that is the mean of its examples' scores.
#[derive(Debug, Clone, PartialEq)]
pub struct Mean(pub Vec<f64>);

impl Measure for Mean {
    fn len(&self) -> usize {
        self.0.len()
    }

    fn of(&self, rows: &[usize]) -> Option<f64> {
        let sum: f64 = rows.iter().map(|row| self.0[*row]).sum();
        (!rows.is_empty()).then(|| sum / rows.len() as f64)
    }

    fn each(&self) -> Option<&[f64]> {
        Some(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mean_counts_repeated_examples_again() {
        let mean = Mean(vec![1.0, 0.0, 4.0]);
        assert_eq!(mean.score(), Some(5.0 / 3.0));
        assert_eq!(mean.of(&[2, 2, 1]), Some(8.0 / 3.0));
        assert_eq!(mean.of(&[]), None);
    }
}
