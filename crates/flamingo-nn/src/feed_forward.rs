//! The transformer's feed-forward network: widen, activate, narrow.

use burn::module::Module;
use burn::nn::{Linear, LinearConfig};
use burn::tensor::{Device, Tensor};

use crate::act::Act;

/// Sizes of a [`FeedForward`].
#[derive(Debug, Clone)]
pub struct FeedForwardConfig {
    /// Width of input and output.
    pub d_model: usize,
    /// Width in between.
    pub d_hidden: usize,
    /// The function in between.
    pub act: Act,
    /// Whether both projections have biases.
    pub bias: bool,
}

impl FeedForwardConfig {
    /// Creates the network on `device`.
    pub fn init(&self, device: &Device) -> FeedForward {
        let linear = |from, to| LinearConfig::new(from, to).with_bias(self.bias).init(device);
        FeedForward {
            up: linear(self.d_model, self.d_hidden),
            down: linear(self.d_hidden, self.d_model),
            act: self.act,
        }
    }
}

/// `down(act(up(x)))`.
#[derive(Module, Debug)]
pub struct FeedForward {
    /// `[d_model, d_hidden]`.
    pub up: Linear,
    /// `[d_hidden, d_model]`.
    pub down: Linear,
    #[module(skip)]
    act: Act,
}

impl FeedForward {
    /// # Shapes
    ///
    /// `[.., d_model]` to `[.., d_model]`.
    pub fn forward<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        self.down.forward(self.act.forward(self.up.forward(x)))
    }
}
