//! Attention with linear biases: the farther a key, the lower its score.
//!
//! Press et al. 2021, "Train Short, Test Long". A key's distance only counts relative to other keys of the same row,
//! so the bias depends on the key alone, as in MPT: head h adds `-slope_h * (L - 1 - j)` to the score of key j.

use burn::tensor::{Device, Tensor, TensorData};

/// The biases of `len` keys for `n_heads` heads, the same for every query: `[1, H, 1, L]`.
///
/// The last `S` of them are those of a text of `S` tokens.
pub fn alibi(len: usize, n_heads: usize, max_bias: f64, device: &Device) -> Tensor<4> {
    let mut values = Vec::with_capacity(n_heads * len);
    for slope in slopes(n_heads, max_bias) {
        values.extend((0..len).map(|key| -slope * (len - 1 - key) as f32));
    }
    Tensor::from_data(TensorData::new(values, [1, n_heads, 1, len]), device)
}

/// How fast each head's scores fall.
///
/// `2^(-max_bias * i / N)` for i = 1..=N, where N is the next power of two; if there are fewer heads than that, the
/// slopes of even i come first, as in MPT (llm-foundry, `gen_slopes`).
fn slopes(n_heads: usize, max_bias: f64) -> Vec<f32> {
    let full = n_heads.next_power_of_two();
    let slope = |i: usize| (-max_bias * i as f64 / full as f64).exp2() as f32;
    match full == n_heads {
        true => (1..=full).map(slope).collect(),
        false => (2..=full).step_by(2).chain((1..=full).step_by(2)).take(n_heads).map(slope).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slopes_are_those_of_mpt() {
        assert_eq!(slopes(4, 8.0), [0.25, 0.0625, 0.015625, 0.00390625]);
        // Of eight, 2^-1 … 2^-8: every second one from the second on, then the others.
        assert_eq!(slopes(6, 8.0), [0.25, 0.0625, 0.015625, 0.00390625, 0.5, 0.125]);
    }

    #[test]
    fn the_last_key_is_not_moved() {
        let bias: Vec<f32> = alibi(3, 1, 1.0, &Device::flex()).into_data().iter::<f32>().collect();
        assert_eq!(bias, [-1.0, -0.5, 0.0]);
    }
}
