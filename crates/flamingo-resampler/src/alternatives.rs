//! What the paper compares its resampler with (section 3.3, table 3 "Resampler"): a plain transformer and an MLP.
//!
//! The paper says that they have as many parameters and no more, so the rest is chosen here such that only the layer
//! differs: the same frame embeddings, depth and last norm, and R tokens out, so that images and clips of any length still
//! go together and the language model's side has the same work.
//!
//! - **Transformer**: features and latents are one sequence, of which every token attends to every token; the latents'
//!   places are read at the end. A layer has the Perceiver layer's matrices; the features change from layer to layer,
//!   for the price of `(F*P + R)^2` instead of `R * (F*P + R)` scores.
//! - **MLP**: residual feed-forward networks on each position by itself, whose hidden width is larger by what the
//!   attention's matrices would have taken, `2*H*K`. R tokens come of averages over positions that are neighbours in the
//!   order of frames and rows: token r is the mean of positions `floor(r*S/R)` to `ceil((r+1)*S/R)` of `S = F*P`.
//!
//! Legend: B batch, M media per sequence, F frames, P positions, R tokens out, E width, H heads, K width of a head.

use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor, TensorData};
use flamingo_nn::{Attention, FeedForward, Norm};

use crate::{FeatureInput, ResamplerConfig, media_tokens};

/// Features and latents attend to each other; see the [module documentation](self).
#[derive(Module, Debug)]
pub struct TransformerResampler {
    /// From the features' width to E, if they differ.
    pub input: Option<FeatureInput>,
    /// `[R, E]`.
    pub latents: Param<Tensor<2>>,
    /// `[frames, E]`.
    pub frame_embeddings: Option<Param<Tensor<2>>>,
    /// In order.
    pub layers: Vec<TransformerLayer>,
    /// Behind the last layer.
    pub norm: Norm,
}

/// Self-attention, then a feed-forward network; both with a norm before them.
#[derive(Module, Debug)]
pub struct TransformerLayer {
    /// Before the attention.
    pub attention_norm: Norm,
    /// Of every token to every token.
    pub attention: Attention,
    /// Before the feed-forward network.
    pub feed_forward_norm: Norm,
    /// On each token.
    pub feed_forward: FeedForward,
}

impl TransformerResampler {
    pub(crate) fn new(config: &ResamplerConfig, device: &Device) -> Self {
        let norm = || config.norm.init(config.d_model, device);
        let layer = |_| TransformerLayer {
            attention_norm: norm(),
            attention: config.attention(device),
            feed_forward_norm: norm(),
            feed_forward: config.feed_forward(config.d_ff, device),
        };
        Self {
            input: config.input(device),
            latents: config.latents(device),
            frame_embeddings: config.frame_embeddings(device),
            layers: (0..config.n_layers).map(layer).collect(),
            norm: norm(),
        }
    }

    /// # Shapes
    ///
    /// `[B, M, F, P, E]` to `[B, M, R, E]`.
    ///
    /// # Panics
    ///
    /// If the features' width is not the resampler's.
    pub fn forward(&self, features: Tensor<5>) -> Tensor<4> {
        let [batch, media, ..] = features.dims();
        let latents = self.latents.val();
        let [n_latents, width] = latents.dims();
        let features = media_tokens(self.input.as_ref(), features, self.frame_embeddings.as_ref(), &latents); // [B*M, F*P, E]
        let [rows, positions, _] = features.dims();
        let latents = latents.unsqueeze::<3>().expand([rows, n_latents, width]);
        let tokens = Tensor::cat(vec![features, latents], 1); // [B*M, F*P + R, E]
        let tokens = self.layers.iter().fold(tokens, |tokens, layer| layer.forward(tokens));
        let latents = tokens.narrow(1, positions, n_latents);
        self.norm.forward(latents).reshape([batch, media, n_latents, width])
    }
}

impl TransformerLayer {
    /// `[N, S, E]` to the same.
    pub fn forward(&self, tokens: Tensor<3>) -> Tensor<3> {
        let h = self.attention_norm.forward(tokens.clone());
        let tokens = tokens + self.attention.forward(h.clone(), h, None);
        let h = self.feed_forward_norm.forward(tokens.clone());
        tokens + self.feed_forward.forward(h)
    }
}

/// Feed-forward networks on each position; see the [module documentation](self).
#[derive(Module, Debug)]
pub struct MlpResampler {
    /// From the features' width to E, if they differ.
    pub input: Option<FeatureInput>,
    /// `[frames, E]`.
    pub frame_embeddings: Option<Param<Tensor<2>>>,
    /// In order.
    pub layers: Vec<MlpLayer>,
    /// Behind the last layer, before the averages.
    pub norm: Norm,
    n_latents: usize,
    d_model: usize,
}

/// A feed-forward network with a norm before it.
#[derive(Module, Debug)]
pub struct MlpLayer {
    /// Before the feed-forward network.
    pub feed_forward_norm: Norm,
    /// On each position.
    pub feed_forward: FeedForward,
}

impl MlpResampler {
    pub(crate) fn new(config: &ResamplerConfig, device: &Device) -> Self {
        let norm = || config.norm.init(config.d_model, device);
        // The attention's four matrices of E x H*K, as the two of a feed-forward network.
        let d_hidden = config.d_ff + 2 * config.n_heads * config.d_head;
        let layer =
            |_| MlpLayer { feed_forward_norm: norm(), feed_forward: config.feed_forward(d_hidden, device) };
        Self {
            input: config.input(device),
            frame_embeddings: config.frame_embeddings(device),
            layers: (0..config.n_layers).map(layer).collect(),
            norm: norm(),
            n_latents: config.n_latents,
            d_model: config.d_model,
        }
    }

    /// # Shapes
    ///
    /// `[B, M, F, P, E]` to `[B, M, R, E]`.
    ///
    /// # Panics
    ///
    /// If the features' width is not the resampler's.
    pub fn forward(&self, features: Tensor<5>) -> Tensor<4> {
        let [batch, media, ..] = features.dims();
        let tokens =
            media_tokens(self.input.as_ref(), features, self.frame_embeddings.as_ref(), &self.norm_weight()); // [B*M, F*P, E]
        let tokens = self.layers.iter().fold(tokens, |tokens, layer| {
            let h = layer.feed_forward_norm.forward(tokens.clone());
            tokens + layer.feed_forward.forward(h)
        });
        let tokens = self.norm.forward(tokens);
        let [_, positions, _] = tokens.dims();
        let weights = averaging_weights(positions, self.n_latents);
        let weights = Tensor::<2>::from_data(weights, (&tokens.device(), tokens.dtype())).unsqueeze::<3>();
        weights.matmul(tokens).reshape([batch, media, self.n_latents, self.d_model])
    }

    pub(crate) fn is_autodiff(&self) -> bool {
        self.norm_weight().is_autodiff()
    }

    fn norm_weight(&self) -> Tensor<1> {
        match &self.norm {
            Norm::Layer(norm) => norm.gamma.val(),
            Norm::Rms(norm) => norm.gamma.val(),
        }
    }
}

/// `[R, S]`: row r holds the weights of the positions whose mean is token r.
fn averaging_weights(positions: usize, tokens: usize) -> TensorData {
    let mut weights = vec![0f32; tokens * positions];
    for token in 0..tokens {
        let from = token * positions / tokens;
        let to = ((token + 1) * positions).div_ceil(tokens);
        weights[token * positions..][from..to].fill(1.0 / (to - from) as f32);
    }
    TensorData::new(weights, [tokens, positions])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The rows of `averaging_weights`.
    fn rows(positions: usize, tokens: usize) -> Vec<Vec<f32>> {
        let weights: Vec<f32> = averaging_weights(positions, tokens).try_to_vec().unwrap();
        weights.chunks(positions).map(<[f32]>::to_vec).collect()
    }

    #[test]
    fn averages_are_those_of_adaptive_pooling() {
        // torch.nn.functional.adaptive_avg_pool1d has the same bounds.
        assert_eq!(rows(4, 2), [[0.5, 0.5, 0.0, 0.0], [0.0, 0.0, 0.5, 0.5]]);
        let third = 1.0 / 3.0;
        assert_eq!(rows(5, 2), [[third, third, third, 0.0, 0.0], [0.0, 0.0, third, third, third]]);
        assert_eq!(rows(1, 3), [[1.0]; 3]);
        assert_eq!(rows(3, 3), [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]);
    }

    #[test]
    fn every_position_counts_and_weights_are_means() {
        for (positions, tokens) in [(36, 8), (9, 8), (3, 8), (100, 64), (7, 7)] {
            let rows = rows(positions, tokens);
            assert!(rows.iter().all(|row| (row.iter().sum::<f32>() - 1.0).abs() < 1e-5));
            assert!((0..positions).all(|position| rows.iter().any(|row| row[position] > 0.0)));
        }
    }
}
