//! Whether a device computes, and what it is: for reports of what does not work.
//!
//! A driver that is missing or broken shows itself by a panic somewhere below Burn; here it becomes an error.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use burn::tensor::{Device, Tensor, TensorData};

use crate::device::{self, Backend, DeviceError};

/// Sides of the square matrices that are multiplied.
const SIDE: usize = 256;

/// The largest difference from the right product, relative to its largest number, that arithmetic in f32 explains.
const TOLERANCE: f64 = 1e-3;

/// The devices of this machine that a backend finds, in its order; none if it was not compiled in.
///
/// # Errors
///
/// [`DeviceError::Failed`] if its driver is missing or broken.
pub fn devices(backend: Backend) -> Result<Vec<Device>, DeviceError> {
    caught(|| backend.enumerate())
}

/// What a person calls a device: the name of a GPU, and what Burn calls it.
pub fn name(device: &Device) -> String {
    caught(|| device::name(device)).unwrap_or_else(|_| format!("{device:?}"))
}

/// Multiplies two matrices, twice, checks the product, and returns the time of the second: the first also compiles.
///
/// # Errors
///
/// [`DeviceError::Failed`] if the device does not compute, [`DeviceError::Wrong`] if it computes something else.
pub fn probe(device: &Device) -> Result<Duration, DeviceError> {
    let (left, right) = (matrix(1), matrix(2));
    let product = |start: Instant| {
        let upload =
            |values: &[f32]| Tensor::<2>::from_data(TensorData::new(values.to_vec(), [SIDE, SIDE]), device);
        let product: Vec<f32> = upload(&left).matmul(upload(&right)).into_data().iter().collect();
        (product, start.elapsed())
    };
    let (found, time) = caught(|| {
        product(Instant::now());
        product(Instant::now())
    })?;
    match difference(&found, &left, &right) {
        small if small <= TOLERANCE => Ok(time),
        difference => Err(DeviceError::Wrong { difference }),
    }
}

/// Numbers between -1 and 1 without a pattern.
fn matrix(seed: usize) -> Vec<f32> {
    (0..SIDE * SIDE).map(|index| ((index * 7919 + seed * 104_729) as f32).sin()).collect()
}

/// The largest difference of `found` from the product, relative to the product's largest number.
fn difference(found: &[f32], left: &[f32], right: &[f32]) -> f64 {
    let (mut largest, mut off) = (0.0f64, 0.0f64);
    for row in 0..SIDE {
        for column in 0..SIDE {
            let terms =
                (0..SIDE).map(|k| f64::from(left[row * SIDE + k]) * f64::from(right[k * SIDE + column]));
            let right: f64 = terms.sum();
            let difference = (f64::from(found[row * SIDE + column]) - right).abs();
            if !difference.is_finite() {
                return f64::INFINITY;
            }
            (largest, off) = (largest.max(right.abs()), off.max(difference));
        }
    }
    off / largest
}

fn caught<T>(compute: impl FnOnce() -> T) -> Result<T, DeviceError> {
    catch_unwind(AssertUnwindSafe(compute)).map_err(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
        DeviceError::Failed { what: text.unwrap_or("no reason was given").to_owned() }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_device_of_this_build_that_is_found_multiplies() {
        for device in devices(Backend::Flex).unwrap() {
            assert!(probe(&device).unwrap() < Duration::from_secs(60));
        }
    }

    #[test]
    fn a_wrong_product_is_seen() {
        let (left, right) = (matrix(1), matrix(2));
        let identity: Vec<f32> =
            (0..SIDE * SIDE).map(|index| f32::from(u8::from(index % (SIDE + 1) == 0))).collect();
        assert_eq!(difference(&left, &left, &identity), 0.0);
        assert!(difference(&left, &left, &right) > 0.1);
        assert_eq!(difference(&vec![f32::NAN; SIDE * SIDE], &left, &right), f64::INFINITY);
    }

    #[test]
    fn a_panic_is_an_error() {
        let error = caught(|| panic!("no adapter {}", 3)).unwrap_err();
        assert!(error.to_string().contains("no adapter 3"), "{error}");
    }
}
