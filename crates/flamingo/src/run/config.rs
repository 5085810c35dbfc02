//! What a run is told: the complete configuration behind `cargo xtask train`, and its preset.

use std::path::PathBuf;

use flamingo_data::{Augment, PageSpec, SequenceSpec};
use flamingo_train::{AdamWSpec, GroupSpec, Schedule, SourceSpec, TrainConfig};
use flamingo_vision::{ContrastiveConfig, TextTowerConfig};
use serde::{Deserialize, Serialize};

use crate::config::FlamingoConfig;

/// A run of all three stages.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunConfig {
    /// Decides every random choice.
    pub seed: u64,
    /// The model's sizes.
    pub model: FlamingoConfig,
    /// Where the pictures are.
    pub data: DataConfig,
    /// Stage 1.
    pub contrastive: ContrastiveStage,
    /// Stage 2.
    pub language: LanguageStage,
    /// Stage 3.
    pub flamingo: FlamingoStage,
    /// What is measured at the end.
    pub evaluation: EvaluationConfig,
}

/// Where the pictures are, and how pages are made of them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DataConfig {
    /// Folders of WebDataset shards.
    pub folders: Vec<PathBuf>,
    /// How pages are composed.
    pub pages: PageSpec,
}

/// Contrastive pre-training of the vision encoder.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ContrastiveStage {
    /// Text tower and joint space.
    pub towers: ContrastiveConfig,
    /// Pairs in a batch.
    pub batch: usize,
    /// How pictures are varied.
    pub augment: Augment,
    /// The updates.
    pub train: TrainConfig,
}

/// Next-token pre-training of the language model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LanguageStage {
    /// Sequences in a batch.
    pub batch: usize,
    /// Length and placement rules.
    pub sequence: SequenceSpec,
    /// The updates.
    pub train: TrainConfig,
}

/// Training of the parts between the frozen towers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FlamingoStage {
    /// Interleaved pages in a batch.
    pub pages_batch: usize,
    /// Image-text pairs in a batch.
    pub pairs_batch: usize,
    /// Length, images and placement rules.
    pub sequence: SequenceSpec,
    /// How pictures are varied.
    pub augment: Augment,
    /// The updates; its sources are `pages` and `pairs`.
    pub train: TrainConfig,
}

/// The measurements at the end of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EvaluationConfig {
    /// Most pictures taken of each split.
    pub samples: usize,
    /// Longest caption, in tokens.
    pub max_tokens: usize,
    /// Held-out pictures shown in the report.
    pub shown: usize,
}

impl Default for RunConfig {
    fn default() -> Self {
        Self::nano()
    }
}

impl RunConfig {
    /// The nano model on the bundled drawings: under 20 minutes on two CPU cores.
    pub fn nano() -> Self {
        let model = FlamingoConfig::nano();
        let vocab = model.lm.vocab;
        Self {
            seed: 1,
            model,
            data: DataConfig {
                folders: ["datasets/emoji", "datasets/openmoji"].map(PathBuf::from).into(),
                pages: PageSpec::default(),
            },
            contrastive: ContrastiveStage {
                towers: ContrastiveConfig {
                    text: TextTowerConfig { vocab, d_model: 128, n_layers: 1, n_heads: 4, max_len: 24 },
                    d_joint: 128,
                    inverse_temperature: 10.0,
                    label_smoothing: 0.1,
                },
                batch: 128,
                // A small encoder in a short run underfits: less than `strong`.
                augment: Augment {
                    rotate: 12.0,
                    scale: (0.8, 1.1),
                    translate: 0.08,
                    shear: 6.0,
                    saturation: 0.4,
                    hue: 12.0,
                    grey: 0.1,
                    background: 0.1,
                    ..Augment::strong()
                },
                train: TrainConfig {
                    steps: 1500,
                    schedule: Schedule::Linear { peak: 3e-3, warmup: 100, end_factor: 0.0 },
                    weight_decay: 0.05,
                    // The paper clips the encoder by unit (AGC 1e-2) and leaves SkipInit and gains undecayed.
                    groups: vec![
                        group("vision", "vision", 0.05, Some(0.01)),
                        group("scalars", "*gain", 0.0, None),
                        group("temperature", "log_inverse_temperature", 0.0, None),
                    ],
                    clip_norm: Some(10.0),
                    ..stage(&[("pairs", 1.0)])
                },
            },
            language: LanguageStage {
                batch: 16,
                sequence: SequenceSpec { len: 64, ..SequenceSpec::default() },
                train: TrainConfig {
                    steps: 700,
                    schedule: Schedule::Linear { peak: 3e-3, warmup: 50, end_factor: 0.0 },
                    weight_decay: 0.05,
                    ..stage(&[("text", 1.0)])
                },
            },
            flamingo: FlamingoStage {
                pages_batch: 8,
                pairs_batch: 64,
                sequence: SequenceSpec { len: 64, ..SequenceSpec::default() },
                augment: Augment::light(),
                train: TrainConfig {
                    steps: 1700,
                    schedule: Schedule::Linear { peak: 2e-3, warmup: 50, end_factor: 0.0 },
                    weight_decay: 0.05,
                    // The paper decays all but the resampler. Scalar gates get a rate of their own: at the common
                    // one they stay near 0 for so short a run, and the pictures are ignored.
                    groups: vec![
                        group("resampler", "resampler", 0.0, None),
                        GroupSpec { lr: 5.0, ..group("gates", "xattn.*_gate", 0.0, None) },
                    ],
                    ..stage(&[("pages", 1.0), ("pairs", 1.0)])
                },
            },
            evaluation: EvaluationConfig { samples: 200, max_tokens: 16, shown: 60 },
        }
    }
}

fn group(name: &str, pattern: &str, weight_decay: f64, agc: Option<f64>) -> GroupSpec {
    GroupSpec {
        name: name.to_owned(),
        pattern: pattern.to_owned(),
        lr: 1.0,
        weight_decay: Some(weight_decay),
        agc,
    }
}

fn stage(sources: &[(&str, f64)]) -> TrainConfig {
    TrainConfig {
        steps: 1000,
        seed: 1,
        optimizer: AdamWSpec { beta2: 0.98, ..AdamWSpec::default() },
        schedule: Schedule::Constant { peak: 1e-3, warmup: 50 },
        weight_decay: 0.1,
        groups: Vec::new(),
        clip_norm: Some(1.0),
        sources: sources
            .iter()
            .map(|(name, weight)| SourceSpec { name: (*name).to_owned(), weight: *weight })
            .collect(),
        log_every: 20,
        checkpoint_every: 200,
        keep_last: 2,
    }
}
