//! Transformer-XL's relative positions, as Chinchilla and Gopher have them.
//!
//! Dai et al. 2019, "Transformer-XL", section 3.3. The score of query i for key j is
//! `((q_i + u) · k_j + (q_i + v) · r_(i-j)) / sqrt(K)`, where `r` is a learned projection of a sinusoid of the distance
//! and `u`, `v` are learned per head. A text that is read in pieces
//! (see [`DecoderCache`](crate::DecoderCache)) gives what it gives in one: earlier pieces are its past, not the paper's memory.

use burn::module::Param;
use burn::nn::Linear;
use burn::tensor::{Device, Tensor, TensorData};
use flamingo_core::precision::like;
use flamingo_nn::{linear, split_heads};

/// The parameters, where they live in [`SelfAttention`](crate::attention::SelfAttention).
#[derive(Debug, Clone, Copy)]
pub(crate) struct Relative<'a> {
    /// Projection of the distances' sinusoids.
    pub position: &'a Linear,
    /// u.
    pub content_bias: &'a Param<Tensor<2>>,
    /// v.
    pub position_bias: &'a Param<Tensor<2>>,
}

impl Relative<'_> {
    /// Projects the encoding of distances, `[S, D]` to `[1, H, S, K]`.
    pub fn project(&self, distances: Tensor<2>) -> Tensor<4> {
        let [n_heads, _] = self.content_bias.dims();
        let distances = like(distances, &self.position.weight.base());
        split_heads(linear(self.position, distances).unsqueeze::<3>(), n_heads)
    }

    /// Queries `[B, H, L, K]`, the last of S tokens, and the projected distances `[1, H, S, K]` to queries that are
    /// compared with the keys, and what is added to the scaled scores, `[B, H, L, S]`.
    pub fn apply(&self, query: Tensor<4>, distances: Tensor<4>) -> (Tensor<4>, Tensor<4>) {
        let [n_heads, d_head] = self.content_bias.dims();
        let per_head = |bias: &Param<Tensor<2>>| bias.val().reshape([1, n_heads, 1, d_head]);
        let by_distance = (query.clone() + per_head(self.position_bias)).matmul(distances.swap_dims(2, 3));
        let bias = shift(by_distance) * (d_head as f64).powf(-0.5);
        (query + per_head(self.content_bias), bias)
    }
}

/// Sinusoids of the distances L-1, L-2, … 0: `[L, D]`, sines in the first half.
pub fn distance_encoding(len: usize, d_model: usize, device: &Device) -> Tensor<2> {
    let half = d_model / 2;
    let mut values = Vec::with_capacity(len * d_model);
    for distance in (0..len).rev() {
        let angle = |i: usize| distance as f64 / 10_000f64.powf(2.0 * i as f64 / d_model as f64);
        values.extend((0..half).map(|i| angle(i).sin() as f32));
        values.extend((0..half).map(|i| angle(i).cos() as f32));
    }
    Tensor::from_data(TensorData::new(values, [len, 2 * half]), device)
}

/// Moves row i of `[B, H, L, S]`, whose column c holds distance S-1-c, so that column j holds the distance of query i
/// to key j, which is S-L+i-j.
///
/// Columns of later keys hold other rows' values: the causal mask hides them.
fn shift(scores: Tensor<4>) -> Tensor<4> {
    let [batch, heads, len, keys] = scores.dims();
    if len == 1 {
        return scores;
    }
    let padded = scores.pad([(1, 0)], 0.0); // [B, H, L, S + 1]
    let rows = padded.reshape([batch, heads, keys + 1, len]).slice([0..batch, 0..heads, 1..keys + 1]);
    if len == keys { rows } else { rows.reshape([batch, heads, len, keys]) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shift_aligns_distances_with_keys() {
        let device = Device::flex();
        // Column c of each row is the distance itself: 2, 1, 0.
        let scores = Tensor::<2>::from_floats([[2.0, 1.0, 0.0]; 3], &device).reshape([1, 1, 3, 3]);
        let shifted: Vec<f32> = shift(scores).into_data().try_to_vec().unwrap();
        for (row, column) in [(0, 0), (1, 0), (1, 1), (2, 0), (2, 1), (2, 2)] {
            assert_eq!(shifted[row * 3 + column], (row - column) as f32);
        }
        // The last two of three tokens.
        let scores = Tensor::<2>::from_floats([[2.0, 1.0, 0.0]; 2], &device).reshape([1, 1, 2, 3]);
        let shifted: Vec<f32> = shift(scores).into_data().try_to_vec().unwrap();
        for (row, column) in [(0, 0), (0, 1), (1, 0), (1, 1), (1, 2)] {
            assert_eq!(shifted[row * 3 + column], (1 + row - column) as f32);
        }
    }
}
