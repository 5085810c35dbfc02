//! How sure a score is: the bootstrap, which scores random selections of the examples.

use rand::Rng;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use serde::Serialize;

use super::Measure;

/// How intervals are computed.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Bootstrap {
    /// Selections, as many examples each as there are.
    pub resamples: usize,
    /// The share of selections whose scores are inside.
    pub confidence: f64,
    /// Of the random choices.
    pub seed: u64,
}

/// Between which scores the middle share of the selections is.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Interval {
    /// Its lower end.
    pub low: f64,
    /// Its upper end.
    pub high: f64,
    /// The selections' standard deviation.
    pub deviation: f64,
}

impl Default for Bootstrap {
    fn default() -> Self {
        Self { resamples: 1000, confidence: 0.95, seed: 0 }
    }
}

impl Bootstrap {
    /// The percentile interval of a metric (Efron 1979), the same for the same seed. Selections for which the metric is
    /// not defined are left out; none if that are all.
    pub fn interval(&self, measure: &dyn Measure) -> Option<Interval> {
        let examples = measure.len();
        if examples == 0 {
            return None;
        }
        let mut scores: Vec<f64> = (0..self.resamples as u64)
            .filter_map(|resample| {
                let mut random = ChaCha8Rng::seed_from_u64(self.seed);
                random.set_stream(resample);
                let rows: Vec<usize> = (0..examples).map(|_| random.random_range(0..examples)).collect();
                measure.of(&rows)
            })
            .collect();
        scores.sort_by(f64::total_cmp);
        let outside = (1.0 - self.confidence) / 2.0;
        let mean = scores.iter().sum::<f64>() / scores.len() as f64;
        let variance = scores.iter().map(|it| (it - mean).powi(2)).sum::<f64>() / scores.len() as f64;
        Some(Interval {
            low: quantile(&scores, outside)?,
            high: quantile(&scores, 1.0 - outside)?,
            deviation: variance.sqrt(),
        })
    }
}

/// Linear between the two nearest of sorted numbers.
fn quantile(sorted: &[f64], share: f64) -> Option<f64> {
    let place = share.clamp(0.0, 1.0) * sorted.len().checked_sub(1)? as f64;
    let (low, high) = (sorted[place.floor() as usize], sorted[place.ceil() as usize]);
    Some(low + (high - low) * place.fract())
}

#[cfg(test)]
mod tests {
    use super::super::Mean;
    use super::*;

    #[test]
    fn quantiles_are_between_the_numbers() {
        assert_eq!(quantile(&[1.0, 2.0, 3.0, 4.0], 0.5), Some(2.5));
        assert_eq!(quantile(&[1.0, 2.0], 1.0), Some(2.0));
        assert_eq!(quantile(&[], 0.5), None);
    }

    #[test]
    fn the_interval_of_a_mean_is_that_of_its_normal_distribution() {
        let half = Mean((0..400).map(|it| f64::from(it % 2)).collect());
        let interval = Bootstrap::default().interval(&half).unwrap();
        // A share of 0.5 in 400 has a standard error of 0.025.
        assert!((interval.deviation - 0.025).abs() < 0.003, "{interval:?}");
        assert!((interval.low - 0.451).abs() < 0.01 && (interval.high - 0.549).abs() < 0.01, "{interval:?}");
    }

    #[test]
    fn the_seed_decides() {
        let mean = Mean((0..50).map(|it| f64::from(it * it % 17)).collect());
        let of = |seed| Bootstrap { seed, ..Bootstrap::default() }.interval(&mean).unwrap();
        assert_eq!(of(1), of(1));
        assert_ne!(of(1), of(2));
        assert_eq!(Bootstrap::default().interval(&Mean(vec![])), None);
    }
}
