//! Convolution with scaled weight standardisation, the layer that lets NFNet do without normalisation.
//!
//! Brock et al. 2021, "High-Performance Large-Scale Image Recognition Without Normalization", section 3. Each output
//! channel's weights are shifted and scaled to mean 0 and variance 1 / fan-in, then multiplied by a learned gain.

use burn::module::{Module, Param};
use burn::nn::Initializer;
use burn::tensor::ops::ConvOptions;
use burn::tensor::{Device, Tensor, module::conv2d};
use flamingo_core::precision::{like, widen};
use serde::{Deserialize, Serialize};

use crate::padding::same_padding;

/// Whose constants to follow where the two published NFNet programs differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NfVariant {
    /// timm's `dm_nfnet_*`: exact GELU, epsilon 1e-5 added to the variance.
    Timm,
    /// DeepMind's `nfnets`: tanh GELU, variance times fan-in bounded below by 1e-4.
    DeepMind,
}

/// Sizes of a [`ScaledConv`].
#[derive(Debug, Clone)]
pub(crate) struct ScaledConvConfig {
    pub channels: [usize; 2],
    pub kernel: usize,
    pub stride: usize,
    pub groups: usize,
    pub variant: NfVariant,
}

impl ScaledConvConfig {
    pub(crate) fn init(&self, device: &Device) -> ScaledConv {
        let [input, output] = self.channels;
        let fan_in = input / self.groups * self.kernel * self.kernel;
        // The scale of the weights is divided out again; it only sets how fast training turns them.
        let weights = Initializer::Normal { mean: 0.0, std: (fan_in as f64).powf(-0.5) };
        ScaledConv {
            weight: weights.init([output, input / self.groups, self.kernel, self.kernel], device),
            gain: Initializer::Ones.init([output], device),
            bias: Initializer::Zeros.init([output], device),
            stride: self.stride,
            groups: self.groups,
            variant: self.variant,
        }
    }
}

/// A 2-D convolution with TensorFlow's "SAME" padding and standardised weights.
#[derive(Module, Debug)]
pub struct ScaledConv {
    /// `[out, in / groups, k, k]`, before standardisation.
    pub weight: Param<Tensor<4>>,
    /// `[out]`.
    pub gain: Param<Tensor<1>>,
    /// `[out]`.
    pub bias: Param<Tensor<1>>,
    stride: usize,
    groups: usize,
    #[module(skip)]
    variant: NfVariant,
}

impl ScaledConv {
    /// # Shapes
    ///
    /// `[N, in, h, w]` to `[N, out, ceil(h / stride), ceil(w / stride)]`.
    pub fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let [_, _, height, width] = x.dims();
        let weight = like(self.standardised(), &x);
        let kernel = weight.dims()[2];
        let padding = [height, width].map(|side| same_padding(side, kernel, self.stride));
        let options = ConvOptions::new_with_padding([self.stride; 2], padding, [1, 1], self.groups);
        conv2d(x, weight, Some(self.bias.val()), options)
    }

    /// The weights as the convolution sees them, `[out, in / groups, k, k]`.
    pub fn standardised(&self) -> Tensor<4> {
        let weight = widen(self.weight.val());
        let shape = weight.dims();
        let [output, fan_in] = [shape[0], shape[1] * shape[2] * shape[3]];
        let flat = weight.reshape([output, fan_in]);
        let centred = flat.clone() - flat.mean_dim(1);
        let variance = centred.clone().square().mean_dim(1); // biased, [out, 1]
        let scale = match self.variant {
            NfVariant::Timm => (variance + 1e-5).sqrt().recip() * (fan_in as f64).powf(-0.5),
            NfVariant::DeepMind => (variance * fan_in as f64).clamp_min(1e-4).sqrt().recip(),
        };
        let gain = widen(self.gain.val()).reshape([output, 1]);
        (centred * (scale * gain)).reshape(shape)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn standardised_weights_have_mean_zero_and_variance_one_over_fan_in() {
        let device = Device::flex();
        for variant in [NfVariant::Timm, NfVariant::DeepMind] {
            let conv =
                ScaledConvConfig { channels: [8, 4], kernel: 3, stride: 1, groups: 2, variant }.init(&device);
            let weights: Vec<f32> = conv.standardised().into_data().try_to_vec().unwrap();
            for filter in weights.chunks(36) {
                let mean = filter.iter().sum::<f32>() / 36.0;
                let squares = filter.iter().map(|w| w * w).sum::<f32>();
                assert!(mean.abs() < 1e-6 && (squares - 1.0).abs() < 1e-3, "{mean} {squares}");
            }
        }
    }
}
