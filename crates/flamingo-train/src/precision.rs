//! Mixed precision: half-precision copies for the forward pass, f32 for all that accumulates.
//!
//! A parameter that learns stays an f32 leaf (its master weight); the forward pass gets a copy in half precision that is
//! cast inside the graph, so that its gradient arrives at the leaf in f32, and optimizer state is f32. What is frozen is
//! cast once, for the whole stage; the numbers that it had are put on a [`Shelf`] on the host, and come back bit for bit.
//! Micikevicius et al. 2018, "Mixed Precision Training", sections 3.1 and 3.2.

use std::collections::HashMap;
use std::fmt;

use burn::module::{Module, ModuleMapper, Param, ParamId};
use burn::tensor::{FloatDType, Tensor, TensorData};
use flamingo_core::Precision;
use serde::{Deserialize, Serialize};

use crate::optimizer::leaf_like;

/// Frozen parameters as they were before they were narrowed, on the host.
#[derive(Default)]
pub struct Shelf {
    values: HashMap<ParamId, TensorData>,
}

impl fmt::Debug for Shelf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Shelf of {} parameters", self.values.len())
    }
}

impl Shelf {
    /// Narrows the frozen float parameters of `model`, one after another, and keeps what they were.
    pub fn fill<M: Module>(model: M, precision: Precision) -> (M, Self) {
        let mut shelf = Self::default();
        let Some(half) = precision.half() else { return (model, shelf) };
        let model = model.map(&mut Put { shelf: &mut shelf, half });
        (model, shelf)
    }

    /// Puts them back.
    pub fn empty<M: Module>(self, model: M) -> M {
        if self.values.is_empty() { model } else { model.map(&mut Take { values: self.values }) }
    }
}

struct Put<'a> {
    shelf: &'a mut Shelf,
    half: FloatDType,
}

impl ModuleMapper for Put<'_> {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        // A packed (quantised) weight is narrower already.
        if param.is_require_grad() || !param.val().dtype().is_float() {
            return param;
        }
        let (id, value, mapper) = param.consume();
        let narrow = value.clone().cast(self.half);
        self.shelf.values.insert(id, value.into_data());
        Param::from_mapped_value(id, narrow, mapper)
    }
}

struct Take {
    values: HashMap<ParamId, TensorData>,
}

impl ModuleMapper for Take {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let Some(data) = self.values.remove(&param.id) else { return param };
        param.map(|narrow| {
            let dtype = data.dtype();
            Tensor::from_data(data, (&narrow.device(), dtype))
        })
    }
}

/// The model that computes: parameters that learn as copies in half precision, which hang on their leaves.
pub fn narrowed<M: Module>(model: &M, precision: Precision) -> M {
    match precision.half() {
        Some(half) => model.clone().map(&mut Narrow { half }),
        None => model.clone(),
    }
}

struct Narrow {
    half: FloatDType,
}

impl ModuleMapper for Narrow {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        match param.is_require_grad() {
            true => param.map(|leaf| leaf.cast(self.half)),
            false => param,
        }
    }
}

/// The same weights under the same ids as new leaves. Burn keeps everything that hangs on one leaf in one graph behind one
/// lock, so threads that share leaves wait for each other, and now and then for ever: a backward pass that frees its nodes
/// has the graph's lock and waits for that of the table of graphs, an operation that joins two graphs has the table's and
/// waits for theirs (burn-autodiff 0.22.1, `runtime/graph.rs`).
pub(crate) fn with_own_leaves<M: Module>(model: M) -> M {
    model.map(&mut OwnLeaves)
}

struct OwnLeaves;

impl ModuleMapper for OwnLeaves {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        if !param.val().is_require_grad() {
            return param;
        }
        let (id, tensor, mapper) = param.consume();
        let leaf = leaf_like(tensor.clone().inner(), &tensor);
        Param::from_mapped_value(id, leaf, mapper)
    }
}

/// The factor on losses that keeps the small gradients of f16 from becoming zero, found by trial: halved when a gradient
/// overflows, doubled after so many updates without. The rule and its numbers are those of PyTorch's `GradScaler`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LossScale {
    /// The factor.
    pub factor: f64,
    /// Updates since it last changed.
    pub good: u64,
    /// Updates that were skipped because a gradient overflowed.
    pub skipped: u64,
}

impl Default for LossScale {
    fn default() -> Self {
        Self { factor: 65_536.0, good: 0, skipped: 0 }
    }
}

impl LossScale {
    /// Updates without an overflow before the factor is doubled.
    pub const PATIENCE: u64 = 2_000;
    /// Below this an overflow is no matter of scale, but divergence.
    pub const LEAST: f64 = 1.0;

    /// Notes an update that went well.
    pub(crate) fn succeeded(&mut self) {
        self.good += 1;
        if self.good == Self::PATIENCE {
            (self.factor, self.good) = (self.factor * 2.0, 0);
        }
    }

    /// Notes an update that must be skipped; `false` if a smaller factor will not help.
    pub(crate) fn overflowed(&mut self) -> bool {
        if self.factor <= Self::LEAST {
            return false;
        }
        *self = Self { factor: self.factor / 2.0, good: 0, skipped: self.skipped + 1 };
        true
    }
}

#[cfg(test)]
mod tests {
    use burn::nn::{Linear, LinearConfig};
    use burn::optim::GradientsParams;
    use burn::tensor::{DType, Device};

    use super::*;

    #[derive(Module, Debug)]
    struct Net {
        frozen: Linear,
        learns: Linear,
    }

    fn net() -> Net {
        let device = Device::flex().autodiff();
        Net {
            frozen: LinearConfig::new(3, 4).init(&device).no_grad(),
            learns: LinearConfig::new(4, 2).init(&device),
        }
    }

    #[test]
    fn what_is_frozen_is_narrow_and_comes_back_bit_for_bit() {
        let net = net();
        let before = net.frozen.weight.to_data();
        let (narrow, shelf) = Shelf::fill(net, Precision::Bf16);
        assert_eq!(narrow.frozen.weight.val().dtype(), DType::BF16);
        assert_eq!(narrow.learns.weight.val().dtype(), DType::F32);
        assert_eq!(shelf.values.len(), 2);
        let back = shelf.empty(narrow);
        assert_eq!(back.frozen.weight.to_data(), before);
        assert!(!back.frozen.weight.is_require_grad() && back.learns.weight.is_require_grad());
    }

    #[test]
    fn gradients_of_narrow_copies_arrive_at_the_leaves_in_f32() {
        let (net, _shelf) = Shelf::fill(net(), Precision::Bf16);
        let forward = narrowed(&net, Precision::Bf16);
        assert_eq!(forward.learns.weight.val().dtype(), DType::BF16);
        let x = Tensor::<2>::ones([1, 3], &Device::flex()).cast(FloatDType::BF16);
        let y = forward.learns.forward(forward.frozen.forward(Tensor::from_inner(x)));
        let grads = GradientsParams::from_grads(y.cast(FloatDType::F32).sum().backward(), &net);
        assert_eq!(grads.len(), 2);
        assert_eq!(grads.get::<2>(net.learns.weight.id).unwrap().dtype(), DType::F32);
    }

    #[test]
    fn the_scale_falls_at_once_and_rises_slowly() {
        let mut scale = LossScale { factor: 4.0, ..LossScale::default() };
        assert!(scale.overflowed() && scale.overflowed());
        assert_eq!((scale.factor, scale.skipped), (1.0, 2));
        assert!(!scale.overflowed(), "a scale of 1 cannot be at fault");
        for _ in 0..LossScale::PATIENCE {
            assert_eq!(scale.factor, 1.0);
            scale.succeeded();
        }
        assert_eq!((scale.factor, scale.good, scale.skipped), (2.0, 0, 2));
    }
}
