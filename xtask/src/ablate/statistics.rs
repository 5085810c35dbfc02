//! Mean and spread of a figure over seeds.

use std::fmt;

/// Mean and standard deviation of a sample.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Spread {
    /// How many.
    pub n: usize,
    /// Their mean.
    pub mean: f64,
    /// Their standard deviation, of n - 1 degrees of freedom; none of a single one.
    pub deviation: Option<f64>,
}

impl Spread {
    /// Of some values; none of nothing.
    pub fn of(values: &[f64]) -> Option<Self> {
        let n = values.len();
        let mean = values.iter().sum::<f64>() / n as f64;
        let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
        let deviation = (n > 1).then(|| (squares / (n - 1) as f64).sqrt());
        (n > 0).then_some(Self { n, mean, deviation })
    }

    /// Everything times `factor`.
    pub fn times(self, factor: f64) -> Self {
        Self { mean: self.mean * factor, deviation: self.deviation.map(|value| value * factor), ..self }
    }
}

/// `1.23 ± 0.04`, with the formatter's precision.
impl fmt::Display for Spread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let precision = f.precision().unwrap_or(2);
        write!(f, "{:.precision$}", self.mean)?;
        self.deviation.map_or(Ok(()), |deviation| write!(f, " ± {deviation:.precision$}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_deviation_is_that_of_a_sample() {
        let spread = Spread::of(&[2.0, 4.0, 9.0]).unwrap();
        assert_eq!((spread.n, spread.mean), (3, 5.0));
        assert_eq!(format!("{spread:.3}"), "5.000 ± 3.606");
        assert_eq!(format!("{:.1}", spread.times(10.0)), "50.0 ± 36.1");
        assert_eq!(Spread::of(&[1.5]).unwrap().to_string(), "1.50");
        assert_eq!(Spread::of(&[]), None);
    }
}
