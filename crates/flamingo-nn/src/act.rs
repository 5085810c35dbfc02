//! Activation functions of the Flamingo family, by name.

use burn::tensor::{Tensor, activation};
use serde::{Deserialize, Serialize};

/// An activation function.
///
/// Which one matters for parity: the paper's Perceiver and gated blocks use squared ReLU, OpenFlamingo the exact GELU,
/// IDEFICS ReLU and SiLU; OpenAI's CLIP uses the quick GELU.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Act {
    /// `x * Phi(x)`, with the error function.
    Gelu,
    /// The tanh approximation of GELU (JAX's default).
    GeluTanh,
    /// `x * sigmoid(1.702 x)`.
    QuickGelu,
    /// `max(x, 0)`.
    Relu,
    /// `max(x, 0)^2` (Flamingo paper, table 4).
    SquaredRelu,
    /// `x * sigmoid(x)`.
    Silu,
}

impl Act {
    /// Applies the function element by element.
    pub fn forward<const D: usize>(self, x: Tensor<D>) -> Tensor<D> {
        match self {
            Act::Gelu => activation::gelu(x),
            Act::GeluTanh => activation::gelu_approximate(x),
            Act::QuickGelu => x.clone() * activation::sigmoid(x * 1.702),
            Act::Relu => activation::relu(x),
            Act::SquaredRelu => {
                let positive = activation::relu(x);
                positive.clone() * positive
            }
            Act::Silu => activation::silu(x),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::{Device, Tolerance};

    #[test]
    fn values_are_the_published_formulas() {
        let device = Device::flex();
        let x = || Tensor::<1>::from_floats([-1.0, 0.5, 2.0], &device);
        let check = |act: Act, expected: [f32; 3]| {
            let expected = Tensor::<1>::from_floats(expected, &device);
            act.forward(x())
                .into_data()
                .assert_approx_eq::<f32>(&expected.into_data(), Tolerance::absolute(1e-5));
        };
        check(Act::Gelu, [-0.158_655, 0.345_731, 1.954_5]);
        check(Act::GeluTanh, [-0.158_808, 0.345_714, 1.954_598]);
        check(Act::QuickGelu, [-0.154_203, 0.350_388, 1.935_652]);
        check(Act::Relu, [0.0, 0.5, 2.0]);
        check(Act::SquaredRelu, [0.0, 0.25, 4.0]);
        check(Act::Silu, [-0.268_941, 0.311_230, 1.761_594]);
    }
}
