//! One layer of the decoder: causal self-attention and a feed-forward network, each behind a norm.

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use flamingo_nn::{FeedForward, FeedForwardConfig, Norm};

use crate::attention::SelfAttention;
use crate::cache::LayerCache;
use crate::config::{DecoderConfig, Residual};
use crate::positions::Pass;

/// A pre-norm transformer block.
#[derive(Module, Debug)]
pub struct DecoderBlock {
    /// Before the attention.
    pub attention_norm: Norm,
    /// Each token to itself and those before it.
    pub attention: SelfAttention,
    /// Before the feed-forward network.
    pub feed_forward_norm: Norm,
    /// On each token.
    pub feed_forward: FeedForward,
    #[module(skip)]
    residual: Residual,
}

impl DecoderBlock {
    pub(crate) fn new(config: &DecoderConfig, device: &Device) -> Self {
        let feed_forward = FeedForwardConfig {
            d_model: config.d_model,
            d_hidden: config.d_ff,
            act: config.act,
            bias: config.biases.feed_forward,
        };
        Self {
            attention_norm: config.norm.init(config.d_model, device),
            attention: SelfAttention::new(config, device),
            feed_forward_norm: config.norm.init(config.d_model, device),
            feed_forward: match config.gated {
                true => feed_forward.init_gated(device),
                false => feed_forward.init(device),
            },
            residual: config.residual,
        }
    }

    /// # Shapes
    ///
    /// x `[B, L, D]` to `[B, L, D]`; the pass is one over L tokens.
    pub fn forward(&self, x: Tensor<3>, pass: &Pass) -> Tensor<3> {
        self.around(x, |h| self.attention.forward(h, pass))
    }

    /// [`DecoderBlock::forward`] of the tokens behind those in `cache`, which then holds them too.
    pub(crate) fn extend(&self, x: Tensor<3>, pass: &Pass, cache: &mut LayerCache) -> Tensor<3> {
        self.around(x, |h| self.attention.extend(h, pass, cache))
    }

    /// The block around its attention.
    fn around(&self, x: Tensor<3>, attend: impl FnOnce(Tensor<3>) -> Tensor<3>) -> Tensor<3> {
        let attended = attend(self.attention_norm.forward(x.clone()));
        match self.residual {
            Residual::Sequential => {
                let x = x + attended;
                let h = self.feed_forward_norm.forward(x.clone());
                x + self.feed_forward.forward(h)
            }
            Residual::Parallel => {
                let h = self.feed_forward_norm.forward(x.clone());
                x + attended + self.feed_forward.forward(h)
            }
        }
    }
}
