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
    fn a_failed_write_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let error = write_atomic(&folder.path().join("missing/file"), b"x").unwrap_err();
        assert!(matches!(error, TrainError::Io { action: "write", .. }), "{error}");
    }
}
