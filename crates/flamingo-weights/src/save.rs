//! Writing safetensors, tensor by tensor.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use burn::tensor::{DType, TensorData};
use serde::Serialize;

use crate::checkpoint::Checkpoint;
use crate::error::WeightsError;
use crate::safetensors::DTYPES;
use crate::tensor;

/// A tensor that is going to be written.
#[derive(Debug, Clone, PartialEq)]
pub struct TensorPlan {
    /// Its name in the file.
    pub name: String,
    /// Sides, outermost first.
    pub shape: Vec<usize>,
    /// The number format in the file.
    pub dtype: DType,
}

#[derive(Serialize)]
struct HeaderEntry<'a> {
    dtype: &'static str,
    shape: &'a [usize],
    data_offsets: (u64, u64),
}

/// Writes a safetensors file of the tensors of `plans`, asking `read` for one after the other and converting it to the
/// planned format: memory holds one tensor at a time. The file is whole or not there.
///
/// # Errors
///
/// If `read` fails, or gives a tensor of another shape than planned; if two plans have one name; if the file cannot be
/// written.
pub fn save_safetensors(
    path: &Path,
    plans: &[TensorPlan],
    metadata: &BTreeMap<String, String>,
    mut read: impl FnMut(&str) -> Result<TensorData, WeightsError>,
) -> Result<(), WeightsError> {
    let (header, order) = header(path, plans, metadata)?;
    let io = || WeightsError::io("write", path);
    let scratch = Scratch::beside(path);
    let mut file = BufWriter::new(File::create(&scratch.0).map_err(io())?);
    file.write_all(&(header.len() as u64).to_le_bytes())
        .and_then(|()| file.write_all(&header))
        .map_err(io())?;
    for plan in order {
        let data = read(&plan.name)?;
        let found = data.shape().as_slice().to_vec();
        let data = if found == plan.shape {
            tensor::cast(data, plan.dtype)
        } else {
            Err(format!("has shape {found:?} where {:?} was planned", plan.shape))
        };
        let data =
            data.map_err(|error| WeightsError::corrupt(path, format!("tensor {:?} {error}", plan.name)))?;
        file.write_all(data.as_bytes()).map_err(io())?;
    }
    let file = file.into_inner().map_err(|error| io()(error.into_error()))?;
    file.sync_all().and_then(|()| scratch.rename(path)).map_err(io())
}

impl Checkpoint {
    /// Writes all tensors as one safetensors file. With `float`, floats are converted to that format; quantised ones
    /// become f32 otherwise. Of the metadata, texts are kept.
    ///
    /// # Errors
    ///
    /// If a tensor cannot be read, or the file not be written.
    pub fn save_safetensors(&self, path: impl AsRef<Path>, float: Option<DType>) -> Result<(), WeightsError> {
        let plan = |name: &str| {
            let info = self.info(name)?;
            let stored = info.dtype()?;
            let dtype = float.filter(|_| stored.is_float()).unwrap_or(stored);
            Some(TensorPlan { name: name.to_owned(), shape: info.shape.clone(), dtype })
        };
        // What has no plan cannot be read: let reading say why.
        let plans: Vec<TensorPlan> = self
            .names()
            .map(|name| plan(name).map_or_else(|| self.read(name).map(|data| plan_of(name, &data)), Ok))
            .collect::<Result<_, _>>()?;
        let texts =
            self.metadata().iter().filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned())));
        save_safetensors(path.as_ref(), &plans, &texts.collect(), |name| self.read(name))
    }
}

fn plan_of(name: &str, data: &TensorData) -> TensorPlan {
    TensorPlan { name: name.to_owned(), shape: data.shape().as_slice().to_vec(), dtype: data.dtype() }
}

/// The header, padded so that data are aligned, and the order of the tensors behind it: widest elements first.
fn header<'a>(
    path: &Path,
    plans: &'a [TensorPlan],
    metadata: &BTreeMap<String, String>,
) -> Result<(Vec<u8>, Vec<&'a TensorPlan>), WeightsError> {
    let corrupt = |message: String| WeightsError::corrupt(path, message);
    let mut order: Vec<&TensorPlan> = plans.iter().collect();
    order.sort_by(|a, b| b.dtype.size().cmp(&a.dtype.size()).then_with(|| a.name.cmp(&b.name)));
    let mut entries = serde_json::Map::new();
    let json =
        |value: serde_json::Result<serde_json::Value>| value.map_err(|error| corrupt(error.to_string()));
    if !metadata.is_empty() {
        entries.insert("__metadata__".to_owned(), json(serde_json::to_value(metadata))?);
    }
    let mut end = 0u64;
    for TensorPlan { name, shape, dtype } in &order {
        let Some((dtype_name, _)) = DTYPES.iter().find(|(_, known)| known == dtype) else {
            return Err(corrupt(format!("safetensors have no format for {dtype:?} of tensor {name:?}")));
        };
        let start = end;
        let n_bytes = tensor::n_elements(shape).and_then(|n| n.checked_mul(dtype.size()));
        end = n_bytes
            .and_then(|n| start.checked_add(n as u64))
            .ok_or_else(|| corrupt(format!("tensor {name:?} is too large")))?;
        let entry = HeaderEntry { dtype: dtype_name, shape, data_offsets: (start, end) };
        if entries.insert(name.clone(), json(serde_json::to_value(entry))?).is_some() {
            return Err(WeightsError::DuplicateTensor { path: path.to_owned(), name: name.clone() });
        }
    }
    let mut header = serde_json::to_vec(&entries).map_err(|error| corrupt(error.to_string()))?;
    header.resize(header.len().next_multiple_of(8), b' ');
    Ok((header, order))
}

/// A hidden file beside the one to be written; it is removed unless renamed.
struct Scratch(PathBuf);

impl Scratch {
    fn beside(path: &Path) -> Self {
        // Two threads of one process may write the same file, as two processes may.
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let name = path.file_name().map(|name| name.to_string_lossy()).unwrap_or_default();
        let (process, count) = (std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        Self(path.with_file_name(format!(".{name}.{process}-{count}.tmp")))
    }

    fn rename(&self, path: &Path) -> io::Result<()> {
        fs::rename(&self.0, path)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // After a rename there is nothing to remove; after an error, that error is the one to report.
        let _ = fs::remove_file(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(name: &str, shape: &[usize], dtype: DType) -> TensorPlan {
        TensorPlan { name: name.to_owned(), shape: shape.to_vec(), dtype }
    }

    fn data(name: &str) -> TensorData {
        match name {
            "small" => TensorData::from([[1.5f32, -2.0], [0.25, 3.0]]),
            _ => TensorData::from([7i64, -8]),
        }
    }

    #[test]
    fn others_read_what_is_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out.safetensors");
        let plans = [plan("small", &[2, 2], DType::BF16), plan("wide", &[2], DType::I64)];
        let metadata = BTreeMap::from([("format".to_owned(), "pt".to_owned())]);
        save_safetensors(&path, &plans, &metadata, |name| Ok(data(name))).unwrap();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "no scratch file is left");

        let bytes = fs::read(&path).unwrap();
        let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
        let small = file.tensor("small").unwrap();
        assert_eq!((small.dtype(), small.shape()), (safetensors::Dtype::BF16, &[2, 2][..]));
        let ours = Checkpoint::open(&path).unwrap();
        assert_eq!(ours.read("small").unwrap().try_cast(DType::F32).unwrap(), data("small"));
        assert_eq!(ours.read("wide").unwrap(), data("wide"));
        assert_eq!(ours.metadata()["format"].as_str(), Some("pt"));

        let copy = folder.path().join("copy.safetensors");
        ours.save_safetensors(&copy, Some(DType::F32)).unwrap();
        let copy = Checkpoint::open(&copy).unwrap();
        assert_eq!((copy.read("small").unwrap(), copy.read("wide").unwrap()), (data("small"), data("wide")));
    }

    #[test]
    fn a_failed_write_leaves_the_old_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out.safetensors");
        fs::write(&path, b"old").unwrap();
        let wrong = [plan("small", &[4], DType::F32)];
        let error = save_safetensors(&path, &wrong, &BTreeMap::new(), |name| Ok(data(name))).unwrap_err();
        assert!(error.to_string().contains("\"small\" has shape [2, 2] where [4] was planned"), "{error}");
        let twice = [plan("small", &[2, 2], DType::F32), plan("small", &[2, 2], DType::F32)];
        assert!(save_safetensors(&path, &twice, &BTreeMap::new(), |name| Ok(data(name))).is_err());
        assert_eq!(fs::read(&path).unwrap(), b"old");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
