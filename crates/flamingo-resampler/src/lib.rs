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
//! - Features of another width than the resampler's (`d_input`) are standardised channel by channel and projected first;
//!   the paper's have the resampler's width.
//! - The paper leaves norms open: as in the open implementations, each layer normalises features and latents with norms
//!   of its own, and the output is normalised once more.
//! - The paper compares it with a plain transformer and an MLP of as many parameters (section 3.3, table 3), without saying
//!   more of them; [`Layer`] chooses, [`alternatives`] says what they are here.
//!
//! Legend: B batch, M media per sequence, F frames, P positions, R latents, E width of the features and of the output.

pub mod alternatives;
mod input;

use burn::module::{Module, Param};
use burn::nn::Initializer;
use burn::tensor::{Device, Tensor, TensorData, assert_shape};
use flamingo_core::precision::like;
use flamingo_nn::{Act, Attention, AttentionConfig, FeedForward, FeedForwardConfig, Norm, NormConfig};
use serde::{Deserialize, Serialize};

pub use alternatives::{MlpResampler, TransformerResampler};
pub use input::FeatureInput;

/// What the layers of a resampler are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Layer {
    /// Latents attend to features and latents ([`PerceiverResampler`]).
    #[default]
    Perceiver,
    /// Features and latents attend to each other ([`TransformerResampler`]).
    Transformer,
    /// A feed-forward network on each position ([`MlpResampler`]).
    Mlp,
}

/// A resampler's sizes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ResamplerConfig {
    /// What a layer is. All are of about the size of the Perceiver's with the same numbers.
    #[serde(default)]
    pub layer: Layer,
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
    /// Width of the features, if they are standardised and projected to `d_model` first.
    #[serde(default)]
    pub d_input: Option<usize>,
}

impl ResamplerConfig {
    /// The paper's: 6 layers, 64 latents, heads of `d_model / 16`, 8 frames.
    pub fn paper(d_model: usize) -> Self {
        Self {
            layer: Layer::Perceiver,
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
            d_input: None,
        }
    }

    /// Width of the features that go in.
    pub fn d_features(&self) -> usize {
        self.d_input.unwrap_or(self.d_model)
    }

    /// Creates the resampler on `device`.
    pub fn init(&self, device: &Device) -> Resampler {
        match self.layer {
            Layer::Perceiver => Resampler::Perceiver(PerceiverResampler {
                input: self.input(device),
                latents: self.latents(device),
                frame_embeddings: self.frame_embeddings(device),
                layers: (0..self.n_layers).map(|_| self.perceiver_layer(device)).collect(),
                norm: self.norm.init(self.d_model, device),
            }),
            Layer::Transformer => Resampler::Transformer(TransformerResampler::new(self, device)),
            Layer::Mlp => Resampler::Mlp(MlpResampler::new(self, device)),
        }
    }

    fn input(&self, device: &Device) -> Option<FeatureInput> {
        self.d_input.map(|d_input| FeatureInput::new(d_input, self.d_model, device))
    }

    fn latents(&self, device: &Device) -> Param<Tensor<2>> {
        self.normal().init([self.n_latents, self.d_model], device)
    }

    fn frame_embeddings(&self, device: &Device) -> Option<Param<Tensor<2>>> {
        (self.n_frames > 0).then(|| self.normal().init([self.n_frames, self.d_model], device))
    }

    fn normal(&self) -> Initializer {
        Initializer::Normal { mean: 0.0, std: self.init_std }
    }

    fn perceiver_layer(&self, device: &Device) -> PerceiverLayer {
        let norm = || self.norm.init(self.d_model, device);
        PerceiverLayer {
            media_norm: norm(),
            latents_norm: norm(),
            attention: self.attention(device),
            feed_forward_norm: norm(),
            feed_forward: self.feed_forward(self.d_ff, device),
        }
    }

    fn attention(&self, device: &Device) -> Attention {
        let attention = AttentionConfig {
            d_query: self.d_model,
            d_context: self.d_model,
            n_heads: self.n_heads,
            d_head: self.d_head,
            bias: false,
        };
        match &self.head_norm {
            Some(norm) => attention.init_normed(norm, device),
            None => attention.init(device),
        }
    }

    fn feed_forward(&self, d_hidden: usize, device: &Device) -> FeedForward {
        FeedForwardConfig { d_model: self.d_model, d_hidden, act: self.act, bias: false }.init(device)
    }
}

/// A resampler of any kind. All have the same shapes, and none mixes media.
#[derive(Module, Debug)]
pub enum Resampler {
    /// The paper's.
    Perceiver(PerceiverResampler),
    /// The paper's first alternative.
    Transformer(TransformerResampler),
    /// The paper's second alternative.
    Mlp(MlpResampler),
}

impl Resampler {
    /// # Shapes
    ///
    /// `[B, M, F, P, E]` to `[B, M, R, E]`.
    ///
    /// # Panics
    ///
    /// If the features' width is not the resampler's.
    pub fn forward(&self, features: Tensor<5>) -> Tensor<4> {
        match self {
            Self::Perceiver(resampler) => resampler.forward(features),
            Self::Transformer(resampler) => resampler.forward(features),
            Self::Mlp(resampler) => resampler.forward(features),
        }
    }

    /// The same resampler with its input changed, if it has one.
    pub fn map_input(mut self, change: impl FnOnce(FeatureInput) -> FeatureInput) -> Self {
        let input = match &mut self {
            Self::Perceiver(resampler) => &mut resampler.input,
            Self::Transformer(resampler) => &mut resampler.input,
            Self::Mlp(resampler) => &mut resampler.input,
        };
        *input = input.take().map(change);
        self
    }

    /// Whether its weights are on a device with a gradient graph.
    pub fn is_autodiff(&self) -> bool {
        match self {
            Self::Perceiver(resampler) => resampler.latents.val().is_autodiff(),
            Self::Transformer(resampler) => resampler.latents.val().is_autodiff(),
            Self::Mlp(resampler) => resampler.is_autodiff(),
        }
    }
}

/// The Perceiver Resampler; see the [crate documentation](crate).
#[derive(Module, Debug)]
pub struct PerceiverResampler {
    /// From the features' width to E, if they differ.
    pub input: Option<FeatureInput>,
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
    /// `[B, M, F, P, E]` to `[B, M, R, E]`; with an input, the last dimension of the features is its `d_input`.
    ///
    /// # Panics
    ///
    /// If the features' width is not what the resampler takes.
    pub fn forward(&self, features: Tensor<5>) -> Tensor<4> {
        let [batch, media, ..] = features.dims();
        let latents = self.latents.val();
        let [n_latents, width] = latents.dims();
        let media_tokens =
            media_tokens(self.input.as_ref(), features, self.frame_embeddings.as_ref(), &latents);
        let latents = latents.unsqueeze::<3>().expand([batch * media, n_latents, width]);
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

/// `[B, M, F, P, d_input]` to `[B*M, F*P, E]`, each frame with its embedding. `weights`, `[.., E]`, are some that the
/// features meet next.
fn media_tokens<const D: usize>(
    input: Option<&FeatureInput>,
    features: Tensor<5>,
    frame_embeddings: Option<&Param<Tensor<2>>>,
    weights: &Tensor<D>,
) -> Tensor<3> {
    let d_model = weights.dims()[D - 1];
    let [batch, media, frames, positions, _] = features.dims();
    let features = match input {
        Some(input) => input.forward(features),
        None => like(features, weights),
    };
    assert_shape!(features, [batch, media, frames, positions, d_model]);
    let features = match frame_embeddings {
        Some(embeddings) => {
            let embeddings = interpolate_frames(embeddings.val(), frames);
            features + embeddings.reshape([1, 1, frames, 1, d_model])
        }
        None => features,
    };
    features.reshape([batch * media, frames * positions, d_model])
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
    use burn::module::ModuleVisitor;
    use burn::tensor::Distribution;
    use flamingo_nn::count_parameters;

    const LAYERS: [Layer; 3] = [Layer::Perceiver, Layer::Transformer, Layer::Mlp];

    fn tiny(layer: Layer) -> ResamplerConfig {
        ResamplerConfig {
            layer,
            n_layers: 2,
            n_heads: 2,
            d_head: 4,
            n_latents: 5,
            n_frames: 3,
            ..ResamplerConfig::paper(8)
        }
    }

    fn random(shape: [usize; 5], device: &Device) -> Tensor<5> {
        Tensor::random(shape, Distribution::Default, device)
    }

    #[test]
    fn any_number_of_frames_and_positions_gives_the_same_tokens_out() {
        let device = Device::flex();
        for layer in LAYERS {
            let resampler = tiny(layer).init(&device);
            for (frames, positions) in [(1, 4), (3, 9), (10, 1)] {
                let features = random([2, 3, frames, positions, 8], &device);
                assert_eq!(resampler.forward(features).dims(), [2, 3, 5, 8], "{layer:?}");
            }
        }
    }

    #[test]
    fn media_do_not_mix() {
        let device = Device::flex();
        for layer in LAYERS {
            let resampler = tiny(layer).init(&device);
            let two = random([1, 2, 1, 4, 8], &device);
            let first = resampler.forward(two.clone().slice([0..1, 0..1]));
            let both = resampler.forward(two).slice([0..1, 0..1]);
            let difference: f32 = (first - both).abs().max().into_scalar();
            assert!(difference < 1e-6, "{layer:?}");
        }
    }

    /// Names of parameters without a gradient, and how many have one.
    struct Gradients<'a> {
        of: &'a burn::tensor::Gradients,
        path: Vec<String>,
        silent: Vec<String>,
        heard: usize,
    }

    impl ModuleVisitor for Gradients<'_> {
        fn enter_module(&mut self, name: &str, _container: &str) {
            self.path.push(name.to_owned());
        }

        fn exit_module(&mut self, _name: &str, _container: &str) {
            self.path.pop();
        }

        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            let gradient =
                param.val().grad(self.of).map(|gradient| gradient.abs().sum().into_scalar::<f32>());
            match gradient {
                Some(sum) if sum > 0.0 => self.heard += 1,
                _ => self.silent.push(self.path.join(".")),
            }
        }
    }

    #[test]
    fn gradients_reach_every_parameter_and_the_features() {
        let device = Device::flex().autodiff();
        // Latents, frame embeddings and two numbers of the last norm; of a layer its matrices and norms.
        for (layer, parameters) in LAYERS.into_iter().zip([4 + 2 * (6 + 6), 4 + 2 * (6 + 4), 3 + 2 * (2 + 2)])
        {
            let resampler = tiny(layer).init(&device);
            let features = random([1, 2, 3, 4, 8], &device).require_grad();
            let out = resampler.forward(features.clone());
            // Not the plain sum: of what a norm gives out, that is the same for all features.
            let gradients = out.powi_scalar(3).sum().backward();
            let mut found = Gradients { of: &gradients, path: Vec::new(), silent: Vec::new(), heard: 0 };
            resampler.visit(&mut found);
            assert_eq!((found.silent, found.heard), (Vec::new(), parameters), "{layer:?}");
            // Every position of every frame counts.
            let positions = features.grad(&gradients).unwrap().abs().sum_dim(4);
            assert!(positions.min().into_scalar::<f32>() > 0.0, "{layer:?}");
        }
    }

    #[test]
    fn all_kinds_have_one_parameter_budget() {
        let [perceiver, transformer, mlp] =
            LAYERS.map(|layer| count_parameters(&tiny(layer).init(&Device::flex())));
        let norm = 2 * 8;
        assert_eq!(perceiver - transformer, 2 * norm);
        assert_eq!(perceiver - mlp, 2 * 2 * norm + 5 * 8);
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
