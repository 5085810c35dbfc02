//! The transformer's feed-forward network: widen, activate, narrow; with or without a gate.

use burn::module::Module;
use burn::nn::{Linear, LinearConfig};
use burn::tensor::{Device, Tensor};

use crate::act::Act;
use crate::linear::linear;

/// Sizes of a [`FeedForward`].
#[derive(Debug, Clone)]
pub struct FeedForwardConfig {
    /// Width of input and output.
    pub d_model: usize,
    /// Width in between.
    pub d_hidden: usize,
    /// The function in between.
    pub act: Act,
    /// Whether the projections have biases.
    pub bias: bool,
}

impl FeedForwardConfig {
    /// Creates the network on `device`.
    pub fn init(&self, device: &Device) -> FeedForward {
        FeedForward {
            up: self.linear(self.d_model, self.d_hidden, device),
            down: self.linear(self.d_hidden, self.d_model, device),
            gate: None,
            act: self.act,
        }
    }

    /// Creates a gated network on `device` (Shazeer 2020, "GLU Variants Improve Transformer"; SwiGLU if `act` is SiLU).
    pub fn init_gated(&self, device: &Device) -> FeedForward {
        FeedForward { gate: Some(self.linear(self.d_model, self.d_hidden, device)), ..self.init(device) }
    }

    fn linear(&self, from: usize, to: usize, device: &Device) -> Linear {
        LinearConfig::new(from, to).with_bias(self.bias).init(device)
    }
}

/// `down(act(up(x)))`, or with a gate `down(act(gate(x)) * up(x))`.
#[derive(Module, Debug)]
pub struct FeedForward {
    /// `[d_model, d_hidden]`.
    pub up: Linear,
    /// `[d_hidden, d_model]`.
    pub down: Linear,
    /// `[d_model, d_hidden]`, if the network is gated.
    pub gate: Option<Linear>,
    #[module(skip)]
    act: Act,
}

impl FeedForward {
    /// # Shapes
    ///
    /// `[.., d_model]` to `[.., d_model]`.
    pub fn forward<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        let hidden = match &self.gate {
            Some(gate) => self.act.forward(linear(gate, x.clone())) * linear(&self.up, x),
            None => self.act.forward(linear(&self.up, x)),
        };
        linear(&self.down, hidden)
    }
}
