//! The vision transformer of CLIP (Radford et al. 2021, section 2.4), which OpenFlamingo and IDEFICS freeze.
//!
//! A picture is cut into square patches, each becomes one token by a linear map, a class token goes before them, and
//! learned positions are added; then come a norm, the blocks (norms stand before the sublayers), and for the class
//! token alone another norm and the projection to CLIP's joint space.
//!
//! A Flamingo reads the tokens *before* that last norm: OpenFlamingo was trained with an open_clip that returned them so
//! (2.22 and before; later ones normalise first), and transformers' `last_hidden_state` is the same. OpenFlamingo drops
//! the class token, IDEFICS keeps it ([`VitConfig::keep_class`]).
//!
//! Legend: N images, I side in pixels, G patches per side, T tokens (`G^2 + 1`), W width, J width of the joint space, P
//! positions that leave the encoder.

use burn::module::{Module, Param};
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::{Initializer, Linear, LinearConfig};
use burn::tensor::{Device, Tensor, assert_shape, s};
use flamingo_core::precision::like;
use flamingo_nn::{Act, Norm, NormConfig};
use serde::{Deserialize, Serialize};

use crate::block::{EncoderBlock, EncoderBlockConfig};

/// A vision transformer's sizes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VitConfig {
    /// Side of the images in pixels (I).
    pub image_size: usize,
    /// Side of a patch in pixels.
    pub patch_size: usize,
    /// Width (W).
    pub d_model: usize,
    /// Blocks.
    pub n_layers: usize,
    /// Attention heads.
    pub n_heads: usize,
    /// Width inside the feed-forward networks.
    pub d_ff: usize,
    /// Activation of the feed-forward networks: OpenAI's weights have quick GELU, most others GELU.
    pub act: Act,
    /// Added to the variance in every norm.
    pub epsilon: f64,
    /// Whether the class token is the first of the features, or left out.
    pub keep_class: bool,
    /// Width of the joint space (J), if the encoder has the projection.
    pub d_projection: Option<usize>,
}

impl VitConfig {
    /// Width of the features (E).
    pub fn d_features(&self) -> usize {
        self.d_model
    }

    /// Width of the pooled embedding: the joint space's, or the transformer's if there is no projection.
    pub fn d_pooled(&self) -> usize {
        self.d_projection.unwrap_or(self.d_model)
    }

    /// Positions (P) of an image.
    pub fn n_positions(&self) -> usize {
        self.n_patches() + usize::from(self.keep_class)
    }

    fn n_patches(&self) -> usize {
        (self.image_size / self.patch_size).pow(2)
    }

    /// Creates the encoder on `device`.
    pub fn init(&self, device: &Device) -> Vit {
        let norm = NormConfig::Layer { epsilon: self.epsilon };
        let scaled = Initializer::Normal { mean: 0.0, std: (self.d_model as f64).powf(-0.5) };
        let block = EncoderBlockConfig {
            d_model: self.d_model,
            n_heads: self.n_heads,
            d_ff: self.d_ff,
            act: self.act,
            norm,
        };
        Vit {
            patches: Conv2dConfig::new([3, self.d_model], [self.patch_size; 2])
                .with_stride([self.patch_size; 2])
                .with_bias(false)
                .init(device),
            class: scaled.init([self.d_model], device),
            positions: scaled.init([self.n_patches() + 1, self.d_model], device),
            first_norm: norm.init(self.d_model, device),
            blocks: (0..self.n_layers).map(|_| block.init(device)).collect(),
            last_norm: norm.init(self.d_model, device),
            projection: self
                .d_projection
                .map(|to| LinearConfig::new(self.d_model, to).with_bias(false).init(device)),
            keep_class: self.keep_class,
        }
    }
}

/// The encoder; see the [module documentation](self).
#[derive(Module, Debug)]
pub struct Vit {
    /// Patches to tokens: `[W, 3, p, p]`.
    pub patches: Conv2d,
    /// `[W]`, the class token.
    pub class: Param<Tensor<1>>,
    /// `[T, W]`, the class token's first.
    pub positions: Param<Tensor<2>>,
    /// Before the first block.
    pub first_norm: Norm,
    /// The transformer.
    pub blocks: Vec<EncoderBlock>,
    /// Behind the last block, for the class token only.
    pub last_norm: Norm,
    /// `[W, J]`.
    pub projection: Option<Linear>,
    keep_class: bool,
}

impl Vit {
    /// The patches' tokens behind the last block, row by row; the class token before them if it is kept.
    ///
    /// # Shapes
    ///
    /// `[N, 3, I, I]` (normalised) to `[N, P, W]`.
    ///
    /// # Panics
    ///
    /// If the images have not the side that the positions were made for.
    pub fn features(&self, images: Tensor<4>) -> Tensor<3> {
        let tokens = self.tokens(images);
        if self.keep_class { tokens } else { tokens.slice(s![.., 1..]) }
    }

    /// The class token, normalised and projected: what CLIP compares (it is not made a unit vector here).
    ///
    /// # Shapes
    ///
    /// `[N, 3, I, I]` (normalised) to `[N, J]`, or to `[N, W]` without a projection.
    ///
    /// # Panics
    ///
    /// As [`Vit::features`].
    pub fn pooled(&self, images: Tensor<4>) -> Tensor<2> {
        let class = self.tokens(images).slice(s![.., 0..1]).squeeze_dim::<2>(1);
        let class = self.last_norm.forward(class);
        match &self.projection {
            Some(projection) => projection.forward(class),
            None => class,
        }
    }

    /// All tokens behind the last block, the class token's first: `[N, 3, I, I]` to `[N, T, W]`.
    pub fn tokens(&self, images: Tensor<4>) -> Tensor<3> {
        let x = self.embed(images);
        self.blocks.iter().fold(x, |x, block| block.forward(x, None))
    }

    /// The first block's input: `[N, 3, I, I]` to `[N, T, W]`.
    pub fn embed(&self, images: Tensor<4>) -> Tensor<3> {
        assert_shape!(images, [_, 3, ..]);
        let images = like(images, &self.class.val());
        let patches = self.patches.forward(images).flatten::<3>(2, 3).swap_dims(1, 2); // [N, G^2, W]
        let [n, count, width] = patches.dims();
        let positions = self.positions.val();
        let most = positions.dims()[0];
        assert_eq!(
            count + 1,
            most,
            "the images have {count} patches, the encoder has positions for {}",
            most - 1
        );
        let class = self.class.val().reshape([1, 1, width]).expand([n, 1, width]);
        self.first_norm.forward(Tensor::cat(vec![class, patches], 1) + positions.unsqueeze())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tiny() -> VitConfig {
        VitConfig {
            image_size: 8,
            patch_size: 4,
            d_model: 8,
            n_layers: 1,
            n_heads: 2,
            d_ff: 16,
            act: Act::QuickGelu,
            epsilon: 1e-5,
            keep_class: false,
            d_projection: Some(6),
        }
    }

    #[test]
    fn positions_are_counted_with_and_without_the_class_token() {
        let device = Device::flex();
        for keep_class in [false, true] {
            let config = VitConfig { keep_class, ..tiny() };
            let vit = config.init(&device);
            let images = Tensor::ones([2, 3, 8, 8], &device);
            let expected = [2, config.n_positions(), config.d_features()];
            assert_eq!(vit.features(images.clone()).dims(), expected);
            assert_eq!(vit.pooled(images).dims(), [2, config.d_pooled()]);
        }
    }

    #[test]
    #[should_panic(expected = "the images have 9 patches, the encoder has positions for 4")]
    fn images_of_another_size_panic() {
        let device = Device::flex();
        tiny().init(&device).features(Tensor::ones([1, 3, 12, 12], &device));
    }
}
