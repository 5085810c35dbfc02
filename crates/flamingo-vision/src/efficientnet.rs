//! EfficientNet-Lite (Tan & Le 2019, without squeeze-and-excitation and with ReLU6): a small encoder whose pretrained
//! weights can be had almost everywhere.
//!
//! Inverted bottlenecks: a 1x1 convolution widens, a depthwise one mixes positions, another 1x1 narrows, with a
//! shortcut where the shape stays. Batch normalisation is frozen: it uses the statistics it was trained with and is
//! folded into its convolution at every call, so the module's parameters are those of the published files.
//!
//! Legend: N images, I side in pixels, E feature width, P positions.

use burn::module::{Module, Param};
use burn::nn::Initializer;
use burn::tensor::ops::ConvOptions;
use burn::tensor::{Device, Tensor, assert_shape, module::conv2d};
use flamingo_core::precision::{like, widen};
use serde::{Deserialize, Serialize};

use crate::encoder::FeatureTap;
use crate::padding::same_padding;

/// An EfficientNet's sizes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EfficientNetConfig {
    /// Channels after the first convolution (3x3, stride 2).
    pub stem_width: usize,
    /// The stages in order.
    pub stages: Vec<StageConfig>,
    /// Channels of the final 1x1 convolution.
    pub final_width: usize,
    /// Added to the variance in every norm.
    pub epsilon: f64,
    /// Which tensor is the output.
    pub tap: FeatureTap,
}

/// Blocks of one width.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StageConfig {
    /// Channels of its output.
    pub width: usize,
    /// Blocks.
    pub depth: usize,
    /// Side of the depthwise convolutions.
    pub kernel: usize,
    /// Stride of the first block.
    pub stride: usize,
    /// How many times wider the inside of a block is than its input; 1 leaves the widening out.
    pub expansion: usize,
}

impl EfficientNetConfig {
    /// EfficientNet-Lite0 to Lite4 (`level` 0 to 4).
    ///
    /// # Panics
    ///
    /// If `level` is over 4.
    pub fn lite(level: usize) -> Self {
        assert!(level <= 4, "EfficientNet-Lite levels are 0 to 4, not {level}");
        let (wider, deeper) = [(1.0, 1.0), (1.0, 1.1), (1.1, 1.2), (1.2, 1.4), (1.4, 1.8)][level];
        // Width, depth, kernel, stride, expansion of Lite0.
        let lite0 = [
            [16, 1, 3, 1, 1],
            [24, 2, 3, 2, 6],
            [40, 2, 5, 2, 6],
            [80, 3, 3, 2, 6],
            [112, 3, 5, 1, 6],
            [192, 4, 5, 2, 6],
            [320, 1, 3, 1, 6],
        ];
        let last = lite0.len() - 1;
        let stage = |(index, [width, depth, kernel, stride, expansion]): (usize, [usize; 5])| {
            // The first and the last stage keep their depth, the stem and the head their width.
            let fixed = index == 0 || index == last;
            let depth = if fixed { depth } else { (deeper * depth as f64).ceil() as usize };
            StageConfig { width: in_eights(wider * width as f64), depth, kernel, stride, expansion }
        };
        Self {
            stem_width: 32,
            stages: lite0.into_iter().enumerate().map(stage).collect(),
            final_width: 1280,
            epsilon: 1e-3,
            tap: FeatureTap::Stages,
        }
    }

    /// Width of the features (E).
    pub fn d_features(&self) -> usize {
        match self.tap {
            FeatureTap::Stages => self.stages.last().map_or(self.stem_width, |stage| stage.width),
            FeatureTap::Final => self.final_width,
        }
    }

    /// Positions (P) of an image of `size` pixels: the stride is 32 in all published sizes.
    pub fn n_positions(&self, size: usize) -> usize {
        let strides = self.stages.iter().map(|stage| stage.stride);
        let side = strides.fold(size.div_ceil(2), |side, stride| side.div_ceil(stride));
        side * side
    }

    /// Creates the network on `device`.
    pub fn init(&self, device: &Device) -> EfficientNet {
        let conv = |channels, kernel, stride, groups| {
            FrozenNormConv::new(channels, kernel, stride, groups, self.epsilon, device)
        };
        let mut blocks = Vec::new();
        let mut channels = self.stem_width;
        for stage in &self.stages {
            for index in 0..stage.depth {
                let stride = if index == 0 { stage.stride } else { 1 };
                let inner = channels * stage.expansion;
                blocks.push(MbConv {
                    expand: (stage.expansion > 1).then(|| conv([channels, inner], 1, 1, 1)),
                    depthwise: conv([inner, inner], stage.kernel, stride, inner),
                    project: conv([inner, stage.width], 1, 1, 1),
                    shortcut: stride == 1 && channels == stage.width,
                });
                channels = stage.width;
            }
        }
        EfficientNet {
            stem: conv([3, self.stem_width], 3, 2, 1),
            blocks,
            final_conv: conv([channels, self.final_width], 1, 1, 1),
            tap: self.tap,
        }
    }
}

/// The network; see the [module documentation](self).
#[derive(Module, Debug)]
pub struct EfficientNet {
    /// 3x3, stride 2.
    pub stem: FrozenNormConv,
    /// The blocks of all stages in order.
    pub blocks: Vec<MbConv>,
    /// 1x1 convolution behind the last stage.
    pub final_conv: FrozenNormConv,
    #[module(skip)]
    tap: FeatureTap,
}

impl EfficientNet {
    /// With the norms' statistics left out of training, whatever was said of the other weights.
    pub fn with_frozen_statistics(self) -> Self {
        let block = |block: MbConv| MbConv {
            expand: block.expand.map(FrozenNormConv::with_frozen_statistics),
            depthwise: block.depthwise.with_frozen_statistics(),
            project: block.project.with_frozen_statistics(),
            ..block
        };
        Self {
            stem: self.stem.with_frozen_statistics(),
            blocks: self.blocks.into_iter().map(block).collect(),
            final_conv: self.final_conv.with_frozen_statistics(),
            ..self
        }
    }

    /// The grid of features, flattened row by row.
    ///
    /// # Shapes
    ///
    /// `[N, 3, I, I]` (normalised) to `[N, P, E]`.
    pub fn features(&self, images: Tensor<4>) -> Tensor<3> {
        self.tap.features(self.stages(images), |grid| self.finish(grid))
    }

    /// The mean over positions behind the final convolution: what the published classifiers read.
    ///
    /// # Shapes
    ///
    /// `[N, 3, I, I]` (normalised) to `[N, final_width]`.
    pub fn pooled(&self, images: Tensor<4>) -> Tensor<2> {
        self.finish(self.stages(images)).flatten::<3>(2, 3).mean_dim(2).squeeze_dim(2)
    }

    /// The output of the last stage, `[N, 3, I, I]` to `[N, width, h, w]`.
    pub fn stages(&self, images: Tensor<4>) -> Tensor<4> {
        assert_shape!(images, [_, 3, ..]);
        let stem = relu6(self.stem.forward(like(images, &self.stem.bias.val())));
        self.blocks.iter().fold(stem, |x, block| block.forward(x))
    }

    fn finish(&self, grid: Tensor<4>) -> Tensor<4> {
        relu6(self.final_conv.forward(grid))
    }
}

/// One inverted bottleneck.
#[derive(Module, Debug)]
pub struct MbConv {
    /// 1x1, widens.
    pub expand: Option<FrozenNormConv>,
    /// One filter per channel, with the block's stride.
    pub depthwise: FrozenNormConv,
    /// 1x1, narrows; nothing is activated behind it.
    pub project: FrozenNormConv,
    shortcut: bool,
}

impl MbConv {
    /// # Shapes
    ///
    /// `[N, in, h, w]` to `[N, out, ceil(h / stride), ceil(w / stride)]`.
    pub fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let inner = match &self.expand {
            Some(expand) => relu6(expand.forward(x.clone())),
            None => x.clone(),
        };
        let y = self.project.forward(relu6(self.depthwise.forward(inner)));
        if self.shortcut { x + y } else { y }
    }
}

/// A convolution with "SAME" padding, and the batch normalisation behind it with fixed statistics.
#[derive(Module, Debug)]
pub struct FrozenNormConv {
    /// `[out, in / groups, k, k]`.
    pub weight: Param<Tensor<4>>,
    /// `[out]`, the norm's scale.
    pub gain: Param<Tensor<1>>,
    /// `[out]`, the norm's shift.
    pub bias: Param<Tensor<1>>,
    /// `[out]`, of the training data; never trained here.
    pub mean: Param<Tensor<1>>,
    /// `[out]`, of the training data; never trained here.
    pub variance: Param<Tensor<1>>,
    stride: usize,
    groups: usize,
    epsilon: f64,
}

impl FrozenNormConv {
    fn new(
        [input, output]: [usize; 2],
        kernel: usize,
        stride: usize,
        groups: usize,
        epsilon: f64,
        device: &Device,
    ) -> Self {
        let fan_out = output / groups * kernel * kernel;
        let weights = Initializer::Normal { mean: 0.0, std: (2.0 / fan_out as f64).sqrt() };
        Self {
            weight: weights.init([output, input / groups, kernel, kernel], device),
            gain: Initializer::Ones.init([output], device),
            bias: Initializer::Zeros.init([output], device),
            mean: Initializer::Zeros.init::<1, _>([output], device).set_require_grad(false),
            variance: Initializer::Ones.init::<1, _>([output], device).set_require_grad(false),
            stride,
            groups,
            epsilon,
        }
    }

    fn with_frozen_statistics(self) -> Self {
        let frozen = |values: Param<Tensor<1>>| values.set_require_grad(false);
        Self { mean: frozen(self.mean), variance: frozen(self.variance), ..self }
    }

    /// # Shapes
    ///
    /// `[N, in, h, w]` to `[N, out, ceil(h / stride), ceil(w / stride)]`.
    pub fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let [_, _, height, width] = x.dims();
        let [output, _, kernel, _] = self.weight.dims();
        let scale = widen(self.gain.val()) / (widen(self.variance.val()) + self.epsilon).sqrt();
        let shift = like(widen(self.bias.val()) - widen(self.mean.val()) * scale.clone(), &x);
        let weight = like(widen(self.weight.val()) * scale.reshape([output, 1, 1, 1]), &x);
        let padding = [height, width].map(|side| same_padding(side, kernel, self.stride));
        let options = ConvOptions::new_with_padding([self.stride; 2], padding, [1, 1], self.groups);
        conv2d(x, weight, Some(shift), options)
    }
}

fn relu6(x: Tensor<4>) -> Tensor<4> {
    x.clamp(0.0, 6.0)
}

/// The nearest multiple of 8, but not under nine tenths of `width`.
fn in_eights(width: f64) -> usize {
    let rounded = ((width + 4.0) as usize / 8 * 8).max(8);
    if (rounded as f64) < 0.9 * width { rounded + 8 } else { rounded }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flamingo_nn::count_parameters;

    /// Numbers in timm's `tf_efficientnet_lite*`, with the norms' statistics and without the classifier.
    #[test]
    fn parameter_counts_are_timms() {
        let device = Device::flex();
        let counts = [0, 2].map(|level| count_parameters(&EfficientNetConfig::lite(level).init(&device)));
        assert_eq!(counts, [LITE0, LITE2]);
    }

    const LITE0: usize = 3_413_024;
    const LITE2: usize = 4_869_168;

    #[test]
    fn shapes_follow_the_stride_for_odd_and_even_sizes() {
        let device = Device::flex();
        let mut config = EfficientNetConfig::lite(0);
        config.stages.iter_mut().for_each(|stage| stage.width = 8);
        for (size, tap) in [(64, FeatureTap::Stages), (75, FeatureTap::Final)] {
            let config = EfficientNetConfig { tap, final_width: 24, ..config.clone() };
            let features = config.init(&device).features(Tensor::ones([1, 3, size, size], &device));
            assert_eq!(features.dims(), [1, config.n_positions(size), config.d_features()]);
        }
    }
}
