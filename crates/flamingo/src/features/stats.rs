//! Mean and spread of each channel of features, for putting them on one scale.

use flamingo_data::{DataError, FeatureLookup, MediaKey};
use serde::{Deserialize, Serialize};

use super::FeatureCache;
use crate::error::FlamingoError;

/// Mean and standard deviation of every channel over media, frames and positions.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ChannelStats {
    /// Positions of all frames.
    pub count: u64,
    /// `[E]`.
    pub mean: Vec<f64>,
    /// `[E]`, of the population: divided by the count.
    pub std: Vec<f64>,
}

impl FeatureCache {
    /// The statistics of the features of `keys`, exact in f64: of [`FeatureCache::keys`], or of a sample of them.
    ///
    /// # Errors
    ///
    /// [`DataError::NoFeatures`] on a medium that the cache has not, and if there is none at all; if a shard cannot be
    /// read.
    pub fn channel_stats(
        &self,
        keys: impl IntoIterator<Item = MediaKey>,
    ) -> Result<ChannelStats, FlamingoError> {
        let [_, width] = self.shape;
        let mut sums = Moments { count: 0, mean: vec![0.0; width], squares: vec![0.0; width] };
        let mut values = Vec::new();
        let absent = |name: String| FlamingoError::from(DataError::NoFeatures { name });
        for key in keys {
            values.clear();
            self.read(&key, &mut values)?.ok_or_else(|| absent(format!("the medium {key}")))?;
            for row in values.chunks_exact(width) {
                sums.add(row.iter().map(|value| value.to_f64()));
            }
        }
        if sums.count == 0 {
            return Err(absent("a set without pictures".to_owned()));
        }
        let std = sums.squares.iter().map(|squares| (squares / sums.count as f64).sqrt()).collect();
        Ok(ChannelStats { count: sums.count, mean: sums.mean, std })
    }
}

/// Welford's sums (1962), which do not cancel where the spread is small beside the mean.
struct Moments {
    count: u64,
    mean: Vec<f64>,
    /// Sums of squared differences from the mean.
    squares: Vec<f64>,
}

impl Moments {
    fn add(&mut self, row: impl Iterator<Item = f64>) {
        self.count += 1;
        let share = 1.0 / self.count as f64;
        for ((mean, squares), value) in self.mean.iter_mut().zip(&mut self.squares).zip(row) {
            let before = value - *mean;
            *mean += before * share;
            *squares += before * (value - *mean);
        }
    }
}
