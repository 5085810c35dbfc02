//! One layer of the decoder: causal self-attention and a feed-forward network, each behind a norm.

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use flamingo_nn::{FeedForward, FeedForwardConfig, Norm};

use crate::decoder::DecoderConfig;
use crate::relative::{RelativeAttention, RelativeAttentionConfig};

/// A pre-norm transformer block.
#[derive(Module, Debug)]
pub struct DecoderBlock {
    /// Before the attention.
    pub attention_norm: Norm,
    /// Each token to itself and those before it.
    pub attention: RelativeAttention,
    /// Before the feed-forward network.
    pub feed_forward_norm: Norm,
    /// On each token.
    pub feed_forward: FeedForward,
}

impl DecoderBlock {
    pub(crate) fn new(config: &DecoderConfig, device: &Device) -> Self {
        Self {
            attention_norm: config.norm.init(config.d_model, device),
            attention: RelativeAttentionConfig {
                d_model: config.d_model,
                n_heads: config.n_heads,
                d_head: config.d_head,
            }
            .init(device),
            feed_forward_norm: config.norm.init(config.d_model, device),
            feed_forward: FeedForwardConfig {
                d_model: config.d_model,
                d_hidden: config.d_ff,
                act: config.act,
                bias: false,
            }
            .init(device),
        }
    }

    /// # Shapes
    ///
    /// x `[B, L, D]`, distances `[L, D]` (see [`crate::relative::distance_encoding`]), to `[B, L, D]`.
    pub fn forward(&self, x: Tensor<3>, distances: Tensor<2>) -> Tensor<3> {
        let h = self.attention_norm.forward(x.clone());
        let x = x + self.attention.forward(h, distances);
        let h = self.feed_forward_norm.forward(x.clone());
        x + self.feed_forward.forward(h)
    }
}
