//! What a checkpoint says beside its tensors.

use std::fmt;

/// A value of a checkpoint's metadata.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum MetadataValue {
    /// True or false.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A whole number that may be beyond `i64`.
    Uint(u64),
    /// A number; from f32 widened exactly.
    Float(f64),
    /// Text.
    Text(String),
    /// Several values.
    List(Vec<MetadataValue>),
}

impl MetadataValue {
    /// The truth value, if it is one.
    pub fn as_bool(&self) -> Option<bool> {
        match self {
            MetadataValue::Bool(value) => Some(*value),
            _ => None,
        }
    }

    /// The whole number, if it is one and not negative.
    pub fn as_usize(&self) -> Option<usize> {
        match self {
            MetadataValue::Int(value) => usize::try_from(*value).ok(),
            MetadataValue::Uint(value) => usize::try_from(*value).ok(),
            _ => None,
        }
    }

    /// The number, if it is one; whole ones too.
    pub fn as_f64(&self) -> Option<f64> {
        match self {
            MetadataValue::Int(value) => Some(*value as f64),
            MetadataValue::Uint(value) => Some(*value as f64),
            MetadataValue::Float(value) => Some(*value),
            _ => None,
        }
    }

    /// The text, if it is one.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            MetadataValue::Text(value) => Some(value),
            _ => None,
        }
    }

    /// The values, if there are several.
    pub fn as_list(&self) -> Option<&[MetadataValue]> {
        match self {
            MetadataValue::List(values) => Some(values),
            _ => None,
        }
    }
}

/// Lists by their length only: a tokenizer's has tens of thousands of values.
impl fmt::Display for MetadataValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            MetadataValue::Bool(value) => value.fmt(f),
            MetadataValue::Int(value) => value.fmt(f),
            MetadataValue::Uint(value) => value.fmt(f),
            // As most of them were f32, print no digits beyond that.
            MetadataValue::Float(value) if f64::from(*value as f32) == *value => (*value as f32).fmt(f),
            MetadataValue::Float(value) => value.fmt(f),
            MetadataValue::Text(value) => value.fmt(f),
            MetadataValue::List(values) => write!(f, "[{} values]", values.len()),
        }
    }
}
