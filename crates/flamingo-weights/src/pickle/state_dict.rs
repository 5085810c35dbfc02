//! From a pickle's values to named tensors.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use super::value::{Id, Storage, TensorView, Value, Values};
use crate::checkpoint::{Encoding, Entry, TensorInfo};
use crate::error::WeightsError;
use crate::input::SourceFile;
use crate::metadata::MetadataValue;
use crate::open::Contents;
use crate::strided;
use crate::tensor::n_elements;

/// Where training programs put the weights, beside an optimizer's state and counters.
const CONTAINERS: [&str; 4] = ["model_state_dict", "state_dict", "model", "module"];

/// Deepest nesting of dictionaries and lists.
const MAX_DEPTH: usize = 32;

/// Collects all tensors below `root`. `locate` gives the first byte and the number of bytes of a storage.
pub(crate) fn read(
    file: &Arc<SourceFile>,
    values: &Values,
    root: Id,
    locate: impl Fn(&Storage) -> Result<(u64, u64), WeightsError>,
) -> Result<Contents, WeightsError> {
    let Value::Dict(items) = values.get(root) else {
        return Err(WeightsError::unknown_format(
            file.path(),
            "is a PyTorch file, but holds no dictionary of tensors",
        ));
    };
    let mut collector =
        Collector { file, values, found: Vec::new(), metadata: BTreeMap::new(), seen: HashSet::new() };
    match weights_of(values, items) {
        Some(weights) => {
            collector.scalars(items);
            collector.walk(weights, "", 0)?;
        }
        None => collector.walk(root, "", 0)?,
    }
    let Collector { found, metadata, .. } = collector;
    let mut places: HashMap<&str, (u64, u64)> = HashMap::new();
    let mut entries = BTreeMap::new();
    for (name, view) in found {
        let place = match places.get(view.storage.key.as_str()) {
            Some(place) => *place,
            None => *places.entry(&view.storage.key).or_insert(locate(&view.storage)?),
        };
        let entry = entry(file, view, place)
            .map_err(|message| WeightsError::corrupt(file.path(), format!("tensor {name:?} {message}")))?;
        entries.insert(name, entry);
    }
    Ok(Contents { entries, metadata })
}

/// The dictionary of weights inside a training checkpoint.
fn weights_of(values: &Values, items: &[(Id, Id)]) -> Option<Id> {
    CONTAINERS.iter().find_map(|container| {
        let (_, value) = items.iter().find(|(key, _)| values.text(*key) == Some(container))?;
        matches!(values.get(*value), Value::Dict(_)).then_some(*value)
    })
}

struct Collector<'a> {
    file: &'a SourceFile,
    values: &'a Values,
    found: Vec<(String, &'a TensorView)>,
    metadata: BTreeMap<String, MetadataValue>,
    /// Dictionaries and lists that were entered: each has one name only, or names could multiply without end.
    seen: HashSet<Id>,
}

impl Collector<'_> {
    fn walk(&mut self, id: Id, name: &str, depth: usize) -> Result<(), WeightsError> {
        let value = self.values.get(id);
        if let Value::Dict(_) | Value::List(_) | Value::Tuple(_) = value
            && (depth > MAX_DEPTH || !self.seen.insert(id))
        {
            let message = format!("{name:?} is nested too deeply or has two names; save a plain state dict");
            return Err(WeightsError::corrupt(self.file.path(), message));
        }
        let below = |part: &str| if name.is_empty() { part.to_owned() } else { format!("{name}.{part}") };
        match value {
            Value::Dict(items) => {
                for (key, item) in items {
                    let part = self.key(*key)?;
                    self.walk(*item, &below(&part), depth + 1)?;
                }
            }
            Value::List(items) | Value::Tuple(items) => {
                for (index, item) in items.iter().enumerate() {
                    self.walk(*item, &below(&index.to_string()), depth + 1)?;
                }
            }
            Value::Tensor(view) => self.found.push((name.to_owned(), view)),
            _ => self.scalar(name, value),
        }
        Ok(())
    }

    fn key(&self, id: Id) -> Result<String, WeightsError> {
        match self.values.get(id) {
            Value::Text(text) => Ok(text.clone()),
            Value::Int(number) => Ok(number.to_string()),
            _ => Err(WeightsError::corrupt(self.file.path(), "has a key that is neither text nor a number")),
        }
    }

    /// Numbers and texts beside the weights: the epoch, the step.
    fn scalars(&mut self, items: &[(Id, Id)]) {
        for (key, value) in items {
            if let Some(name) = self.values.text(*key) {
                self.scalar(name, self.values.get(*value));
            }
        }
    }

    fn scalar(&mut self, name: &str, value: &Value) {
        let value = match value {
            Value::Bool(value) => MetadataValue::Bool(*value),
            Value::Int(value) => match i64::try_from(*value) {
                Ok(value) => MetadataValue::Int(value),
                Err(_) => return,
            },
            Value::Float(value) => MetadataValue::Float(*value),
            Value::Text(value) => MetadataValue::Text(value.clone()),
            _ => return,
        };
        self.metadata.insert(name.to_owned(), value);
    }
}

/// Checks that a tensor lies inside its storage, and the storage inside the file.
fn entry(file: &Arc<SourceFile>, view: &TensorView, (start, len): (u64, u64)) -> Result<Entry, String> {
    let TensorView { storage, offset, shape, strides } = view;
    let Some(dtype) = storage.dtype() else {
        let encoding = Encoding::Unknown(storage.kind.clone());
        let info = TensorInfo { shape: shape.clone(), encoding, n_bytes: 0 };
        return Ok(Entry { info, file: file.clone(), offset: start, strides: None });
    };
    let width = dtype.size() as u64;
    if storage.n_elements.checked_mul(width).is_none_or(|needed| needed > len) {
        return Err(format!(
            "has a storage of {} elements, but the file has {len} bytes for it",
            storage.n_elements
        ));
    }
    let span = strided::span(shape, strides).map(|span| span as u64);
    let end = span.and_then(|span| span.checked_add(*offset as u64));
    let (Some(span), true) = (span, end.is_some_and(|end| end <= storage.n_elements)) else {
        return Err(format!(
            "of shape {shape:?}, strides {strides:?} and offset {offset} is bigger than its storage of {} elements",
            storage.n_elements
        ));
    };
    // Strides of 0 repeat elements: a few bytes could claim to be a tensor of any size.
    if n_elements(shape).is_none_or(|n| n as u64 > storage.n_elements) {
        return Err(format!(
            "of shape {shape:?} repeats its storage of {} elements; save a clone() of it",
            storage.n_elements
        ));
    }
    let strides = (!strided::is_contiguous(shape, strides)).then(|| strides.clone());
    let info = TensorInfo { shape: shape.clone(), encoding: Encoding::Plain(dtype), n_bytes: span * width };
    Ok(Entry { info, file: file.clone(), offset: start + *offset as u64 * width, strides })
}
