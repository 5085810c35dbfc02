//! How far two lists of numbers are apart, and how far they may be.

use std::fmt;

/// How far a value may be from the expected one, which is `e`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Bound {
    /// `bound * (1 + |e|)`: absolute for small numbers, relative for large ones.
    Scaled(f32),
    /// `bound`.
    Absolute(f32),
}

/// The differences of all elements, summed up.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Difference {
    pub bound: Bound,
    /// Elements compared.
    pub values: usize,
    /// Elements outside the bound, or NaN.
    pub wrong: usize,
    /// The largest `|a - e|`; NaN if there is one.
    pub max_abs: f32,
    /// The largest `|a - e|` over the largest `|e|`: a share of each element would say nothing near zero.
    pub max_rel: f32,
    /// The largest share of the bound that an element takes up: 1 is just inside.
    pub of_bound: f32,
    /// Where that element is.
    worst: usize,
}

impl Bound {
    /// The number in it.
    pub fn number(self) -> f32 {
        match self {
            Bound::Scaled(bound) | Bound::Absolute(bound) => bound,
        }
    }

    fn limit(self, expected: f32) -> f32 {
        match self {
            Bound::Scaled(bound) => bound * (1.0 + expected.abs()),
            Bound::Absolute(bound) => bound,
        }
    }
}

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Bound::Scaled(bound) => write!(f, "{bound:e} * (1 + |expected|)"),
            Bound::Absolute(bound) => write!(f, "{bound:e}"),
        }
    }
}

impl Difference {
    /// Of lists of one length.
    pub fn of(actual: &[f32], expected: &[f32], bound: Bound) -> Self {
        let mut sum = Self {
            bound,
            values: expected.len(),
            wrong: 0,
            max_abs: 0.0,
            max_rel: 0.0,
            of_bound: 0.0,
            worst: 0,
        };
        for (index, (a, e)) in actual.iter().zip(expected).enumerate() {
            let error = (a - e).abs();
            // Equal is inside every bound, one of 0 and the expected infinity included.
            let share = if a == e { 0.0 } else { error / bound.limit(*e) };
            sum.wrong += usize::from(share.is_nan() || share > 1.0);
            sum.max_abs = max_or_nan(sum.max_abs, if a == e { 0.0 } else { error });
            if badness(share) > badness(sum.of_bound) {
                (sum.of_bound, sum.worst) = (share, index);
            }
        }
        let largest = expected.iter().fold(0.0, |most, e| max_or_nan(most, e.abs()));
        sum.max_rel = if sum.max_abs == 0.0 { 0.0 } else { sum.max_abs / largest };
        sum
    }

    /// Panics if an element is outside the bound, and names the worst.
    #[track_caller]
    pub fn assert_inside(&self, actual: &[f32], expected: &[f32], shape: &[usize]) {
        let Self { bound, values, wrong, worst, of_bound, .. } = self;
        assert!(
            *wrong == 0,
            "{wrong} of {values} elements differ by more than {bound}; worst at {:?}: {} where {} was expected \
             ({of_bound:.3} times the bound)",
            coordinates(*worst, shape),
            actual[*worst],
            expected[*worst],
        );
    }
}

/// The larger one; NaN if either is.
pub(crate) fn max_or_nan(a: f32, b: f32) -> f32 {
    if a.is_nan() || b.is_nan() { f32::NAN } else { a.max(b) }
}

/// NaN is worse than any difference.
fn badness(share: f32) -> f32 {
    if share.is_nan() { f32::INFINITY } else { share }
}

fn coordinates(mut index: usize, shape: &[usize]) -> Vec<usize> {
    let mut coordinates = vec![0; shape.len()];
    for (coordinate, side) in coordinates.iter_mut().zip(shape).rev() {
        *coordinate = index % side;
        index /= side;
    }
    coordinates
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_measured_in_three_ways() {
        let difference = Difference::of(&[1.0, 2.0, -3.5], &[1.0, 2.25, -4.0], Bound::Scaled(0.2));
        assert_eq!((difference.values, difference.wrong), (3, 0));
        assert_eq!((difference.max_abs, difference.max_rel), (0.5, 0.125));
        assert_eq!((difference.of_bound, difference.worst), (0.5, 2));
        let difference = Difference::of(&[1.0, 2.0], &[3.0, 2.0], Bound::Absolute(1.0));
        assert_eq!((difference.wrong, difference.of_bound), (1, 2.0));
    }

    #[test]
    fn equal_is_inside_a_bound_of_zero_and_nan_inside_none() {
        let infinity = f32::NEG_INFINITY;
        let difference = Difference::of(&[0.0, infinity], &[0.0, infinity], Bound::Scaled(0.0));
        assert_eq!((difference.wrong, difference.max_abs, difference.max_rel), (0, 0.0, 0.0));
        let difference = Difference::of(&[f32::NAN, 9.0], &[1.0, 1.0], Bound::Absolute(1.0));
        assert_eq!((difference.wrong, difference.worst), (2, 0));
        assert!(difference.max_abs.is_nan() && difference.max_rel.is_nan());
    }

    #[test]
    fn coordinates_are_row_major() {
        assert_eq!(coordinates(5, &[2, 3]), [1, 2]);
        assert_eq!(coordinates(0, &[]), [0usize; 0]);
    }
}
