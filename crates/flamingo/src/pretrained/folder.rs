//! A model on disk: `model.safetensors`, `model.json` (its complete configuration) and `tokenizer.json`.

use std::fs;
use std::path::{Path, PathBuf};

use burn::tensor::Device;
use flamingo_data::TextTokenizer;
use flamingo_train::{load_module, save_module, write_atomic};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::config::FlamingoConfig;
use crate::error::FlamingoError;
use crate::model::Flamingo;

/// The weights' file in every finished run and model folder.
pub(crate) const WEIGHTS: &str = "model.safetensors";
pub(crate) const CONFIG: &str = "model.json";
/// What every run writes from its first records on.
const METRICS: &str = "metrics.jsonl";
/// The tokenizer's file in every run and model folder.
pub(crate) const TOKENIZER: &str = "tokenizer.json";

impl FlamingoConfig {
    /// The sizes of the model in `folder`.
    ///
    /// # Errors
    ///
    /// If the folder holds no finished model.
    pub fn load(folder: impl AsRef<Path>) -> Result<Self, FlamingoError> {
        let folder = folder.as_ref();
        if folder.join(CONFIG).is_file() {
            return read_json(&folder.join(CONFIG));
        }
        let message = match (folder.is_dir(), folder.join(METRICS).is_file()) {
            (false, _) => "there is no such folder",
            (true, true) => "this run has not finished: go on with it by --resume",
            (true, false) => "this is no model folder: it has no model.json",
        };
        Err(FlamingoError::Folder { path: folder.to_owned(), message: message.to_owned() })
    }
}

/// A model of this project, as its folder holds it.
#[derive(Debug, Clone)]
pub struct ModelFolder {
    /// The weights.
    pub model: Flamingo,
    /// Their sizes, and how images are prepared.
    pub config: FlamingoConfig,
    /// Text to tokens and back.
    pub tokenizer: TextTokenizer,
}

impl ModelFolder {
    /// Whether `folder` is a model's or a run's, finished or not.
    pub fn is_at(folder: &Path) -> bool {
        folder.join(CONFIG).is_file() || folder.join(METRICS).is_file()
    }

    /// Loads a model folder or a finished run's folder onto `device`.
    ///
    /// # Errors
    ///
    /// If a file is missing or damaged, or the weights do not fit the configuration.
    pub fn load(folder: impl AsRef<Path>, device: &Device) -> Result<Self, FlamingoError> {
        let folder = folder.as_ref();
        let config = FlamingoConfig::load(folder)?;
        let model = load_module(config.init(device)?, &folder.join(WEIGHTS))?;
        let tokenizer = TextTokenizer::load(folder.join(TOKENIZER))?;
        Ok(Self { model, config, tokenizer })
    }

    /// Writes the model into `folder`, which must exist; the configuration comes last and marks the model as whole.
    ///
    /// # Errors
    ///
    /// If a file cannot be written.
    pub fn save(&self, folder: &Path) -> Result<(), FlamingoError> {
        self.tokenizer.save(folder.join(TOKENIZER))?;
        save_module(&self.model, &folder.join(WEIGHTS))?;
        write_json(&folder.join(CONFIG), &self.config)
    }
}

pub(crate) fn write_json(path: &Path, value: &impl Serialize) -> Result<(), FlamingoError> {
    let json = serde_json::to_vec_pretty(value).map_err(|error| broken(path, &error))?;
    Ok(write_atomic(path, &json)?)
}

pub(crate) fn read_json<T: DeserializeOwned>(path: &Path) -> Result<T, FlamingoError> {
    let bytes = fs::read(path).map_err(|error| FlamingoError::Folder {
        path: path.to_owned(),
        message: format!("cannot read: {error}"),
    })?;
    serde_json::from_slice(&bytes).map_err(|error| broken(path, &error))
}

fn broken(path: &Path, error: &serde_json::Error) -> FlamingoError {
    FlamingoError::Folder { path: PathBuf::from(path), message: format!("not what it should be: {error}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pretrained::Pretrained;

    #[test]
    fn an_unfinished_run_is_told_from_no_model() {
        let run = tempfile::tempdir().unwrap();
        let open = || {
            let path = run.path().to_str().unwrap();
            Pretrained::open(path, &Device::flex()).unwrap_err().to_string()
        };
        assert!(!open().contains("--resume"), "{}", open());
        fs::write(run.path().join(METRICS), "{}\n").unwrap();
        assert!(open().contains("has not finished") && open().contains("--resume"), "{}", open());
    }
}
