//! A reference's weights into one of our modules, strictly.

use std::collections::BTreeMap;

use burn::module::Module;
use burn_store::{ModuleSnapshot, PyTorchToBurnAdapter, SafetensorsStore};
use flamingo_core::nearest;
use safetensors::{Dtype, tensor::TensorView};

use crate::fixture::HostTensor;

/// Named tensors on their way from a reference's names and shapes to ours.
///
/// Each step acts on every key that contains a text, and panics if there is none: a key map with a dead line in it is
/// wrong.
#[derive(Debug, Clone)]
pub struct Weights {
    fixture: String,
    tensors: BTreeMap<String, HostTensor>,
}

impl Weights {
    pub(crate) fn new(fixture: &str, tensors: BTreeMap<String, HostTensor>) -> Self {
        Self { fixture: fixture.to_owned(), tensors }
    }

    /// Replaces `from` by `to` in every key.
    ///
    /// # Panics
    ///
    /// If no key contains `from`.
    pub fn rename(self, from: &str, to: &str) -> Self {
        self.each(from, |key, tensor| vec![(key.replace(from, to), tensor)])
    }

    /// Cuts every tensor whose key contains `from` along its first dimension, into `parts` (text that replaces `from`,
    /// number of rows).
    ///
    /// # Panics
    ///
    /// If no key contains `from`, or the rows do not add up.
    pub fn split_rows(self, from: &str, parts: &[(&str, usize)]) -> Self {
        self.each(from, |key, tensor| {
            let rows: usize = parts.iter().map(|(_, rows)| rows).sum();
            assert_eq!(tensor.shape.first(), Some(&rows), "rows of {key}");
            let width: usize = tensor.shape[1..].iter().product();
            let mut rest = tensor.values.as_slice();
            let mut cut = |rows: usize| {
                let (values, after) = rest.split_at(rows * width);
                rest = after;
                let shape = [&[rows], &tensor.shape[1..]].concat();
                HostTensor { shape, values: values.to_vec() }
            };
            parts.iter().map(|(to, rows)| (key.replace(from, to), cut(*rows))).collect()
        })
    }

    /// Drops (or adds) dimensions of length 1 at the end of every tensor whose key ends with `suffix`, until it has
    /// `rank` dimensions.
    ///
    /// # Panics
    ///
    /// If no key ends with `suffix`, or another dimension would have to go.
    pub fn with_rank(self, suffix: &str, rank: usize) -> Self {
        self.each(suffix, |key, mut tensor| {
            if key.ends_with(suffix) {
                let lost = tensor.shape.get(rank..).unwrap_or_default();
                assert!(lost.iter().all(|side| *side == 1), "{key} has shape {:?}", tensor.shape);
                tensor.shape.resize(rank, 1);
            }
            vec![(key, tensor)]
        })
    }

    /// Loads into `module`: `Linear` weights are transposed and norms' parameters renamed from PyTorch's convention,
    /// and enum variants in paths (`Norm`) are left out.
    ///
    /// # Panics
    ///
    /// If a parameter gets no tensor, a tensor no parameter, or shapes differ; the message lists all of them.
    pub fn load_into<M: Module>(self, mut module: M) -> M {
        let fixture = self.fixture.clone();
        let fail = |message: String| -> ! { panic!("weights of fixture {fixture} do not fit: {message}") };
        let mut store = SafetensorsStore::from_bytes(Some(self.into_bytes()))
            .with_from_adapter(PyTorchToBurnAdapter)
            .skip_enum_variants(true)
            .allow_partial(true)
            .validate(false);
        let result = match module.load_from(&mut store) {
            Ok(result) => result,
            Err(error) => fail(error.to_string()),
        };
        let errors = result.errors.iter().map(ToString::to_string);
        let missing = result.missing.iter().map(|(path, _)| {
            let hint = nearest::hint(path, result.unused.iter().map(String::as_str));
            format!("{path} gets no tensor{hint}")
        });
        let unused = result.unused.iter().map(|path| format!("{path} has no place in the module"));
        let problems: Vec<String> = errors.chain(missing).chain(unused).collect();
        if problems.is_empty() { module } else { fail(problems.join("\n  ")) }
    }

    fn each(
        mut self,
        part: &str,
        mut change: impl FnMut(String, HostTensor) -> Vec<(String, HostTensor)>,
    ) -> Self {
        let keys: Vec<String> = self.tensors.keys().filter(|key| key.contains(part)).cloned().collect();
        assert!(
            !keys.is_empty(),
            "fixture {} has no key with {part:?}: {:?}",
            self.fixture,
            self.tensors.keys()
        );
        let chosen: Vec<_> = keys.iter().filter_map(|key| self.tensors.remove_entry(key)).collect();
        for (key, tensor) in chosen.into_iter().flat_map(|(key, tensor)| change(key, tensor)) {
            let previous = self.tensors.insert(key.clone(), tensor);
            assert!(previous.is_none(), "fixture {}: two tensors are now named {key:?}", self.fixture);
        }
        self
    }

    fn into_bytes(self) -> Vec<u8> {
        let bytes: Vec<(String, Vec<usize>, Vec<u8>)> = self
            .tensors
            .into_iter()
            .map(|(key, tensor)| {
                (key, tensor.shape, tensor.values.into_iter().flat_map(f32::to_le_bytes).collect())
            })
            .collect();
        let views = bytes.iter().map(|(key, shape, bytes)| {
            TensorView::new(Dtype::F32, shape.clone(), bytes).map(|view| (key.as_str(), view))
        });
        let views: Result<Vec<_>, _> = views.collect();
        views
            .and_then(|views| safetensors::serialize(views, None))
            .unwrap_or_else(|error| panic!("fixture {}: {error}", self.fixture))
    }
}

#[cfg(test)]
mod tests {
    use burn::nn::{LayerNorm, LayerNormConfig, Linear, LinearConfig};
    use burn::tensor::Device;

    use super::*;

    #[derive(Module, Debug)]
    struct Two {
        norm: LayerNorm,
        first: Linear,
        second: Linear,
    }

    fn two() -> Two {
        let linear = |to| LinearConfig::new(2, to).with_bias(false).init(&Device::flex());
        Two { norm: LayerNormConfig::new(2).init(&Device::flex()), first: linear(1), second: linear(2) }
    }

    fn weights() -> Weights {
        let tensor =
            |shape: &[usize], values: &[f32]| HostTensor { shape: shape.into(), values: values.into() };
        let tensors = [
            ("ln.weight", tensor(&[2], &[1.0, 2.0])),
            ("ln.bias", tensor(&[2, 1], &[3.0, 4.0])),
            ("both.weight", tensor(&[3, 2], &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0])),
        ];
        Weights::new("test", tensors.map(|(key, tensor)| (key.to_owned(), tensor)).into())
    }

    #[test]
    fn names_and_layouts_are_translated() {
        let mapped = weights()
            .rename("ln.", "norm.")
            .with_rank("bias", 1)
            .split_rows("both", &[("first", 1), ("second", 2)]);
        let module = mapped.load_into(two());
        let values = |linear: &Linear| linear.weight.val().into_data().iter::<f32>().collect::<Vec<f32>>();
        assert_eq!(values(&module.first), [1.0, 2.0]);
        assert_eq!(values(&module.second), [3.0, 5.0, 4.0, 6.0], "transposed");
        assert_eq!(module.norm.gamma.val().into_data().iter::<f32>().collect::<Vec<f32>>(), [1.0, 2.0]);
    }

    #[test]
    #[should_panic(expected = "norm.gamma gets no tensor")]
    fn parameters_without_a_tensor_are_named() {
        let _ = weights()
            .with_rank("bias", 1)
            .split_rows("both", &[("first", 1), ("second", 2)])
            .load_into(two());
    }

    #[test]
    #[should_panic(expected = "has no key with \"nothing\"")]
    fn dead_lines_in_a_key_map_are_refused() {
        let _ = weights().rename("nothing", "something");
    }
}
