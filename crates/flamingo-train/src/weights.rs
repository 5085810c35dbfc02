//! A module's tensors in a safetensors file, strictly: what is written is complete, what is read fits exactly.

use std::collections::BTreeSet;
use std::fs::File;
use std::path::Path;

use burn::module::Module;
use burn_store::{ApplyError, ModuleSnapshot, ModuleStore, PathFilter, SafetensorsStore};
use flamingo_core::nearest;

use crate::error::TrainError;
use crate::files;
use crate::paths::{all_paths, trainable_paths};

/// Writes all tensors of `module`, frozen ones included, named by their paths; the file is whole or not there.
///
/// # Errors
///
/// [`TrainError::Corrupt`] if a tensor cannot be read back or the file cannot be written.
pub fn save_module<M: Module>(module: &M, path: &Path) -> Result<(), TrainError> {
    save(module, path, None)
}

/// Loads a file written by [`save_module`] into `module`, keeping devices and what is frozen.
///
/// # Errors
///
/// If the file does not read, or if a tensor is missing, unused or of another shape or kind; the message has the
/// nearest name.
pub fn load_module<M: Module>(module: M, path: &Path) -> Result<M, TrainError> {
    let expected = all_paths(&module);
    load(module, path, expected)
}

/// Like [`save_module`], for the parameters that can learn only.
pub(crate) fn save_trainable<M: Module>(module: &M, path: &Path) -> Result<(), TrainError> {
    save(module, path, Some(PathFilter::new().with_full_paths(trainable_paths(module))))
}

/// Like [`load_module`], for a file written by [`save_trainable`].
pub(crate) fn load_trainable<M: Module>(module: M, path: &Path) -> Result<M, TrainError> {
    let expected = trainable_paths(&module);
    load(module, path, expected)
}

fn save<M: Module>(module: &M, path: &Path, filter: Option<PathFilter>) -> Result<(), TrainError> {
    // The store writes a scratch file, syncs and renames it. Its default metadata come in random order: without them, equal
    // weights give equal files.
    let mut store =
        SafetensorsStore::from_file(path).skip_enum_variants(true).overwrite(true).clear_metadata();
    if let Some(filter) = filter {
        store = store.filter(filter);
    }
    module
        .save_into(&mut store)
        .map_err(|error| TrainError::corrupt(path, format!("cannot be written: {error}")))?;
    files::sync_parent(path)
}

fn load<M: Module>(mut module: M, path: &Path, expected: Vec<String>) -> Result<M, TrainError> {
    File::open(path).map_err(TrainError::io("read", path))?;
    // Names are compared here and errors reported below, with the nearest names.
    let mut store =
        SafetensorsStore::from_file(path).skip_enum_variants(true).validate(false).allow_partial(true);
    let found = store.keys().map_err(|error| files::not_safetensors(path, error))?;
    check_names(path, &expected, &found)?;
    let result = module.load_from(&mut store).map_err(|error| files::not_safetensors(path, error))?;
    result.errors.into_iter().next().map_or(Ok(module), |error| Err(mismatch(path, error)))
}

fn check_names(path: &Path, expected: &[String], found: &[String]) -> Result<(), TrainError> {
    let wanted: BTreeSet<&str> = expected.iter().map(String::as_str).collect();
    let present: BTreeSet<&str> = found.iter().map(String::as_str).collect();
    let unused = || present.difference(&wanted).copied();
    let missing = || wanted.difference(&present).copied();
    if let Some(name) = missing().next() {
        let hint =
            nearest::nearest(name, unused()).map(|near| format!("; there is {near:?}")).unwrap_or_default();
        return Err(TrainError::MissingTensor { path: path.to_owned(), name: name.to_owned(), hint });
    }
    if let Some(name) = unused().next() {
        let hint =
            nearest::nearest(name, wanted).map(|near| format!("; it has {near:?}")).unwrap_or_default();
        return Err(TrainError::UnusedTensor { path: path.to_owned(), name: name.to_owned(), hint });
    }
    Ok(())
}

fn mismatch(file: &Path, error: ApplyError) -> TrainError {
    let (name, expected, found) = match error {
        ApplyError::ShapeMismatch { path, expected, found } => {
            (path, format!("shape {:?}", expected.as_slice()), format!("shape {:?}", found.as_slice()))
        }
        ApplyError::DTypeMismatch { path, expected, found } => {
            (path, format!("{expected:?}"), format!("{found:?}"))
        }
        ApplyError::AdapterError { path, message } | ApplyError::LoadError { path, message } => {
            (path, "readable data".to_owned(), message)
        }
    };
    TrainError::TensorMismatch { path: file.to_owned(), name, expected, found }
}

#[cfg(test)]
mod tests {
    use burn::nn::{Linear, LinearConfig};
    use burn::tensor::Device;

    use super::*;

    #[derive(Module, Debug)]
    struct Pair {
        first: Linear,
        second: Linear,
    }

    fn pair(width: usize, device: &Device) -> Pair {
        Pair {
            first: LinearConfig::new(3, width).init(device),
            second: LinearConfig::new(width, 1).with_bias(false).init(device),
        }
    }

    #[derive(Module, Debug)]
    struct Renamed {
        first: Linear,
        sekond: Linear,
    }

    #[test]
    fn a_module_round_trips_and_keeps_what_is_frozen() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model.safetensors");
        let device = Device::flex().autodiff();
        let mut saved = pair(4, &device);
        saved.first = saved.first.no_grad();
        save_module(&saved, &path).unwrap();
        let bytes = std::fs::read(&path).unwrap();
        save_module(&saved, &path).expect("overwriting is fine");
        assert_eq!(std::fs::read(&path).unwrap(), bytes, "equal weights give equal files");

        let mut fresh = pair(4, &device);
        fresh.first = fresh.first.no_grad();
        let loaded = load_module(fresh, &path).unwrap();
        assert_eq!(loaded.first.weight.to_data(), saved.first.weight.to_data());
        assert_eq!(loaded.second.weight.to_data(), saved.second.weight.to_data());
        assert_eq!(trainable_paths(&loaded), ["second.weight"]);
    }

    #[test]
    fn only_learning_parameters_go_into_the_partial_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model.safetensors");
        let device = Device::flex().autodiff();
        let mut saved = pair(4, &device);
        saved.first = saved.first.no_grad();
        save_trainable(&saved, &path).unwrap();
        let keys = SafetensorsStore::from_file(&path).keys().unwrap();
        assert_eq!(keys, ["second.weight"]);

        let first = saved.first.weight.to_data();
        let loaded = load_trainable(saved, &path).unwrap();
        assert_eq!(loaded.first.weight.to_data(), first);
        let error = load_module(pair(4, &device), &path).unwrap_err().to_string();
        assert!(error.contains("first.bias") && error.contains("missing"), "{error}");
    }

    #[test]
    fn misfits_name_file_tensor_and_neighbour() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model.safetensors");
        let device = Device::flex();
        save_module(&pair(4, &device), &path).unwrap();

        let error = load_module(pair(5, &device), &path).unwrap_err().to_string();
        assert!(error.contains("expected shape [3, 5], found shape [3, 4]"), "{error}");

        let other = Renamed { first: pair(4, &device).first, sekond: pair(4, &device).second };
        let error = load_module(other, &path).unwrap_err().to_string();
        assert!(error.contains("\"sekond.weight\" is missing; there is \"second.weight\""), "{error}");

        std::fs::write(&path, b"not a model").unwrap();
        let error = load_module(pair(4, &device), &path).unwrap_err().to_string();
        assert!(error.contains("model.safetensors") && error.contains("not a whole"), "{error}");
    }
}
