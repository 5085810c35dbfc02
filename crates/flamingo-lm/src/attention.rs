//! Causal self-attention, in the forms that the model families use.
//!
//! Queries, keys and values are three layers, whether or not a file has them fused: key maps cut them apart. Groups of
//! query heads may share a key-value head (Ainslie et al. 2023, "GQA"). Positions enter as [`Pass`] says.

use burn::module::{Module, Param};
use burn::nn::{Initializer, Linear, LinearConfig};
use burn::tensor::activation::softmax;
use burn::tensor::ops::AttentionModuleOptions;
use burn::tensor::{Device, Tensor};
use flamingo_core::precision::{like, widen};
use flamingo_nn::{Norm, linear, merge_heads, mix_with, split_heads};

use crate::cache::LayerCache;
use crate::config::DecoderConfig;
use crate::positions::relative::Relative;
use crate::positions::{Pass, Positions};

/// Causal multi-head self-attention; see the [module documentation](self).
#[derive(Module, Debug)]
pub struct SelfAttention {
    /// `[D, H*K]`.
    pub query: Linear,
    /// `[D, G*K]`.
    pub key: Linear,
    /// `[D, G*K]`.
    pub value: Linear,
    /// `[H*K, D]`.
    pub output: Linear,
    /// Projection of the distances' sinusoids, `[D, H*K]`; with Transformer-XL's positions.
    pub position: Option<Linear>,
    /// Its paper's u, `[H, K]`; with Transformer-XL's positions.
    pub content_bias: Option<Param<Tensor<2>>>,
    /// Its paper's v, `[H, K]`; with Transformer-XL's positions.
    pub position_bias: Option<Param<Tensor<2>>>,
    /// Over the queries' full width (MPT-1B).
    pub query_norm: Option<Norm>,
    /// Over the keys' full width (MPT-1B).
    pub key_norm: Option<Norm>,
    n_heads: usize,
    n_kv_heads: usize,
}

impl SelfAttention {
    pub(crate) fn new(config: &DecoderConfig, device: &Device) -> Self {
        let [inner, kv_inner] = [config.n_heads, config.kv_heads()].map(|heads| heads * config.d_head);
        let linear = |from, to, bias| LinearConfig::new(from, to).with_bias(bias).init(device);
        let with_bias = config.biases.query_key_value;
        let relative = matches!(config.positions, Positions::TransformerXl);
        let head_bias = || Initializer::Zeros.init([config.n_heads, config.d_head], device);
        let norm = |width| config.qk_norm.then(|| config.norm.init(width, device));
        Self {
            query: linear(config.d_model, inner, with_bias),
            key: linear(config.d_model, kv_inner, with_bias),
            value: linear(config.d_model, kv_inner, with_bias),
            output: linear(inner, config.d_model, config.biases.attention_output),
            position: relative.then(|| linear(config.d_model, inner, false)),
            content_bias: relative.then(head_bias),
            position_bias: relative.then(head_bias),
            query_norm: norm(inner),
            key_norm: norm(kv_inner),
            n_heads: config.n_heads,
            n_kv_heads: config.kv_heads(),
        }
    }

    /// # Shapes
    ///
    /// x `[B, L, D]` to `[B, L, D]`; the pass is one over L tokens.
    pub fn forward(&self, x: Tensor<3>, pass: &Pass) -> Tensor<3> {
        let (query, key, value) = self.project(x, pass);
        let distances =
            self.relative().zip(pass.distances.clone()).map(|(relative, all)| relative.project(all));
        let (query, bias) = self.place(query, distances, pass);
        linear(&self.output, merge_heads(self.mix(query, key, value, bias, pass)))
    }

    /// [`SelfAttention::forward`] of the tokens behind those in `cache`, which then holds them too.
    pub(crate) fn extend(&self, x: Tensor<3>, pass: &Pass, cache: &mut LayerCache) -> Tensor<3> {
        let (query, key, value) = self.project(x, pass);
        let [_, _, len, _] = query.dims();
        let is_first = cache.tokens.is_empty();
        cache.tokens.append(key.clone(), value.clone());
        let (query, bias) = self.place(query, cache.nearest_distances(), pass);
        let (key, value) = if is_first { (key, value) } else { cache.tokens.view() };
        let mixed = match len {
            1 => self.mix_one(query, key, value, bias, pass),
            // The causal mask of Burn's attention ends at the last key, however many there are.
            _ => self.mix(query, key, value, bias, pass),
        };
        linear(&self.output, merge_heads(mixed))
    }

    /// Queries `[B, H, L, K]`, keys and values `[B, G, L, K]`.
    fn project(&self, x: Tensor<3>, pass: &Pass) -> (Tensor<4>, Tensor<4>, Tensor<4>) {
        let query = split_heads(normalised(&self.query_norm, linear(&self.query, x.clone())), self.n_heads);
        let key = split_heads(normalised(&self.key_norm, linear(&self.key, x.clone())), self.n_kv_heads);
        let value = split_heads(linear(&self.value, x), self.n_kv_heads);
        match &pass.rotations {
            Some(rotations) => (rotations.rotate(query), rotations.rotate(key), value),
            None => (query, key, value),
        }
    }

    /// Queries as they are compared with the keys, and what is added to the scores, `[B or 1, H, L, S]`.
    fn place(
        &self,
        query: Tensor<4>,
        distances: Option<Tensor<4>>,
        pass: &Pass,
    ) -> (Tensor<4>, Option<Tensor<4>>) {
        match self.relative().zip(distances) {
            Some((relative, distances)) => {
                let (query, bias) = relative.apply(query, distances);
                (query, Some(bias))
            }
            None => (query, pass.bias.clone()),
        }
    }

    /// L queries and S keys and values to `[B, H, L, K]`.
    fn mix(
        &self,
        query: Tensor<4>,
        key: Tensor<4>,
        value: Tensor<4>,
        bias: Option<Tensor<4>>,
        pass: &Pass,
    ) -> Tensor<4> {
        let options = AttentionModuleOptions { is_causal: true, ..Default::default() };
        mix_with(query, key, value, pass.blocked.clone(), bias, options)
    }

    /// [`SelfAttention::mix`] of one token: no copies of keys and values, neither of the cache's part that is filled
    /// (Burn's attention makes one) nor of heads that queries share.
    fn mix_one(
        &self,
        query: Tensor<4>,
        key: Tensor<4>,
        value: Tensor<4>,
        bias: Option<Tensor<4>>,
        pass: &Pass,
    ) -> Tensor<4> {
        let [batch, n_heads, len, d_head] = query.dims();
        let [_, groups, keys, _] = key.dims();
        let each = n_heads / groups;
        let query = query.reshape([batch, groups, each, d_head]) * (d_head as f64).powf(-0.5);
        let mut scores = widen(query.matmul(key.swap_dims(2, 3))); // [B, G, H/G, S]
        if let Some(bias) = bias {
            let [rows, ..] = bias.dims();
            scores = scores + widen(bias.reshape([rows, groups, each, keys]));
        }
        if let Some(blocked) = &pass.blocked {
            // Finite: a row of padding, which sees nothing, must not become NaN, which no later mask could hide.
            let lowest = scores.dtype().finfo().map_or(f64::from(f32::MIN), |info| info.min);
            scores = scores.mask_fill(blocked.clone().expand([batch, groups, each, keys]), lowest);
        }
        like(softmax(scores, 3), &value).matmul(value).reshape([batch, n_heads, len, d_head])
    }

    /// The projected distances of up to `capacity` tokens, `[1, H, capacity, K]`; with Transformer-XL's positions.
    pub(crate) fn distances(&self, encoding: Tensor<2>) -> Option<Tensor<4>> {
        self.relative().map(|relative| relative.project(encoding))
    }

    fn relative(&self) -> Option<Relative<'_>> {
        Some(Relative {
            position: self.position.as_ref()?,
            content_bias: self.content_bias.as_ref()?,
            position_bias: self.position_bias.as_ref()?,
        })
    }
}

fn normalised(norm: &Option<Norm>, x: Tensor<3>) -> Tensor<3> {
    match norm {
        Some(norm) => norm.forward(x),
        None => x,
    }
}
