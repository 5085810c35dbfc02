//! Chinchilla, the language model of the paper (Hoffmann et al. 2022, table A9; Gopher's architecture).
//!
//! RMSNorm before each sublayer, Transformer-XL relative positions, GELU, tied embeddings, no biases. No weights were
//! published. Flamingo's own sizes (paper, table 4) are no rows of Chinchilla's table, and its 9B row (40 layers of
//! 4096) has 8.86 B parameters where table 5 says 7.1 B, which 32 layers would give; the 9B preset follows table 4.

use flamingo_nn::{Act, NormConfig};

use crate::config::{Biases, DecoderConfig, Head, Residual};
use crate::positions::Positions;

/// Chinchilla's tokenizer has 32,000 pieces.
pub const VOCAB: usize = 32_000;

/// A Chinchilla of `n_layers` layers, `d_model` wide, with `n_heads` heads and a context of 2048 tokens.
pub fn chinchilla(n_layers: usize, d_model: usize, n_heads: usize) -> DecoderConfig {
    DecoderConfig {
        vocab: VOCAB,
        new_tokens: 0,
        d_model,
        n_heads,
        d_head: d_model / n_heads,
        n_layers,
        d_ff: 4 * d_model,
        act: Act::Gelu,
        norm: NormConfig::Rms { epsilon: 1e-6 },
        max_len: 2048,
        n_kv_heads: None,
        positions: Positions::TransformerXl,
        biases: Biases::NONE,
        qk_norm: false,
        gated: false,
        residual: Residual::Sequential,
        head: Head::Tied,
        final_norm: true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;
    use flamingo_nn::count_parameters;

    #[test]
    fn sizes_are_those_of_the_published_tables() {
        // Layers, width, heads, published millions: Flamingo's 3B and 80B, then three rows of Chinchilla's table A9.
        for (layers, width, heads, published) in [
            (24, 2048, 16, 1374.0),
            (80, 8192, 64, 70_060.0),
            (25, 2048, 16, 1429.0),
            (40, 3584, 28, 6796.0),
            (42, 4096, 32, 9293.0),
        ] {
            let model = chinchilla(layers, width, heads).init(&Device::flex());
            let millions = count_parameters(&model) as f64 / 1e6;
            assert!((millions / published - 1.0).abs() < 5e-4, "{millions} {published}");
        }
    }
}
