//! A linear layer as one matrix product, with its low-rank adapter if it has one (Hu et al. 2021, "LoRA").

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
    by_rows(x, |x| {
        let Some(adapter) = layer.weight.adapter() else { return layer.forward(x) };
        let bias = layer.bias.as_ref().map(|bias| bias.val());
        let dense = module::linear(x.clone(), layer.weight.base(), bias);
        let narrow = module::linear(x, adapter.a.val(), None); // [N, r]
        dense + module::linear(narrow, adapter.b.val(), None).mul_scalar(adapter.scale)
    })
}

/// Applies to `[.., in]` what makes `[N, out]` of `[N, in]`, for all rows at once: `[.., out]`.
///
/// Of a batch `[B, L, in]` with L a multiple of 32, Burn 0.22 makes B products and not one (burn-std, `MatmulTransformPolicy`),
/// and since its dispatch knows no derivative of a linear layer, B gradients of the weights, which it then adds.
pub fn by_rows<const D: usize>(x: Tensor<D>, apply: impl FnOnce(Tensor<2>) -> Tensor<2>) -> Tensor<D> {
    let mut dims = x.dims();
    let rows = dims[..D - 1].iter().product();
    let applied = apply(x.reshape([rows, dims[D - 1]]));
    [_, dims[D - 1]] = applied.dims();
    applied.reshape(dims)
}
