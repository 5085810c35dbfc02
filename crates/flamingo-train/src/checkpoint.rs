//! Checkpoints: enough to continue a run as if it had never stopped.
//!
//! `{folder}/step-000123/` holds `model.safetensors` (parameters that learn, nothing frozen), `optimizer.safetensors`
//! (keyed by parameter path) and `state.json`. The folder appears under its name only when all of it is on disk.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use burn::module::Module;
use flamingo_core::nearest;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::config::TrainConfig;
use crate::error::TrainError;
use crate::files::{self, read_tensors, write_tensors};
use crate::metrics::Window;
use crate::optimizer::{PathAdamW, StateError};
use crate::precision::LossScale;
use crate::weights;

const MODEL: &str = "model.safetensors";
const OPTIMIZER: &str = "optimizer.safetensors";
const STATE: &str = "state.json";
/// Keys of the configuration that may change when a run is resumed: they do not alter what is learned.
const FREE_KEYS: [&str; 3] = ["log_every", "checkpoint_every", "keep_last"];

/// Everything of a run that is neither a parameter nor optimizer state.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CheckpointState {
    /// The stage, for people.
    pub stage: String,
    /// Updates done.
    pub step: u64,
    /// The configuration, seed included.
    pub config: TrainConfig,
    /// Where each source of batches stands, by name.
    pub streams: BTreeMap<String, Value>,
    /// The same of the further replicas of a data-parallel run, in the order of their ranks.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub replicas: Vec<BTreeMap<String, Value>>,
    /// The factor on losses, with f16.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub loss_scale: Option<LossScale>,
    /// Seconds of training so far, over all sessions.
    pub elapsed_s: f64,
    /// What the next metric record has gathered already.
    pub(crate) window: Window,
}

/// A checkpoint on disk.
#[derive(Debug, Clone)]
pub struct Checkpoint {
    path: PathBuf,
    state: CheckpointState,
}

impl Checkpoint {
    /// Writes a checkpoint into `folder`, then deletes all but the `keep_last` newest ones.
    /// Does nothing if there is one of the same step.
    ///
    /// # Errors
    ///
    /// If a file cannot be written; older checkpoints are then untouched.
    pub fn save<M: Module>(
        folder: &Path,
        state: CheckpointState,
        model: &M,
        optimizer: &PathAdamW,
        keep_last: usize,
    ) -> Result<Self, TrainError> {
        let path = folder.join(format!("step-{:06}", state.step));
        let checkpoint = Self { path, state };
        if !checkpoint.path.exists() {
            checkpoint.write(model, optimizer)?;
        }
        prune(folder, keep_last)?;
        Ok(checkpoint)
    }

    fn write<M: Module>(&self, model: &M, optimizer: &PathAdamW) -> Result<(), TrainError> {
        let scratch = files::scratch_path(&self.path);
        if scratch.exists() {
            fs::remove_dir_all(&scratch).map_err(TrainError::io("delete", &scratch))?;
        }
        fs::create_dir_all(&scratch).map_err(TrainError::io("create the folder", &scratch))?;
        weights::save_trainable(model, &scratch.join(MODEL))?;
        write_tensors(&scratch.join(OPTIMIZER), &optimizer.to_tensors(model))?;
        let state_path = scratch.join(STATE);
        let json = serde_json::to_vec_pretty(&self.state)
            .map_err(|error| TrainError::corrupt(&state_path, error.to_string()))?;
        files::write_atomic(&state_path, &json)?;
        fs::rename(&scratch, &self.path).map_err(TrainError::io("write", &self.path))?;
        files::sync_parent(&self.path)
    }

    /// The newest checkpoint in `folder`; `None` if there is none, or no folder.
    ///
    /// # Errors
    ///
    /// If the newest one does not read back. An older one is never taken silently in its place.
    pub fn latest(folder: &Path) -> Result<Option<Self>, TrainError> {
        list(folder)?.pop().map(|(_, path)| Self::open(path)).transpose()
    }

    /// Opens one checkpoint's folder.
    ///
    /// # Errors
    ///
    /// If its state does not read back.
    pub fn open(path: PathBuf) -> Result<Self, TrainError> {
        let state_path = path.join(STATE);
        let json = fs::read(&state_path).map_err(TrainError::io("read", &state_path))?;
        let state = serde_json::from_slice(&json).map_err(|error| {
            let message = format!("{error}; delete {} to resume from the checkpoint before", path.display());
            TrainError::corrupt(&state_path, message)
        })?;
        Ok(Self { path, state })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What it says about the run.
    pub fn state(&self) -> &CheckpointState {
        &self.state
    }

    /// Where the streams of replica `rank` of `world` stand.
    ///
    /// # Errors
    ///
    /// [`TrainError::ResumeMismatch`] if there were not as many replicas.
    pub(crate) fn places(&self, rank: usize, world: usize) -> Result<&BTreeMap<String, Value>, TrainError> {
        let before = self.state.replicas.len() + 1;
        if before != world {
            return Err(TrainError::ResumeMismatch {
                path: self.path.join(STATE),
                key: "replicas".to_owned(),
                before: before.to_string(),
                now: world.to_string(),
            });
        }
        Ok(rank.checked_sub(1).map_or(&self.state.streams, |further| &self.state.replicas[further]))
    }

    /// Refuses to continue under a configuration that would train differently.
    ///
    /// # Errors
    ///
    /// [`TrainError::ResumeMismatch`] with the first key that differs.
    pub fn check_config(&self, now: &TrainConfig) -> Result<(), TrainError> {
        let path = self.path.join(STATE);
        let json = |config: &TrainConfig| {
            serde_json::to_value(config).map_err(|error| TrainError::corrupt(&path, error.to_string()))
        };
        match first_difference("", &json(&self.state.config)?, &json(now)?) {
            Some((key, before, now)) => Err(TrainError::ResumeMismatch { path, key, before, now }),
            None => Ok(()),
        }
    }

    /// Loads the parameters into `model`, and the optimizer's state for them.
    ///
    /// # Errors
    ///
    /// If a file does not read back or does not fit the model's trainable parameters.
    pub fn load_into<M: Module>(&self, model: M) -> Result<(M, PathAdamW), TrainError> {
        let model = weights::load_trainable(model, &self.path.join(MODEL))?;
        let path = self.path.join(OPTIMIZER);
        let tensors = read_tensors(&path)?;
        let names: Vec<String> = tensors.keys().cloned().collect();
        let optimizer = PathAdamW::from_tensors(&model, tensors).map_err(|error| {
            let hint =
                |name: &str| nearest::hint(name, names.iter().map(String::as_str).filter(|n| *n != name));
            match error {
                StateError::Missing { name } => TrainError::MissingTensor { path, hint: hint(&name), name },
                StateError::Unused { name } => TrainError::UnusedTensor { path, hint: String::new(), name },
                StateError::Mismatch { name, expected, found } => {
                    TrainError::TensorMismatch { path, name, expected, found }
                }
            }
        })?;
        Ok((model, optimizer))
    }
}

/// The checkpoints of `folder`, oldest first.
fn list(folder: &Path) -> Result<Vec<(u64, PathBuf)>, TrainError> {
    if !folder.exists() {
        return Ok(Vec::new());
    }
    let list_error = || TrainError::io("list", folder);
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).map_err(list_error())? {
        let path = entry.map_err(list_error())?.path();
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        if let Some(step) = name.strip_prefix("step-").and_then(|digits| digits.parse().ok()) {
            found.push((step, path));
        }
    }
    found.sort();
    Ok(found)
}

fn prune(folder: &Path, keep_last: usize) -> Result<(), TrainError> {
    let mut checkpoints = list(folder)?;
    let kept = checkpoints.len().saturating_sub(keep_last);
    checkpoints.truncate(kept);
    checkpoints
        .iter()
        .try_for_each(|(_, path)| fs::remove_dir_all(path).map_err(TrainError::io("delete", path)))
}

/// The first leaf in which two configurations differ: its dotted key and both values.
fn first_difference(key: &str, before: &Value, now: &Value) -> Option<(String, String, String)> {
    let child = |name: &str| if key.is_empty() { name.to_owned() } else { format!("{key}.{name}") };
    match (before, now) {
        (Value::Object(old), Value::Object(new)) => old
            .keys()
            .chain(new.keys())
            .filter(|name| !(key.is_empty() && FREE_KEYS.contains(&name.as_str())))
            .find_map(|name| {
                let value = |map: &serde_json::Map<String, Value>| map.get(name).cloned().unwrap_or_default();
                first_difference(&child(name), &value(old), &value(new))
            }),
        (Value::Array(old), Value::Array(new)) if old.len() == new.len() => old
            .iter()
            .zip(new)
            .enumerate()
            .find_map(|(index, (old, new))| first_difference(&child(&index.to_string()), old, new)),
        _ => (before != now).then(|| (key.to_owned(), before.to_string(), now.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use burn::nn::{Linear, LinearConfig};
    use burn::optim::GradientsParams;
    use burn::tensor::{Device, Tensor};

    use super::*;
    use crate::config::tests::config;

    fn trained() -> (Linear, PathAdamW) {
        let device = Device::flex().autodiff();
        let model = LinearConfig::new(2, 3).init(&device);
        let loss = model.forward(Tensor::<2>::ones([1, 2], &device)).sum();
        let grads = GradientsParams::from_grads(loss.backward(), &model);
        let mut optimizer = PathAdamW::default();
        let model = optimizer.step(&config(), 0.1, model, grads);
        (model, optimizer)
    }

    fn state(step: u64) -> CheckpointState {
        CheckpointState {
            stage: "test".into(),
            step,
            config: config(),
            streams: BTreeMap::from([("left".to_owned(), Value::from(3))]),
            replicas: Vec::new(),
            loss_scale: None,
            elapsed_s: 0.1,
            window: Window::default(),
        }
    }

    #[test]
    fn parameters_and_optimizer_state_round_trip_by_path() {
        let folder = tempfile::tempdir().unwrap();
        let (model, optimizer) = trained();
        Checkpoint::save(folder.path(), state(7), &model, &optimizer, 1).unwrap();

        let checkpoint = Checkpoint::latest(folder.path()).unwrap().unwrap();
        assert_eq!(*checkpoint.state(), state(7));
        // Another module has other parameter ids.
        let fresh = LinearConfig::new(2, 3).init(&Device::flex().autodiff());
        let (loaded, restored) = checkpoint.load_into(fresh).unwrap();
        assert_eq!(loaded.weight.to_data(), model.weight.to_data());
        assert_eq!(restored.to_tensors(&loaded), optimizer.to_tensors(&model));
        assert_eq!(restored.len(), 2);
    }

    #[test]
    fn only_the_newest_are_kept_and_scratch_folders_are_ignored() {
        let folder = tempfile::tempdir().unwrap();
        let (model, optimizer) = trained();
        assert!(Checkpoint::latest(&folder.path().join("none")).unwrap().is_none());
        fs::create_dir(folder.path().join(".step-000099.1.tmp")).unwrap();
        for step in [8, 9, 10, 10] {
            Checkpoint::save(folder.path(), state(step), &model, &optimizer, 2).unwrap();
        }
        let steps: Vec<u64> = list(folder.path()).unwrap().into_iter().map(|(step, _)| step).collect();
        assert_eq!(steps, [9, 10]);
        assert_eq!(Checkpoint::latest(folder.path()).unwrap().unwrap().state().step, 10);
    }

    #[test]
    fn damage_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let (model, optimizer) = trained();
        let saved = Checkpoint::save(folder.path(), state(1), &model, &optimizer, 1).unwrap();

        let mut tensors = optimizer.to_tensors(&model);
        let moment = tensors.remove("weight.moment_2").unwrap();
        write_tensors(&saved.path().join(OPTIMIZER), &tensors).unwrap();
        let error = saved.load_into(model.clone()).unwrap_err().to_string();
        assert!(
            error.contains("optimizer.safetensors") && error.contains("\"weight.moment_2\" is missing"),
            "{error}"
        );

        tensors.insert("weight.moment_2".into(), moment);
        tensors.insert("wait.time".into(), tensors["bias.time"].clone());
        write_tensors(&saved.path().join(OPTIMIZER), &tensors).unwrap();
        let error = saved.load_into(model.clone()).unwrap_err().to_string();
        assert!(error.contains("no use for tensor \"wait.time\""), "{error}");

        fs::write(saved.path().join(MODEL), b"torn").unwrap();
        let error = saved.load_into(model).unwrap_err().to_string();
        assert!(error.contains("model.safetensors"), "{error}");
        fs::write(saved.path().join(STATE), b"{").unwrap();
        let error = Checkpoint::latest(folder.path()).unwrap_err().to_string();
        assert!(error.contains("state.json") && error.contains("delete"), "{error}");
    }

    #[test]
    fn a_changed_config_is_refused_unless_it_only_changes_bookkeeping() {
        let folder = tempfile::tempdir().unwrap();
        let (model, optimizer) = trained();
        let checkpoint = Checkpoint::save(folder.path(), state(1), &model, &optimizer, 1).unwrap();
        checkpoint.check_config(&TrainConfig { log_every: 77, keep_last: 5, ..config() }).unwrap();
        let mut changed = config();
        changed.sources[1].weight = 0.25;
        let error = checkpoint.check_config(&changed).unwrap_err().to_string();
        assert!(error.contains("`sources.1.weight` was 0.5 and is now 0.25"), "{error}");
    }
}
