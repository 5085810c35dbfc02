//! Attention that is part of a gradient graph.
//!
//! No backend has a fused kernel with a derivative, so here every step is an operation, and each of its own derivatives is
//! at least one more over all scores `[B, H, L, S]`, the largest tensors of a layer. The order of the steps keeps them few:
//!
//! - What hides a key is added, as minus infinity: the derivative of a sum is the gradient itself, that of a mask a copy.
//! - The largest score is a constant. Shares do not depend on it, so its derivative is zero; Burn's would scatter it into
//!   zeros of the scores' size.
//! - Queries are scaled instead of scores, and results are divided by the sum of the exponentials instead of shares.
//! - Query heads that share a key-value head are rows of one product, so keys and values are neither repeated nor their
//!   gradients summed over the repetitions.
//!
//! What remains for the backward pass are the exponents and the exponentials.

use burn::tensor::ops::AttentionModuleOptions;
use burn::tensor::{Bool, Device, Int, Tensor};
use flamingo_core::precision::{is_half, like, widen};

/// [`mix_with`](super::mix_with) in a graph: query `[B, H, L, K]`, key and value `[B, G, S, K]`, with G a divisor of H.
///
/// With half precision softmax is in f32, and shares are divided before they are narrowed: sums of f16 could overflow.
pub(super) fn attention(
    query: Tensor<4>,
    key: Tensor<4>,
    value: Tensor<4>,
    blocked: Option<Tensor<4, Bool>>,
    bias: Option<Tensor<4>>,
    options: &AttentionModuleOptions,
) -> Tensor<4> {
    let [batch, heads, len, d_head] = query.dims();
    let [_, groups, keys, _] = key.dims();
    let each = heads / groups;
    let half = is_half(&query);
    let scale = options.scale.unwrap_or((d_head as f64).powf(-0.5));

    let rows = |x: Tensor<4>| match each {
        1 => x,
        _ => x.reshape([batch, groups, each * len, d_head]),
    };
    let scores = if half {
        widen(rows(query).matmul(key.swap_dims(2, 3))) * scale
    } else {
        rows(query * scale).matmul(key.swap_dims(2, 3))
    }; // [B, G, H/G * L, S]
    let mut scores = scores.reshape([batch, groups, each, len, keys]);
    for term in added(blocked, bias, options, len, keys, &value.device()) {
        let [some, of_heads, l, s] = term.dims();
        let [g, e] = if of_heads == 1 { [1, 1] } else { [groups, each] };
        let term = like(term, &scores).reshape([some, g, e, l, s]);
        scores = scores + term;
    }

    // A row that sees nothing has exponents of minus infinity, and gives zero. Other rows' sums are at least one, so that the
    // floor is no part of their derivative, and a gradient divided by it stays finite.
    let largest = scores.clone().detach().max_dim(4).clamp_min(f32::MIN);
    let shares = (scores - largest).exp();
    let sum = shares.clone().sum_dim(4).clamp_min(0.5);
    let mixed =
        |shares: Tensor<5>| like(shares.reshape([batch, groups, each * len, keys]), &value).matmul(value);
    if half {
        return mixed(shares / sum).reshape([batch, heads, len, d_head]);
    }
    mixed(shares).reshape([batch, heads, len, d_head]) / sum.reshape([batch, heads, len, 1])
}

/// What is added to the scores: tensors `[B or 1, H or 1, L or 1, S]`.
fn added(
    blocked: Option<Tensor<4, Bool>>,
    bias: Option<Tensor<4>>,
    options: &AttentionModuleOptions,
    len: usize,
    keys: usize,
    device: &Device,
) -> Vec<Tensor<4>> {
    let hidden =
        |mask: Tensor<4, Bool>| Tensor::<4>::zeros(mask.dims(), device).mask_fill(mask, f32::NEG_INFINITY);
    let later = options.is_causal.then(|| hidden(later(len, keys, device)));
    let blocked = blocked.map(hidden);
    // Masks of all heads are one.
    let masks = match (blocked, later) {
        (Some(blocked), Some(later)) => Some(blocked + later),
        (blocked, later) => blocked.or(later),
    };
    masks.into_iter().chain(bias).collect()
}

/// `[1, 1, L, S]`: `true` where a key comes after the query; the last query is the last key's.
fn later(len: usize, keys: usize, device: &Device) -> Tensor<4, Bool> {
    let query = Tensor::<1, Int>::arange(0..len as i64, device).reshape([len, 1]).expand([len, keys]);
    let key = Tensor::<1, Int>::arange(0..keys as i64, device).reshape([1, keys]).expand([len, keys]);
    let last = query + (keys as i64 - len as i64);
    key.greater(last).reshape([1, 1, len, keys])
}

#[cfg(test)]
mod tests {
    use burn::tensor::module::attention_fallback;
    use burn::tensor::{Distribution, TensorData};
    use flamingo_testkit::assert_close;

    use super::*;
    use crate::attention::repeat_heads;

    /// Result and gradients of query, key, value and bias, for a gradient of the result that differs everywhere.
    fn differentiated(
        inputs: &[Tensor<4>; 4],
        mix: impl FnOnce(Tensor<4>, Tensor<4>, Tensor<4>, Tensor<4>) -> Tensor<4>,
    ) -> Vec<Tensor<4>> {
        let leaves = inputs.clone().map(|input| Tensor::from_inner(input).require_grad());
        let [query, key, value, bias] = leaves.clone();
        let mixed = mix(query, key, value, bias);
        let count = mixed.dims().iter().product::<usize>() as i64;
        let weights = Tensor::<1, Int>::arange(1..count + 1, &mixed.device()).float().reshape(mixed.dims());
        let gradients = (mixed.clone() * weights.sin()).sum().backward();
        let found = leaves.map(|leaf| leaf.grad(&gradients).unwrap());
        std::iter::once(mixed.inner()).chain(found).collect()
    }

    #[test]
    fn values_and_gradients_are_those_of_burns_attention_with_repeated_heads() {
        let device = Device::flex();
        device.seed(5);
        let [batch, len, keys, d_head] = [2, 5, 7, 4];
        let random = |dims| Tensor::<4>::random(dims, Distribution::Normal(0.0, 1.5), &device);
        // The first row's queries see nothing of the first two keys, the second row's nothing of the last.
        let blocked: Vec<bool> = (0..batch * len * keys)
            .map(|i| if i < len * keys { i % keys < 2 } else { i % keys == keys - 1 })
            .collect();
        let blocked = TensorData::new(blocked, [batch, 1, len, keys]);
        let blocked = Tensor::<4, Bool>::from_data(blocked, &device.clone().autodiff());
        for (heads, groups, is_causal, scale) in
            [(6, 2, true, None), (4, 4, false, Some(0.3)), (3, 1, true, Some(2.0)), (2, 2, false, None)]
        {
            let inputs = [
                random([batch, heads, len, d_head]),
                random([batch, groups, keys, d_head]),
                random([batch, groups, keys, d_head]),
                random([1, heads, len, keys]),
            ];
            let options = AttentionModuleOptions { is_causal, scale, ..Default::default() };
            let every = blocked.clone().expand([batch, heads, len, keys]);
            let expected = differentiated(&inputs, |query, key, value, bias| {
                let [key, value] = [key, value].map(|x| repeat_heads(x, heads));
                let bias = bias.expand([batch, heads, len, keys]);
                attention_fallback(query, key, value, Some(every), Some(bias), options)
            });
            let found = differentiated(&inputs, |query, key, value, bias| {
                attention(query, key, value, Some(blocked.clone()), Some(bias), &options)
            });
            for (found, expected) in found.into_iter().zip(expected) {
                assert_close(found, expected, 1e-5);
            }
        }
    }

    #[test]
    fn a_row_that_sees_nothing_gets_zero_gradients_whatever_arrives() {
        let device = Device::flex().autodiff();
        let leaf = || Tensor::<4>::random([1, 1, 2, 3], Distribution::Default, &device).require_grad();
        let (query, key, value) = (leaf(), leaf(), leaf());
        let blocked = Tensor::<4, Bool>::from_data([[[[true, true], [false, false]]]], &device);
        let options = AttentionModuleOptions::default();
        let mixed = attention(query.clone(), key.clone(), value.clone(), Some(blocked), None, &options);
        let gradients = mixed.mul_scalar(1e6).sum().backward();
        for leaf in [&query, &key, &value] {
            let found: Vec<f32> = leaf.grad(&gradients).unwrap().into_data().iter::<f32>().collect();
            assert!(found.iter().all(|value| value.is_finite()), "{found:?}");
        }
        let of_blocked: Vec<f32> =
            query.grad(&gradients).unwrap().slice([0..1, 0..1, 0..1]).into_data().iter::<f32>().collect();
        assert_eq!(of_blocked, [0.0; 3]);
    }
}
