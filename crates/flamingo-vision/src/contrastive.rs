//! Contrastive pre-training of the vision encoder (paper, appendix B.1.3).
//!
//! Image and text are pooled, projected to a joint space and normalised; a learned inverse temperature multiplies the
//! dot products; the loss is the sum of the two softmax cross-entropies over the batch, with label smoothing.

use burn::module::{Module, Param};
use burn::nn::{Initializer, Linear, LinearConfig};
use burn::tensor::activation::log_softmax;
use burn::tensor::{Device, Int, Tensor, assert_shape};
use flamingo_core::precision::{like, widen};
use serde::{Deserialize, Serialize};

use crate::encoder::{VisionConfig, VisionEncoder};
use crate::text_tower::{TextTower, TextTowerConfig};

/// A contrastive pair of towers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ContrastiveConfig {
    /// The text tower.
    pub text: TextTowerConfig,
    /// Width of the joint space (1376 in the paper).
    pub d_joint: usize,
    /// Inverse temperature at first.
    pub inverse_temperature: f64,
    /// Share of the label spread over the whole batch (0.1 in the paper).
    pub label_smoothing: f64,
}

impl ContrastiveConfig {
    /// Creates the towers on `device`, around an encoder of `vision`'s sizes.
    pub fn init(&self, vision: &VisionConfig, device: &Device) -> ContrastiveModel {
        let linear = |from| LinearConfig::new(from, self.d_joint).with_bias(false).init(device);
        ContrastiveModel {
            vision: vision.init(device),
            vision_projection: linear(vision.d_pooled()),
            text: self.text.init(device),
            text_projection: linear(self.text.d_model),
            log_inverse_temperature: Initializer::Constant { value: self.inverse_temperature.ln() }
                .init([1], device),
        }
    }
}

/// Vision encoder, text tower and their joint space.
#[derive(Module, Debug)]
pub struct ContrastiveModel {
    /// The encoder that Flamingo will freeze.
    pub vision: VisionEncoder,
    /// `[d_pooled, joint]`.
    pub vision_projection: Linear,
    /// The text side.
    pub text: TextTower,
    /// `[W, joint]`.
    pub text_projection: Linear,
    /// `[1]`; learned in the logarithm so that it stays positive.
    pub log_inverse_temperature: Param<Tensor<1>>,
}

impl ContrastiveModel {
    /// Unit vectors of images: `[N, 3, I, I]` to `[N, joint]`.
    pub fn embed_images(&self, images: Tensor<4>) -> Tensor<2> {
        normalise(self.vision_projection.forward(self.vision.pooled(images)))
    }

    /// Unit vectors of texts (see [`TextTower::forward`]): `[N, joint]`.
    pub fn embed_texts(&self, ids: Tensor<2, Int>, present: Tensor<2>) -> Tensor<2> {
        normalise(self.text_projection.forward(self.text.forward(ids, present)))
    }

    /// The number that multiplies the dot products, `[1]`.
    pub fn inverse_temperature(&self) -> Tensor<1> {
        self.log_inverse_temperature.val().exp()
    }
}

/// The two-way softmax cross-entropy of matching pairs, summed over the two directions and averaged over the batch.
///
/// # Shapes
///
/// - images, texts: `[N, joint]` unit vectors; row i of one belongs to row i of the other
/// - inverse_temperature: `[1]`
/// - output: `[1]`
pub fn contrastive_loss(
    images: Tensor<2>,
    texts: Tensor<2>,
    inverse_temperature: Tensor<1>,
    label_smoothing: f64,
) -> Tensor<1> {
    let [n, joint] = images.dims();
    assert_shape!(texts, [n, joint]);
    let logits = widen(images).matmul(widen(texts).transpose()) * widen(inverse_temperature).reshape([1, 1]);
    let target = Tensor::<2>::eye(n, &logits.device()) * (1.0 - label_smoothing) + label_smoothing / n as f64;
    let cross_entropy = |logits: Tensor<2>| (log_softmax(logits, 1) * target.clone()).sum().neg() / n as f64;
    cross_entropy(logits.clone()) + cross_entropy(logits.transpose())
}

fn normalise(x: Tensor<2>) -> Tensor<2> {
    let wide = widen(x.clone());
    let norm = wide.clone().square().sum_dim(1).sqrt().clamp_min(1e-6);
    like(wide / norm, &x)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chance_costs_twice_the_logarithm_of_the_batch() {
        let device = Device::flex();
        let same = Tensor::<2>::ones([4, 3], &device) / 3f64.sqrt();
        let loss: f32 =
            contrastive_loss(same.clone(), same, Tensor::from_floats([10.0], &device), 0.1).into_scalar();
        assert!((loss - 2.0 * 4f32.ln()).abs() < 1e-5, "{loss}");
    }
}
