//! Number formats of a computation, and the casts between them.
//!
//! With half precision, activations and frozen weights are in half precision, while parameters that learn are kept in
//! f32 and enter as copies (Micikevicius et al. 2018, "Mixed Precision Training"). Layers follow their weights: whoever
//! makes a tensor from host data, or a table, brings it into the format of the weights that it meets ([`like`]); norms,
//! softmax and losses are computed in f32 ([`widen`]).

use std::fmt;
use std::str::FromStr;

use burn::tensor::{DType, Device, FloatDType, Tensor};
use serde::{Deserialize, Serialize};

use crate::device::{DeviceError, name};
use crate::nearest;

/// The number format of activations and frozen weights.
///
/// ```
/// use flamingo_core::Precision;
///
/// assert_eq!("bf16".parse::<Precision>()?, Precision::Bf16);
/// assert!("fp16".parse::<Precision>().unwrap_err().contains("did you mean \"f16\"?"));
/// # Ok::<(), String>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Precision {
    /// 8 bits of exponent, 24 of significand.
    #[default]
    F32,
    /// The range of f32 with 8 bits of significand: gradients need no care.
    Bf16,
    /// 5 bits of exponent, 11 of significand: small gradients vanish unless the loss is scaled.
    F16,
}

impl Precision {
    /// In the order of their names' length.
    pub const ALL: [Precision; 3] = [Precision::F32, Precision::Bf16, Precision::F16];

    /// As in configurations.
    pub fn name(self) -> &'static str {
        match self {
            Precision::F32 => "f32",
            Precision::Bf16 => "bf16",
            Precision::F16 => "f16",
        }
    }

    /// Burn's name; `None` for f32, which is whatever format the parameters have (f64 where one computes in that).
    pub fn half(self) -> Option<FloatDType> {
        match self {
            Precision::F32 => None,
            Precision::Bf16 => Some(FloatDType::BF16),
            Precision::F16 => Some(FloatDType::F16),
        }
    }

    /// Refuses devices that cannot compute in this format.
    ///
    /// # Errors
    ///
    /// [`DeviceError::Precision`], with the formats that the device has.
    pub fn check(self, device: &Device) -> Result<(), DeviceError> {
        let device = device.clone().inner();
        let has = |precision: &Precision| precision.half().is_none_or(|half| device.supports_dtype(half));
        if has(&self) {
            return Ok(());
        }
        let available: Vec<&str> = Self::ALL.iter().filter(|other| has(other)).map(|it| it.name()).collect();
        Err(DeviceError::Precision {
            precision: self.name(),
            device: name(&device),
            available: available.join(", "),
        })
    }
}

impl fmt::Display for Precision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Precision {
    type Err = String;

    fn from_str(given: &str) -> Result<Self, String> {
        let names = Self::ALL.map(Self::name);
        Self::ALL.into_iter().find(|precision| precision.name() == given).ok_or_else(|| {
            format!(
                "unknown precision {given:?}: there are {}{}",
                names.join(", "),
                nearest::hint(given, names)
            )
        })
    }
}

/// Whether `tensor` is of a format too coarse for exponentials and sums.
pub fn is_half<const D: usize>(tensor: &Tensor<D>) -> bool {
    matches!(tensor.dtype(), DType::F16 | DType::BF16)
}

/// Half precision as f32; anything else as it is. Gradients come back in the format of the input.
pub fn widen<const D: usize>(tensor: Tensor<D>) -> Tensor<D> {
    if is_half(&tensor) { tensor.cast(FloatDType::F32) } else { tensor }
}

/// `tensor` in the number format of `other`.
pub fn like<const D: usize, const E: usize>(tensor: Tensor<D>, other: &Tensor<E>) -> Tensor<D> {
    match tensor.dtype() == other.dtype() {
        true => tensor,
        false => tensor.cast(FloatDType::from(other.dtype())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_configurations() {
        for precision in Precision::ALL {
            assert_eq!(serde_json::to_value(precision).unwrap(), precision.name());
            assert_eq!(precision.name().parse(), Ok(precision));
            precision.check(&Device::flex().autodiff()).unwrap();
        }
    }

    #[test]
    fn gradients_come_back_in_the_format_of_the_leaf() {
        let device = Device::flex().autodiff();
        let leaf = Tensor::<1>::from_floats([1.0, 2.0], &device).require_grad();
        let half = leaf.clone().cast(FloatDType::BF16);
        assert!(is_half(&half) && half.is_tracked());
        let gradients = widen(half.clone() * half).sum().backward();
        let gradient = leaf.grad(&gradients).unwrap();
        assert_eq!(gradient.dtype(), DType::F32);
        assert_eq!(gradient.into_data().try_to_vec::<f32>().unwrap(), [2.0, 4.0]);
    }
}
