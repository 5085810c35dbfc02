//! Reading a fixture file.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use burn::tensor::{Device, Tensor, TensorData};
use flamingo_core::nearest;
use half::f16;
use safetensors::{Dtype, SafeTensors};

use crate::compare;
use crate::difference::Bound;
use crate::record::Origin;
use crate::weights::Weights;

/// The tensors of one file of `tests/fixtures`, which are f32 or f16 there.
#[derive(Debug, Clone)]
pub struct Fixture {
    origin: Origin,
    tensors: BTreeMap<String, HostTensor>,
}

/// f32 values, row-major.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct HostTensor {
    pub shape: Vec<usize>,
    pub values: Vec<f32>,
}

impl Fixture {
    /// Reads `tests/fixtures/{name}.safetensors`.
    ///
    /// # Panics
    ///
    /// If it is not there or not readable, or a tensor is not f32.
    pub fn load(name: &str) -> Self {
        let path = path(name);
        let bytes = fs::read(&path).unwrap_or_else(|error| {
            panic!("cannot read {} ({error}); the scripts in tests/parity write the fixtures", path.display())
        });
        let file = SafeTensors::deserialize(&bytes)
            .unwrap_or_else(|error| panic!("{} is not a whole safetensors file: {error}", path.display()));
        let tensors = file.iter().map(|(key, view)| {
            let values = match view.dtype() {
                Dtype::F32 => view.data().as_chunks().0.iter().map(|it| f32::from_le_bytes(*it)).collect(),
                Dtype::F16 => {
                    view.data().as_chunks().0.iter().map(|it| f16::from_le_bytes(*it).to_f32()).collect()
                }
                other => panic!("tensor {key} of {} is {other:?}; f32 or f16 was expected", path.display()),
            };
            (key.to_owned(), HostTensor { shape: view.shape().to_vec(), values })
        });
        let origin = Origin::new(name, metadata(&bytes));
        Self { origin, tensors: tensors.collect() }
    }

    /// What the fixture is about, for comparisons that [`Fixture::assert_close`] cannot make.
    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// Asserts that every element of `actual` is within `tolerance * (1 + |expected|)` of the tensor `key`, on whatever
    /// device it is.
    ///
    /// # Panics
    ///
    /// If there is no such tensor, shapes differ, or an element is farther away or NaN.
    #[track_caller]
    pub fn assert_close<const D: usize>(&self, key: &str, actual: Tensor<D>, tolerance: f32) {
        let HostTensor { shape, values } = self.host(key);
        assert_eq!(&actual.dims()[..], shape, "tensor {key:?} of fixture {}", self.origin.fixture);
        self.origin.assert_inside(key, &compare::values(actual), values, shape, Bound::Scaled(tolerance));
    }

    /// The tensor `key` on `device`, in the shape that the reference gave it.
    ///
    /// # Panics
    ///
    /// If there is no such tensor, or it has not `D` dimensions.
    pub fn tensor<const D: usize>(&self, key: &str, device: &Device) -> Tensor<D> {
        let tensor = self.host(key);
        let (rank, name) = (tensor.shape.len(), &self.origin.fixture);
        assert_eq!(rank, D, "tensor {key:?} of fixture {name} has {rank} dimensions, not {D}");
        Tensor::from_data(TensorData::new(tensor.values.clone(), tensor.shape.clone()), device)
    }

    /// The weights: all tensors below `weights.`, under the reference's own keys.
    pub fn weights(&self) -> Weights {
        let below = |(key, tensor): (&String, &HostTensor)| {
            key.strip_prefix("weights.").map(|key| (key.to_owned(), tensor.clone()))
        };
        Weights::new(&self.origin.fixture, self.tensors.iter().filter_map(below).collect())
    }

    #[track_caller]
    fn host(&self, key: &str) -> &HostTensor {
        self.tensors.get(key).unwrap_or_else(|| {
            let hint = nearest::hint(key, self.tensors.keys().map(String::as_str));
            panic!("fixture {} has no tensor {key:?}{hint}", self.origin.fixture)
        })
    }
}

/// Looks a text of a safetensors file's metadata up.
fn metadata(bytes: &[u8]) -> impl Fn(&str) -> Option<String> {
    let texts = SafeTensors::read_metadata(bytes).ok().and_then(|(_, header)| header.metadata().clone());
    move |key| texts.as_ref()?.get(key).cloned()
}

/// Where the fixture `name` is: `tests/fixtures/{name}.safetensors`.
pub fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures").join(format!("{name}.safetensors"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tensors_keep_their_shape() {
        let fixture = Fixture::load("adamw-0");
        assert_eq!(fixture.tensor::<2>("in.grad0", &Device::flex()).dims(), [3, 4]);
    }

    #[test]
    fn part_and_reference_are_read() {
        let Origin { fixture, part, reference } = Fixture::load("adamw-0").origin;
        assert_eq!((fixture.as_str(), part.as_str()), ("adamw-0", "training: AdamW"));
        assert!(reference.starts_with("torch "), "{reference}");
    }

    #[test]
    #[should_panic(expected = "has no tensor \"in.grad\"")]
    fn missing_keys_are_named() {
        let _ = Fixture::load("adamw-0").tensor::<2>("in.grad", &Device::flex());
    }

    #[test]
    #[should_panic(expected = "the scripts in tests/parity write the fixtures")]
    fn missing_files_say_what_makes_them() {
        let _ = Fixture::load("no-such-fixture");
    }
}
