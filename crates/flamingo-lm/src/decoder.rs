//! The decoder: embedding, blocks, and the head.
//!
//! The vocabulary has two parts. The first `vocab` ids belong to the language model as it was pre-trained; the next
//! `new_tokens` (Flamingo's `<image>` and `<EOC>`) have a small table of their own, so that they can be learned while
//! the large one stays frozen, bit for bit. Both tables are also the head, unless the head has its own two.

use burn::module::{Module, Param};
use burn::nn::Initializer;
use burn::tensor::{Device, Int, Tensor};
use flamingo_nn::{Norm, by_rows};

use crate::block::DecoderBlock;
use crate::config::{DecoderConfig, Head};
use crate::hook::LayerHook;
use crate::padding::Padding;
use crate::positions::{Pass, Positions};

impl DecoderConfig {
    /// Creates the decoder on `device`.
    ///
    /// # Panics
    ///
    /// If the sizes do not fit each other, which [`DecoderConfig::validate`] finds before.
    pub fn init(&self, device: &Device) -> Decoder {
        let table = |rows| Initializer::Normal { mean: 0.0, std: 0.02 }.init([rows, self.d_model], device);
        let new_table = || (self.new_tokens > 0).then(|| table(self.new_tokens));
        let position_rows = match self.positions {
            Positions::Learned { offset } => Some(self.max_len + offset),
            _ => None,
        };
        let own_head = matches!(self.head, Head::Own);
        Decoder {
            embedding: table(self.vocab),
            new_embedding: new_table(),
            position_embedding: position_rows.map(table),
            blocks: (0..self.n_layers).map(|_| DecoderBlock::new(self, device)).collect(),
            norm: self.final_norm.then(|| self.norm.init(self.d_model, device)),
            head: own_head.then(|| table(self.vocab)),
            new_head: if own_head { new_table() } else { None },
            config: self.clone(),
        }
    }
}

/// The decoder; see the [module documentation](self).
#[derive(Module, Debug)]
pub struct Decoder {
    /// `[vocab, D]`.
    pub embedding: Param<Tensor<2>>,
    /// `[new_tokens, D]`.
    pub new_embedding: Option<Param<Tensor<2>>>,
    /// `[max_len + offset, D]`, with learned positions.
    pub position_embedding: Option<Param<Tensor<2>>>,
    /// In order.
    pub blocks: Vec<DecoderBlock>,
    /// Behind the last block.
    pub norm: Option<Norm>,
    /// `[vocab, D]`, if the head is not the embedding.
    pub head: Option<Param<Tensor<2>>>,
    /// `[new_tokens, D]`, if the head is not the embedding.
    pub new_head: Option<Param<Tensor<2>>>,
    #[module(skip)]
    config: DecoderConfig,
}

impl Decoder {
    /// Next-token scores for every position.
    ///
    /// # Shapes
    ///
    /// ids `[B, L]` to `[B, L, V]`, with `V = vocab + new_tokens`.
    ///
    /// # Panics
    ///
    /// If positions are learned and the text is longer than their table.
    pub fn forward(&self, ids: Tensor<2, Int>, hook: &impl LayerHook) -> Tensor<3> {
        self.logits(self.hidden(ids, hook))
    }

    /// The normalised hidden states behind the last block, `[B, L]` to `[B, L, D]`.
    ///
    /// # Panics
    ///
    /// As [`Decoder::forward`].
    pub fn hidden(&self, ids: Tensor<2, Int>, hook: &impl LayerHook) -> Tensor<3> {
        self.hidden_padded(ids, None, hook)
    }

    /// [`Decoder::hidden`] of a batch whose rows have different lengths; what stands at padded positions is undefined.
    ///
    /// # Panics
    ///
    /// As [`Decoder::forward`], and if the padding is of another shape than `ids`.
    pub fn hidden_padded(
        &self,
        ids: Tensor<2, Int>,
        padding: Option<&Padding>,
        hook: &impl LayerHook,
    ) -> Tensor<3> {
        let (x, pass) = self.begin_padded(ids, padding);
        let x = self
            .blocks
            .iter()
            .enumerate()
            .fold(x, |x, (layer, block)| block.forward(hook.before_layer(layer, x), &pass));
        self.finish(x)
    }

    /// What enters the first block, `[B, L]` to `[B, L, D]`, and what all blocks share: for those who walk through the
    /// blocks themselves. Behind the last one comes [`Decoder::finish`].
    ///
    /// # Panics
    ///
    /// As [`Decoder::forward`].
    pub fn begin(&self, ids: Tensor<2, Int>) -> (Tensor<3>, Pass) {
        self.begin_padded(ids, None)
    }

    fn begin_padded(&self, ids: Tensor<2, Int>, padding: Option<&Padding>) -> (Tensor<3>, Pass) {
        let [_, len] = ids.dims();
        let x = self.place(self.embed(ids), len, |device| match padding {
            Some(padding) => padding.positions(),
            None => Tensor::arange(0..len as i64, device).unsqueeze(),
        });
        let pass = Pass::new(&self.config, len, padding, &x.device());
        (x, pass)
    }

    /// The norm behind the last block, if there is one: `[B, L, D]` to `[B, L, D]`.
    pub fn finish(&self, x: Tensor<3>) -> Tensor<3> {
        match &self.norm {
            Some(norm) => norm.forward(x),
            None => x,
        }
    }

    /// Hidden states `[.., D]` to scores `[.., V]`.
    pub fn logits<const N: usize>(&self, hidden: Tensor<N>) -> Tensor<N> {
        by_rows(hidden, |hidden| {
            let scores = |table: &Param<Tensor<2>>, x: Tensor<2>| x.matmul(table.val().transpose());
            let (head, new_head) = self.head_tables();
            let known = scores(head, hidden.clone());
            match new_head {
                Some(table) => Tensor::cat(vec![known, scores(table, hidden)], 1),
                None => known,
            }
        })
    }

    /// The tables whose products with a hidden state are its scores: `[vocab, D]`, and `[new_tokens, D]` if there are any.
    pub fn head_tables(&self) -> (&Param<Tensor<2>>, Option<&Param<Tensor<2>>>) {
        match &self.head {
            Some(head) => (head, self.new_head.as_ref()),
            None => (&self.embedding, self.new_embedding.as_ref()),
        }
    }

    /// What the decoder was made from.
    pub fn config(&self) -> &DecoderConfig {
        &self.config
    }

    /// `[B, L]` to `[B, L, D]`.
    pub(crate) fn embed(&self, ids: Tensor<2, Int>) -> Tensor<3> {
        let [batch, len] = ids.dims();
        let [vocab, d_model] = self.embedding.dims();
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

    /// Adds learned positions `[B or 1, L]`, of which `end` is one more than the last, to embeddings `[B, L, D]`.
    ///
    /// Nothing is added, and nobody asked for the positions, if they are not learned.
    pub(crate) fn place(
        &self,
        x: Tensor<3>,
        end: usize,
        positions: impl FnOnce(&Device) -> Tensor<2, Int>,
    ) -> Tensor<3> {
        let (Some(table), &Positions::Learned { offset }) =
            (&self.position_embedding, &self.config.positions)
        else {
            return x;
        };
        assert!(end <= self.config.max_len, "{end} tokens; positions end at {}", self.config.max_len);
        let positions = positions(&x.device());
        x + look_up(table, positions + offset as i64)
    }
}

/// `[B, L]` to `[B, L, D]`.
fn look_up(table: &Param<Tensor<2>>, ids: Tensor<2, Int>) -> Tensor<3> {
    burn::tensor::module::embedding(table.val(), ids)
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
