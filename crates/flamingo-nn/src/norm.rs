//! Layer normalisation, in the forms that the model families use.

use burn::module::Module;
use burn::nn::{LayerNorm, LayerNormConfig, RmsNorm, RmsNormConfig};
use burn::tensor::{Device, Tensor};
use serde::{Deserialize, Serialize};

/// Which normalisation, and its epsilon.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum NormConfig {
    /// Mean and variance, with scale and shift.
    Layer {
        /// Added to the variance.
        epsilon: f64,
    },
    /// Mean and variance, with scale only (MPT).
    LayerNoBias {
        /// Added to the variance.
        epsilon: f64,
    },
    /// Root mean square, with scale only.
    Rms {
        /// Added to the mean square.
        epsilon: f64,
    },
}

impl NormConfig {
    /// A norm over a last dimension of `width`.
    pub fn init(&self, width: usize, device: &Device) -> Norm {
        match *self {
            NormConfig::Layer { epsilon } => {
                Norm::Layer(LayerNormConfig::new(width).with_epsilon(epsilon).init(device))
            }
            NormConfig::LayerNoBias { epsilon } => {
                Norm::Layer(LayerNormConfig::new(width).with_epsilon(epsilon).with_bias(false).init(device))
            }
            NormConfig::Rms { epsilon } => {
                Norm::Rms(RmsNormConfig::new(width).with_epsilon(epsilon).init(device))
            }
        }
    }
}

/// A normalisation layer over the last dimension.
#[derive(Module, Debug)]
pub enum Norm {
    /// Mean and variance, with scale and (or without) shift.
    Layer(LayerNorm),
    /// Root mean square, with scale only.
    Rms(RmsNorm),
}

impl Norm {
    /// Normalises the last dimension.
    ///
    /// # Panics
    ///
    /// If the last dimension is not the width that the norm was made for.
    pub fn forward<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        match self {
            Norm::Layer(norm) => norm.forward(x),
            Norm::Rms(norm) => norm.forward(x),
        }
    }
}
