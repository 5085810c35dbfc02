//! Causal self-attention, in the forms that the model families use.
//!
//! Queries, keys and values are three layers, whether or not a file has them fused: key maps cut them apart. Groups of
//! query heads may share a key-value head (Ainslie et al. 2023, "GQA"). Positions enter as [`Pass`] says.

use burn::module::{Module, Param};
use burn::nn::{Initializer, Linear, LinearConfig};
use burn::tensor::ops::AttentionModuleOptions;
use burn::tensor::{Device, Tensor, module::attention};
use flamingo_nn::{Norm, merge_heads, split_heads};

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
        let query = split_heads(normalised(&self.query_norm, self.query.forward(x.clone())), self.n_heads);
        let key = split_heads(normalised(&self.key_norm, self.key.forward(x.clone())), self.n_kv_heads);
        let value = split_heads(self.value.forward(x), self.n_kv_heads); // [B, G, L, K]
        let (query, key) = match &pass.rotations {
            Some(rotations) => (rotations.rotate(query), rotations.rotate(key)),
            None => (query, key),
        };
        let (query, bias) = match self.relative().zip(pass.distances.clone()) {
            Some((relative, distances)) => {
                let (query, bias) = relative.apply(query, distances);
                (query, Some(bias))
            }
            None => (query, pass.bias.clone()),
        };
        let [batch, n_heads, len, _] = query.dims();
        let blocked = pass.blocked.clone().map(|keys| keys.expand([batch, n_heads, len, len]));
        let (key, value) = (repeat_heads(key, n_heads), repeat_heads(value, n_heads));
        let options = AttentionModuleOptions { is_causal: true, ..Default::default() };
        let mixed = attention(query, key, value, blocked, bias, options);
        self.output.forward(merge_heads(mixed))
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

/// Each of G heads for `n_heads / G` queries in a row: `[B, G, L, K]` to `[B, H, L, K]`.
fn repeat_heads(x: Tensor<4>, n_heads: usize) -> Tensor<4> {
    let [batch, groups, len, d_head] = x.dims();
    if groups == n_heads {
        return x;
    }
    let each = n_heads / groups;
    x.reshape([batch, groups, 1, len, d_head])
        .expand([batch, groups, each, len, d_head])
        .reshape([batch, n_heads, len, d_head])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shared_heads_stand_beside_each_other() {
        let x = Tensor::<4>::from_floats([[[[1.0]], [[2.0]]]], &Device::flex());
        let repeated: Vec<f32> = repeat_heads(x, 4).into_data().iter::<f32>().collect();
        assert_eq!(repeated, [1.0, 1.0, 2.0, 2.0]);
    }
}
