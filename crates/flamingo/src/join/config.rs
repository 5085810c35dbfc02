//! What a run that joins two published models is told, and the presets behind `configs/smol.toml`.

use flamingo_core::{Precision, PreprocessSpec};
use flamingo_data::stream::MixedSource;
use flamingo_data::{EpisodeSpec, PageSpec, SequenceSpec};
use flamingo_lm::{DecoderConfig, LoraConfig};
use flamingo_nn::{Act, NormConfig};
use flamingo_resampler::ResamplerConfig;
use flamingo_train::{AdamWSpec, GroupSpec, Mixing, Schedule, SourceSpec, TrainConfig, TrainError};
use flamingo_vision::FeatureTap;
use flamingo_xattn::GatedXattnConfig;
use serde::{Deserialize, Serialize};

use super::binding::BindingSpec;
use crate::config::FlamingoConfig;
use crate::error::FlamingoError;
use crate::loss::LossSpec;
use crate::towers::{LanguageTower, Towers, VisionTower};

/// A run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JoinConfig {
    /// Decides every random choice.
    pub seed: u64,
    /// What `cargo xtask train` fetches and prepares before it begins.
    pub needs: Needs,
    /// The published models.
    pub towers: Towers,
    /// A model of such a run whose trained parts are the beginning, instead of fresh ones: its folder. Towers and sizes must
    /// be the same; images may be larger.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start: Option<String>,
    /// Whether the encoder learns, too, as in the paper's fine-tuning (section 3.2, appendix B.2.2); then it looks at every
    /// image of every update (`cache_features = false`).
    #[serde(default)]
    pub train_vision: bool,
    /// Adapters on the language model, which else stays as it is; those of the model to start from, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lora: Option<LoraConfig>,
    /// The resampler. Its `d_input` is the encoder's feature width.
    pub resampler: ResamplerConfig,
    /// The gated blocks. `d_model` is the language model's width, `d_media` the resampler's.
    pub xattn: GatedXattnConfig,
    /// Pictures with names, of which episodes, pages and captions are made: folders of shards. A path that begins with
    /// `data:` is below the folder of prepared datasets.
    pub concepts: Vec<String>,
    /// Length, images and placement rules of sequences.
    pub sequence: SequenceSpec,
    /// What every update takes a batch of.
    pub sources: Vec<JoinSource>,
    /// What becomes of the losses of tokens.
    pub loss: LossSpec,
    /// Whether features are computed once, before training, and kept on disk. Without it the encoder runs at every
    /// update, on images that are varied.
    pub cache_features: bool,
    /// The updates; `sources` in it is filled in from above.
    pub train: TrainConfig,
    /// What is measured at the end.
    pub evaluation: JoinEvaluation,
}

/// What has to be on this machine, by the names of `cargo xtask data`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Needs {
    /// Weights to fetch.
    pub weights: Vec<String>,
    /// Datasets to prepare; `emoji@160` is the dataset `emoji` drawn at 160 pixels.
    pub datasets: Vec<String>,
}

/// One dataset of the mixture.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JoinSource {
    /// Key of its losses in the metrics.
    pub name: String,
    /// lambda_m: factor on its loss.
    pub weight: f64,
    /// Sequences of it in an update.
    pub batch: usize,
    /// Where they come from.
    pub from: Origin,
}

impl JoinSource {
    /// The sources of data behind it, if it is not composed here.
    pub fn stream(&self) -> Option<&StreamOrigin> {
        match &self.from {
            Origin::Stream(origin) => Some(origin),
            Origin::Episodes(_) | Origin::Pages(_) | Origin::Captions => None,
        }
    }
}

/// Where sequences come from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Origin {
    /// Invented words bound to pictures, and asked for again.
    Episodes(EpisodeSpec),
    /// Pages composed of named pictures.
    Pages(PageSpec),
    /// Named pictures, one a sequence.
    Captions,
    /// Any sources of data.
    Stream(StreamOrigin),
}

/// Sources of data, mixed into one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StreamOrigin {
    /// What is read. Paths that begin with `data:` are below the folder of prepared datasets.
    pub sources: Vec<MixedSource>,
    /// What is kept out of training and measured at the end.
    #[serde(default)]
    pub heldout: Vec<MixedSource>,
}

/// The measurements at the end of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JoinEvaluation {
    /// Most sequences of each held-out set.
    pub sequences: usize,
    /// Sequences at once.
    pub batch: usize,
    /// Longest caption, in tokens.
    pub max_tokens: usize,
    /// Captions of held-out pictures shown in the report.
    pub captions: usize,
    /// Pictures that are never trained on, of which some get captions too: a source, or none.
    pub photos: Option<MixedSource>,
    /// Captions of those.
    pub photo_captions: usize,
    /// Trials in which invented words are bound to held-out pictures.
    pub binding: Vec<BindingSpec>,
}

impl Default for JoinConfig {
    fn default() -> Self {
        Self::smol()
    }
}

impl JoinConfig {
    /// SmolLM2-135M and EfficientNet-Lite2, joined: under 100 minutes on two CPU cores.
    pub fn smol() -> Self {
        let (d_lm, d_visual, d_features) = (576, 384, 1280);
        Self {
            seed: 1,
            start: None,
            train_vision: false,
            lora: None,
            needs: Needs {
                weights: ["smollm2", "efficientnet-lite2"].map(str::to_owned).into(),
                datasets: Vec::new(),
            },
            towers: Towers {
                lm: LanguageTower { weights: "smollm2".to_owned() },
                vision: VisionTower {
                    weights: "efficientnet-lite2".to_owned(),
                    sizes: "efficientnet-lite2".to_owned(),
                    tap: Some(FeatureTap::Final),
                    image_size: Some(160),
                },
            },
            resampler: ResamplerConfig {
                d_input: Some(d_features),
                n_layers: 2,
                n_heads: 6,
                d_head: 64,
                d_ff: 3 * d_visual,
                n_latents: 8,
                init_std: 0.2,
                ..ResamplerConfig::paper(d_visual)
            },
            xattn: GatedXattnConfig {
                n_heads: 8,
                d_head: 48,
                d_ff: 2 * d_lm,
                act: Act::SquaredRelu,
                norm: NormConfig::Rms { epsilon: 1e-6 },
                ..GatedXattnConfig::paper(d_lm, 8, d_visual, 5)
            },
            concepts: ["datasets/emoji", "datasets/openmoji"].map(str::to_owned).into(),
            sequence: SequenceSpec { max_images: 12, ..SequenceSpec::default() },
            sources: vec![
                JoinSource {
                    name: "episodes".to_owned(),
                    weight: 1.0,
                    batch: 3,
                    from: Origin::Episodes(EpisodeSpec::default()),
                },
                JoinSource { name: "captions".to_owned(), weight: 0.5, batch: 3, from: Origin::Captions },
            ],
            loss: LossSpec::default(),
            cache_features: true,
            train: TrainConfig {
                steps: 2400,
                seed: 1,
                optimizer: AdamWSpec { beta2: 0.98, ..AdamWSpec::default() },
                schedule: Schedule::Linear { peak: 1e-3, warmup: 50, end_factor: 0.0 },
                weight_decay: 0.1,
                // At one rate for all, the scalar gates stay near 0 and the pictures are ignored.
                groups: vec![group("resampler", "resampler", 1.0), group("gates", "xattn.*_gate", 20.0)],
                clip_norm: Some(1.0),
                sources: Vec::new(),
                mixing: Mixing::default(),
                microbatches: 1,
                precision: Precision::default(),
                log_every: 20,
                checkpoint_every: 200,
                keep_last: 2,
                evaluate_every: 0,
                keep_best: None,
            },
            evaluation: JoinEvaluation {
                sequences: 200,
                batch: 8,
                max_tokens: 16,
                captions: 20,
                photos: None,
                photo_captions: 10,
                binding: [(2, 1), (5, 1), (5, 5)]
                    .map(|(ways, shots)| BindingSpec { ways, shots, trials: 100, controls: 50 })
                    .into(),
            },
        }
    }

    /// # Errors
    ///
    /// [`TrainError::Config`] if settings contradict each other.
    pub fn validate(&self) -> Result<(), TrainError> {
        let refused = |key: &str, message: &str| {
            Err(TrainError::Config { key: key.to_owned(), message: message.to_owned() })
        };
        match self {
            Self { train_vision: true, cache_features: true, .. } => {
                refused("cache_features", "must be false where the encoder learns (train_vision = true)")
            }
            Self { train_vision: true, loss: LossSpec { gradient_checkpointing: true, .. }, .. } => refused(
                "loss.gradient_checkpointing",
                "must be false where the encoder learns (train_vision = true): its gradients would be lost",
            ),
            _ => Ok(()),
        }
    }

    /// The complete configuration of the model, once its language model is known.
    ///
    /// # Errors
    ///
    /// If the parts' widths do not fit each other.
    pub fn model(&self, lm: &DecoderConfig) -> Result<FlamingoConfig, FlamingoError> {
        let (vision, preprocess): (_, PreprocessSpec) = self.towers.vision.sizes()?;
        let config = FlamingoConfig {
            vision,
            preprocess,
            resampler: self.resampler.clone(),
            xattn: self.xattn.clone(),
            lm: lm.clone(),
        };
        config.validate()?;
        Ok(config)
    }

    /// The updates, with the sources' names and weights in them.
    pub fn updates(&self) -> TrainConfig {
        let source = |source: &JoinSource| SourceSpec { name: source.name.clone(), weight: source.weight };
        TrainConfig { sources: self.sources.iter().map(source).collect(), ..self.train.clone() }
    }
}

/// Parameters at `lr` times the scheduled rate, without decay.
fn group(name: &str, pattern: &str, lr: f64) -> GroupSpec {
    GroupSpec { name: name.to_owned(), pattern: pattern.to_owned(), lr, weight_decay: Some(0.0), agc: None }
}
