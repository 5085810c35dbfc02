//! Multi-head attention from any width to any width, without positions.
//!
//! Queries come from one sequence and keys and values from another (or the same); the inner width `H*K` is free, as
//! OpenFlamingo's 8 heads of 64 need. Positions, gates and norms belong to the callers.

use burn::module::Module;
use burn::nn::{Linear, LinearConfig};
use burn::tensor::ops::AttentionModuleOptions;
use burn::tensor::{Bool, Device, Tensor, module::attention};
use flamingo_core::device::is_flex;
use flamingo_core::precision::like;

use crate::linear::linear;
use crate::norm::{Norm, NormConfig};

mod in_graph;

/// Sizes of an [`Attention`].
#[derive(Debug, Clone)]
pub struct AttentionConfig {
    /// Width of the queries' sequence and of the output.
    pub d_query: usize,
    /// Width of the keys' and values' sequence.
    pub d_context: usize,
    /// Number of heads (H).
    pub n_heads: usize,
    /// Width of a head (K).
    pub d_head: usize,
    /// Whether all four projections have biases.
    pub bias: bool,
}

impl AttentionConfig {
    /// Creates the projections on `device`.
    pub fn init(&self, device: &Device) -> Attention {
        let inner = self.n_heads * self.d_head;
        let layer = |from, to| LinearConfig::new(from, to).with_bias(self.bias).init(device);
        Attention {
            query: layer(self.d_query, inner),
            key: layer(self.d_context, inner),
            value: layer(self.d_context, inner),
            output: layer(inner, self.d_query),
            query_norm: None,
            key_norm: None,
            n_heads: self.n_heads,
        }
    }

    /// Creates the projections on `device`, and norms for queries and keys, over each head by itself.
    pub fn init_normed(&self, norm: &NormConfig, device: &Device) -> Attention {
        let norm = || Some(norm.init(self.d_head, device));
        Attention { query_norm: norm(), key_norm: norm(), ..self.init(device) }
    }
}

/// Multi-head attention with separate query, key, value and output projections.
#[derive(Module, Debug)]
pub struct Attention {
    /// `[d_query, H*K]`.
    pub query: Linear,
    /// `[d_context, H*K]`.
    pub key: Linear,
    /// `[d_context, H*K]`.
    pub value: Linear,
    /// `[H*K, d_query]`.
    pub output: Linear,
    /// Over the K numbers of each head's query, if queries are normalised.
    pub query_norm: Option<Norm>,
    /// The same for keys.
    pub key_norm: Option<Norm>,
    n_heads: usize,
}

impl Attention {
    /// Attends from `x` to `context`.
    ///
    /// # Shapes
    ///
    /// - x: `[B, L, d_query]`, context: `[B, S, d_context]`
    /// - blocked: `[B, 1 or H, L, S]`, `true` where attention is blocked; a row that is blocked everywhere gives zero
    /// - output: `[B, L, d_query]`
    pub fn forward(&self, x: Tensor<3>, context: Tensor<3>, blocked: Option<Tensor<4, Bool>>) -> Tensor<3> {
        let (key, value) = self.keys_values(context);
        self.attend(x, key, value, blocked)
    }

    /// Keys and values of `context` `[B, S, d_context]`, split into heads: two of `[B, H, S, K]`.
    pub fn keys_values(&self, context: Tensor<3>) -> (Tensor<4>, Tensor<4>) {
        let key = normed(&self.key_norm, split_heads(linear(&self.key, context.clone()), self.n_heads));
        (key, split_heads(linear(&self.value, context), self.n_heads))
    }

    /// Attends from `x` to keys and values that were computed before (see [`Attention::keys_values`]).
    pub fn attend(
        &self,
        x: Tensor<3>,
        key: Tensor<4>,
        value: Tensor<4>,
        blocked: Option<Tensor<4, Bool>>,
    ) -> Tensor<3> {
        linear(&self.output, merge_heads(mix(self.queries(x), key, value, blocked)))
    }

    /// Queries of `x` `[B, L, d_query]`, split into heads: `[B, H, L, K]`.
    pub fn queries(&self, x: Tensor<3>) -> Tensor<4> {
        normed(&self.query_norm, split_heads(linear(&self.query, x), self.n_heads))
    }
}

/// What queries `[B, H, L, K]` find among S keys and values, `[B, H, L, K]`; `blocked` as in [`Attention::forward`].
pub fn mix(
    query: Tensor<4>,
    key: Tensor<4>,
    value: Tensor<4>,
    blocked: Option<Tensor<4, Bool>>,
) -> Tensor<4> {
    mix_with(query, key, value, blocked, None, AttentionModuleOptions::default())
}

/// [`mix`] with keys and values `[B, G, S, K]` of which each head serves H/G query heads in a row, with something added to
/// the scaled scores, `[B or 1, H or 1, L, S]`, and Burn's options, of which the mask of later keys and the scale are known
/// here.
///
/// Softmax is in f32 whatever the format of the queries.
pub fn mix_with(
    query: Tensor<4>,
    key: Tensor<4>,
    value: Tensor<4>,
    blocked: Option<Tensor<4, Bool>>,
    bias: Option<Tensor<4>>,
    options: AttentionModuleOptions,
) -> Tensor<4> {
    if [&query, &key, &value].iter().any(|tensor| tensor.is_autodiff()) {
        return in_graph::attention(query, key, value, blocked, bias, &options);
    }
    let bias = bias.map(|bias| like(bias, &query));
    if is_flex(&query.device()) {
        // It knows shared heads and masks of all heads, and would copy what was repeated for it.
        return attention(query, key, value, blocked, bias, options);
    }
    let [batch, heads, len, _] = query.dims();
    let [_, _, keys, _] = key.dims();
    let blocked = blocked.map(|mask| mask.expand([batch, heads, len, keys]));
    let (key, value) = (repeat_heads(key, heads), repeat_heads(value, heads));
    attention(query, key, value, blocked, bias, options)
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

fn normed(norm: &Option<Norm>, x: Tensor<4>) -> Tensor<4> {
    match norm {
        Some(norm) => norm.forward(x),
        None => x,
    }
}

/// `[B, L, H*K]` to `[B, H, L, K]`.
pub fn split_heads(x: Tensor<3>, n_heads: usize) -> Tensor<4> {
    let [batch, len, inner] = x.dims();
    x.reshape([batch, len, n_heads, inner / n_heads]).swap_dims(1, 2)
}

/// `[B, H, L, K]` to `[B, L, H*K]`.
pub fn merge_heads(x: Tensor<4>) -> Tensor<3> {
    let [batch, heads, len, d_head] = x.dims();
    x.swap_dims(1, 2).reshape([batch, len, heads * d_head])
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::{Distribution, FloatDType, TensorData};
    use flamingo_core::precision::widen;
    use flamingo_testkit::assert_close;

    #[test]
    fn a_fully_blocked_row_contributes_nothing() {
        let device = Device::flex();
        let config = AttentionConfig { d_query: 6, d_context: 5, n_heads: 2, d_head: 4, bias: false };
        for device in [device.clone(), device.autodiff()] {
            let attention = config.init(&device);
            let x = Tensor::random([1, 2, 6], Distribution::Default, &device);
            let context = Tensor::random([1, 3, 5], Distribution::Default, &device);
            let blocked =
                Tensor::<4, Bool>::from_data([[[[true, true, true], [false, true, true]]]], &device);
            let out = attention.forward(x, context, Some(blocked));
            let rows: Vec<f32> = out.abs().sum_dim(2).into_data().try_to_vec().unwrap();
            assert_eq!(rows[0], 0.0);
            assert!(rows[1] > 0.0);
        }
    }

    #[test]
    fn shared_heads_stand_beside_each_other() {
        let device = Device::flex();
        let x = Tensor::<4>::from_floats([[[[1.0]], [[2.0]]]], &device);
        let repeated: Vec<f32> = repeat_heads(x, 4).into_data().iter::<f32>().collect();
        assert_eq!(repeated, [1.0, 1.0, 2.0, 2.0]);

        let random = |heads, len| Tensor::<4>::random([2, heads, len, 8], Distribution::Default, &device);
        let (query, key, value) = (random(6, 4), random(2, 5), random(2, 5));
        let expected = mix(query.clone(), repeat_heads(key.clone(), 6), repeat_heads(value.clone(), 6), None);
        assert_close(mix(query, key, value, None), expected, 1e-6);
    }

    #[test]
    fn half_precision_in_a_graph_is_attention_with_a_softmax_in_f32() {
        let device = Device::flex();
        device.seed(4);
        let random = |dims| Tensor::<4>::random(dims, Distribution::Normal(0.0, 1.0), &device);
        let [query, key, value] =
            [[2, 3, 4, 8], [2, 3, 6, 8], [2, 3, 6, 8]].map(|dims| random(dims).cast(FloatDType::BF16));
        let bias = random([1, 3, 4, 6]);
        let mut blocked = vec![false; 2 * 4 * 6];
        blocked[..6].fill(true);
        blocked[13] = true;
        let blocked = TensorData::new(blocked, [2, 1, 4, 6]);
        let blocked = Tensor::<4, Bool>::from_data(blocked, &device);
        let options = || AttentionModuleOptions { is_causal: true, ..Default::default() };
        let run = |x: fn(Tensor<4>) -> Tensor<4>| {
            let [query, key, value] = [&query, &key, &value].map(|tensor| x(tensor.clone()));
            widen(mix_with(query, key, value, Some(blocked.clone()), Some(bias.clone()), options())).inner()
        };
        let expected = run(widen);
        let found = run(|tensor| Tensor::from_inner(tensor).require_grad());
        // Scores, shares and the result are rounded once each.
        assert_close(found.clone(), expected, 2e-2);
        let first: Vec<f32> = found.slice([0..1, 0..3, 0..1]).into_data().iter::<f32>().collect();
        assert!(first.iter().all(|value| *value == 0.0), "a row that sees nothing: {first:?}");
    }
}
