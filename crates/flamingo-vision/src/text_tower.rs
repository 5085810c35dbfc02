//! The text side of contrastive pre-training: a small bidirectional transformer, mean-pooled.
//!
//! The paper uses a BERT encoder (appendix B.1.3). Deviation: norms stand before the sublayers instead of behind them,
//! which trains from scratch without a long warm-up.
//!
//! Legend: N texts, T tokens, W width.

use burn::module::{Module, Param};
use burn::nn::{Embedding, EmbeddingConfig, Initializer};
use burn::tensor::{Device, Int, Tensor, assert_shape};
use flamingo_core::precision::like;
use flamingo_nn::{Act, Norm, NormConfig};
use serde::{Deserialize, Serialize};

use crate::block::{EncoderBlock, EncoderBlockConfig};

/// A text tower's sizes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TextTowerConfig {
    /// Token ids are below this.
    pub vocab: usize,
    /// Width (W).
    pub d_model: usize,
    /// Blocks; 0 makes a bag of words.
    pub n_layers: usize,
    /// Attention heads.
    pub n_heads: usize,
    /// Most tokens in a text.
    pub max_len: usize,
}

impl TextTowerConfig {
    /// Creates the tower on `device`.
    pub fn init(&self, device: &Device) -> TextTower {
        let norm = NormConfig::Layer { epsilon: 1e-6 };
        let small = Initializer::Normal { mean: 0.0, std: 0.02 };
        let block = EncoderBlockConfig {
            d_model: self.d_model,
            n_heads: self.n_heads,
            d_ff: 4 * self.d_model,
            act: Act::Gelu,
            norm,
        };
        let blocks = (0..self.n_layers).map(|_| block.init(device)).collect();
        TextTower {
            tokens: EmbeddingConfig::new(self.vocab, self.d_model)
                .with_initializer(small.clone())
                .init(device),
            positions: small.init([self.max_len, self.d_model], device),
            blocks,
            norm: norm.init(self.d_model, device),
        }
    }
}

/// The tower; see the [module documentation](self).
#[derive(Module, Debug)]
pub struct TextTower {
    /// `[vocab, W]`.
    pub tokens: Embedding,
    /// `[max_len, W]`, learned.
    pub positions: Param<Tensor<2>>,
    /// The transformer.
    pub blocks: Vec<EncoderBlock>,
    /// Behind the last block.
    pub norm: Norm,
}

impl TextTower {
    /// Mean over each text's own tokens.
    ///
    /// # Shapes
    ///
    /// - ids: `[N, T]`, padded on the right
    /// - present: `[N, T]`, 1 for a token and 0 for padding
    /// - output: `[N, W]`
    ///
    /// # Panics
    ///
    /// If `T` is over the tower's `max_len`.
    pub fn forward(&self, ids: Tensor<2, Int>, present: Tensor<2>) -> Tensor<2> {
        let [n, len] = ids.dims();
        assert_shape!(present, [n, len]);
        let positions = self.positions.val().slice(0..len);
        let x = self.tokens.forward(ids) + positions.unsqueeze::<3>();
        let blocked = present.clone().equal_elem(0.0).reshape([n, 1, 1, len]).expand([n, 1, len, len]);
        let x = self.blocks.iter().fold(x, |x, block| block.forward(x, Some(blocked.clone())));
        let x = self.norm.forward(x);
        let weights = like(present.clone() / present.sum_dim(1).clamp_min(1.0), &x);
        let pooled = (x * weights.unsqueeze_dim::<3>(2)).sum_dim(1);
        pooled.squeeze_dim(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn padding_changes_nothing() {
        let device = Device::flex();
        let tower =
            TextTowerConfig { vocab: 10, d_model: 8, n_layers: 2, n_heads: 2, max_len: 6 }.init(&device);
        let short = tower.forward(Tensor::from_data([[3, 4]], &device), Tensor::ones([1, 2], &device));
        let padded = tower.forward(
            Tensor::from_data([[3, 4, 9, 9]], &device),
            Tensor::from_floats([[1.0, 1.0, 0.0, 0.0]], &device),
        );
        let difference: f32 = (short - padded).abs().max().into_scalar();
        assert!(difference < 1e-6, "{difference}");
    }
}
