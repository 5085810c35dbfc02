//! A linear layer, with its low-rank adapter if it has one (Hu et al. 2021, "LoRA").

use burn::nn::Linear;
use burn::tensor::{Tensor, module};

/// `x W + b`, and behind an adapter `x W + b + scale (x A) B`.
///
/// Burn's `Linear::forward` makes `W + scale A B` first. In training that is a copy of every adapted weight and a
/// gradient as large as it; and in half precision the sum loses updates under a 256th of the weight that they change.
///
/// # Shapes
///
/// `[.., in]` to `[.., out]`, with W `[in, out]`, A `[in, r]`, B `[r, out]`.
///
/// # Panics
///
/// If the last dimension is not the layer's input width.
pub fn linear<const D: usize>(layer: &Linear, x: Tensor<D>) -> Tensor<D> {
    let Some(adapter) = layer.weight.adapter() else { return layer.forward(x) };
    let dense = module::linear(x.clone(), layer.weight.base(), layer.bias.as_ref().map(|bias| bias.val()));
    let narrow = module::linear(x, adapter.a.val(), None); // [.., r]
    dense + module::linear(narrow, adapter.b.val(), None).mul_scalar(adapter.scale)
}
