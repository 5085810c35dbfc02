//! The decoder: embedding, blocks, and the tied head.
//!
//! The vocabulary has two parts. The first `vocab` ids belong to the language model as it was pre-trained; the next
//! `new_tokens` (Flamingo's `<image>` and `<EOC>`) have a small table of their own, so that they can be learned while
//! the large one stays frozen, bit for bit. Both tables are also the head.

use burn::module::{Module, Param};
use burn::nn::Initializer;
use burn::tensor::{Device, Int, Tensor};
use flamingo_nn::{Act, Norm, NormConfig};
use serde::{Deserialize, Serialize};

use crate::block::DecoderBlock;
use crate::hook::LayerHook;
use crate::relative::distance_encoding;

/// A decoder's sizes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DecoderConfig {
    /// Tokens of the pre-trained vocabulary.
    pub vocab: usize,
    /// Tokens added behind them, with embeddings of their own.
    pub new_tokens: usize,
    /// Width (D).
    pub d_model: usize,
    /// Attention heads (H).
    pub n_heads: usize,
    /// Width of a head (K).
    pub d_head: usize,
    /// Blocks.
    pub n_layers: usize,
    /// Hidden width of the feed-forward networks.
    pub d_ff: usize,
    /// Activation of the feed-forward networks.
    pub act: Act,
    /// Norm before each sublayer and before the head.
    pub norm: NormConfig,
    /// Longest sequence it is trained on.
    pub max_len: usize,
}

impl DecoderConfig {
    /// Creates the decoder on `device`.
    pub fn init(&self, device: &Device) -> Decoder {
        let small = Initializer::Normal { mean: 0.0, std: 0.02 };
        Decoder {
            embedding: small.init([self.vocab, self.d_model], device),
            new_embedding: (self.new_tokens > 0).then(|| small.init([self.new_tokens, self.d_model], device)),
            blocks: (0..self.n_layers).map(|_| DecoderBlock::new(self, device)).collect(),
            norm: self.norm.init(self.d_model, device),
        }
    }
}

/// The decoder; see the [module documentation](self).
#[derive(Module, Debug)]
pub struct Decoder {
    /// `[vocab, D]`, also the head.
    pub embedding: Param<Tensor<2>>,
    /// `[new_tokens, D]`, also the head.
    pub new_embedding: Option<Param<Tensor<2>>>,
    /// In order.
    pub blocks: Vec<DecoderBlock>,
    /// Behind the last block.
    pub norm: Norm,
}

impl Decoder {
    /// Next-token scores for every position.
    ///
    /// # Shapes
    ///
    /// ids `[B, L]` to `[B, L, V]`, with `V = vocab + new_tokens`.
    pub fn forward(&self, ids: Tensor<2, Int>, hook: &impl LayerHook) -> Tensor<3> {
        self.logits(self.hidden(ids, hook))
    }

    /// The normalised hidden states behind the last block, `[B, L]` to `[B, L, D]`.
    pub fn hidden(&self, ids: Tensor<2, Int>, hook: &impl LayerHook) -> Tensor<3> {
        let x = self.embed(ids);
        let [_, len, d_model] = x.dims();
        let distances = distance_encoding(len, d_model, &x.device());
        let x = self
            .blocks
            .iter()
            .enumerate()
            .fold(x, |x, (layer, block)| block.forward(hook.before_layer(layer, x), distances.clone()));
        self.norm.forward(x)
    }

    /// Hidden states `[.., D]` to scores `[.., V]`.
    pub fn logits<const N: usize>(&self, hidden: Tensor<N>) -> Tensor<N> {
        let head = |table: &Param<Tensor<2>>, x: Tensor<N>| {
            burn::tensor::module::linear(x, table.val().transpose(), None)
        };
        let known = head(&self.embedding, hidden.clone());
        match &self.new_embedding {
            Some(table) => Tensor::cat(vec![known, head(table, hidden)], N - 1),
            None => known,
        }
    }

    /// `[B, L]` to `[B, L, D]`.
    fn embed(&self, ids: Tensor<2, Int>) -> Tensor<3> {
        let [batch, len] = ids.dims();
        let [vocab, d_model] = self.embedding.dims();
        let look_up =
            |table: &Param<Tensor<2>>, ids: Tensor<2, Int>| burn::tensor::module::embedding(table.val(), ids);
        let Some(new_embedding) = &self.new_embedding else {
            return look_up(&self.embedding, ids);
        };
        // Each table is asked for every position, and the mask keeps the right answer: no table is copied.
        let last = vocab as i64 - 1;
        let is_new = ids.clone().greater_elem(last).reshape([batch, len, 1]).expand([batch, len, d_model]);
        let known = look_up(&self.embedding, ids.clone().clamp_max(last));
        let new = look_up(new_embedding, (ids - vocab as i64).clamp_min(0));
        known.mask_where(is_new, new)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::families::chinchilla::chinchilla;
    use crate::hook::NoHook;

    fn tiny(device: &Device) -> Decoder {
        DecoderConfig { vocab: 11, new_tokens: 2, ..chinchilla(2, 8, 2) }.init(device)
    }

    fn last(logits: Tensor<3>, position: usize) -> Vec<f32> {
        logits.slice([0..1, position..position + 1]).into_data().try_to_vec().unwrap()
    }

    #[test]
    fn later_tokens_change_nothing_before_them() {
        let device = Device::flex();
        let model = tiny(&device);
        let a = model.forward(Tensor::from_data([[1, 2, 3, 4]], &device), &NoHook);
        let b = model.forward(Tensor::from_data([[1, 2, 3, 12]], &device), &NoHook);
        assert_eq!(a.dims(), [1, 4, 13]);
        for position in 0..3 {
            let pairs = last(a.clone(), position).into_iter().zip(last(b.clone(), position));
            assert!(pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f32::max) < 1e-6);
        }
        assert_ne!(last(a, 3), last(b, 3));
    }

    #[test]
    fn gradients_reach_the_new_rows_alone_when_the_rest_is_frozen() {
        let device = Device::flex().autodiff();
        let mut model = tiny(&device).no_grad();
        model.new_embedding = model.new_embedding.map(|table| table.set_require_grad(true));
        let loss = model.forward(Tensor::from_data([[1, 11, 12]], &device), &NoHook).square().sum();
        let gradients = loss.backward();
        assert!(model.new_embedding.unwrap().val().grad(&gradients).is_some());
        assert!(model.embedding.val().grad(&gradients).is_none());
    }
}
