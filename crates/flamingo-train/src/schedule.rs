//! Learning rate as a function of the step, and of nothing else: resuming needs no scheduler state.

use std::f64::consts::PI;

use serde::{Deserialize, Serialize};

/// A learning rate schedule: a linear warm-up to `peak`, then a shape.
///
/// ```
/// use flamingo_train::Schedule;
///
/// let schedule = Schedule::Linear { peak: 1.0, warmup: 10, end_factor: 0.0 };
/// assert_eq!(schedule.at(4, 110), 0.5);
/// assert_eq!(schedule.at(60, 110), 0.5);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Schedule {
    /// `peak` for ever (Flamingo, appendix B.1.2: 1e-4 after 5000 steps of warm-up).
    Constant {
        /// Highest learning rate.
        peak: f64,
        /// Updates until `peak`; 0 for none.
        warmup: u64,
    },
    /// Straight down to `peak * end_factor` at the end of the run.
    Linear {
        /// Highest learning rate.
        peak: f64,
        /// Updates until `peak`; 0 for none.
        warmup: u64,
        /// Final learning rate as a fraction of `peak`.
        end_factor: f64,
    },
    /// Half a cosine down to `peak * end_factor` at the end of the run.
    Cosine {
        /// Highest learning rate.
        peak: f64,
        /// Updates until `peak`; 0 for none.
        warmup: u64,
        /// Final learning rate as a fraction of `peak`.
        end_factor: f64,
    },
    /// By the same factor with every update, to `peak * end_factor` at the end of the run (the paper's fine-tuning, appendix
    /// B.2.2).
    Exponential {
        /// Highest learning rate.
        peak: f64,
        /// Updates until `peak`; 0 for none.
        warmup: u64,
        /// Final learning rate as a fraction of `peak`; above 0.
        end_factor: f64,
    },
    /// `peak * sqrt(warmup / updates)`: needs no planned end.
    InverseSqrt {
        /// Highest learning rate.
        peak: f64,
        /// Updates until `peak`; at least 1 is assumed.
        warmup: u64,
    },
}

impl Schedule {
    /// The learning rate of update `step` (counted from 0) in a run of `total` updates.
    ///
    /// The first update already learns: warm-up gives `peak / warmup` at step 0 and `peak` at step `warmup - 1`.
    pub fn at(&self, step: u64, total: u64) -> f64 {
        let (peak, warmup) = (self.peak(), self.warmup());
        let done = (step + 1) as f64;
        if step < warmup {
            return peak * done / warmup as f64;
        }
        // Fraction of the decay that lies behind, 0 right after the warm-up and 1 at the end of the run.
        let span = total.saturating_sub(warmup).max(1);
        let progress = ((step - warmup) as f64 / span as f64).min(1.0);
        match *self {
            Schedule::Constant { .. } => peak,
            Schedule::Linear { end_factor, .. } => peak * (1.0 - (1.0 - end_factor) * progress),
            Schedule::Cosine { end_factor, .. } => {
                peak * (end_factor + (1.0 - end_factor) * 0.5 * (1.0 + (PI * progress).cos()))
            }
            Schedule::Exponential { end_factor, .. } => peak * end_factor.powf(progress),
            Schedule::InverseSqrt { .. } => peak * (warmup.max(1) as f64 / done).sqrt(),
        }
    }

    /// The highest learning rate.
    pub fn peak(&self) -> f64 {
        match *self {
            Schedule::Constant { peak, .. }
            | Schedule::Linear { peak, .. }
            | Schedule::Cosine { peak, .. }
            | Schedule::Exponential { peak, .. }
            | Schedule::InverseSqrt { peak, .. } => peak,
        }
    }

    /// The number of warm-up updates.
    pub fn warmup(&self) -> u64 {
        match *self {
            Schedule::Constant { warmup, .. }
            | Schedule::Linear { warmup, .. }
            | Schedule::Cosine { warmup, .. }
            | Schedule::Exponential { warmup, .. }
            | Schedule::InverseSqrt { warmup, .. } => warmup,
        }
    }

    /// The final learning rate as a fraction of the peak, where the shape has one.
    pub fn end_factor(&self) -> Option<f64> {
        match *self {
            Schedule::Linear { end_factor, .. }
            | Schedule::Cosine { end_factor, .. }
            | Schedule::Exponential { end_factor, .. } => Some(end_factor),
            Schedule::Constant { .. } | Schedule::InverseSqrt { .. } => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(left: f64, right: f64) {
        assert!((left - right).abs() < 1e-12, "{left} is not {right}");
    }

    #[test]
    fn every_shape_warms_up_alike_and_meets_its_peak() {
        for schedule in [
            Schedule::Constant { peak: 2.0, warmup: 4 },
            Schedule::Linear { peak: 2.0, warmup: 4, end_factor: 0.1 },
            Schedule::Cosine { peak: 2.0, warmup: 4, end_factor: 0.1 },
            Schedule::Exponential { peak: 2.0, warmup: 4, end_factor: 0.1 },
            Schedule::InverseSqrt { peak: 2.0, warmup: 4 },
        ] {
            close(schedule.at(0, 20), 0.5);
            close(schedule.at(3, 20), 2.0);
        }
    }

    #[test]
    fn decays_end_where_they_should() {
        let linear = Schedule::Linear { peak: 2.0, warmup: 4, end_factor: 0.1 };
        close(linear.at(12, 20), 1.1);
        close(linear.at(20, 20), 0.2);
        close(linear.at(1000, 20), 0.2);
        let cosine = Schedule::Cosine { peak: 2.0, warmup: 4, end_factor: 0.1 };
        close(cosine.at(12, 20), 1.1);
        close(cosine.at(20, 20), 0.2);
        let exponential = Schedule::Exponential { peak: 2.0, warmup: 4, end_factor: 0.25 };
        close(exponential.at(12, 20), 1.0);
        close(exponential.at(20, 20), 0.5);
        let inverse = Schedule::InverseSqrt { peak: 2.0, warmup: 4 };
        close(inverse.at(15, 20), 1.0);
        close(Schedule::Constant { peak: 2.0, warmup: 4 }.at(1000, 20), 2.0);
    }

    #[test]
    fn no_warm_up_and_a_run_shorter_than_its_warm_up_are_fine() {
        close(Schedule::Linear { peak: 1.0, warmup: 0, end_factor: 0.0 }.at(0, 10), 1.0);
        close(Schedule::InverseSqrt { peak: 1.0, warmup: 0 }.at(0, 10), 1.0);
        assert!(Schedule::Cosine { peak: 1.0, warmup: 10, end_factor: 0.0 }.at(3, 5).is_finite());
    }
}
