//! Safetensors: 8 bytes of header length, a JSON header, then the tensors without gaps.

use std::collections::BTreeMap;
use std::sync::Arc;

use burn::tensor::{BoolStore, DType};
use serde::Deserialize;

use crate::checkpoint::{Encoding, Entry, TensorInfo};
use crate::error::WeightsError;
use crate::input::SourceFile;
use crate::metadata::MetadataValue;
use crate::open::Contents;
use crate::tensor::n_elements;

/// The header's longest length, as in the reference implementation.
const MAX_HEADER: u64 = 100_000_000;

/// The formats that are stored and read as they are, by their names in headers.
pub(crate) const DTYPES: [(&str, DType); 13] = [
    ("F64", DType::F64),
    ("F32", DType::F32),
    ("F16", DType::F16),
    ("BF16", DType::BF16),
    ("I64", DType::I64),
    ("I32", DType::I32),
    ("I16", DType::I16),
    ("I8", DType::I8),
    ("U64", DType::U64),
    ("U32", DType::U32),
    ("U16", DType::U16),
    ("U8", DType::U8),
    ("BOOL", DType::Bool(BoolStore::Native)),
];

#[derive(Deserialize)]
struct Header {
    #[serde(rename = "__metadata__", default)]
    metadata: BTreeMap<String, String>,
    #[serde(flatten)]
    tensors: BTreeMap<String, HeaderEntry>,
}

#[derive(Deserialize)]
struct HeaderEntry {
    dtype: String,
    shape: Vec<usize>,
    data_offsets: (u64, u64),
}

/// Whether the first 9 bytes of a file look like this format's.
pub(crate) fn is_format(start: &[u8]) -> bool {
    start.get(8) == Some(&b'{')
}

/// Reads the header and checks that the tensors fill the file exactly.
pub(crate) fn open(file: SourceFile) -> Result<Contents, WeightsError> {
    let file = Arc::new(file);
    let corrupt = |message: String| {
        WeightsError::corrupt(file.path(), format!("not a whole safetensors file: {message}"))
    };
    let mut input = file.parse(0, file.len())?;
    let header = input.u64().map_err(corrupt)?;
    if header > MAX_HEADER {
        return Err(corrupt(format!("the header claims {header} bytes")));
    }
    let header = input.bytes(header).map_err(corrupt)?;
    let Header { metadata, tensors } =
        serde_json::from_slice(&header).map_err(|error| corrupt(format!("header: {error}")))?;
    let (start, data) = (input.position(), input.remaining());

    check_gaps(&tensors, data).map_err(corrupt)?;
    let entry = |(name, tensor): (String, HeaderEntry)| {
        let info = tensor.info().map_err(|error| corrupt(format!("tensor {name:?} {error}")))?;
        let offset = start + tensor.data_offsets.0;
        Ok((name, Entry { info, file: file.clone(), offset, strides: None }))
    };
    let entries = tensors.into_iter().map(entry).collect::<Result<_, WeightsError>>()?;
    let metadata = metadata.into_iter().map(|(key, value)| (key, MetadataValue::Text(value))).collect();
    Ok(Contents { entries, metadata })
}

impl HeaderEntry {
    fn info(&self) -> Result<TensorInfo, String> {
        let n_bytes = self.data_offsets.1 - self.data_offsets.0;
        let encoding = match DTYPES.iter().find(|(name, _)| *name == self.dtype) {
            None => Encoding::Unknown(self.dtype.clone()),
            Some((_, dtype)) => {
                let expected = n_elements(&self.shape).and_then(|n| n.checked_mul(dtype.size()));
                if expected.map(|n| n as u64) != Some(n_bytes) {
                    return Err(format!(
                        "of shape {:?} and type {} cannot have {n_bytes} bytes",
                        self.shape, self.dtype
                    ));
                }
                Encoding::Plain(*dtype)
            }
        };
        Ok(TensorInfo { shape: self.shape.clone(), encoding, n_bytes })
    }
}

/// Tensors must follow each other and end with the file.
fn check_gaps(tensors: &BTreeMap<String, HeaderEntry>, data: u64) -> Result<(), String> {
    let mut places: Vec<_> = tensors.iter().map(|(name, tensor)| (tensor.data_offsets, name)).collect();
    places.sort_unstable();
    let mut end = 0;
    for ((from, to), name) in places {
        if from != end || to < from {
            return Err(format!("tensor {name:?} lies at {from}..{to}, but should begin at {end}"));
        }
        end = to;
    }
    if end != data {
        return Err(format!("the tensors take {end} bytes, but {data} follow the header; download it again"));
    }
    Ok(())
}
