//! How a vision encoder wants its images: size, resizing rule, transparency and normalisation.

use serde::{Deserialize, Serialize};

/// What to do with an image that is not square.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Resize {
    /// Keep the aspect ratio and pad the rest with the mean colour (Flamingo, paper section 2.1 / appendix B.1.2).
    PadMean,
    /// Resize the shorter side to the target, the longer one in proportion (cut to whole pixels), then crop the centre
    /// (CLIP, by torchvision's `Resize` and `CenterCrop`).
    Crop,
    /// Ignore the aspect ratio (timm's NFNet, IDEFICS).
    Squash,
}

/// The kernel of a resize. Both are widened when an image shrinks, so that no pixel is skipped (PIL's `resize`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Filter {
    /// Cubic convolution with a = -0.5 (Catmull-Rom).
    #[default]
    Bicubic,
    /// A triangle.
    Bilinear,
}

/// What becomes of transparency.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Alpha {
    /// The image is laid on white before it is resized (IDEFICS).
    #[default]
    White,
    /// The image is resized with its transparency, which is then forgotten (CLIP, by PIL's `convert("RGB")`): what
    /// was fully transparent becomes black.
    Drop,
}

/// Everything that turns a decoded image into an encoder's input `[3, I, I]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PreprocessSpec {
    /// Side of the square input, in pixels (I).
    pub size: usize,
    /// What to do with an image that is not square.
    pub resize: Resize,
    /// The resize's kernel.
    #[serde(default)]
    pub filter: Filter,
    /// What becomes of transparency.
    #[serde(default)]
    pub alpha: Alpha,
    /// Mean of each channel (R, G, B) of images in `0..=1`, subtracted.
    pub mean: [f32; 3],
    /// Standard deviation of each channel, divided by.
    pub std: [f32; 3],
}

impl PreprocessSpec {
    /// ImageNet statistics, as timm and DeepMind use them for NFNet, with Flamingo's padding rule.
    pub fn imagenet(size: usize) -> Self {
        Self {
            size,
            resize: Resize::PadMean,
            filter: Filter::Bicubic,
            alpha: Alpha::White,
            mean: [0.485, 0.456, 0.406],
            std: [0.229, 0.224, 0.225],
        }
    }

    /// CLIP's own (open_clip's validation transform), which OpenFlamingo uses too.
    pub fn clip(size: usize) -> Self {
        Self {
            size,
            resize: Resize::Crop,
            filter: Filter::Bicubic,
            alpha: Alpha::Drop,
            mean: [0.481_454_66, 0.457_827_5, 0.408_210_73],
            std: [0.268_629_54, 0.261_302_6, 0.275_777_1],
        }
    }

    /// IDEFICS: CLIP's statistics, without regard to the aspect ratio.
    pub fn idefics(size: usize) -> Self {
        Self { resize: Resize::Squash, alpha: Alpha::White, ..Self::clip(size) }
    }

    /// Values from -1 to 1, as the EfficientNet-Lite weights were trained; geometry as CLIP's.
    pub fn inception(size: usize) -> Self {
        Self { alpha: Alpha::White, mean: [0.5; 3], std: [0.5; 3], ..Self::clip(size) }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn specs_written_before_kernels_could_be_chosen_still_read() {
        let old = r#"{"size":48,"resize":"pad-mean","mean":[0.485,0.456,0.406],"std":[0.229,0.224,0.225]}"#;
        assert_eq!(serde_json::from_str::<PreprocessSpec>(old).unwrap(), PreprocessSpec::imagenet(48));
    }
}
