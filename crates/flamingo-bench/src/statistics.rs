//! Medians and quartiles.

/// The middle of some numbers and how far apart they are.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Summary {
    /// Half of the numbers are below.
    pub median: f64,
    /// Between the quartiles, as a share of the median: half of the numbers are not further apart than that.
    pub spread: f64,
    /// The smallest.
    pub least: f64,
    /// How many there are.
    pub count: usize,
}

impl Summary {
    /// Of at least one number; `None` without any.
    pub fn of(numbers: &[f64]) -> Option<Self> {
        let mut sorted = numbers.to_vec();
        sorted.sort_by(f64::total_cmp);
        let median = quantile(&sorted, 0.5)?;
        let width = quantile(&sorted, 0.75)? - quantile(&sorted, 0.25)?;
        let spread = if median > 0.0 { width / median } else { 0.0 };
        Some(Self { median, spread, least: sorted[0], count: sorted.len() })
    }

    /// The median's standard error as a share of it, from the quartiles: 1.25 times a mean's, whose numbers lie 1.35 standard
    /// deviations apart between the quartiles if they are normal (McGill, Tukey and Larsen, Variations of Box Plots, 1978).
    pub fn error(&self) -> f64 {
        1.25 / 1.35 * self.spread / (self.count as f64).sqrt()
    }
}

/// Of neighbours in time.
pub fn ratios(ours: &[f64], theirs: &[f64]) -> Vec<f64> {
    ours.iter().zip(theirs).map(|(ours, theirs)| ours / theirs).collect()
}

/// Of sorted numbers, linear between two of them (Hyndman and Fan's seventh, numpy's default).
fn quantile(sorted: &[f64], share: f64) -> Option<f64> {
    let place = share * sorted.len().checked_sub(1)? as f64;
    let (below, above) = (sorted[place.floor() as usize], sorted[place.ceil() as usize]);
    Some(below + (above - below) * place.fract())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians_and_quartiles_are_numpys() {
        // numpy.percentile([1, 2, 4, 8, 16, 32], [25, 50, 75]) is 2.5, 6, 14.
        let summary = Summary::of(&[32.0, 1.0, 16.0, 2.0, 8.0, 4.0]).unwrap();
        assert_eq!((summary.median, summary.least), (6.0, 1.0));
        assert!((summary.spread - 11.5 / 6.0).abs() < 1e-12);
        let alone = Summary::of(&[3.0]).unwrap();
        assert_eq!((alone.median, alone.spread, alone.least), (3.0, 0.0, 3.0));
        assert_eq!(Summary::of(&[]), None);
    }

    #[test]
    fn the_error_of_a_median_is_that_of_many_medians() {
        // Sums of twelve uniform numbers are normal enough; a plain generator (Lehmer's) will do.
        let mut state = 1u64;
        let mut uniform = || {
            state = state * 48271 % 0x7fff_ffff;
            state as f64 / 0x7fff_ffff as f64
        };
        let mut normal = || 100.0 + (0..12).map(|_| uniform()).sum::<f64>() - 6.0;
        let draws: Vec<Summary> =
            (0..2000).map(|_| Summary::of(&(0..51).map(|_| normal()).collect::<Vec<_>>()).unwrap()).collect();
        let mean = |of: &dyn Fn(&Summary) -> f64| draws.iter().map(of).sum::<f64>() / draws.len() as f64;
        let centre = mean(&|draw| draw.median);
        let deviation = mean(&|draw| (draw.median - centre).powi(2)).sqrt() / centre;
        let told = mean(&|draw| draw.error());
        assert!((told / deviation - 1.0).abs() < 0.1, "{told} {deviation}");
    }

    #[test]
    fn one_outlier_moves_neither_median_nor_spread() {
        let calm: Vec<f64> = (0..20).map(|i| 100.0 + f64::from(i % 5)).collect();
        let (before, mut numbers) = (Summary::of(&calm).unwrap(), calm);
        numbers[7] = 1e6;
        let after = Summary::of(&numbers).unwrap();
        assert!((after.median - before.median).abs() <= 1.0 && (after.spread - before.spread).abs() < 0.01);
    }
}
