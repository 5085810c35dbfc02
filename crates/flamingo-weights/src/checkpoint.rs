//! A checkpoint of any format: named tensors, read one at a time.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use burn::tensor::{DType, TensorData};
use flamingo_core::nearest;

use crate::error::WeightsError;
use crate::gguf::BlockFormat;
use crate::input::SourceFile;
use crate::metadata::MetadataValue;
use crate::{strided, tensor};

/// Named tensors of a file, or of a folder of files. Opening reads names and shapes only.
#[derive(Debug, Clone)]
pub struct Checkpoint {
    pub(crate) path: PathBuf,
    pub(crate) format: Format,
    pub(crate) entries: BTreeMap<String, Entry>,
    pub(crate) metadata: BTreeMap<String, MetadataValue>,
}

/// The format of a checkpoint, found by its content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Format {
    /// Hugging Face safetensors.
    Safetensors,
    /// PyTorch's zip archive, since 1.6.
    PyTorch,
    /// PyTorch's format before 1.6: pickles in a row.
    LegacyPyTorch,
    /// llama.cpp's GGUF.
    Gguf,
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Format::Safetensors => "safetensors",
            Format::PyTorch => "PyTorch",
            Format::LegacyPyTorch => "PyTorch (legacy)",
            Format::Gguf => "GGUF",
        })
    }
}

/// What is known of a tensor without reading it.
#[derive(Debug, Clone, PartialEq)]
pub struct TensorInfo {
    /// Sides, outermost first, as PyTorch has them.
    pub shape: Vec<usize>,
    /// How elements are stored.
    pub encoding: Encoding,
    /// Bytes in the file.
    pub n_bytes: u64,
}

impl TensorInfo {
    /// The number format that [`Checkpoint::read`] gives; `None` if it cannot read the tensor.
    pub fn dtype(&self) -> Option<DType> {
        match &self.encoding {
            Encoding::Plain(dtype) => Some(*dtype),
            Encoding::Blocks(_) => Some(DType::F32),
            Encoding::Unknown(_) => None,
        }
    }
}

/// How a tensor's elements are stored.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Encoding {
    /// One number after the other.
    Plain(DType),
    /// Quantised in blocks.
    Blocks(BlockFormat),
    /// Something that cannot be read, by its own name.
    Unknown(String),
}

impl fmt::Display for Encoding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Encoding::Plain(DType::Bool(_)) => f.write_str("BOOL"),
            Encoding::Plain(dtype) => write!(f, "{dtype:?}"),
            Encoding::Blocks(format) => write!(f, "{format}"),
            Encoding::Unknown(name) => f.write_str(name),
        }
    }
}

/// A tensor and where it lies. Whoever makes one has checked that it lies inside its file.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub info: TensorInfo,
    pub file: Arc<SourceFile>,
    /// Of the first element.
    pub offset: u64,
    /// Elements from one index to the next of each dimension; `None` if the tensor is contiguous.
    pub strides: Option<Vec<usize>>,
}

impl Checkpoint {
    /// Opens a file, a folder, or the index of a sharded checkpoint. The format is found by content, not by name.
    ///
    /// In a folder, safetensors come before PyTorch files, and those before GGUF.
    ///
    /// # Errors
    ///
    /// If there is no checkpoint, or its structure is damaged: all sizes are checked against the files here.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, WeightsError> {
        crate::open::open(path.as_ref())
    }

    /// The file or folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The format of its files.
    pub fn format(&self) -> Format {
        self.format
    }

    /// All tensors' names, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.entries.keys().map(String::as_str)
    }

    /// Shape and encoding of a tensor.
    pub fn info(&self, name: &str) -> Option<&TensorInfo> {
        self.entries.get(name).map(|entry| &entry.info)
    }

    /// Where the bytes of a tensor begin in its file; `None` if there is no such tensor, or it does not lie in one piece.
    pub fn offset(&self, name: &str) -> Option<u64> {
        self.entries.get(name).filter(|entry| entry.strides.is_none()).map(|entry| entry.offset)
    }

    /// What the file says beside its tensors: keys and values of a GGUF, safetensors' metadata, numbers and texts
    /// beside the weights in a training checkpoint of PyTorch.
    pub fn metadata(&self) -> &BTreeMap<String, MetadataValue> {
        &self.metadata
    }

    /// Reads a tensor as it is stored; quantised ones as f32.
    ///
    /// # Errors
    ///
    /// If there is no such tensor, its encoding is not known, or the file does not read.
    pub fn read(&self, name: &str) -> Result<TensorData, WeightsError> {
        let entry = self.entries.get(name).ok_or_else(|| WeightsError::UnknownTensor {
            path: self.path.clone(),
            name: name.to_owned(),
            hint: nearest::hint(name, self.names()),
        })?;
        let TensorInfo { shape, encoding, n_bytes } = &entry.info;
        let data = match encoding {
            Encoding::Unknown(encoding) => {
                return Err(WeightsError::UnsupportedEncoding {
                    path: entry.file.path().to_owned(),
                    name: name.to_owned(),
                    encoding: encoding.clone(),
                });
            }
            Encoding::Blocks(format) => {
                let values = format.dequantise(&entry.file.read(entry.offset, *n_bytes)?);
                let n_values = values.len();
                tensor::reshape(TensorData::new(values, [n_values]), shape)
            }
            Encoding::Plain(dtype) => {
                let mut bytes = entry.file.read(entry.offset, *n_bytes)?;
                if let Some(strides) = &entry.strides {
                    bytes = strided::gather(&bytes, shape, strides, dtype.size());
                }
                if matches!(dtype, DType::Bool(_)) {
                    bytes.iter_mut().for_each(|byte| *byte = (*byte != 0).into());
                }
                TensorData::try_from_bytes_vec(bytes, shape.clone(), *dtype)
                    .map_err(|error| error.to_string())
            }
        };
        data.map_err(|error| WeightsError::corrupt(entry.file.path(), format!("tensor {name:?} {error}")))
    }

    /// Gives every tensor the name that `name` makes of its own; `None` drops it.
    ///
    /// # Errors
    ///
    /// [`WeightsError::DuplicateTensor`] if two tensors get the same name.
    pub fn rename(mut self, mut name: impl FnMut(&str) -> Option<String>) -> Result<Self, WeightsError> {
        for (old, entry) in std::mem::take(&mut self.entries) {
            if let Some(new) = name(&old)
                && self.entries.insert(new.clone(), entry).is_some()
            {
                return Err(WeightsError::DuplicateTensor { path: self.path, name: new });
            }
        }
        Ok(self)
    }

    /// Takes out of every name what wrappers of PyTorch modules put in: `module.` (data parallel, at the front),
    /// `_checkpoint_wrapped_module.`, `_fsdp_wrapped_module.` and `_orig_mod.` (anywhere).
    ///
    /// # Errors
    ///
    /// As [`Checkpoint::rename`].
    pub fn unwrapped(self) -> Result<Self, WeightsError> {
        const WRAPPERS: [&str; 3] = ["_checkpoint_wrapped_module", "_fsdp_wrapped_module", "_orig_mod"];
        let parallel = self.names().all(|name| name.starts_with("module.")) && !self.entries.is_empty();
        self.rename(|name| {
            let name = if parallel { name.trim_start_matches("module.") } else { name };
            let kept: Vec<&str> = name.split('.').filter(|part| !WRAPPERS.contains(part)).collect();
            Some(kept.join("."))
        })
    }
}
