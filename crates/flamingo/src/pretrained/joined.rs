//! Trained parts on disk, without the two published models that they stand between:
//!
//! ```text
//! towers.json                     where the published models are to be had, and their SHA-256
//! model.json                      the complete configuration
//! model.safetensors.index.json, model-0000N-of-0000M.safetensors    resampler, gated blocks, rows of new tokens
//! ```

use std::path::Path;

use burn::tensor::{DType, Device};
use flamingo_data::PretrainedEncoder;
use flamingo_lm::LoraConfig;
use flamingo_weights::{Checkpoint, KeyMap, load_into, module_tensors, save_sharded};
use serde::{Deserialize, Serialize};

use super::folder::{CONFIG, read_json, write_json};
use super::{Network, Pretrained};
use crate::config::FlamingoConfig;
use crate::dialect::Dialect;
use crate::error::FlamingoError;
use crate::model::Flamingo;
use crate::towers::{Fingerprint, Towers};

const TOWERS: &str = "towers.json";
/// Below what version control and review tools take without complaint.
const MAX_SHARD_BYTES: u64 = 7_500_000;

/// A model of trained parts between published towers.
#[derive(Debug, Clone)]
pub struct JoinedFolder {
    /// The weights, towers included.
    pub model: Flamingo,
    /// Their sizes, and how images are prepared.
    pub config: FlamingoConfig,
    /// Text to tokens and back.
    pub tokenizer: PretrainedEncoder,
    /// Where the towers come from.
    pub towers: Joined,
}

/// `towers.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Joined {
    /// Where the towers are.
    pub towers: Towers,
    /// SHA-256 of the language model's files.
    pub lm_sha256: Fingerprint,
    /// SHA-256 of the encoder's files.
    pub vision_sha256: Fingerprint,
    /// Whether the encoder has learned, so that its weights are among the trained parts.
    #[serde(default)]
    pub vision_trained: bool,
    /// Adapters on the language model, which are among the trained parts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lora: Option<LoraConfig>,
}

impl Joined {
    /// Whether a parameter is one of the trained parts.
    fn is_trained(&self, path: &str) -> bool {
        is_trained(path) || (self.vision_trained && path.starts_with("vision."))
    }
}

impl JoinedFolder {
    /// Whether `folder` holds trained parts that name their towers.
    pub fn is_at(folder: &Path) -> bool {
        folder.join(TOWERS).is_file() && folder.join(CONFIG).is_file()
    }

    /// Loads the towers that `folder` names and the parts in it onto `device`.
    ///
    /// # Errors
    ///
    /// If a tower is not to be had or is another one than the parts were trained with, if a file is missing or damaged,
    /// or if the weights do not fit the configuration.
    pub fn load(folder: &Path, device: &Device) -> Result<Self, FlamingoError> {
        let joined: Joined = read_json(&folder.join(TOWERS))?;
        let config: FlamingoConfig = read_json(&folder.join(CONFIG))?;
        let lm = joined.towers.lm.open(device)?;
        let vision = joined.towers.vision.open(device)?;
        let same = |name: &str, weights: &str, now: &Fingerprint, then: &Fingerprint| match now == then {
            true => Ok(()),
            false => Err(FlamingoError::Folder {
                path: folder.join(TOWERS),
                message: format!(
                    "the {name} {weights:?} is another one than these parts were trained with: its SHA-256 is {}, not \
                     {}",
                    now.0, then.0
                ),
            }),
        };
        same("language model", &joined.towers.lm.weights, &lm.fingerprint, &joined.lm_sha256)?;
        same("vision encoder", &joined.towers.vision.weights, &vision.fingerprint, &joined.vision_sha256)?;

        let mut model = config.init(device)?;
        (model.vision, model.lm) = (vision.encoder, lm.decoder);
        if let Some(lora) = &joined.lora {
            model.lm = lora.attach(model.lm)?;
        }
        let checkpoint = Checkpoint::open(folder)?;
        let map = checkpoint.names().fold(KeyMap::new(), |map, name| map.copy(name, name));
        let map = map.optional("vision.**").optional("lm.**");
        let (model, report) = load_into(model, &checkpoint, &map)?;
        if let Some(lost) = report.kept.iter().find(|path| joined.is_trained(path)) {
            let message = format!("the parameter {lost:?} is in none of its shards");
            return Err(FlamingoError::Folder { path: folder.to_owned(), message });
        }
        Ok(Self { model, config, tokenizer: lm.tokenizer, towers: joined })
    }

    /// Writes the trained parts into `folder`, which must exist, in number format `dtype`; `towers.json` comes last and
    /// marks the model as whole.
    ///
    /// # Errors
    ///
    /// If a file cannot be written.
    pub fn save(&self, folder: &Path, dtype: DType) -> Result<(), FlamingoError> {
        save_sharded(
            folder,
            &module_tensors(&self.model, |path| self.towers.is_trained(path)),
            dtype,
            MAX_SHARD_BYTES,
        )?;
        write_json(&folder.join(CONFIG), &self.config)?;
        write_json(&folder.join(TOWERS), &self.towers)
    }
}

/// Whether a parameter is none of the towers'.
fn is_trained(path: &str) -> bool {
    match path.split_once('.') {
        Some(("lm", rest)) => matches!(rest, "new_embedding" | "new_head") || rest.contains(".lora."),
        Some(("vision", _)) => false,
        _ => true,
    }
}

impl From<JoinedFolder> for Pretrained {
    fn from(JoinedFolder { model, config, tokenizer, .. }: JoinedFolder) -> Self {
        Self {
            network: Network::Flamingo { model: Box::new(model), preprocess: config.preprocess },
            dialect: Dialect::joined(tokenizer),
            reports: Vec::new(),
        }
    }
}
