//! Comparing tensors, with messages that say where they differ.

use burn::tensor::{Tensor, TensorData};

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
/// # Panics
///
/// If shapes differ, or an element is farther away or NaN; the message names the worst one.
#[track_caller]
pub fn assert_close<const D: usize>(actual: Tensor<D>, expected: Tensor<D>, tolerance: f32) {
    let shape = expected.dims();
    assert_eq!(actual.dims(), shape, "actual and expected tensors have different shapes");
    let (actual, expected) = (values(actual), values(expected));
    let errors: Vec<f32> =
        actual.iter().zip(&expected).map(|(a, e)| (a - e).abs() / (1.0 + e.abs())).collect();
    let wrong = errors.iter().filter(|error| error.is_nan() || **error > tolerance).count();
    if wrong == 0 {
        return;
    }
    let worst = (0..errors.len()).max_by(|a, b| key(errors[*a]).total_cmp(&key(errors[*b]))).unwrap_or(0);
    panic!(
        "{wrong} of {} elements differ by more than {tolerance:e} * (1 + |expected|); worst at {:?}: {} where {} was \
         expected (scaled difference {:e})",
        errors.len(),
        coordinates(worst, shape),
        actual[worst],
        expected[worst],
        errors[worst],
    );
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

fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().iter::<f32>().collect()
}

/// NaN is worse than any difference.
fn key(error: f32) -> f32 {
    if error.is_nan() { f32::INFINITY } else { error }
}

fn max_or_nan(a: f32, b: f32) -> f32 {
    if a.is_nan() || b.is_nan() { f32::NAN } else { a.max(b) }
}

fn coordinates<const D: usize>(mut index: usize, shape: [usize; D]) -> [usize; D] {
    let mut coordinates = [0; D];
    for dim in (0..D).rev() {
        coordinates[dim] = index % shape[dim];
        index /= shape[dim];
    }
    coordinates
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
