//! Clipping of accumulated gradients, on the device.
//!
//! Both clippings come after accumulation and before the optimizer: first each unit on its own (adaptive), then
//! the whole gradient. Only the caller reads a number back, once per update.

use burn::module::{Module, ModuleVisitor, Param};
use burn::optim::GradientsParams;
use burn::tensor::{FloatDType, Tensor};
use flamingo_core::precision::widen;

use crate::config::TrainConfig;
use crate::paths::{PathStack, track_path};

/// Weights with a smaller norm than this are clipped as if they had it, so that zeros can grow.
const MIN_WEIGHT_NORM: f64 = 1e-3;
/// Guards divisions by the norm of a gradient.
const MIN_GRAD_NORM: f64 = 1e-6;

/// The squared L2 norm `[1]` of all gradients together, in f32; `None` if there is no gradient.
pub fn squared_norm<M: Module>(model: &M, grads: &GradientsParams) -> Option<Tensor<1>> {
    let mut visitor = SquaredNorm { grads, parts: Vec::new() };
    model.visit(&mut visitor);
    (!visitor.parts.is_empty()).then(|| Tensor::cat(visitor.parts, 0).sum())
}

struct SquaredNorm<'a> {
    grads: &'a GradientsParams,
    parts: Vec<Tensor<1>>,
}

impl ModuleVisitor for SquaredNorm<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if let Some(grad) = self.grads.get::<D>(param.id) {
            self.parts.push(widen(grad).square().sum());
        }
    }
}

/// Of how many parameters there is a gradient, and the paths of those in which it is not finite.
pub fn non_finite<M: Module>(model: &M, grads: &GradientsParams) -> (usize, Vec<String>) {
    let mut visitor = NonFinite { path: PathStack::default(), grads, count: 0, found: Vec::new() };
    model.visit(&mut visitor);
    (visitor.count, visitor.found)
}

struct NonFinite<'a> {
    path: PathStack,
    grads: &'a GradientsParams,
    count: usize,
    found: Vec<String>,
}

impl ModuleVisitor for NonFinite<'_> {
    track_path!();

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let Some(grad) = self.grads.get::<D>(param.id) else { return };
        self.count += 1;
        if !grad.is_finite().all().into_data().iter::<bool>().all(|finite| finite) {
            self.found.push(self.path.path());
        }
    }
}

/// The factor that brings a gradient of norm `norm` down to `max_norm`; `None` if it is small enough.
pub fn clip_factor(norm: f64, max_norm: f64) -> Option<f64> {
    (norm > max_norm).then(|| max_norm / (norm + MIN_GRAD_NORM))
}

/// Multiplies all gradients by `factor`.
pub fn scale<M: Module>(model: &M, grads: &mut GradientsParams, factor: f64) {
    model.visit(&mut Scale { grads, factor });
}

struct Scale<'a> {
    grads: &'a mut GradientsParams,
    factor: f64,
}

impl ModuleVisitor for Scale<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if let Some(grad) = self.grads.remove::<D>(param.id) {
            self.grads.register(param.id, grad.mul_scalar(self.factor));
        }
    }
}

/// Adaptive gradient clipping (Brock et al., <https://arxiv.org/abs/2102.06171>, equation 3) of the parameters
/// whose group asks for it.
///
/// A unit is what feeds one output: a column of a `Linear` weight `[in, out]`, a leading slice of any other tensor
/// of two or more dimensions (`[out, in, k, k]` of a convolution, a row of an embedding), the whole of a vector.
pub fn clip_adaptive<M: Module>(model: &M, grads: &mut GradientsParams, config: &TrainConfig) {
    if config.groups.iter().any(|group| group.agc.is_some()) {
        model.visit(&mut ClipAdaptive { path: PathStack::default(), grads, config });
    }
}

struct ClipAdaptive<'a> {
    path: PathStack,
    grads: &'a mut GradientsParams,
    config: &'a TrainConfig,
}

impl ModuleVisitor for ClipAdaptive<'_> {
    track_path!();

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let Some(factor) = self.config.settings_of(&self.path.path()).agc else { return };
        let Some(grad) = self.grads.remove::<D>(param.id) else { return };
        let unit_dim = match D {
            0 | 1 => None,
            2 if self.path.is_field_of("Linear") => Some(1),
            _ => Some(0),
        };
        let weight_norm = unit_norm(param.val().inner(), unit_dim).clamp_min(MIN_WEIGHT_NORM);
        let grad_norm = unit_norm(grad.clone(), unit_dim).clamp_min(MIN_GRAD_NORM);
        let shrink = weight_norm.mul_scalar(factor).div(grad_norm).clamp_max(1.0);
        let dtype = FloatDType::from(grad.dtype());
        self.grads.register(param.id, grad.mul(shrink.cast(dtype)));
    }
}

/// L2 norms with every dimension but `unit_dim` reduced to 1; of the whole tensor if there is none.
fn unit_norm<const D: usize>(tensor: Tensor<D>, unit_dim: Option<usize>) -> Tensor<D> {
    let squares = widen(tensor).square();
    (0..D).filter(|dim| Some(*dim) != unit_dim).fold(squares, |sum, dim| sum.sum_dim(dim)).sqrt()
}

#[cfg(test)]
mod tests {
    use burn::module::Param;
    use burn::nn::{Linear, LinearConfig};
    use burn::tensor::{Device, TensorData, Tolerance};

    use super::*;
    use crate::config::GroupSpec;
    use crate::config::tests::{config, group};

    #[derive(Module, Debug)]
    struct Model {
        linear: Linear,
        kernel: Param<Tensor<4>>,
        scale: Param<Tensor<1>>,
    }

    fn model() -> Model {
        let device = Device::flex().autodiff();
        let mut linear = LinearConfig::new(2, 2).init(&device);
        linear.weight = Param::from_tensor(Tensor::from_floats([[3.0, 0.0], [4.0, 0.0]], &device));
        linear.bias = None;
        let kernel = Tensor::from_data(TensorData::new(vec![6.0f32, 8.0, 1.0, 0.0], [2, 1, 1, 2]), &device);
        let scale = Tensor::from_floats([0.6, 0.8], &device);
        Model { linear, kernel: Param::from_tensor(kernel), scale: Param::from_tensor(scale) }
    }

    fn grads(model: &Model) -> GradientsParams {
        let device = Device::flex();
        let mut grads = GradientsParams::new();
        let linear: Tensor<2> = Tensor::from_floats([[0.6, 3.0], [0.8, 4.0]], &device);
        grads.register(model.linear.weight.id, linear);
        let kernel: Tensor<4> =
            Tensor::from_data(TensorData::new(vec![30.0f32, 40.0, 0.01, 0.0], [2, 1, 1, 2]), &device);
        grads.register(model.kernel.id, kernel);
        grads.register(model.scale.id, Tensor::<1>::from_floats([0.3, 0.4], &device));
        grads
    }

    fn values<const D: usize>(grads: &GradientsParams, param: &Param<Tensor<D>>) -> TensorData {
        grads.get::<D>(param.id).unwrap().into_data()
    }

    fn close(actual: &TensorData, expected: impl Into<TensorData>) {
        actual.assert_approx_eq::<f32>(&expected.into(), Tolerance::absolute(1e-6));
    }

    #[test]
    fn adaptive_clipping_works_per_output_unit() {
        let model = model();
        let mut grads = grads(&model);
        let mut config = config();
        config.groups = vec![GroupSpec { agc: Some(0.1), ..group("all", "*") }];
        clip_adaptive(&model, &mut grads, &config);
        // Column 0 has |w| = 5, so |g| <= 0.5; column 1 has |w| = 0, taken as 1e-3, so |g| <= 1e-4.
        close(&values(&grads, &model.linear.weight), [[0.3f32, 0.6e-4], [0.4, 0.8e-4]]);
        // Output 0 has |w| = 10, so |g| <= 1; the gradient of output 1 is small enough already.
        close(&values(&grads, &model.kernel), [[[[0.6f32, 0.8]]], [[[0.01, 0.0]]]]);
        // A vector is one unit: |w| = 1, so |g| <= 0.1.
        close(&values(&grads, &model.scale), [0.06f32, 0.08]);
    }

    #[test]
    fn parameters_outside_the_group_keep_their_gradient() {
        let model = model();
        let mut grads = grads(&model);
        let mut config = config();
        config.groups = vec![GroupSpec { agc: Some(0.1), ..group("kernel", "kernel") }];
        clip_adaptive(&model, &mut grads, &config);
        close(&values(&grads, &model.linear.weight), [[0.6f32, 3.0], [0.8, 4.0]]);
        close(&values(&grads, &model.scale), [0.3f32, 0.4]);
    }

    #[test]
    fn gradients_that_are_not_finite_are_named() {
        let model = model();
        let mut grads = grads(&model);
        assert_eq!(non_finite(&model, &grads), (3, Vec::new()));
        grads.remove::<1>(model.scale.id);
        grads.register(model.scale.id, Tensor::<1>::from_floats([0.3, f32::INFINITY], &Device::flex()));
        assert_eq!(non_finite(&model, &grads), (3, vec!["scale".to_owned()]));
    }

    #[test]
    fn the_global_norm_counts_every_parameter_once() {
        let model = model();
        let mut grads = grads(&model);
        let squared: f32 = squared_norm(&model, &grads).unwrap().into_scalar();
        let expected = 0.36 + 0.64 + 9.0 + 16.0 + 2500.0 + 1e-4 + 0.25;
        assert!((squared - expected).abs() < 1e-3, "{squared}");

        let norm = f64::from(squared).sqrt();
        assert_eq!(clip_factor(norm, norm + 1.0), None);
        scale(&model, &mut grads, clip_factor(norm, 2.0).unwrap());
        let after: f32 = squared_norm(&model, &grads).unwrap().into_scalar();
        assert!((after.sqrt() - 2.0).abs() < 1e-5, "{after}");
        assert!(squared_norm(&model, &GradientsParams::new()).is_none());
    }
}
