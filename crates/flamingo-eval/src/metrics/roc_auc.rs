//! ROC AUC: how likely a positive example has a higher score than a negative one, equal scores counting half.
//!
//! HatefulMemes is scored by it, from the probability of "yes". Equal to scikit-learn's `roc_auc_score` of two classes.

use super::Measure;
use crate::EvalError;

/// Scores and labels.
#[derive(Debug, Clone, PartialEq)]
pub struct RocAuc {
    /// By descending score: the example's place, its score.
    order: Vec<(usize, f64)>,
    labels: Vec<bool>,
}

impl RocAuc {
    /// Of examples with a score and a label each.
    ///
    /// # Errors
    ///
    /// If a score is not a number, or the numbers of scores and labels differ, or all labels are the same.
    pub fn new(scores: &[f64], labels: &[bool]) -> Result<Self, EvalError> {
        let undefined = |what| EvalError::Undefined { metric: "ROC AUC", what };
        if scores.len() != labels.len() {
            return Err(undefined(format!("{} scores, but {} labels", scores.len(), labels.len())));
        }
        let positive = labels.iter().filter(|label| **label).count();
        if positive == 0 || positive == labels.len() {
            let what = format!("{positive} of {} examples are positive; both kinds are needed", labels.len());
            return Err(undefined(what));
        }
        if let Some(example) = scores.iter().position(|score| score.is_nan()) {
            let what = "its score is not a number".to_owned();
            return Err(EvalError::Example { example: example.to_string(), what });
        }
        let mut order: Vec<(usize, f64)> = scores.iter().copied().enumerate().collect();
        order.sort_by(|a, b| b.1.total_cmp(&a.1));
        Ok(Self { order, labels: labels.to_vec() })
    }
}

impl Measure for RocAuc {
    fn len(&self) -> usize {
        self.labels.len()
    }

    /// None if `rows` are all of one kind.
    fn of(&self, rows: &[usize]) -> Option<f64> {
        let mut times = vec![0.0; self.labels.len()];
        for row in rows {
            times[*row] += 1.0;
        }
        let (mut positive, mut negative, mut area) = (0.0, 0.0, 0.0);
        let mut rest = &self.order[..];
        while let Some((_, score)) = rest.first() {
            let (equal, lower) = rest.split_at(rest.partition_point(|(_, other)| other >= score));
            let sum = |kind: bool| -> f64 {
                equal.iter().filter(|(row, _)| self.labels[*row] == kind).map(|(row, _)| times[*row]).sum()
            };
            let (more_positive, more_negative) = (sum(true), sum(false));
            area += more_negative * (positive + more_positive / 2.0);
            positive += more_positive;
            negative += more_negative;
            rest = lower;
        }
        (positive > 0.0 && negative > 0.0).then(|| area / (positive * negative))
    }

    fn each(&self) -> Option<&[f64]> {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn auc(scores: &[f64], labels: &[u8]) -> f64 {
        let labels: Vec<bool> = labels.iter().map(|label| *label == 1).collect();
        RocAuc::new(scores, &labels).unwrap().score().unwrap()
    }

    #[test]
    fn order_is_what_counts() {
        assert_eq!(auc(&[0.1, 0.2, 0.8, 0.9], &[0, 0, 1, 1]), 1.0);
        assert_eq!(auc(&[0.1, 0.2, 0.8, 0.9], &[1, 1, 0, 0]), 0.0);
        assert_eq!(auc(&[0.5; 4], &[1, 1, 0, 0]), 0.5);
        assert_eq!(auc(&[0.5, 0.5, 0.1, 0.9], &[1, 0, 0, 1]), 0.875);
        assert_eq!(auc(&[0.0, -0.0], &[1, 0]), 0.5, "zeros are equal");
    }

    #[test]
    fn repeated_examples_count_again() {
        let auc = RocAuc::new(&[0.9, 0.5, 0.1], &[true, false, true]).unwrap();
        assert_eq!(auc.score(), Some(0.5));
        assert_eq!(auc.of(&[0, 0, 1, 2]), Some(2.0 / 3.0));
        assert_eq!(auc.of(&[0, 2]), None);
    }

    #[test]
    fn what_it_is_not_defined_for_is_told() {
        let message = |scores: &[f64], labels: &[bool]| RocAuc::new(scores, labels).unwrap_err().to_string();
        assert!(message(&[0.1, 0.2], &[true, true]).contains("2 of 2 examples are positive"));
        assert!(message(&[0.1], &[true, false]).contains("1 scores, but 2 labels"));
        assert!(message(&[0.1, f64::NAN], &[true, false]).contains("example 1"));
    }
}
