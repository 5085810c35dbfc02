//! Comparing tensors, with messages that say where they differ.

use burn::tensor::{Tensor, TensorData};

use crate::difference::{Bound, Difference, max_or_nan};

/// The largest absolute difference of two tensors; NaN if either holds one.
///
/// # Panics
///
/// If their shapes differ.
pub fn max_abs_diff<const D: usize>(a: Tensor<D>, b: Tensor<D>) -> f32 {
    assert_eq!(a.dims(), b.dims(), "tensors of different shapes");
    values(a).iter().zip(values(b)).map(|(a, b)| (a - b).abs()).fold(0.0, max_or_nan)
}

/// Asserts that every element is within `tolerance * (1 + |expected|)`.
///
/// For comparisons of our own: those with a reference are [`Fixture::assert_close`](crate::Fixture::assert_close),
/// which also measures for `cargo xtask parity --check`.
///
/// # Panics
///
/// If shapes differ, or an element is farther away or NaN; the message names the worst one.
#[track_caller]
pub fn assert_close<const D: usize>(actual: Tensor<D>, expected: Tensor<D>, tolerance: f32) {
    let shape = expected.dims();
    assert_eq!(actual.dims(), shape, "actual and expected tensors have different shapes");
    let (actual, expected) = (values(actual), values(expected));
    Difference::of(&actual, &expected, Bound::Scaled(tolerance)).assert_inside(&actual, &expected, &shape);
}

/// The sum of `tensor_i * cos(i)` over all elements in row-major order, `[1]`.
///
/// The scripts of `tests/parity` differentiate this, because its gradient is different at every element.
pub fn weighted_sum<const D: usize>(tensor: Tensor<D>) -> Tensor<1> {
    let shape = tensor.dims();
    let cosines: Vec<f32> = (0..shape.iter().product()).map(|i: usize| (i as f64).cos() as f32).collect();
    let device = tensor.device();
    (tensor * Tensor::from_data(TensorData::new(cosines, shape), &device)).sum()
}

pub(crate) fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().iter::<f32>().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;

    fn tensor(values: [[f32; 2]; 2]) -> Tensor<2> {
        Tensor::from_floats(values, &Device::flex())
    }

    #[test]
    fn small_differences_pass_and_are_measured() {
        let (a, b) = (tensor([[1.0, 2.0], [3.0, 4.0]]), tensor([[1.0, 2.0], [3.0, 4.5]]));
        assert_eq!(max_abs_diff(a.clone(), b.clone()), 0.5);
        assert_close(a, b, 0.1);
    }

    #[test]
    #[should_panic(expected = "worst at [1, 0]: 3 where 4 was expected")]
    fn the_worst_element_is_named() {
        assert_close(tensor([[1.0, 2.1], [3.0, 4.0]]), tensor([[1.0, 2.0], [4.0, 4.0]]), 1e-3);
    }

    #[test]
    #[should_panic(expected = "worst at [0, 1]: NaN")]
    fn nan_never_passes() {
        assert!(max_abs_diff(tensor([[f32::NAN; 2]; 2]), tensor([[0.0; 2]; 2])).is_nan());
        assert_close(tensor([[1.0, f32::NAN], [3.0, 9.0]]), tensor([[1.0, 2.0], [3.0, 4.0]]), 1e-3);
    }
}
