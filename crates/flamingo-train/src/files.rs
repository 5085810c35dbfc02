//! Files that are either whole or not there, and tensors in them.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use burn::tensor::{DType, TensorData};
use safetensors::tensor::{Dtype, SafeTensors, TensorView};

use crate::error::TrainError;

/// Writes a file so that after a crash either the old contents or the new ones are there, never a part.
///
/// # Errors
///
/// If the folder does not exist or cannot be written to.
pub fn write_atomic(path: &Path, bytes: &[u8]) -> Result<(), TrainError> {
    let scratch = scratch_path(path);
    let write = || {
        let mut file = File::create(&scratch)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&scratch, path)
    };
    write().map_err(|error| {
        // The scratch file is of no use to anybody; the first error is the one to report.
        let _ = fs::remove_file(&scratch);
        TrainError::io("write", path)(error)
    })?;
    sync_parent(path)
}

/// A hidden sibling of `path`, for work in progress.
pub(crate) fn scratch_path(path: &Path) -> PathBuf {
    let name = path.file_name().map(|name| name.to_string_lossy()).unwrap_or_default();
    path.with_file_name(format!(".{name}.{}.tmp", std::process::id()))
}

/// Whether `name` is that of work in progress: [`scratch_path`]'s, or one that Burn's store (`NAME.PID-N.tmp`) or the
/// safetensors crate (`.tmp` and six more) writes into.
fn is_scratch(name: &str) -> bool {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if let Some(id) = name.strip_prefix(".tmp") {
        return id.len() == 6 && id.bytes().all(|byte| byte.is_ascii_alphanumeric());
    }
    let Some((rest, id)) = name.strip_suffix(".tmp").and_then(|stem| stem.rsplit_once('.')) else {
        return false;
    };
    match id.split_once('-') {
        Some((pid, n)) => digits(pid) && digits(n) && !rest.is_empty(),
        None => digits(id) && rest.len() > 1 && rest.starts_with('.'),
    }
}

/// Deletes what writes that were killed have left in `folder`, if there is such a folder. Nobody else may be writing.
pub(crate) fn sweep(folder: &Path) -> Result<(), TrainError> {
    if !folder.is_dir() {
        return Ok(());
    }
    for entry in fs::read_dir(folder).map_err(TrainError::io("list", folder))? {
        let path = entry.map_err(TrainError::io("list", folder))?.path();
        if path.file_name().is_some_and(|name| is_scratch(&name.to_string_lossy())) {
            let deleted = if path.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
            deleted.map_err(TrainError::io("delete", &path))?;
        }
    }
    Ok(())
}

/// Makes a folder and those above it, durably.
pub(crate) fn create_folder(path: &Path) -> Result<(), TrainError> {
    let missing: Vec<&Path> = path.ancestors().take_while(|folder| !folder.exists()).collect();
    fs::create_dir_all(path).map_err(TrainError::io("create the folder", path))?;
    missing.into_iter().try_for_each(sync_parent)
}

/// Deletes a folder such that it is never there in part: it loses its name first.
pub(crate) fn remove_folder(path: &Path) -> Result<(), TrainError> {
    let scratch = scratch_path(path);
    let delete = || {
        if scratch.exists() {
            fs::remove_dir_all(&scratch)?;
        }
        fs::rename(path, &scratch)?;
        fs::remove_dir_all(&scratch)
    };
    delete().map_err(TrainError::io("delete", path))
}

/// Makes a rename inside the parent folder of `path` durable.
pub(crate) fn sync_parent(path: &Path) -> Result<(), TrainError> {
    match path.parent().filter(|parent| cfg!(unix) && !parent.as_os_str().is_empty()) {
        Some(parent) => {
            File::open(parent).and_then(|folder| folder.sync_all()).map_err(TrainError::io("sync", parent))
        }
        None => Ok(()),
    }
}

/// Writes named tensors as a safetensors file, atomically.
pub(crate) fn write_tensors(path: &Path, tensors: &BTreeMap<String, TensorData>) -> Result<(), TrainError> {
    let views = tensors
        .iter()
        .map(|(name, data)| {
            let dtype = safetensors_dtype(data.dtype()).ok_or_else(|| {
                TrainError::corrupt(path, format!("cannot hold {:?} tensor {name:?}", data.dtype()))
            })?;
            TensorView::new(dtype, data.shape().as_slice().to_vec(), data.as_bytes())
                .map(|view| (name.as_str(), view))
                .map_err(|error| TrainError::corrupt(path, format!("tensor {name:?}: {error}")))
        })
        .collect::<Result<Vec<_>, _>>()?;
    let bytes =
        safetensors::serialize(views, None).map_err(|error| TrainError::corrupt(path, error.to_string()))?;
    write_atomic(path, &bytes)
}

/// Reads all tensors of a safetensors file.
pub(crate) fn read_tensors(path: &Path) -> Result<BTreeMap<String, TensorData>, TrainError> {
    let bytes = fs::read(path).map_err(TrainError::io("read", path))?;
    let file = SafeTensors::deserialize(&bytes).map_err(|error| not_safetensors(path, error))?;
    file.iter()
        .map(|(name, view)| {
            let dtype = burn_dtype(view.dtype()).ok_or_else(|| {
                TrainError::corrupt(
                    path,
                    format!("tensor {name:?} has the unexpected format {:?}", view.dtype()),
                )
            })?;
            let data = TensorData::try_from_bytes_vec(view.data().to_vec(), view.shape().to_vec(), dtype)
                .map_err(|error| TrainError::corrupt(path, format!("tensor {name:?}: {error:?}")))?;
            Ok((name.to_owned(), data))
        })
        .collect()
}

/// The error for a file that is torn or is something else.
pub(crate) fn not_safetensors(path: &Path, reason: impl std::fmt::Display) -> TrainError {
    TrainError::corrupt(path, format!("not a whole safetensors file ({reason}); make it anew or restore it"))
}

const DTYPES: [(DType, Dtype); 5] = [
    (DType::F64, Dtype::F64),
    (DType::F32, Dtype::F32),
    (DType::F16, Dtype::F16),
    (DType::BF16, Dtype::BF16),
    (DType::I64, Dtype::I64),
];

fn safetensors_dtype(dtype: DType) -> Option<Dtype> {
    DTYPES.iter().find(|(burn, _)| *burn == dtype).map(|(_, other)| *other)
}

fn burn_dtype(dtype: Dtype) -> Option<DType> {
    DTYPES.iter().find(|(_, other)| *other == dtype).map(|(burn, _)| *burn)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tensors_round_trip_and_a_torn_file_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state.safetensors");
        let tensors = BTreeMap::from([
            ("a.b".to_owned(), TensorData::from([[1.5f32, -2.0], [0.0, 3.0]])),
            ("time".to_owned(), TensorData::new(vec![7i64], [1])),
        ]);
        write_tensors(&path, &tensors).unwrap();
        assert_eq!(read_tensors(&path).unwrap(), tensors);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "no scratch file is left");

        let bytes = fs::read(&path).unwrap();
        fs::write(&path, &bytes[..bytes.len() - 3]).unwrap();
        let error = read_tensors(&path).unwrap_err().to_string();
        assert!(error.contains("state.safetensors") && error.contains("not a whole"), "{error}");
    }

    #[test]
    fn only_unfinished_work_is_swept() {
        let folder = tempfile::tempdir().unwrap();
        let kept = ["model.safetensors", "a.tmp", ".12.tmp", "a.12.tmp", "step-000001", ".lock", "a.1-x.tmp"];
        let swept = [".state.json.77.tmp", "model.safetensors.77-0.tmp", ".tmpaB3dE6"];
        for name in kept.iter().chain(&swept) {
            fs::write(folder.path().join(name), "").unwrap();
        }
        fs::create_dir(folder.path().join(".step-000002.77.tmp")).unwrap();
        fs::write(folder.path().join(".step-000002.77.tmp/state.json"), "").unwrap();
        sweep(folder.path()).unwrap();
        sweep(&folder.path().join("none")).unwrap();
        let mut left: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
        left.sort();
        let mut expected = kept;
        expected.sort();
        assert_eq!(left, expected);
    }

    #[test]
    fn folders_are_made_and_removed_whole() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("a/b/c");
        create_folder(&path).unwrap();
        create_folder(&path).unwrap();
        fs::write(path.join("file"), "").unwrap();
        remove_folder(&path).unwrap();
        assert_eq!(fs::read_dir(root.path().join("a/b")).unwrap().count(), 0);
        let file = root.path().join("file");
        fs::write(&file, "").unwrap();
        let error = create_folder(&file.join("below")).unwrap_err();
        assert!(matches!(error, TrainError::Io { action: "create the folder", .. }), "{error}");
    }

    #[test]
    fn a_failed_write_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let error = write_atomic(&folder.path().join("missing/file"), b"x").unwrap_err();
        assert!(matches!(error, TrainError::Io { action: "write", .. }), "{error}");
    }
}
