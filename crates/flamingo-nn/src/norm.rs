//! Layer normalisation, in the forms that the model families use.

use burn::module::{Module, ModuleMapper, Param};
use burn::nn::{LayerNorm, LayerNormConfig, RmsNorm, RmsNormConfig};
use burn::tensor::{Device, Tensor, assert_shape};
use flamingo_core::precision::{is_half, like, widen};
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
    /// Normalises the last dimension; half precision in f32, as the reference implementations do, with one rounding at
    /// the end. (Burn's RMS norm rounds the root and the quotient, its layer norm all of bf16's sums.)
    ///
    /// # Panics
    ///
    /// If the last dimension is not the width that the norm was made for.
    pub fn forward<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        if is_half(&x) {
            let wide = self.clone().map(&mut Widen).forward(widen(x.clone()));
            return like(wide, &x);
        }
        match self {
            Norm::Layer(norm) => norm.forward(x),
            Norm::Rms(norm) => rms(norm, x),
        }
    }
}

/// `x / sqrt(mean(x^2) + epsilon) * gamma`, like Burn's, of steps whose derivatives pass over x six times and not eleven.
fn rms<const D: usize>(norm: &RmsNorm, x: Tensor<D>) -> Tensor<D> {
    let [width] = norm.gamma.dims();
    assert_shape!(x, [.., width]);
    // Half of a square's derivative: the other factor is a constant. The sums make up for it, being much smaller.
    let sum = (x.clone() * x.clone().detach()).sum_dim(D - 1);
    let sum = sum.clone() * 2.0 - sum.detach();
    let inverse = (sum / width as f64 + norm.epsilon).sqrt().recip(); // [.., 1]
    x * inverse * norm.gamma.val().unsqueeze()
}

/// Parameters in f32, still of their graph.
struct Widen;

impl ModuleMapper for Widen {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        param.map(widen)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::{Distribution, FloatDType, Tolerance};

    #[test]
    fn half_precision_is_rounded_once() {
        let device = Device::flex();
        device.seed(3);
        for config in [NormConfig::Layer { epsilon: 1e-5 }, NormConfig::Rms { epsilon: 1e-6 }] {
            let x = Tensor::<2>::random([4, 64], Distribution::Normal(100.0, 3.0), &device);
            let half = x.cast(FloatDType::BF16);
            let norm = config.init(64, &device);
            let expected = norm.forward(widen(half.clone())).cast(FloatDType::BF16);
            let found = norm.clone().map(&mut Narrow).forward(half);
            assert_eq!(found.dtype(), expected.dtype());
            found.into_data().assert_approx_eq::<f32>(&expected.into_data(), Tolerance::absolute(0.0));
        }
    }

    struct Narrow;

    impl ModuleMapper for Narrow {
        fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
            param.map(|value| value.cast(FloatDType::BF16))
        }
    }
}
