//! What a checkpoint looks like, by its names, its metadata and the files beside it.

use std::fmt;
use std::path::Path;

use flamingo_lm::families::LanguageModel;
use flamingo_weights::{Checkpoint, Format};

/// What tensors look like.
#[derive(Debug, Clone)]
pub(crate) enum Kind {
    /// A Flamingo of this project.
    Own,
    /// IDEFICS, whole.
    Idefics,
    /// OpenFlamingo, with or without its language model.
    OpenFlamingo {
        /// Whether the language model is in it.
        whole: bool,
    },
    /// A language model alone.
    Language(Box<LanguageModel>),
    /// A vision encoder alone.
    Vision(&'static str),
    /// Nothing that is known here.
    Unknown,
}

impl Kind {
    /// Of a checkpoint in `folder`.
    pub fn of(checkpoint: &Checkpoint, folder: &Path) -> Self {
        let has = |part: &str| checkpoint.names().any(|name| name.contains(part));
        if has("perceiver_resampler.") && has("gated_cross_attn_layers.") {
            return Self::Idefics;
        }
        if has("perceiver.latents") && has("gated_cross_attn_layer") {
            return Self::OpenFlamingo { whole: has(".decoder_layer.") || has("old_decoder_blocks.") };
        }
        if has("resampler.latents") && has("xattn.") {
            return Self::Own;
        }
        let described = match checkpoint.format() {
            Format::Gguf => LanguageModel::from_gguf(checkpoint),
            _ => LanguageModel::read_config(&folder.join("config.json")),
        };
        if let Ok(lm) = described {
            return Self::Language(Box::new(lm));
        }
        const ENCODERS: [(&str, &str); 5] = [
            ("visual.conv1.weight", "CLIP, in open_clip's names"),
            ("vision_model.embeddings.patch_embedding.weight", "CLIP, in the names of transformers"),
            ("stem.conv1.gain", "an NFNet, in timm's names"),
            ("_conv_stem.weight", "an EfficientNet, in the names of efficientnet-lite-pytorch"),
            ("conv_stem.weight", "an EfficientNet, in timm's names"),
        ];
        let known = ENCODERS.into_iter().find(|(name, _)| checkpoint.info(name).is_some());
        known.map_or(Self::Unknown, |(_, encoder)| Self::Vision(encoder))
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Own => f.write_str("a Flamingo of this project"),
            Self::Idefics => f.write_str("IDEFICS, whole"),
            Self::OpenFlamingo { whole: true } => f.write_str("OpenFlamingo, with its language model"),
            Self::OpenFlamingo { whole: false } => f.write_str("OpenFlamingo, trained parts only"),
            Self::Language(lm) => {
                let (family, sizes) = (lm.family.name, &lm.config);
                write!(f, "a language model of the family {family}: {} layers, ", sizes.n_layers)?;
                write!(f, "width {}, {} tokens", sizes.d_model, sizes.vocab)
            }
            Self::Vision(encoder) => write!(f, "a vision encoder: {encoder}"),
            Self::Unknown => f.write_str("no model that is known here"),
        }
    }
}
