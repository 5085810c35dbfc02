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
}

impl Summary {
    /// Of at least one number; `None` without any.
    pub fn of(numbers: &[f64]) -> Option<Self> {
        let mut sorted = numbers.to_vec();
        sorted.sort_by(f64::total_cmp);
        let median = quantile(&sorted, 0.5)?;
        let width = quantile(&sorted, 0.75)? - quantile(&sorted, 0.25)?;
        Some(Self { median, spread: if median > 0.0 { width / median } else { 0.0 }, least: sorted[0] })
    }
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
    fn one_outlier_moves_neither_median_nor_spread() {
        let calm: Vec<f64> = (0..20).map(|i| 100.0 + f64::from(i % 5)).collect();
        let (before, mut numbers) = (Summary::of(&calm).unwrap(), calm);
        numbers[7] = 1e6;
        let after = Summary::of(&numbers).unwrap();
        assert!((after.median - before.median).abs() <= 1.0 && (after.spread - before.spread).abs() < 0.01);
    }
}
