//! Checkpoints: enough to continue a run as if it had never stopped.
//!
//! `{folder}/step-000123/` holds `model.safetensors` (parameters that learn, nothing frozen), `optimizer.safetensors`
//! (keyed by parameter path) and `state.json`. The folder appears under its name only when all of it is on disk, and loses
//! the name before anything of it is deleted: whatever is called so is whole.

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
use crate::paths::trainable_bytes;
use crate::precision::LossScale;
use crate::weights;

const MODEL: &str = "model.safetensors";
const OPTIMIZER: &str = "optimizer.safetensors";
const STATE: &str = "state.json";
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
    /// What was measured after this very update.
    #[serde(default)]
    pub evaluation: BTreeMap<String, f64>,
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
    /// Writes a checkpoint into `folder`, then deletes all but the newest ones and the best one, as its configuration
    /// says ([`TrainConfig::keep_last`], [`TrainConfig::keep_best`]). Does nothing if there is one of the same step.
    ///
    /// # Errors
    ///
    /// If a file cannot be written; older checkpoints are then untouched.
    pub fn save<M: Module>(
        folder: &Path,
        state: CheckpointState,
        model: &M,
        optimizer: &PathAdamW,
    ) -> Result<Self, TrainError> {
        let path = folder.join(format!("step-{:06}", state.step));
        let checkpoint = Self { path, state };
        if !checkpoint.path.exists() {
            checkpoint.write(model, optimizer)?;
        }
        prune(folder, &checkpoint.state.config)?;
        Ok(checkpoint)
    }

    fn write<M: Module>(&self, model: &M, optimizer: &PathAdamW) -> Result<(), TrainError> {
        let scratch = files::scratch_path(&self.path);
        self.write_into(&scratch, model, optimizer).inspect_err(|_| {
            // Half a checkpoint is of no use, and where the disk is full its room is. The first error is to be told.
            let _ = fs::remove_dir_all(&scratch);
        })
    }

    fn write_into<M: Module>(
        &self,
        scratch: &Path,
        model: &M,
        optimizer: &PathAdamW,
    ) -> Result<(), TrainError> {
        if scratch.exists() {
            fs::remove_dir_all(scratch).map_err(TrainError::io("delete", scratch))?;
        }
        files::create_folder(scratch)?;
        weights::save_trainable(model, &scratch.join(MODEL))?;
        write_tensors(&scratch.join(OPTIMIZER), &optimizer.to_tensors(model))?;
        let state_path = scratch.join(STATE);
        let json = serde_json::to_vec_pretty(&self.state)
            .map_err(|error| TrainError::corrupt(&state_path, error.to_string()))?;
        files::write_atomic(&state_path, &json)?;
        fs::rename(scratch, &self.path).map_err(TrainError::io("write", &self.path))?;
        files::sync_parent(&self.path)
    }

    /// Deletes what killed writes have left in `folder`. For the start of a run, while nobody else writes there.
    ///
    /// # Errors
    ///
    /// If something cannot be deleted.
    pub fn sweep(folder: &Path) -> Result<(), TrainError> {
        files::sweep(folder)
    }

    /// About how many bytes a checkpoint of `model` takes.
    pub fn bytes<M: Module>(model: &M) -> u64 {
        // The weights and both moments.
        3 * trainable_bytes(model)
    }

    /// The newest checkpoint in `folder`; `None` if there is none, or no folder.
    ///
    /// # Errors
    ///
    /// [`TrainError::TornCheckpoint`] if the newest one does not read back. An older one is never taken silently in its
    /// place.
    pub fn latest(folder: &Path) -> Result<Option<Self>, TrainError> {
        list(folder)?.pop().map(|(_, path)| Self::open(path)).transpose()
    }

    /// The checkpoint in `folder` with the smallest value of `metric`, the oldest of equals; `None` if none has a value.
    ///
    /// # Errors
    ///
    /// If the folder cannot be listed. What does not read back is passed over.
    pub fn best(folder: &Path, metric: &str) -> Result<Option<Self>, TrainError> {
        let whole = list(folder)?.into_iter().filter_map(|(_, path)| Self::open(path).ok());
        let scored = whole.filter_map(|one| Some((*one.state.evaluation.get(metric)?, one)));
        Ok(scored.min_by(|(a, _), (b, _)| a.total_cmp(b)).map(|(_, best)| best))
    }

    /// Opens one checkpoint's folder.
    ///
    /// # Errors
    ///
    /// [`TrainError::TornCheckpoint`] if its state does not read back.
    pub fn open(path: PathBuf) -> Result<Self, TrainError> {
        let state_path = path.join(STATE);
        let state = fs::read(&state_path).map_err(TrainError::io("read", &state_path)).and_then(|json| {
            serde_json::from_slice(&json).map_err(|error| TrainError::corrupt(&state_path, error.to_string()))
        });
        match state {
            Ok(state) => Ok(Self { path, state }),
            Err(error) => Err(torn(&path, error)),
        }
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
        let mut before = self.state.config.clone();
        before.take_bookkeeping(now);
        match first_difference("", &json(&before)?, &json(now)?) {
            Some((key, before, now)) => Err(TrainError::ResumeMismatch { path, key, before, now }),
            None => Ok(()),
        }
    }

    /// Loads the parameters into `model`, and the optimizer's state for them.
    ///
    /// # Errors
    ///
    /// [`TrainError::TornCheckpoint`] if a file does not read back; others if it does not fit the model's trainable
    /// parameters.
    pub fn load_into<M: Module>(&self, model: M) -> Result<(M, PathAdamW), TrainError> {
        self.read_into(model).map_err(|error| match error {
            TrainError::Corrupt { .. } | TrainError::Io { .. } => torn(&self.path, error),
            misfit => misfit,
        })
    }

    fn read_into<M: Module>(&self, model: M) -> Result<(M, PathAdamW), TrainError> {
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

/// The error for a checkpoint that does not read back: it names the one before, if there is one.
fn torn(path: &Path, reason: TrainError) -> TrainError {
    let all = path.parent().map_or_else(|| Ok(Vec::new()), list).unwrap_or_default();
    let before = all.into_iter().map(|(_, other)| other).take_while(|other| other != path).last();
    TrainError::TornCheckpoint { path: path.to_owned(), before, source: Box::new(reason) }
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

fn prune(folder: &Path, config: &TrainConfig) -> Result<(), TrainError> {
    let mut checkpoints = list(folder)?;
    let old = checkpoints.len().saturating_sub(config.keep_last);
    checkpoints.truncate(old);
    if checkpoints.is_empty() {
        return Ok(());
    }
    let best = match &config.keep_best {
        Some(metric) => Checkpoint::best(folder, metric)?.map(|best| best.path),
        None => None,
    };
    let superfluous = checkpoints.iter().map(|(_, path)| path).filter(|path| Some(*path) != best.as_ref());
    superfluous.into_iter().try_for_each(|path| files::remove_folder(path))
}

/// The first leaf in which two configurations differ: its dotted key and both values.
fn first_difference(key: &str, before: &Value, now: &Value) -> Option<(String, String, String)> {
    let child = |name: &str| if key.is_empty() { name.to_owned() } else { format!("{key}.{name}") };
    match (before, now) {
        (Value::Object(old), Value::Object(new)) => old.keys().chain(new.keys()).find_map(|name| {
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
            evaluation: BTreeMap::new(),
            window: Window::default(),
        }
    }

    /// Everything that an error says.
    fn chain(error: &TrainError) -> String {
        let causes = std::iter::successors(std::error::Error::source(error), |cause| cause.source());
        causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
    }

    fn steps(folder: &Path) -> Vec<u64> {
        list(folder).unwrap().into_iter().map(|(step, _)| step).collect()
    }

    #[test]
    fn parameters_and_optimizer_state_round_trip_by_path() {
        let folder = tempfile::tempdir().unwrap();
        let (model, optimizer) = trained();
        Checkpoint::save(folder.path(), state(7), &model, &optimizer).unwrap();

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
    fn only_the_newest_are_kept_and_scratch_folders_are_swept() {
        let folder = tempfile::tempdir().unwrap();
        let (model, optimizer) = trained();
        assert!(Checkpoint::latest(&folder.path().join("none")).unwrap().is_none());
        fs::create_dir(folder.path().join(".step-000099.1.tmp")).unwrap();
        for step in [8, 9, 10, 10] {
            Checkpoint::save(folder.path(), state(step), &model, &optimizer).unwrap();
        }
        assert_eq!(steps(folder.path()), [9, 10]);
        assert_eq!(Checkpoint::latest(folder.path()).unwrap().unwrap().state().step, 10);
        Checkpoint::sweep(folder.path()).unwrap();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
    }

    #[test]
    fn the_best_is_kept_beside_the_newest() {
        let folder = tempfile::tempdir().unwrap();
        let (model, optimizer) = trained();
        let scored = |step, values: &[(&str, f64)]| CheckpointState {
            config: TrainConfig { keep_best: Some("nll".to_owned()), evaluate_every: 1, ..config() },
            evaluation: values.iter().map(|(name, value)| ((*name).to_owned(), *value)).collect(),
            ..state(step)
        };
        for (step, values) in [
            (1, &[("nll", 3.0)][..]),
            (2, &[("nll", 1.0), ("other", 9.0)]),
            (3, &[("nll", 1.0)]),
            (4, &[("other", 0.0)]),
            (5, &[]),
        ] {
            Checkpoint::save(folder.path(), scored(step, values), &model, &optimizer).unwrap();
        }
        assert_eq!(steps(folder.path()), [2, 4, 5]);
        let best = |metric| Checkpoint::best(folder.path(), metric).unwrap().map(|best| best.state.step);
        assert_eq!([best("nll"), best("other"), best("accuracy")], [Some(2), Some(4), None]);
        // A better one takes its place.
        Checkpoint::save(folder.path(), scored(6, &[("nll", 0.5)]), &model, &optimizer).unwrap();
        assert_eq!(steps(folder.path()), [5, 6]);
    }

    #[test]
    fn a_checkpoint_that_cannot_be_written_leaves_the_others_and_no_rest() {
        let folder = tempfile::tempdir().unwrap();
        let (model, optimizer) = trained();
        Checkpoint::save(folder.path(), state(1), &model, &optimizer).unwrap();
        // A file where the folder would be: not even root can write there.
        let taken = folder.path().join("taken");
        fs::write(&taken, "").unwrap();
        let error = Checkpoint::save(&taken, state(2), &model, &optimizer).unwrap_err();
        assert!(chain(&error).contains("taken"), "{error}");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
        Checkpoint::latest(folder.path()).unwrap().unwrap().load_into(model.clone()).unwrap();
        // 3 x (2 x 3 + 3) numbers, and what names them.
        let path = folder.path().join("step-000001");
        let size = |name: &str| fs::metadata(path.join(name)).unwrap().len();
        let (bytes, real) = (Checkpoint::bytes(&model), size(MODEL) + size(OPTIMIZER));
        assert_eq!(bytes, 3 * 9 * 4);
        assert!(real > bytes && real < bytes + 2000, "{real}");
    }

    #[test]
    fn damage_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let (model, optimizer) = trained();
        Checkpoint::save(folder.path(), state(1), &model, &optimizer).unwrap();
        let saved = Checkpoint::save(folder.path(), state(2), &model, &optimizer).unwrap();

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
        let error = chain(&saved.load_into(model).unwrap_err());
        for part in ["step-000002", "delete", "go on from", "step-000001", "model.safetensors"] {
            assert!(error.contains(part), "{part}: {error}");
        }
        for spoil in
            [|path: &Path| fs::write(path, b"{").unwrap(), |path: &Path| fs::remove_file(path).unwrap()]
        {
            spoil(&saved.path().join(STATE));
            let error = chain(&Checkpoint::latest(folder.path()).unwrap_err());
            for part in ["step-000002", "delete", "step-000001", "state.json"] {
                assert!(error.contains(part), "{part}: {error}");
            }
        }
        fs::remove_dir_all(folder.path().join("step-000001")).unwrap();
        let error = chain(&Checkpoint::latest(folder.path()).unwrap_err());
        assert!(error.contains("delete") && error.contains("from its start"), "{error}");
    }

    #[test]
    fn a_changed_config_is_refused_unless_it_only_changes_bookkeeping() {
        let folder = tempfile::tempdir().unwrap();
        let (model, optimizer) = trained();
        let checkpoint = Checkpoint::save(folder.path(), state(1), &model, &optimizer).unwrap();
        checkpoint.check_config(&TrainConfig { log_every: 77, keep_last: 5, ..config() }).unwrap();
        let mut changed = config();
        changed.sources[1].weight = 0.25;
        let error = checkpoint.check_config(&changed).unwrap_err().to_string();
        assert!(error.contains("`sources.1.weight` was 0.5 and is now 0.25"), "{error}");
    }
}
