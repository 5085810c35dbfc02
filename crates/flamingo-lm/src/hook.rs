//! What may happen between a decoder's layers.

use burn::tensor::Tensor;

/// Sees, and may replace, the hidden states before each layer of a decoder.
pub trait LayerHook {
    /// `hidden` `[B, L, D]` is what `layer` (0-based) is about to read; returns what it shall read.
    fn before_layer(&self, layer: usize, hidden: Tensor<3>) -> Tensor<3>;
}

/// The bare language model.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoHook;

impl LayerHook for NoHook {
    fn before_layer(&self, _layer: usize, hidden: Tensor<3>) -> Tensor<3> {
        hidden
    }
}
