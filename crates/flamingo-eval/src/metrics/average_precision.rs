//! Average precision: the mean of the precision at every positive example, by descending score, with weights.
//!
//! The sum over scores of precision times what recall gains there, not interpolated; equal scores are one step. Equal to
//! scikit-learn's `average_precision_score` with `sample_weight`.

/// An example that is ranked.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Ranked {
    /// By which it is ranked.
    pub score: f64,
    /// Whether it is one of those looked for.
    pub positive: bool,
    /// How much it counts.
    pub weight: f64,
}

/// The average precision of examples in any order; none if nothing positive has a weight.
pub fn average_precision(mut examples: Vec<Ranked>) -> Option<f64> {
    examples.sort_by(|a, b| b.score.total_cmp(&a.score));
    let (mut positive, mut all, mut sum) = (0.0, 0.0, 0.0);
    for equal in examples.chunk_by(|a, b| a.score == b.score) {
        let gain: f64 = equal.iter().filter(|it| it.positive).map(|it| it.weight).sum();
        positive += gain;
        all += equal.iter().map(|it| it.weight).sum::<f64>();
        if gain > 0.0 {
            sum += gain * positive / all;
        }
    }
    (positive > 0.0).then(|| sum / positive)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(examples: &[(f64, bool, f64)]) -> Option<f64> {
        average_precision(
            examples
                .iter()
                .map(|(score, positive, weight)| Ranked {
                    score: *score,
                    positive: *positive,
                    weight: *weight,
                })
                .collect(),
        )
    }

    #[test]
    fn positives_first_is_one_and_last_is_little() {
        assert_eq!(of(&[(0.9, true, 1.0), (0.8, true, 1.0), (0.1, false, 1.0)]), Some(1.0));
        assert_eq!(of(&[(0.9, false, 1.0), (0.8, false, 1.0), (0.1, true, 1.0)]), Some(1.0 / 3.0));
        assert_eq!(of(&[(0.5, false, 1.0), (0.5, true, 1.0)]), Some(0.5), "equal scores are one step");
    }

    #[test]
    fn weights_count() {
        assert_eq!(of(&[(0.9, false, 0.5), (0.8, true, 1.0)]), Some(1.0 / 1.5));
        assert_eq!(of(&[(0.9, false, 0.5), (0.8, true, 0.0)]), None);
        assert_eq!(of(&[]), None);
    }
}
