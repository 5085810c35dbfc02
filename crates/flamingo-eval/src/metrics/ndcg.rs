//! NDCG as VisDial has it: how far up the relevant ones of an example's candidates are ranked.
//!
//! The gain of a candidate is its relevance, its discount the logarithm of its rank; only the first k ranks count, where
//! k is the number of candidates whose relevance is not 0 (Visual Dialog challenge 2018, starter code,
//! `visdialch/metrics.py`). Where that program leaves the order of equal scores to its sort, the candidate that stands
//! first is ranked first here.

use super::{Mean, Measure};
use crate::EvalError;

/// The scores of examples, from 0 to 1.
#[derive(Debug, Clone, PartialEq)]
pub struct Ndcg(Mean);

impl Ndcg {
    /// Scores examples, each with the scores of its candidates and their relevance.
    ///
    /// # Errors
    ///
    /// If an example has no relevant candidate, a number is NaN, a relevance is negative, or lengths differ.
    pub fn new(scores: &[Vec<f64>], relevance: &[Vec<f64>]) -> Result<Self, EvalError> {
        if scores.len() != relevance.len() {
            let what = format!("{} lists of scores, but {} of relevance", scores.len(), relevance.len());
            return Err(EvalError::Undefined { metric: "NDCG", what });
        }
        let pairs = scores.iter().zip(relevance).enumerate();
        let each = pairs.map(|(example, (scores, relevance))| {
            one(scores, relevance).map_err(|what| EvalError::Example { example: example.to_string(), what })
        });
        Ok(Self(Mean(each.collect::<Result<_, _>>()?)))
    }
}

impl Measure for Ndcg {
    fn len(&self) -> usize {
        self.0.len()
    }

    fn of(&self, rows: &[usize]) -> Option<f64> {
        self.0.of(rows)
    }

    fn each(&self) -> Option<&[f64]> {
        self.0.each()
    }
}

fn one(scores: &[f64], relevance: &[f64]) -> Result<f64, String> {
    if scores.len() != relevance.len() {
        return Err(format!("{} scores, but {} candidates", scores.len(), relevance.len()));
    }
    if scores.iter().any(|score| score.is_nan()) {
        return Err("a score is not a number".to_owned());
    }
    if let Some(odd) = relevance.iter().find(|it| !(it.is_finite() && **it >= 0.0)) {
        return Err(format!("a relevance is {odd}; it must be 0 or more"));
    }
    let relevant = relevance.iter().filter(|it| **it != 0.0).count();
    if relevant == 0 {
        return Err("no candidate is relevant".to_owned());
    }
    let mut ranking: Vec<usize> = (0..scores.len()).collect();
    // A stable sort; `-0.0` and `0.0` are equal.
    ranking.sort_by(|a, b| (scores[*b] + 0.0).total_cmp(&(scores[*a] + 0.0)));
    let found = gain(ranking[..relevant].iter().map(|place| relevance[*place]));
    Ok(found / most(relevance, relevant))
}

/// The gain of candidates in their order.
fn gain(relevance: impl Iterator<Item = f64>) -> f64 {
    relevance.enumerate().map(|(rank, relevance)| relevance / (rank as f64 + 2.0).log2()).sum()
}

/// The gain of the best so many, in the best order.
fn most(relevance: &[f64], relevant: usize) -> f64 {
    let mut best = relevance.to_vec();
    best.sort_by(|a, b| b.total_cmp(a));
    gain(best.into_iter().take(relevant))
}

/// The mean of an example's score over all orders of its candidates: what guessing blindly gets. None if no candidate is
/// relevant.
pub fn expected(relevance: &[f64]) -> Option<f64> {
    let relevant = relevance.iter().filter(|it| **it != 0.0).count();
    let mean = relevance.iter().sum::<f64>() / relevance.len() as f64;
    (relevant > 0).then(|| gain(std::iter::repeat_n(mean, relevant)) / most(relevance, relevant))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ndcg(scores: &[f64], relevance: &[f64]) -> f64 {
        Ndcg::new(&[scores.to_vec()], &[relevance.to_vec()]).unwrap().score().unwrap()
    }

    #[test]
    fn only_the_ranks_of_as_many_as_are_relevant_count() {
        assert_eq!(ndcg(&[0.9, 0.5, 0.1], &[1.0, 0.5, 0.0]), 1.0);
        assert_eq!(ndcg(&[0.1, 0.5, 0.9], &[1.0, 0.0, 0.0]), 0.0, "the only relevant one is ranked last");
        let expected = (0.5 + 1.0 / 3f64.log2()) / (1.0 + 0.5 / 3f64.log2());
        assert!((ndcg(&[0.1, 0.5, 0.05], &[1.0, 0.5, 0.0]) - expected).abs() < 1e-12);
    }

    #[test]
    fn guessing_gets_the_mean_over_all_orders() {
        let relevance = [1.0, 0.5, 0.0];
        let orders = [
            [3.0, 2.0, 1.0],
            [3.0, 1.0, 2.0],
            [2.0, 3.0, 1.0],
            [1.0, 3.0, 2.0],
            [2.0, 1.0, 3.0],
            [1.0, 2.0, 3.0],
        ];
        let mean = orders.iter().map(|scores| ndcg(scores, &relevance)).sum::<f64>() / 6.0;
        assert!((expected(&relevance).unwrap() - mean).abs() < 1e-12);
        assert_eq!(expected(&[0.0]), None);
    }

    #[test]
    fn what_it_is_not_defined_for_is_told() {
        let message = |scores: &[f64], relevance: &[f64]| {
            Ndcg::new(&[scores.to_vec()], &[relevance.to_vec()]).unwrap_err().to_string()
        };
        assert!(message(&[1.0], &[0.0]).contains("example 0: no candidate is relevant"));
        assert!(message(&[1.0], &[0.0, 1.0]).contains("1 scores, but 2 candidates"));
        assert!(message(&[f64::NAN], &[1.0]).contains("not a number"));
        assert!(message(&[1.0], &[-1.0]).contains("0 or more"));
    }
}
