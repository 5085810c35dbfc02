//! NFNet: a residual network without normalisation layers (Brock et al. 2021), F0 to F6 and a nano size.
//!
//! Flamingo's frozen vision encoder is an NFNet-F6 (paper, section 2.1 and appendix B.1.3). Signal propagation is
//! controlled by hand instead of by norms: every block divides its input by the standard deviation that it should have
//! (`beta`), multiplies its output by `alpha`, and starts as the identity (`SkipInit` gain 0).
//!
//! The paper does not say which tensor the resampler reads. Its vision parameters (435 M) count the final 1x1
//! convolution, its resampler's width (1536) is that of the last stage before it; both hold if the features are tapped
//! from the last stage while contrastive pre-training goes on through the final convolution. That is the default here
//! ([`FeatureTap::Stages`]).
//!
//! Legend: N images, I side in pixels, E feature width, P positions.

use burn::module::{Module, Param};
use burn::nn::{Initializer, Linear, LinearConfig};
use burn::tensor::activation::{relu, sigmoid};
use burn::tensor::ops::AvgPoolOptions;
use burn::tensor::{Device, Tensor, assert_shape, module::avg_pool2d};
use flamingo_core::precision::like;
use flamingo_nn::Act;
use serde::{Deserialize, Serialize};

use crate::encoder::FeatureTap;
use crate::scaled_conv::{NfVariant, ScaledConv, ScaledConvConfig};

/// The network's activation. Each is multiplied by the gain that keeps the variance of a unit Gaussian; the gains are
/// DeepMind's and timm's constants.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NfActivation {
    /// All published NFNets; which GELU is the [`NfVariant`]'s matter.
    Gelu,
    /// A tenth of GELU's time on a CPU.
    Relu,
}

impl NfActivation {
    fn gain(self) -> f64 {
        match self {
            NfActivation::Gelu => 1.701_504_349_708_557_1,
            NfActivation::Relu => 1.713_958_859_443_664_6,
        }
    }
}

/// An NFNet's sizes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NfNetConfig {
    /// Channels after the stem; its four convolutions have 1/8, 1/4, 1/2 and all of them.
    pub stem_width: usize,
    /// Channels of each stage.
    pub widths: [usize; 4],
    /// Blocks of each stage.
    pub depths: [usize; 4],
    /// Channels per group of the 3x3 convolutions.
    pub group_size: usize,
    /// Channels of the final 1x1 convolution.
    pub final_width: usize,
    /// Weight of each block's branch.
    pub alpha: f64,
    /// Activation behind most convolutions.
    pub activation: NfActivation,
    /// Whose constants to follow.
    pub variant: NfVariant,
    /// Which tensor is the output.
    pub tap: FeatureTap,
}

impl NfNetConfig {
    /// NFNet-F0 to F6 (`level` 0 to 6): the depths of F0 times `level + 1`.
    ///
    /// # Panics
    ///
    /// If `level` is over 6.
    pub fn f(level: usize) -> Self {
        assert!(level <= 6, "NFNet levels are 0 to 6, not {level}");
        Self {
            stem_width: 128,
            widths: [256, 512, 1536, 1536],
            depths: [1, 2, 6, 3].map(|depth| depth * (level + 1)),
            group_size: 128,
            final_width: 3072,
            alpha: 0.2,
            activation: NfActivation::Gelu,
            variant: NfVariant::DeepMind,
            tap: FeatureTap::Stages,
        }
    }

    /// About a million parameters, for 48-pixel images on a CPU.
    ///
    /// With ReLU: GELU's error function would take a quarter of the training time there.
    pub fn nano() -> Self {
        Self {
            stem_width: 32,
            widths: [64, 128, 256, 256],
            depths: [1, 1, 2, 1],
            group_size: 64,
            final_width: 256,
            activation: NfActivation::Relu,
            ..Self::f(0)
        }
    }

    /// Width of the features (E).
    pub fn d_features(&self) -> usize {
        match self.tap {
            FeatureTap::Stages => self.widths[3],
            FeatureTap::Final => self.final_width,
        }
    }

    /// Positions (P) of an image of `size` pixels: the stride is 32 in all.
    pub fn n_positions(&self, size: usize) -> usize {
        let side = (0..5).fold(size, |side, _| side.div_ceil(2));
        side * side
    }

    /// Creates the network on `device`.
    pub fn init(&self, device: &Device) -> NfNet {
        let conv = |channels, kernel, stride| {
            ScaledConvConfig { channels, kernel, stride, groups: 1, variant: self.variant }.init(device)
        };
        let [a, b, c, d] = [8, 4, 2, 1].map(|part| self.stem_width / part);
        let stem = [([3, a], 2), ([a, b], 1), ([b, c], 1), ([c, d], 2)]
            .map(|(channels, stride)| conv(channels, 3, stride));

        let mut blocks = Vec::new();
        let mut channels = self.stem_width;
        let mut expected_variance = 1.0;
        for (stage, (width, depth)) in self.widths.into_iter().zip(self.depths).enumerate() {
            for index in 0..depth {
                let stride = if index == 0 && stage > 0 { 2 } else { 1 };
                let beta = f64::powf(expected_variance, -0.5);
                blocks.push(self.block([channels, width], stride, beta, device));
                channels = width;
                // The transition block's shortcut is normalised too, so its output has variance 1 + alpha^2.
                expected_variance =
                    if index == 0 { 1.0 } else { expected_variance } + self.alpha * self.alpha;
            }
        }
        NfNet {
            stem: stem.into(),
            blocks,
            final_conv: conv([channels, self.final_width], 1, 1),
            act: self.act(),
            tap: self.tap,
        }
    }

    fn block(&self, [input, output]: [usize; 2], stride: usize, beta: f64, device: &Device) -> NfBlock {
        let inner = output / 2;
        let groups = (inner / self.group_size).max(1);
        let conv = |channels, kernel, stride, groups| {
            ScaledConvConfig { channels, kernel, stride, groups, variant: self.variant }.init(device)
        };
        NfBlock {
            downsample: (stride > 1 || input != output).then(|| conv([input, output], 1, 1, 1)),
            conv1: conv([input, inner], 1, 1, 1),
            conv2: conv([inner, inner], 3, stride, groups),
            conv2b: conv([inner, inner], 3, 1, groups),
            conv3: conv([inner, output], 1, 1, 1),
            squeeze: LinearConfig::new(output, output / 2).init(device),
            excite: LinearConfig::new(output / 2, output).init(device),
            skip_gain: Initializer::Zeros.init([1], device),
            alpha: self.alpha,
            beta,
            stride,
            act: self.act(),
        }
    }

    fn act(&self) -> ScaledAct {
        let act = match (self.activation, self.variant) {
            (NfActivation::Relu, _) => Act::Relu,
            (NfActivation::Gelu, NfVariant::Timm) => Act::Gelu,
            (NfActivation::Gelu, NfVariant::DeepMind) => Act::GeluTanh,
        };
        ScaledAct { act, gain: self.activation.gain() }
    }
}

/// The network; see the [module documentation](self).
#[derive(Module, Debug)]
pub struct NfNet {
    /// Four 3x3 convolutions, stride 4 in all.
    pub stem: Vec<ScaledConv>,
    /// The blocks of all stages in order.
    pub blocks: Vec<NfBlock>,
    /// 1x1 convolution behind the last stage.
    pub final_conv: ScaledConv,
    #[module(skip)]
    act: ScaledAct,
    #[module(skip)]
    tap: FeatureTap,
}

impl NfNet {
    /// The grid of features, flattened row by row.
    ///
    /// # Shapes
    ///
    /// `[N, 3, I, I]` (normalised) to `[N, P, E]`.
    pub fn features(&self, images: Tensor<4>) -> Tensor<3> {
        self.tap.features(self.stages(images), |grid| self.finish(grid))
    }

    /// The mean over positions behind the final convolution: what contrastive training projects.
    ///
    /// # Shapes
    ///
    /// `[N, 3, I, I]` (normalised) to `[N, final_width]`.
    pub fn pooled(&self, images: Tensor<4>) -> Tensor<2> {
        spatial_mean(self.finish(self.stages(images)))
    }

    /// The output of the last stage, `[N, 3, I, I]` to `[N, widths[3], h, w]`.
    pub fn stages(&self, images: Tensor<4>) -> Tensor<4> {
        assert_shape!(images, [_, 3, ..]);
        let last = self.stem.len() - 1;
        let images = like(images, &self.final_conv.bias.val());
        let stem = self.stem.iter().enumerate().fold(images, |x, (index, conv)| {
            let y = conv.forward(x);
            if index == last { y } else { self.act.forward(y) }
        });
        self.blocks.iter().fold(stem, |x, block| block.forward(x))
    }

    fn finish(&self, grid: Tensor<4>) -> Tensor<4> {
        self.act.forward(self.final_conv.forward(grid))
    }
}

/// One bottleneck block with squeeze-and-excitation.
#[derive(Module, Debug)]
pub struct NfBlock {
    /// 1x1 convolution of the shortcut, where resolution or channels change.
    pub downsample: Option<ScaledConv>,
    /// 1x1, narrows to half the output's channels.
    pub conv1: ScaledConv,
    /// 3x3 in groups, with the block's stride.
    pub conv2: ScaledConv,
    /// 3x3 in groups.
    pub conv2b: ScaledConv,
    /// 1x1, widens.
    pub conv3: ScaledConv,
    /// Squeeze: `[out, out / 2]`.
    pub squeeze: Linear,
    /// Excite: `[out / 2, out]`.
    pub excite: Linear,
    /// SkipInit's gain, 0 at first.
    pub skip_gain: Param<Tensor<1>>,
    alpha: f64,
    beta: f64,
    stride: usize,
    #[module(skip)]
    act: ScaledAct,
}

impl NfBlock {
    /// # Shapes
    ///
    /// `[N, in, h, w]` to `[N, out, ceil(h / stride), ceil(w / stride)]`.
    pub fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let h = self.act.forward(x.clone()) * self.beta;
        let shortcut = match &self.downsample {
            Some(conv) if self.stride > 1 => conv.forward(halve(h.clone())),
            Some(conv) => conv.forward(h.clone()),
            None => x,
        };
        let y = self.act.forward(self.conv1.forward(h));
        let y = self.act.forward(self.conv2.forward(y));
        let y = self.act.forward(self.conv2b.forward(y));
        let y = self.excited(self.conv3.forward(y));
        y * (self.skip_gain.val() * self.alpha).reshape([1, 1, 1, 1]) + shortcut
    }

    /// Squeeze-and-excitation, times 2 to keep the variance.
    fn excited(&self, y: Tensor<4>) -> Tensor<4> {
        let [n, channels, _, _] = y.dims();
        let weight = sigmoid(self.excite.forward(relu(self.squeeze.forward(spatial_mean(y.clone())))));
        y * (weight * 2.0).reshape([n, channels, 1, 1])
    }
}

/// An activation that keeps the variance.
#[derive(Debug, Clone, Copy)]
struct ScaledAct {
    act: Act,
    gain: f64,
}

impl ScaledAct {
    fn forward(self, x: Tensor<4>) -> Tensor<4> {
        self.act.forward(x) * self.gain
    }
}

/// `[N, C, h, w]` to `[N, C]`.
fn spatial_mean(x: Tensor<4>) -> Tensor<2> {
    x.flatten::<3>(2, 3).mean_dim(2).squeeze_dim(2)
}

/// 2x2 average pooling of stride 2; an odd last row or column is averaged over what is there.
fn halve(x: Tensor<4>) -> Tensor<4> {
    let mut options = AvgPoolOptions::new([2, 2]);
    options.count_include_pad = false;
    options.ceil_mode = true;
    avg_pool2d(x, options)
}

#[cfg(test)]
mod tests {
    use super::*;
    use flamingo_nn::count_parameters;

    /// The classifier `[3072, 1000]` that timm's figures include and this encoder has not.
    const CLASSIFIER: usize = 3072 * 1000 + 1000;

    #[test]
    fn parameter_counts_are_timms() {
        let device = Device::flex();
        assert_eq!(count_parameters(&NfNetConfig::f(0).init(&device)) + CLASSIFIER, 71_489_284);
        assert_eq!(count_parameters(&NfNetConfig::f(6).init(&device)) + CLASSIFIER, 438_359_116);
    }

    #[test]
    fn betas_of_f0_are_the_published_ones() {
        let net = NfNetConfig::f(0).init(&Device::flex());
        let betas: Vec<f64> = net.blocks.iter().map(|block| (block.beta * 1e4).round() / 1e4).collect();
        let expected =
            [1.0, 0.9806, 0.9806, 0.9623, 0.9806, 0.9623, 0.9449, 0.9285, 0.9129, 0.8980, 0.9806, 0.9623];
        assert_eq!(betas, expected);
    }

    #[test]
    fn shapes_follow_the_stride_for_odd_and_even_sizes() {
        let device = Device::flex();
        let config = NfNetConfig::nano();
        let net = config.init(&device);
        for size in [48, 50, 64] {
            let features = net.features(Tensor::ones([2, 3, size, size], &device));
            assert_eq!(features.dims(), [2, config.n_positions(size), config.d_features()]);
        }
        assert_eq!(net.pooled(Tensor::ones([2, 3, 48, 48], &device)).dims(), [2, config.final_width]);
    }
}
