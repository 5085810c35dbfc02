//! The transformer block of both towers: bidirectional attention and a feed-forward network, each behind a norm.

use burn::module::Module;
use burn::tensor::{Bool, Device, Tensor};
use flamingo_nn::{Act, Attention, AttentionConfig, FeedForward, FeedForwardConfig, Norm, NormConfig};

/// Sizes of an [`EncoderBlock`].
#[derive(Debug, Clone)]
pub(crate) struct EncoderBlockConfig {
    pub d_model: usize,
    pub n_heads: usize,
    pub d_ff: usize,
    pub act: Act,
    pub norm: NormConfig,
}

impl EncoderBlockConfig {
    pub(crate) fn init(&self, device: &Device) -> EncoderBlock {
        let attention = AttentionConfig {
            d_query: self.d_model,
            d_context: self.d_model,
            n_heads: self.n_heads,
            d_head: self.d_model / self.n_heads,
            bias: true,
        };
        let feed_forward =
            FeedForwardConfig { d_model: self.d_model, d_hidden: self.d_ff, act: self.act, bias: true };
        EncoderBlock {
            attention_norm: self.norm.init(self.d_model, device),
            attention: attention.init(device),
            feed_forward_norm: self.norm.init(self.d_model, device),
            feed_forward: feed_forward.init(device),
        }
    }
}

/// One bidirectional transformer block.
#[derive(Module, Debug)]
pub struct EncoderBlock {
    /// Before the attention.
    pub attention_norm: Norm,
    /// Every position to every position.
    pub attention: Attention,
    /// Before the feed-forward network.
    pub feed_forward_norm: Norm,
    /// Widens in between.
    pub feed_forward: FeedForward,
}

impl EncoderBlock {
    /// # Shapes
    ///
    /// - x: `[N, T, W]`
    /// - blocked: `[N, 1, T, T]`, `true` where attention is blocked
    /// - output: `[N, T, W]`
    pub fn forward(&self, x: Tensor<3>, blocked: Option<Tensor<4, Bool>>) -> Tensor<3> {
        let h = self.attention_norm.forward(x.clone());
        let x = x + self.attention.forward(h.clone(), h, blocked);
        let h = self.feed_forward_norm.forward(x.clone());
        x + self.feed_forward.forward(h)
    }
}
