//! How a parameter is made of tensors.

use std::fmt;
use std::sync::Arc;

use burn::tensor::TensorData;

use crate::tensor;

/// A function from tensors of the file to a parameter.
type Make = Arc<dyn Fn(Vec<TensorData>) -> Result<TensorData, String> + Send + Sync>;

/// The operation of a rule.
#[derive(Clone)]
pub(crate) enum Recipe {
    Copy,
    Squeeze,
    Transpose,
    Rows { groups: usize, part: usize, of: usize },
    Custom(Make),
}

impl Recipe {
    /// The shape that the tensor must have to make a parameter of shape `target`; `None` if that is not known before
    /// reading it. `found` is the shape that it has.
    pub(crate) fn source_shape(
        &self,
        target: &[usize],
        in_linear: bool,
        found: &[usize],
    ) -> Option<Vec<usize>> {
        let reversed = || target.iter().rev().copied().collect::<Vec<_>>();
        match self {
            Recipe::Copy => Some(target.to_vec()),
            Recipe::Squeeze => {
                Some(if without_ones(found).eq(without_ones(target)) { found } else { target }.to_vec())
            }
            Recipe::Transpose => Some(reversed()),
            Recipe::Rows { of, .. } => {
                let mut shape = if in_linear { reversed() } else { target.to_vec() };
                if let Some(rows) = shape.first_mut() {
                    *rows *= of;
                }
                Some(shape)
            }
            Recipe::Custom(_) => None,
        }
    }

    /// Makes the parameter of shape `target`.
    pub(crate) fn apply(
        &self,
        mut sources: Vec<TensorData>,
        target: &[usize],
        in_linear: bool,
    ) -> Result<TensorData, String> {
        if let Recipe::Custom(make) = self {
            return make(sources);
        }
        let data = sources.pop().ok_or("got no tensor")?;
        match self {
            Recipe::Squeeze => tensor::reshape(data, target),
            Recipe::Transpose => tensor::transpose(data),
            Recipe::Rows { groups, part, of } => {
                let rows = tensor::rows(data, *groups, *part, *of)?;
                if in_linear { tensor::transpose(rows) } else { Ok(rows) }
            }
            Recipe::Copy | Recipe::Custom(_) => Ok(data),
        }
    }
}

impl fmt::Debug for Recipe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Recipe::Copy => f.write_str("copy"),
            Recipe::Squeeze => f.write_str("squeeze"),
            Recipe::Transpose => f.write_str("transpose"),
            Recipe::Rows { groups: 1, part, of } => write!(f, "rows {part}/{of}"),
            Recipe::Rows { groups, part, of } => write!(f, "rows {part}/{of} in {groups} groups"),
            Recipe::Custom(_) => f.write_str("function"),
        }
    }
}

fn without_ones(shape: &[usize]) -> impl Iterator<Item = &usize> {
    shape.iter().filter(|side| **side != 1)
}
