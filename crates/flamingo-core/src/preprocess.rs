//! How a vision encoder wants its images: size, resizing rule and normalisation.

use serde::{Deserialize, Serialize};

/// What to do with an image that is not square.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Resize {
    /// Keep the aspect ratio and pad the rest with the mean colour (Flamingo, paper section 2.1 / appendix B.1.2).
    PadMean,
    /// Resize the shorter side, then crop the centre (CLIP).
    Crop,
    /// Ignore the aspect ratio (timm's NFNet, IDEFICS).
    Squash,
}

/// Everything that turns a decoded image into an encoder's input `[3, I, I]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PreprocessSpec {
    /// Side of the square input, in pixels (I).
    pub size: usize,
    /// What to do with an image that is not square.
    pub resize: Resize,
    /// Mean of each channel (R, G, B) of images in `0..=1`, subtracted.
    pub mean: [f32; 3],
    /// Standard deviation of each channel, divided by.
    pub std: [f32; 3],
}

impl PreprocessSpec {
    /// ImageNet statistics, as timm and DeepMind use them for NFNet, with Flamingo's padding rule.
    pub fn imagenet(size: usize) -> Self {
        Self { size, resize: Resize::PadMean, mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] }
    }

    /// The normalised value of an 8-bit `value` in `channel`.
    pub fn normalise(&self, value: u8, channel: usize) -> f32 {
        (f32::from(value) / 255.0 - self.mean[channel]) / self.std[channel]
    }

    /// The 8-bit colour that normalises nearest to zero: what padding is filled with.
    pub fn mean_colour(&self) -> [u8; 3] {
        self.mean.map(|mean| (mean * 255.0).round() as u8)
    }
}
