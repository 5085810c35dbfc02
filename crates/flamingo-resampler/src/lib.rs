//! Perceiver Resampler: any number of image or video features to a fixed number of visual tokens.
//!
//! Flamingo paper, section 2.1, appendix A.1.1 and figure 5. Learned latents attend to the features of all frames, and
//! to themselves, layer after layer. Whatever the resolution or the length of a clip, R tokens come out; what follows
//! never sees more.
//!
//! - Keys and values come from `concat(features, latents)`, features first.
//! - There is no spatial position encoding; each frame's features get a learned frame embedding. An image is a clip of
//!   one frame and gets embedding 0.
//! - A clip with more frames than were trained takes embeddings interpolated linearly between the trained ones (8 to 30
//!   in the paper). The paper does not say how the ends align; here first maps to first and last to last.
//! - The paper leaves norms open: as in the open implementations, each layer normalises features and latents with norms
//!   of its own, and the output is normalised once more.
//!
//! Legend: B batch, M media per sequence, F frames, P positions, R latents, E width of the features and of the output.

use burn::module::{Module, Param};
use burn::nn::Initializer;
use burn::tensor::{Device, Tensor, TensorData, assert_shape};
use flamingo_core::precision::like;
use flamingo_nn::{Act, Attention, AttentionConfig, FeedForward, FeedForwardConfig, Norm, NormConfig};
use serde::{Deserialize, Serialize};

/// A resampler's sizes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ResamplerConfig {
    /// Width of the features and of the output (E).
    pub d_model: usize,
    /// Layers.
    pub n_layers: usize,
    /// Attention heads.
    pub n_heads: usize,
    /// Width of a head; 96 in the paper, 64 in OpenFlamingo whatever the width.
    pub d_head: usize,
    /// Hidden width of the feed-forward networks.
    pub d_ff: usize,
    /// Tokens that come out (R).
    pub n_latents: usize,
    /// Frames with an embedding of their own; 0 for none at all (OpenFlamingo's released models).
    pub n_frames: usize,
    /// Squared ReLU in the paper, GELU in OpenFlamingo, ReLU in IDEFICS.
    pub act: Act,
    /// Norms on features, latents and output.
    pub norm: NormConfig,
    /// Norm of queries and keys, each head by itself (an option of IDEFICS).
    #[serde(default)]
    pub head_norm: Option<NormConfig>,
    /// Standard deviation of the latents and frame embeddings at first (1 in OpenFlamingo).
    pub init_std: f64,
}

impl ResamplerConfig {
    /// The paper's: 6 layers, 64 latents, heads of `d_model / 16`, 8 frames.
    pub fn paper(d_model: usize) -> Self {
        Self {
            d_model,
            n_layers: 6,
            n_heads: 16,
            d_head: d_model / 16,
            d_ff: 4 * d_model,
            n_latents: 64,
            n_frames: 8,
            act: Act::SquaredRelu,
            norm: NormConfig::Layer { epsilon: 1e-5 },
            head_norm: None,
            init_std: 0.02,
        }
    }

    /// Creates the resampler on `device`.
    pub fn init(&self, device: &Device) -> PerceiverResampler {
        let normal = Initializer::Normal { mean: 0.0, std: self.init_std };
        PerceiverResampler {
            latents: normal.init([self.n_latents, self.d_model], device),
            frame_embeddings: (self.n_frames > 0).then(|| normal.init([self.n_frames, self.d_model], device)),
            layers: (0..self.n_layers).map(|_| self.layer(device)).collect(),
            norm: self.norm.init(self.d_model, device),
        }
    }

    fn layer(&self, device: &Device) -> PerceiverLayer {
        let norm = || self.norm.init(self.d_model, device);
        let attention = AttentionConfig {
            d_query: self.d_model,
            d_context: self.d_model,
            n_heads: self.n_heads,
            d_head: self.d_head,
            bias: false,
        };
        PerceiverLayer {
            media_norm: norm(),
            latents_norm: norm(),
            attention: match &self.head_norm {
                Some(norm) => attention.init_normed(norm, device),
                None => attention.init(device),
            },
            feed_forward_norm: norm(),
            feed_forward: FeedForwardConfig {
                d_model: self.d_model,
                d_hidden: self.d_ff,
                act: self.act,
                bias: false,
            }
            .init(device),
        }
    }
}

/// The resampler; see the [crate documentation](crate).
#[derive(Module, Debug)]
pub struct PerceiverResampler {
    /// `[R, E]`.
    pub latents: Param<Tensor<2>>,
    /// `[frames, E]`.
    pub frame_embeddings: Option<Param<Tensor<2>>>,
    /// In order.
    pub layers: Vec<PerceiverLayer>,
    /// Behind the last layer.
    pub norm: Norm,
}

impl PerceiverResampler {
    /// # Shapes
    ///
    /// `[B, M, F, P, E]` to `[B, M, R, E]`.
    ///
    /// # Panics
    ///
    /// If the features' width is not the resampler's.
    pub fn forward(&self, features: Tensor<5>) -> Tensor<4> {
        let [batch, media, frames, positions, width] = features.dims();
        let [n_latents, d_model] = self.latents.dims();
        assert_shape!(features, [batch, media, frames, positions, d_model]);
        let features = like(features, &self.latents.val());
        let features = match &self.frame_embeddings {
            Some(embeddings) => {
                let embeddings = interpolate_frames(embeddings.val(), frames);
                features + embeddings.reshape([1, 1, frames, 1, width])
            }
            None => features,
        };
        let media_tokens = features.reshape([batch * media, frames * positions, width]);
        let latents = self.latents.val().unsqueeze::<3>().expand([batch * media, n_latents, width]);
        let latents =
            self.layers.iter().fold(latents, |latents, layer| layer.forward(&media_tokens, latents));
        self.norm.forward(latents).reshape([batch, media, n_latents, width])
    }
}

/// One layer: cross-attention to features and latents, then a feed-forward network.
#[derive(Module, Debug)]
pub struct PerceiverLayer {
    /// On the features.
    pub media_norm: Norm,
    /// On the latents.
    pub latents_norm: Norm,
    /// From the latents to features and latents.
    pub attention: Attention,
    /// Before the feed-forward network.
    pub feed_forward_norm: Norm,
    /// On each latent.
    pub feed_forward: FeedForward,
}

impl PerceiverLayer {
    /// media `[N, F*P, E]`, latents `[N, R, E]` to `[N, R, E]`.
    pub fn forward(&self, media: &Tensor<3>, latents: Tensor<3>) -> Tensor<3> {
        let queries = self.latents_norm.forward(latents.clone());
        let context = Tensor::cat(vec![self.media_norm.forward(media.clone()), queries.clone()], 1);
        let latents = latents + self.attention.forward(queries, context, None);
        let h = self.feed_forward_norm.forward(latents.clone());
        latents + self.feed_forward.forward(h)
    }
}

/// Embeddings for `frames` frames: the first ones of `[n, E]`, or all of them stretched linearly when there are more
/// frames than were trained.
fn interpolate_frames(embeddings: Tensor<2>, frames: usize) -> Tensor<2> {
    let [trained, _] = embeddings.dims();
    if frames <= trained {
        return embeddings.slice(0..frames);
    }
    let device = embeddings.device();
    let weights = Tensor::<2>::from_data(interpolation_weights(trained, frames), &device);
    like(weights, &embeddings).matmul(embeddings)
}

/// `[frames, trained]`: row f holds the weights of the two trained frames around frame f.
fn interpolation_weights(trained: usize, frames: usize) -> TensorData {
    let mut weights = vec![0f32; frames * trained];
    for frame in 0..frames {
        let position = (frame * (trained - 1)) as f32 / (frames - 1) as f32;
        let below = (position as usize).min(trained - 1);
        let above = (below + 1).min(trained - 1);
        let fraction = position - below as f32;
        weights[frame * trained + below] += 1.0 - fraction;
        weights[frame * trained + above] += fraction;
    }
    TensorData::new(weights, [frames, trained])
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Distribution;
    use flamingo_nn::count_parameters;

    fn tiny(device: &Device) -> PerceiverResampler {
        ResamplerConfig {
            n_layers: 2,
            n_heads: 2,
            d_head: 4,
            n_latents: 5,
            n_frames: 3,
            ..ResamplerConfig::paper(8)
        }
        .init(device)
    }

    #[test]
    fn any_number_of_frames_and_positions_gives_the_same_tokens_out() {
        let device = Device::flex();
        let resampler = tiny(&device);
        for (frames, positions) in [(1, 4), (3, 9), (10, 1)] {
            let features = Tensor::random([2, 3, frames, positions, 8], Distribution::Default, &device);
            assert_eq!(resampler.forward(features).dims(), [2, 3, 5, 8]);
        }
    }

    #[test]
    fn media_do_not_mix() {
        let device = Device::flex();
        let resampler = tiny(&device);
        let two = Tensor::random([1, 2, 1, 4, 8], Distribution::Default, &device);
        let first = resampler.forward(two.clone().slice([0..1, 0..1]));
        let both = resampler.forward(two).slice([0..1, 0..1]);
        let difference: f32 = (first - both).abs().max().into_scalar();
        assert!(difference < 1e-6);
    }

    #[test]
    fn eight_frames_stretch_to_thirty_and_keep_their_ends() {
        let device = Device::flex();
        let embeddings = Tensor::<1, burn::tensor::Int>::arange(0..8, &device).float().reshape([8, 1]);
        let stretched: Vec<f32> = interpolate_frames(embeddings, 30).into_data().try_to_vec().unwrap();
        assert_eq!((stretched[0], stretched[29]), (0.0, 7.0));
        assert!((stretched[1] - 7.0 / 29.0).abs() < 1e-6);
        assert!(stretched.windows(2).all(|pair| pair[1] > pair[0]));
    }

    #[test]
    fn the_papers_size_is_near_the_papers_count() {
        // 194 M in the paper's table 5; its text allows 170 M (shared keys and values, as here) to 198 M.
        let count = count_parameters(&ResamplerConfig::paper(1536).init(&Device::flex()));
        assert!((169_000_000..171_000_000).contains(&count), "{count}");
    }
}
