//! Transformer-XL's relative positions, as Chinchilla and Gopher have them.
//!
//! Dai et al. 2019, "Transformer-XL", section 3.3. The score of query i for key j is
//! `((q_i + u) · k_j + (q_i + v) · r_(i-j)) / sqrt(K)`, where `r` is a learned projection of a sinusoid of the distance
//! and `u`, `v` are learned per head. Deviation: no memory of earlier segments.

use burn::module::Param;
use burn::nn::Linear;
use burn::tensor::{Device, Tensor, TensorData};
use flamingo_nn::split_heads;

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
    /// Queries `[B, H, L, K]` and the encoding of distances `[L, D]` to queries that are compared with the keys, and
    /// what is added to the scaled scores, `[B, H, L, L]`.
    pub fn apply(&self, query: Tensor<4>, distances: Tensor<2>) -> (Tensor<4>, Tensor<4>) {
        let [n_heads, d_head] = self.content_bias.dims();
        let per_head = |bias: &Param<Tensor<2>>| bias.val().reshape([1, n_heads, 1, d_head]);
        let distance = split_heads(self.position.forward(distances).unsqueeze::<3>(), n_heads); // [1, H, L, K]
        let by_distance = (query.clone() + per_head(self.position_bias)).matmul(distance.swap_dims(2, 3));
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

/// Moves row i of `[B, H, L, L]`, whose column c holds distance L-1-c, so that column j holds distance i-j.
///
/// Columns over the diagonal hold other rows' values: the causal mask hides them.
fn shift(scores: Tensor<4>) -> Tensor<4> {
    let [batch, heads, len, _] = scores.dims();
    let padded = scores.pad([(1, 0)], 0.0); // [B, H, L, L + 1]
    padded.reshape([batch, heads, len + 1, len]).slice([0..batch, 0..heads, 1..len + 1])
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
    }
}
