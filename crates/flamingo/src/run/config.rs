//! What a run is told: the complete configuration behind `cargo xtask train`, and its preset.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use burn::tensor::Device;
use flamingo_core::{Precision, nearest};
use flamingo_data::{Augment, ConceptSet, PageSpec, SequenceSpec};
use flamingo_lm::LoraConfig;
use flamingo_train::{AdamWSpec, GroupSpec, Mixing, Schedule, SourceSpec, TrainConfig, TrainError};
use flamingo_vision::{ContrastiveConfig, TextTowerConfig};
use serde::{Deserialize, Serialize};

use crate::config::FlamingoConfig;
use crate::error::FlamingoError;
use crate::loss::LossSpec;

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
    /// What the sources of `train` take, by their names; a source that is not named takes all pictures. Losses are those of
    /// each source's own batch, and their gradients are accumulated (paper, appendix B.1.3: better than mixed batches).
    #[serde(default)]
    pub sources: BTreeMap<String, PairSource>,
    /// How pictures are varied.
    pub augment: Augment,
    /// The updates.
    pub train: TrainConfig,
}

/// What one source of contrastive pairs takes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PairSource {
    /// Pictures in these drawing styles alone; all if there are none.
    pub styles: Vec<String>,
    /// Pairs in its batch, if not as many as in the others'.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub batch: Option<usize>,
}

impl ContrastiveStage {
    /// Refuses sources that `train` has not, and styles that there are not.
    ///
    /// # Errors
    ///
    /// [`TrainError::Config`] with the nearest name.
    pub fn validate_sources(&self, set: &ConceptSet) -> Result<(), TrainError> {
        let known: BTreeSet<&str> = set.images().iter().map(|image| image.style.as_str()).collect();
        let refused = |key: String, what: &str, name: &str, known: &[&str]| {
            let hint = nearest::hint(name, known.iter().copied());
            let message = format!("there is no {what} {name:?}, but {}{hint}", known.join(", "));
            Err(TrainError::Config { key, message })
        };
        let named: Vec<&str> = self.train.sources.iter().map(|source| source.name.as_str()).collect();
        for (name, source) in &self.sources {
            if !named.contains(&name.as_str()) {
                return refused("contrastive.sources".to_owned(), "source", name, &named);
            }
            if let Some(style) = source.styles.iter().find(|style| !known.contains(style.as_str())) {
                let known: Vec<&str> = known.iter().copied().collect();
                return refused(format!("contrastive.sources.{name}.styles"), "style", style, &known);
            }
        }
        Ok(())
    }
}

/// Next-token pre-training of the language model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LanguageStage {
    /// Sequences in a batch.
    pub batch: usize,
    /// Length and placement rules.
    pub sequence: SequenceSpec,
    /// What becomes of the losses of tokens.
    #[serde(default)]
    pub loss: LossSpec,
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
    /// What becomes of the losses of tokens.
    #[serde(default)]
    pub loss: LossSpec,
    /// Adapters on the language model, which is otherwise frozen; none if absent. They are merged into the finished model.
    #[serde(default)]
    pub lora: Option<LoraConfig>,
    /// How pictures are varied.
    pub augment: Augment,
    /// The updates; its sources are `pages` and `pairs`, or one of them.
    pub train: TrainConfig,
}

impl FlamingoStage {
    /// The source of interleaved pages.
    pub const PAGES: &str = "pages";
    /// The source of image-text pairs.
    pub const PAIRS: &str = "pairs";

    /// Refuses sources that there are not.
    ///
    /// # Errors
    ///
    /// [`TrainError::Config`] with the nearest name.
    pub fn validate_sources(&self) -> Result<(), TrainError> {
        let known = [Self::PAGES, Self::PAIRS];
        match self.train.sources.iter().find(|source| !known.contains(&source.name.as_str())) {
            None => Ok(()),
            Some(SourceSpec { name, .. }) => Err(TrainError::Config {
                key: "flamingo.train.sources".to_owned(),
                message: format!(
                    "there is no source {name:?}, but {}{}",
                    known.join(" and "),
                    nearest::hint(name, known)
                ),
            }),
        }
    }
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
    /// This configuration with what `other` says of records, checkpoints and evaluations, which do not alter what is
    /// learned.
    pub(super) fn with_bookkeeping_of(mut self, other: &Self) -> Self {
        for (train, other) in [
            (&mut self.contrastive.train, &other.contrastive.train),
            (&mut self.language.train, &other.language.train),
            (&mut self.flamingo.train, &other.flamingo.train),
        ] {
            train.take_bookkeeping(other);
        }
        self
    }

    /// The nano model on the bundled drawings: under 20 minutes on two CPU cores.
    pub fn nano() -> Self {
        let model = FlamingoConfig::nano();
        let vocab = model.lm.vocab;
        Self {
            seed: 1,
            model,
            data: DataConfig {
                folders: ["datasets/emoji", "datasets/openmoji"].map(PathBuf::from).into(),
                pages: PageSpec { p_leading_space: 0.0, ..PageSpec::default() },
            },
            contrastive: ContrastiveStage {
                towers: ContrastiveConfig {
                    text: TextTowerConfig { vocab, d_model: 128, n_layers: 1, n_heads: 4, max_len: 24 },
                    d_joint: 128,
                    inverse_temperature: 10.0,
                    label_smoothing: 0.1,
                },
                batch: 128,
                sources: BTreeMap::new(),
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
                batch: 32,
                sequence: sequence(),
                loss: LossSpec::default(),
                train: TrainConfig {
                    steps: 800,
                    schedule: Schedule::Linear { peak: 3e-3, warmup: 50, end_factor: 0.0 },
                    weight_decay: 0.05,
                    microbatches: 4,
                    ..stage(&[("text", 1.0)])
                },
            },
            flamingo: FlamingoStage {
                pages_batch: 4,
                pairs_batch: 64,
                sequence: sequence(),
                loss: LossSpec::default(),
                lora: None,
                augment: Augment::light(),
                train: TrainConfig {
                    steps: 1900,
                    schedule: Schedule::Linear { peak: 1.5e-3, warmup: 50, end_factor: 0.0 },
                    weight_decay: 0.05,
                    // The paper decays all but the resampler. Rates of their own, for so short a run: at the common
                    // one the scalar gates stay near 0 and the pictures are ignored, `<EOC>` takes 250 updates to
                    // learn, and the resampler, while the gates still hide it, loses what tells pictures apart.
                    groups: vec![
                        GroupSpec { lr: 0.3, ..group("resampler", "resampler", 0.0, None) },
                        GroupSpec { lr: 30.0, ..group("gates", "xattn.*_gate", 0.0, None) },
                        GroupSpec { lr: 10.0, ..group("tokens", "lm.new_embedding", 0.0, None) },
                    ],
                    microbatches: 2,
                    // At equal weights the pages, most of whose words no picture tells, take the small trained parts
                    // for themselves: half as many names are learned.
                    ..stage(&[("pages", 0.2), ("pairs", 1.0)])
                },
            },
            evaluation: EvaluationConfig { samples: 200, max_tokens: 16, shown: 60 },
        }
    }
}

impl RunConfig {
    /// Refuses what would fail only hours later, on `device`.
    ///
    /// # Errors
    ///
    /// If the model's parts do not fit each other, sources or targets of adapters are not there, the device cannot compute
    /// in a stage's precision, or gradient checkpointing is asked for in f16.
    pub fn validate(&self, device: &Device) -> Result<(), FlamingoError> {
        self.model.validate()?;
        self.flamingo.validate_sources()?;
        if let Some(lora) = &self.flamingo.lora {
            // Nothing is allocated before it is used.
            lora.check(&self.model.lm.init(device))?;
        }
        let stages = [
            ("contrastive", &self.contrastive.train, false),
            ("language", &self.language.train, self.language.loss.gradient_checkpointing),
            ("flamingo", &self.flamingo.train, self.flamingo.loss.gradient_checkpointing),
        ];
        for (stage, train, gradient_checkpointing) in stages {
            check_precision(
                train.precision,
                gradient_checkpointing,
                &format!("{stage}.train.precision"),
                device,
            )?;
        }
        Ok(())
    }
}

/// Refuses a precision, the value of `key`, that `device` or gradient checkpointing cannot have.
pub(crate) fn check_precision(
    precision: Precision,
    gradient_checkpointing: bool,
    key: &str,
    device: &Device,
) -> Result<(), FlamingoError> {
    precision.check(device).map_err(TrainError::from)?;
    if gradient_checkpointing && precision == Precision::F16 {
        let message = "gradient checkpointing cannot scale the loss, as f16 needs: write \"bf16\" or \"f32\", or \
                       gradient_checkpointing = false";
        return Err(TrainError::Config { key: key.to_owned(), message: message.to_owned() }.into());
    }
    Ok(())
}

/// Short sequences without the paper's optional space before a caption: the space makes other tokens of all first
/// words, and to learn both spellings takes twice as long.
fn sequence() -> SequenceSpec {
    SequenceSpec { len: 64, p_leading_space: 0.0, ..SequenceSpec::default() }
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
        mixing: Mixing::default(),
        microbatches: 1,
        precision: Precision::default(),
        log_every: 20,
        checkpoint_every: 200,
        keep_last: 2,
        evaluate_every: 0,
        keep_best: None,
    }
}

#[cfg(test)]
mod tests {
    use flamingo_core::overlay;

    use super::*;

    #[test]
    fn a_source_that_is_not_there_is_named_with_its_nearest() {
        let mut stage = RunConfig::nano().flamingo;
        stage.validate_sources().unwrap();
        stage.train.sources.remove(0);
        stage.validate_sources().unwrap();
        stage.train.sources[0].name = "pair".to_owned();
        let error = stage.validate_sources().unwrap_err().to_string();
        assert!(error.contains("\"pair\"") && error.contains("did you mean \"pairs\"?"), "{error}");
    }

    #[test]
    fn what_would_fail_later_is_refused_at_once() {
        let device = Device::flex();
        let config = |text: &str| overlay(&RunConfig::nano(), text, "run.toml").unwrap();
        config("[flamingo.lora]\nrank = 4").validate(&device).unwrap();
        config("flamingo.train.precision = \"bf16\"\nflamingo.loss.gradient_checkpointing = true")
            .validate(&device)
            .unwrap();
        let error = config("flamingo.lora.targets = [\"quary\"]").validate(&device).unwrap_err().to_string();
        assert!(error.contains("did you mean \"query\"?"), "{error}");
        let error = config("flamingo.train.precision = \"f16\"\nflamingo.loss.gradient_checkpointing = true");
        let error = error.validate(&device).unwrap_err().to_string();
        assert!(error.contains("`flamingo.train.precision`") && error.contains("bf16"), "{error}");
    }
}
