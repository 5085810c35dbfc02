//! What cases are made of: random tensors, models with all their weights, prompts.

use anyhow::anyhow;
use burn::module::Module;
use burn::tensor::{Device, Distribution, Int, Tensor, TensorData};
use flamingo::core::media::{TextTie, media_index};
use flamingo::train::Footprint;
use flamingo::{Flamingo, FlamingoConfig, MediaLayout};

use crate::sizes;

/// Unit Gaussian.
pub fn normal<const D: usize>(shape: [usize; D], device: &Device) -> Tensor<D> {
    Tensor::random(shape, Distribution::Normal(0.0, 1.0), device)
}

/// The model with its weights: Burn makes each when it is first used, which is no part of any case.
pub fn ready<M: Module>(model: M) -> M {
    Footprint::of(&model);
    model
}

/// A whole model with its weights.
pub fn flamingo(config: &FlamingoConfig, device: &Device) -> anyhow::Result<Flamingo> {
    Ok(ready(config.init(device)?))
}

/// Waits until the device has computed all that it was told to.
pub fn finish(device: &Device) -> anyhow::Result<()> {
    device.sync().map_err(|error| anyhow!("the device does not finish: {error:?}"))
}

/// Ids below 1000, as rows.
pub fn text(batch: usize, len: usize, device: &Device) -> Tensor<2, Int> {
    let ids: Vec<i32> = (0..batch * len).map(|place| (place * 7919 % 1000) as i32 + 1).collect();
    Tensor::from_data(TensorData::new(ids, [batch, len]), device)
}

/// Ids of `images` images, each with a tag and text behind it: `each` tokens with the tag.
pub fn interleaved(images: usize, each: usize) -> Vec<u32> {
    let text = |image: usize| (1..each).map(move |token| ((image * 31 + token * 7) % 1000) as u32);
    (0..images).flat_map(|image| [sizes::IMAGE].into_iter().chain(text(image))).collect()
}

/// Which of those ids sees which image.
pub fn layout(ids: &[u32], device: &Device) -> MediaLayout {
    MediaLayout::new(&media_index(ids, sizes::IMAGE, TextTie::Previous), 1, ids.len(), device)
}

/// One row of ids.
pub fn row(ids: &[u32], device: &Device) -> Tensor<2, Int> {
    let ids: Vec<i32> = ids.iter().map(|id| *id as i32).collect();
    Tensor::<1, Int>::from_data(ids.as_slice(), device).unsqueeze()
}
