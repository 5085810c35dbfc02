//! Gradients without stored activations: each layer is computed a second time when its gradient is due.
//!
//! Chen et al. 2016, "Training Deep Nets with Sublinear Memory Cost". A graph over a whole decoder keeps some tens of
//! tensors for each layer until the backward pass. Here the first pass has no graph and keeps what enters each layer; then,
//! from the last layer to the first, a layer is computed again with a graph of its own, of which nothing is left behind
//! its gradient. That is one forward pass more, for the memory of one layer. (Burn's own gradient checkpointing recomputes
//! element-wise operations only, and until the backward pass begins keeps what they read.)
//!
//! As in the loss (`loss/blocks.rs`), what enters the caller's graph is `sum W * dW` over the parameters that learn,
//! gradients as constants, with its value replaced by the loss: it has the loss's value and the loss's gradients.

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::optim::{GradientsAccumulator, GradientsParams};
use burn::tensor::{DType, Gradients, Tensor};
use flamingo_core::Batch;
use flamingo_core::precision::widen;
use flamingo_lm::{Decoder, Pass};
use flamingo_xattn::Sight;

use crate::loss::{LossSpec, Targets, weighted_nll};
use crate::model::Flamingo;

/// A model that is a chain of layers, all of which may see the same visual tokens.
pub trait Layered: Module {
    /// The layers' decoder.
    fn lm(&self) -> &Decoder;

    /// What is seen before anything learns, `[B, M, F, P, E]`, without a graph; `None` if there is nothing to see.
    fn look(&self, batch: &Batch) -> Option<Tensor<5>>;

    /// `[B, M, F, P, E]` to visual tokens `[B, M, R, E]`.
    fn visual(&self, features: Tensor<5>) -> Tensor<4>;

    /// How the batch's texts see media of dimensions `[B, M, R]`.
    fn sight(&self, batch: &Batch, dims: [usize; 3]) -> Sight;

    /// What stands before a layer, and the layer itself: `[B, L, D]` to `[B, L, D]`.
    fn layer(&self, layer: usize, x: Tensor<3>, seen: Option<(&Tensor<4>, &Sight)>, pass: &Pass)
    -> Tensor<3>;
}

/// The loss of a batch, `[1]`, as of [`weighted_nll`] behind the model, with the gradients of all parameters that learn.
///
/// `batch` is on the device without a graph.
///
/// # Panics
///
/// In f16: the backward passes in here would not know of the factor that a caller puts on the loss.
pub fn recomputed_nll<M: Layered>(model: &M, batch: &Batch, targets: &Targets, spec: LossSpec) -> Tensor<1> {
    assert!(model.lm().embedding.val().dtype() != DType::F16, "gradient checkpointing needs f32 or bf16");
    let mut own = Own { model: model.clone().map(&mut OwnLeaves), gradients: GradientsAccumulator::new() };
    let ids = || batch.ids.clone();

    let plain = model.valid();
    let features = plain.look(batch);
    let visual = features.clone().map(|features| plain.visual(features));
    let sight = visual.as_ref().map(|visual| {
        let [rows, media, latents, _] = visual.dims();
        plain.sight(batch, [rows, media, latents])
    });
    let (x, pass) = plain.lm().begin(ids());
    // What enters each layer, and what leaves the last.
    let mut between = vec![x];
    for layer in 0..plain.lm().blocks.len() {
        let x = between[layer].clone();
        between.push(plain.layer(layer, x, visual.as_ref().zip(sight.as_ref()), &pass));
    }
    drop(plain);

    let last = leaf(between.remove(between.len() - 1));
    let loss = weighted_nll(own.model.lm(), own.model.lm().finish(last.clone()), targets, spec);
    let mut gradients = loss.backward();
    let mut behind = taken(&last, &mut gradients);
    own.add(gradients);

    let mut of_visual: Option<Tensor<4>> = None;
    while let Some(x) = between.pop() {
        let (x, visual) = (leaf(x), visual.clone().map(leaf));
        let y = own.model.layer(between.len(), x.clone(), visual.as_ref().zip(sight.as_ref()), &pass);
        let mut gradients = dot(y, behind).backward();
        behind = taken(&x, &mut gradients);
        let here = visual.and_then(|visual| visual.grad_remove(&mut gradients));
        of_visual = match (of_visual, here) {
            (Some(sum), Some(here)) => Some(sum + here),
            (sum, here) => sum.or(here),
        };
        own.add(gradients);
    }
    own.back_from(own.model.lm().begin(ids()).0, behind);
    if let (Some(features), Some(of_visual)) = (features, of_visual) {
        own.back_from(own.model.visual(features), of_visual);
    }

    let value = Tensor::from_inner(loss.inner());
    let mut carry = Carry { gradients: own.gradients.grads(), sum: None };
    model.visit(&mut carry);
    match carry.sum {
        Some(sum) => sum.clone() - sum.detach() + value,
        None => value,
    }
}

/// The model with leaves of its own, and their gradients so far.
struct Own<M: Module> {
    model: M,
    gradients: GradientsAccumulator<M>,
}

impl<M: Module> Own<M> {
    fn add(&mut self, gradients: Gradients) {
        let gradients = GradientsParams::from_grads(gradients, &self.model);
        self.gradients.accumulate(&self.model, gradients);
    }

    /// Adds the gradients of what made `y`, if anything of it learns.
    fn back_from<const D: usize>(&mut self, y: Tensor<D>, behind: Tensor<D>) {
        if y.is_tracked() {
            self.add(dot(y, behind).backward());
        }
    }
}

/// A number whose gradient with respect to `y` is `gradient`.
fn dot<const D: usize>(y: Tensor<D>, gradient: Tensor<D>) -> Tensor<1> {
    (y * Tensor::from_inner(gradient)).sum()
}

fn leaf<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    Tensor::from_inner(x.inner()).require_grad()
}

/// The gradient of a leaf; zero if nothing depends on it.
fn taken<const D: usize>(leaf: &Tensor<D>, gradients: &mut Gradients) -> Tensor<D> {
    leaf.grad_remove(gradients).unwrap_or_else(|| leaf.clone().inner().zeros_like())
}

/// Makes leaves of all that is in the caller's graph: parameters that learn, or half-precision copies of them.
struct OwnLeaves;

impl ModuleMapper for OwnLeaves {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        match param.val().is_tracked() {
            true => param.map(leaf),
            false => param,
        }
    }
}

struct Carry {
    gradients: GradientsParams,
    sum: Option<Tensor<1>>,
}

impl ModuleVisitor for Carry {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let Some(gradient) = self.gradients.remove::<D>(param.id) else { return };
        let part = dot(widen(param.val()), widen(gradient));
        self.sum = Some(match self.sum.take() {
            Some(sum) => sum + part,
            None => part,
        });
    }
}

impl Layered for Decoder {
    fn lm(&self) -> &Decoder {
        self
    }

    fn look(&self, _batch: &Batch) -> Option<Tensor<5>> {
        None
    }

    fn visual(&self, features: Tensor<5>) -> Tensor<4> {
        features.flatten(2, 3)
    }

    fn sight(&self, _batch: &Batch, _dims: [usize; 3]) -> Sight {
        Sight::Nothing
    }

    fn layer(
        &self,
        layer: usize,
        x: Tensor<3>,
        _seen: Option<(&Tensor<4>, &Sight)>,
        pass: &Pass,
    ) -> Tensor<3> {
        self.blocks[layer].forward(x, pass)
    }
}

impl Layered for Flamingo {
    fn lm(&self) -> &Decoder {
        &self.lm
    }

    fn look(&self, batch: &Batch) -> Option<Tensor<5>> {
        self.features_of(batch)
    }

    fn visual(&self, features: Tensor<5>) -> Tensor<4> {
        self.resample(features)
    }

    fn sight(&self, batch: &Batch, dims: [usize; 3]) -> Sight {
        Sight::new(&batch.media, self.attention(), dims)
    }

    fn layer(
        &self,
        layer: usize,
        x: Tensor<3>,
        seen: Option<(&Tensor<4>, &Sight)>,
        pass: &Pass,
    ) -> Tensor<3> {
        let x = match (self.xattn_layers().binary_search(&layer), seen) {
            (Err(_), _) => x,
            (Ok(index), None) => self.xattn[index].feed(x),
            (Ok(index), Some((visual, sight))) => {
                let block = &self.xattn[index];
                block.forward(x, &block.media_kv(visual.clone()), sight)
            }
        };
        self.lm.blocks[layer].forward(x, pass)
    }
}
