//! GGUF, versions 2 and 3: the format of llama.cpp.
//!
//! A header with counts, keys with values, tensors' names, sides (innermost first), types and places, then the tensors,
//! each aligned. Layout: `docs/gguf.md` of ggml.

mod blocks;
mod values;

use std::collections::BTreeMap;
use std::io::{BufRead, Seek};
use std::sync::Arc;

use burn::tensor::DType;

use crate::checkpoint::{Encoding, Entry, TensorInfo};
use crate::error::WeightsError;
use crate::input::{Input, ParseResult, SourceFile};
use crate::metadata::MetadataValue;
use crate::open::Contents;
use crate::tensor::n_elements;

pub use blocks::BlockFormat;

const MAGIC: &[u8; 4] = b"GGUF";

/// ggml itself has 4.
const MAX_DIMENSIONS: u32 = 8;

/// A tensor as the header describes it.
struct Announced {
    name: String,
    info: TensorInfo,
    /// From the start of the data.
    offset: u64,
}

/// Reads keys and tensors' places, and checks that each tensor lies inside the file.
pub(crate) fn open(file: SourceFile) -> Result<Contents, WeightsError> {
    let file = Arc::new(file);
    let corrupt =
        |message: String| WeightsError::corrupt(file.path(), format!("not a whole GGUF file: {message}"));
    let mut input = file.parse(0, file.len())?;
    let (metadata, tensors) = header(&mut input).map_err(corrupt)?;
    let start = data_start(&metadata, input.position()).map_err(corrupt)?;
    let mut entries = BTreeMap::new();
    for Announced { name, info, offset } in tensors {
        let place = start
            .checked_add(offset)
            .filter(|at| at.checked_add(info.n_bytes).is_some_and(|end| end <= file.len()));
        let Some(offset) = place else {
            return Err(corrupt(format!(
                "tensor {name:?} claims {} bytes at {offset} of the data, but the file ends before; it is cut short or \
                 its header is wrong",
                info.n_bytes
            )));
        };
        let entry = Entry { info, file: file.clone(), offset, strides: None };
        if entries.insert(name.clone(), entry).is_some() {
            return Err(WeightsError::DuplicateTensor { path: file.path().to_owned(), name });
        }
    }
    Ok(Contents { entries, metadata })
}

fn header<R: BufRead + Seek>(
    input: &mut Input<R>,
) -> ParseResult<(BTreeMap<String, MetadataValue>, Vec<Announced>)> {
    if input.array::<4>()? != *MAGIC {
        return Err("it does not begin with GGUF".to_owned());
    }
    match input.u32()? {
        2 | 3 => {}
        version if version.swap_bytes() <= 3 => {
            return Err("it is big-endian: convert it with gguf-py".to_owned());
        }
        version => return Err(format!("version {version} is not known; versions 2 and 3 are")),
    }
    let (n_tensors, n_keys) = (input.u64()?, input.u64()?);
    // Counts are not believed: reading stops at the end of the file at the latest.
    let metadata = values::read(input, n_keys)?;
    let mut tensors = Vec::new();
    for _ in 0..n_tensors {
        tensors.push(announced(input)?);
    }
    Ok((metadata, tensors))
}

fn announced<R: BufRead + Seek>(input: &mut Input<R>) -> ParseResult<Announced> {
    let name = values::text(input)?;
    let n_dimensions = input.u32()?;
    if n_dimensions > MAX_DIMENSIONS {
        return Err(format!("tensor {name:?} claims {n_dimensions} dimensions"));
    }
    let mut shape = Vec::new();
    for _ in 0..n_dimensions {
        shape.push(usize::try_from(input.u64()?).map_err(|error| format!("tensor {name:?}: {error}"))?);
    }
    shape.reverse();
    let encoding = encoding(input.u32()?);
    let n_bytes = n_bytes(&encoding, &shape)
        .ok_or_else(|| format!("tensor {name:?} of shape {shape:?} cannot be stored as {encoding}"))?;
    Ok(Announced { name, info: TensorInfo { shape, encoding, n_bytes }, offset: input.u64()? })
}

/// Data begin at a multiple of the alignment, 32 if the file does not say.
fn data_start(metadata: &BTreeMap<String, MetadataValue>, header_end: u64) -> ParseResult<u64> {
    let alignment = match metadata.get("general.alignment") {
        None => 32,
        Some(value) => value
            .as_usize()
            .filter(|it| it.is_power_of_two())
            .ok_or("general.alignment is no power of two")?,
    };
    header_end
        .checked_next_multiple_of(alignment as u64)
        .ok_or_else(|| "general.alignment is too large".to_owned())
}

/// The encoding of a type number of ggml.
fn encoding(number: u32) -> Encoding {
    if let Some(format) = BlockFormat::numbered(number) {
        return Encoding::Blocks(format);
    }
    match number {
        0 => Encoding::Plain(DType::F32),
        1 => Encoding::Plain(DType::F16),
        24 => Encoding::Plain(DType::I8),
        25 => Encoding::Plain(DType::I16),
        26 => Encoding::Plain(DType::I32),
        27 => Encoding::Plain(DType::I64),
        28 => Encoding::Plain(DType::F64),
        30 => Encoding::Plain(DType::BF16),
        9 => Encoding::Unknown("Q8_1".to_owned()),
        10 => Encoding::Unknown("Q2_K".to_owned()),
        11 => Encoding::Unknown("Q3_K".to_owned()),
        15 => Encoding::Unknown("Q8_K".to_owned()),
        other => Encoding::Unknown(format!("ggml type {other}")),
    }
}

/// Bytes of a tensor, 0 where that is not known; `None` if there is no such tensor.
fn n_bytes(encoding: &Encoding, shape: &[usize]) -> Option<u64> {
    let elements = n_elements(shape)?;
    let bytes = match encoding {
        Encoding::Plain(dtype) => elements.checked_mul(dtype.size())?,
        Encoding::Blocks(format) => {
            // Blocks do not go over the end of a row.
            let row = shape.last().copied().unwrap_or(1);
            let whole = row.is_multiple_of(format.n_elements());
            elements.checked_div(format.n_elements()).filter(|_| whole)?.checked_mul(format.n_bytes())?
        }
        Encoding::Unknown(_) => 0,
    };
    Some(bytes as u64)
}

#[cfg(test)]
mod tests;
