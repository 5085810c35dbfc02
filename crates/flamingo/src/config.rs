//! A whole model's sizes, and the presets `nano`, `3b`, `9b` and `80b` after the paper's tables 4 and 5.

use flamingo_core::{PreprocessSpec, nearest};
use flamingo_lm::DecoderConfig;
use flamingo_lm::families::chinchilla::chinchilla;
use flamingo_nn::Act;
use flamingo_resampler::ResamplerConfig;
use flamingo_vision::{NfNetConfig, VisionConfig};
use flamingo_xattn::GatedXattnConfig;
use serde::{Deserialize, Serialize};

use crate::error::FlamingoError;

/// Tokens that Flamingo adds to its language model's vocabulary: `<image>` and `<EOC>`.
pub const NEW_TOKENS: usize = 2;

/// Everything that decides a Flamingo's shape; saved with every model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FlamingoConfig {
    /// The frozen vision encoder.
    pub vision: VisionConfig,
    /// How its images are prepared.
    pub preprocess: PreprocessSpec,
    /// The Perceiver Resampler.
    pub resampler: ResamplerConfig,
    /// The gated cross-attention blocks.
    pub xattn: GatedXattnConfig,
    /// The frozen language model.
    pub lm: DecoderConfig,
}

/// A named size, with what the paper says of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Preset {
    /// The name on the command line.
    pub name: &'static str,
    /// Parameters as the paper's table 5 gives them, if it is one of the paper's sizes.
    pub paper: Option<PaperCounts>,
}

/// Table 5 of the paper, as printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PaperCounts {
    /// Frozen language model.
    pub lm: &'static str,
    /// Frozen vision encoder.
    pub vision: &'static str,
    /// Gated cross-attention, trained.
    pub xattn: &'static str,
    /// Resampler, trained.
    pub resampler: &'static str,
    /// All together.
    pub total: &'static str,
}

impl Preset {
    /// All presets, smallest first.
    pub const ALL: [Preset; 4] = [
        Preset { name: "nano", paper: None },
        Preset {
            name: "3b",
            paper: Some(PaperCounts {
                lm: "1.4B",
                vision: "435M",
                xattn: "1.2B",
                resampler: "194M",
                total: "3.2B",
            }),
        },
        Preset {
            name: "9b",
            paper: Some(PaperCounts {
                lm: "7.1B",
                vision: "435M",
                xattn: "1.6B",
                resampler: "194M",
                total: "9.3B",
            }),
        },
        Preset {
            name: "80b",
            paper: Some(PaperCounts {
                lm: "70B",
                vision: "435M",
                xattn: "10B",
                resampler: "194M",
                total: "80B",
            }),
        },
    ];

    /// The preset of that name.
    ///
    /// # Errors
    ///
    /// If there is none; the message names the nearest.
    pub fn find(name: &str) -> Result<Preset, FlamingoError> {
        Self::ALL.into_iter().find(|preset| preset.name == name).ok_or_else(|| FlamingoError::UnknownPreset {
            name: name.to_owned(),
            known: Self::ALL.map(|preset| preset.name).join(", "),
            hint: nearest::hint(name, Self::ALL.map(|preset| preset.name)),
        })
    }

    /// The preset's sizes.
    pub fn config(self) -> FlamingoConfig {
        match self.name {
            "3b" => FlamingoConfig::paper(24, 2048, 16, 1),
            "9b" => FlamingoConfig::paper(40, 4096, 32, 4),
            "80b" => FlamingoConfig::paper(80, 8192, 64, 7),
            _ => FlamingoConfig::nano(),
        }
    }
}

impl FlamingoConfig {
    /// One of the paper's models: an NFNet-F6 at 320 pixels and a Chinchilla of these sizes.
    fn paper(n_layers: usize, d_model: usize, n_heads: usize, every: usize) -> Self {
        let vision = VisionConfig::from(NfNetConfig::f(6));
        let d_media = vision.d_features();
        Self {
            vision,
            preprocess: PreprocessSpec::imagenet(320),
            resampler: ResamplerConfig::paper(d_media),
            xattn: GatedXattnConfig::paper(d_model, n_heads, d_media, every),
            lm: DecoderConfig { new_tokens: NEW_TOKENS, ..chinchilla(n_layers, d_model, n_heads) },
        }
    }

    /// A few million parameters: trains on a CPU in minutes.
    pub fn nano() -> Self {
        let vision = VisionConfig::from(NfNetConfig::nano());
        let d_media = vision.d_features();
        let [n_layers, d_model, n_heads] = [4, 128, 4];
        Self {
            vision,
            preprocess: PreprocessSpec::imagenet(48),
            resampler: ResamplerConfig {
                n_layers: 2,
                n_heads: 4,
                d_head: 32,
                d_ff: 2 * d_media,
                n_latents: 8,
                init_std: 0.2,
                ..ResamplerConfig::paper(d_media)
            },
            xattn: GatedXattnConfig {
                d_ff: 2 * d_model,
                ..GatedXattnConfig::paper(d_model, n_heads, d_media, 1)
            },
            lm: DecoderConfig {
                // Few enough that a short run sees each token often: the frozen head must know them all.
                vocab: 1024,
                new_tokens: NEW_TOKENS,
                act: Act::SquaredRelu,
                max_len: 128,
                ..chinchilla(n_layers, d_model, n_heads)
            },
        }
    }

    /// Checks that the parts fit each other.
    ///
    /// # Errors
    ///
    /// Names the two sizes that should be equal.
    pub fn validate(&self) -> Result<(), FlamingoError> {
        let same = |left: &'static str, a: usize, right: &'static str, b: usize| {
            if a == b { Ok(()) } else { Err(FlamingoError::Mismatch { left, a, right, b }) }
        };
        if let Some(size) = self.vision.image_size() {
            same("vision.image_size", size, "preprocess.size", self.preprocess.size)?;
        }
        let input = if self.resampler.d_input.is_some() { "resampler.d_input" } else { "resampler.d_model" };
        same("vision feature width", self.vision.d_features(), input, self.resampler.d_features())?;
        same("resampler.d_model", self.resampler.d_model, "xattn.d_media", self.xattn.d_media)?;
        same("lm.d_model", self.lm.d_model, "xattn.d_model", self.xattn.d_model)?;
        if self.lm.new_tokens < NEW_TOKENS {
            same("lm.new_tokens", self.lm.new_tokens, "tokens that Flamingo adds", NEW_TOKENS)?;
        }
        match self.xattn.every {
            0 => Err(FlamingoError::NoBlocks),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Device, Tensor};
    use flamingo_resampler::Layer;
    use flamingo_vision::VitConfig;
    use flamingo_xattn::Gate;

    use super::*;

    /// A nano whose encoder is a tiny vision transformer for images of 8 pixels.
    fn with_vit(size: usize) -> FlamingoConfig {
        let vit = VitConfig {
            image_size: 8,
            patch_size: 4,
            d_model: 32,
            n_layers: 1,
            n_heads: 2,
            d_ff: 32,
            act: Act::QuickGelu,
            epsilon: 1e-5,
            keep_class: true,
            d_projection: None,
        };
        let nano = FlamingoConfig::nano();
        FlamingoConfig {
            resampler: ResamplerConfig { d_model: vit.d_model, ..nano.resampler },
            xattn: GatedXattnConfig { d_media: vit.d_model, ..nano.xattn },
            vision: vit.into(),
            preprocess: PreprocessSpec::clip(size),
            lm: nano.lm,
        }
    }

    #[test]
    fn any_encoder_feeds_the_resampler() {
        let device = Device::flex();
        let model = with_vit(8).init(&device).unwrap();
        let tokens = model.visual_tokens(Tensor::ones([1, 2, 1, 3, 8, 8], &device));
        assert_eq!(tokens.dims(), [1, 2, 8, 32]);
    }

    #[test]
    fn an_encoder_for_one_image_size_gets_no_other() {
        let error = with_vit(48).init(&Device::flex()).unwrap_err().to_string();
        assert!(error.contains("vision.image_size is 8, preprocess.size is 48"), "{error}");
    }

    #[test]
    fn models_saved_before_there_were_ablations_still_read() {
        let ablated = FlamingoConfig {
            resampler: ResamplerConfig { layer: Layer::Mlp, ..FlamingoConfig::nano().resampler },
            xattn: GatedXattnConfig { gate: Gate::None, ..FlamingoConfig::nano().xattn },
            ..FlamingoConfig::nano()
        };
        let mut saved = serde_json::to_value(&ablated).unwrap();
        assert_eq!(serde_json::from_value::<FlamingoConfig>(saved.clone()).unwrap(), ablated);
        assert_eq!(saved["resampler"].as_object_mut().unwrap().remove("layer").unwrap(), "mlp");
        assert_eq!(saved["xattn"].as_object_mut().unwrap().remove("gate").unwrap(), "none");
        assert_eq!(serde_json::from_value::<FlamingoConfig>(saved).unwrap(), FlamingoConfig::nano());
    }

    #[test]
    fn models_saved_before_encoders_had_a_kind_still_read() {
        let mut saved = serde_json::to_value(FlamingoConfig::nano()).unwrap();
        saved["vision"].as_object_mut().unwrap().remove("kind").unwrap();
        assert_eq!(serde_json::from_value::<FlamingoConfig>(saved).unwrap(), FlamingoConfig::nano());
    }
}
