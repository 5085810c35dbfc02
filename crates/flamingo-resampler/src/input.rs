//! Features of any width and scale at the door of the resampler.
//!
//! Encoders that end in a convolution give channels of very different scales, and a norm over the channels of a position
//! lets a few loud ones drown the others. So each channel is standardised by its mean and standard deviation over the
//! training images, which are measured once and never trained; then one projection brings the width down to the
//! resampler's.

use burn::module::{Module, Param};
use burn::nn::{Linear, LinearConfig};
use burn::tensor::{Device, Tensor, TensorData, assert_shape};
use flamingo_core::precision::{like, widen};
use flamingo_nn::linear;

/// Standardises channels and projects them.
#[derive(Module, Debug)]
pub struct FeatureInput {
    /// `[d_input]`: each channel's mean; never trained.
    pub mean: Param<Tensor<1>>,
    /// `[d_input]`: one over each channel's standard deviation; never trained.
    pub scale: Param<Tensor<1>>,
    /// `[d_input]` to `[E]`, without bias.
    pub projection: Linear,
}

/// Channels that hardly vary are not blown up beyond this factor.
const MIN_DEVIATION: f64 = 1e-3;

impl FeatureInput {
    pub(crate) fn new(d_input: usize, d_model: usize, device: &Device) -> Self {
        Self {
            mean: Param::from_tensor(Tensor::zeros([d_input], device)),
            scale: Param::from_tensor(Tensor::ones([d_input], device)),
            projection: LinearConfig::new(d_input, d_model).with_bias(false).init(device),
        }
    }

    /// The same projection with the channels' `mean` and standard `deviation`, as they were measured.
    ///
    /// # Panics
    ///
    /// If there are not as many as channels.
    pub fn standardised(self, mean: &[f64], deviation: &[f64]) -> Self {
        let [channels] = self.mean.dims();
        assert_eq!([mean.len(), deviation.len()], [channels; 2], "one mean and deviation for each channel");
        let device = self.mean.device();
        let put = |param: Param<Tensor<1>>, values: Vec<f32>| {
            param.map(|_| Tensor::from_data(TensorData::new(values, [channels]), &device))
        };
        let means = mean.iter().map(|mean| *mean as f32).collect();
        let scales = deviation.iter().map(|deviation| (1.0 / deviation.max(MIN_DEVIATION)) as f32).collect();
        Self { mean: put(self.mean, means), scale: put(self.scale, scales), ..self }
    }

    /// The measured statistics, frozen; the projection learns.
    pub fn frozen_statistics(self) -> Self {
        Self { mean: self.mean.set_require_grad(false), scale: self.scale.set_require_grad(false), ..self }
    }

    /// # Shapes
    ///
    /// `[B, M, F, P, d_input]` to `[B, M, F, P, E]`.
    ///
    /// # Panics
    ///
    /// If the features are of another width.
    pub fn forward(&self, features: Tensor<5>) -> Tensor<5> {
        let [batch, media, frames, positions, _] = features.dims();
        let [d_input] = self.mean.dims();
        assert_shape!(features, [batch, media, frames, positions, d_input]);
        let row = |values: &Param<Tensor<1>>| widen(values.val()).reshape([1, 1, 1, 1, d_input]);
        let standard = (widen(features) - row(&self.mean)) * row(&self.scale);
        linear(&self.projection, like(standard, &self.projection.weight.val()))
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Distribution, Tolerance};

    use super::*;
    use crate::ResamplerConfig;

    #[test]
    fn channels_of_any_scale_come_out_alike() {
        let device = Device::flex();
        let input = FeatureInput::new(2, 3, &device).standardised(&[5.0, -1.0], &[10.0, 0.1]);
        let plain = FeatureInput { projection: input.projection.clone(), ..FeatureInput::new(2, 3, &device) };
        let standard = Tensor::<5>::random([1, 2, 1, 4, 2], Distribution::Default, &device);
        let row = |values: [f32; 2]| Tensor::<1>::from_floats(values, &device).reshape([1, 1, 1, 1, 2]);
        let raw = standard.clone() * row([10.0, 0.1]) + row([5.0, -1.0]);
        let (actual, expected) = (input.forward(raw), plain.forward(standard));
        actual.into_data().assert_approx_eq::<f32>(&expected.into_data(), Tolerance::absolute(1e-5));
    }

    #[test]
    fn a_channel_that_never_varies_stays_finite() {
        let device = Device::flex();
        let input = FeatureInput::new(1, 1, &device).standardised(&[2.0], &[0.0]);
        let out: f32 = input.forward(Tensor::full([1, 1, 1, 1, 1], 2.0, &device)).into_scalar();
        assert_eq!(out, 0.0);
    }

    #[test]
    fn a_narrow_resampler_reads_wide_features() {
        let device = Device::flex();
        let config = ResamplerConfig { d_input: Some(40), n_layers: 1, ..ResamplerConfig::paper(16) };
        let tokens = config.init(&device).forward(Tensor::ones([1, 2, 3, 4, 40], &device));
        assert_eq!(tokens.dims(), [1, 2, 64, 16]);
    }
}
