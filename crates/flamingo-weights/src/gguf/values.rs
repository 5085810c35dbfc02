//! Keys and values of a GGUF file.

use std::collections::BTreeMap;
use std::io::{BufRead, Seek};

use crate::input::{Input, ParseResult};
use crate::metadata::MetadataValue;

/// Most values in all lists together. The largest vocabularies have a quarter of a million tokens, each with a text, a
/// score, a type and a merge.
const MAX_VALUES: u64 = 1 << 23;

/// Deepest nesting of lists.
const MAX_DEPTH: usize = 4;

const LIST: u32 = 9;

/// Reads `n_keys` keys with their values.
pub(crate) fn read<R: BufRead + Seek>(
    input: &mut Input<R>,
    n_keys: u64,
) -> ParseResult<BTreeMap<String, MetadataValue>> {
    let mut budget = MAX_VALUES;
    let mut metadata = BTreeMap::new();
    for _ in 0..n_keys {
        let key = text(input)?;
        let kind = input.u32()?;
        let value = value(input, kind, &mut budget, 0).map_err(|error| format!("key {key:?}: {error}"))?;
        metadata.insert(key, value);
    }
    Ok(metadata)
}

/// Text with its length in 8 bytes before it.
pub(crate) fn text<R: BufRead + Seek>(input: &mut Input<R>) -> ParseResult<String> {
    let len = input.u64()?;
    input.text(len)
}

fn value<R: BufRead + Seek>(
    input: &mut Input<R>,
    kind: u32,
    budget: &mut u64,
    depth: usize,
) -> ParseResult<MetadataValue> {
    Ok(match kind {
        0 => MetadataValue::Uint(input.u8()?.into()),
        1 => MetadataValue::Int(i8::from_le_bytes(input.array()?).into()),
        2 => MetadataValue::Uint(input.u16()?.into()),
        3 => MetadataValue::Int(i16::from_le_bytes(input.array()?).into()),
        4 => MetadataValue::Uint(input.u32()?.into()),
        5 => MetadataValue::Int(i32::from_le_bytes(input.array()?).into()),
        6 => MetadataValue::Float(f32::from_le_bytes(input.array()?).into()),
        7 => MetadataValue::Bool(input.u8()? != 0),
        8 => MetadataValue::Text(text(input)?),
        LIST => list(input, budget, depth)?,
        10 => MetadataValue::Uint(input.u64()?),
        11 => MetadataValue::Int(i64::from_le_bytes(input.array()?)),
        12 => MetadataValue::Float(f64::from_le_bytes(input.array()?)),
        other => return Err(format!("values of type {other} are not known")),
    })
}

fn list<R: BufRead + Seek>(
    input: &mut Input<R>,
    budget: &mut u64,
    depth: usize,
) -> ParseResult<MetadataValue> {
    let (kind, len) = (input.u32()?, input.u64()?);
    if depth == MAX_DEPTH {
        return Err("lists in lists in lists".to_owned());
    }
    *budget = budget.checked_sub(len).ok_or_else(|| format!("a list claims {len} values"))?;
    let mut values = Vec::new();
    for _ in 0..len {
        values.push(value(input, kind, budget, depth + 1)?);
    }
    Ok(MetadataValue::List(values))
}
