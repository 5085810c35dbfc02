//! The gradient of the whole model against finite differences, in f64.
//!
//! Norms are layer norms: Burn computes the root of an RMS norm in f32, whatever its input.
//!
//! The number format of a device belongs to the whole process: hence one test in a binary of its own.

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::{Device, Distribution, FloatDType, Tensor, TensorData};
use flamingo::core::media::{TextTie, media_index};
use flamingo::lm::DecoderConfig;
use flamingo::loss::LossSpec;
use flamingo::nn::NormConfig;
use flamingo::stages::flamingo::FlamingoObjective;
use flamingo::train::{Objective, trainable_paths};
use flamingo::xattn::GatedXattnConfig;
use flamingo::{Flamingo, FlamingoConfig, HostBatch};

const NORM: NormConfig = NormConfig::Layer { epsilon: 1e-5 };
const IMAGE: u32 = 20;
const EOC: u32 = 21;
/// Central differences err by about `STEP^2` times the third derivative, and by rounding (1e-16 / STEP).
const STEP: f64 = 1e-5;
const DIRECTIONS: usize = 3;

/// Every part of it, but small, and every gate open.
fn model(device: &Device) -> Flamingo {
    let mut config = FlamingoConfig::nano();
    let [d_model, n_heads, d_head] = [16, 2, 8];
    config.preprocess.size = 32;
    config.lm =
        DecoderConfig { vocab: 20, n_layers: 3, d_model, n_heads, d_head, d_ff: 32, norm: NORM, ..config.lm };
    config.xattn =
        GatedXattnConfig { d_model, n_heads, d_head, d_ff: 32, every: 2, norm: NORM, ..config.xattn };
    config.resampler.n_latents = 3;
    config.resampler.norm = NORM;
    struct Open;
    impl ModuleMapper for Open {
        fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
            match param.lazy_shape().num_elements() {
                1 => param.map(|value| value + 0.7),
                _ => param,
            }
        }
    }
    let mut model = config.init(device).unwrap().map(&mut Open);
    // Logits that differ.
    model.lm.embedding = model.lm.embedding.map(|table| table * 30.0);
    model.lm.new_embedding = model.lm.new_embedding.map(|table| table.map(|rows| rows * 30.0));
    model.frozen_for_training()
}

/// Two rows: text before the first image, two images, none at all; token weights of all kinds.
fn batch(size: usize) -> HostBatch {
    let ids = vec![1, 2, IMAGE, 3, 4, EOC, IMAGE, 5, 6, EOC, 7, 8, 9, IMAGE, 3, 3, EOC, 0, 0, 0];
    let len = ids.len() / 2;
    let noise =
        Tensor::<1>::random([2 * 2 * 3 * size * size], Distribution::Normal(0.0, 1.0), &Device::flex());
    HostBatch {
        batch: 2,
        len,
        media: 2,
        frames: 1,
        size,
        media_index: ids.chunks(len).flat_map(|row| media_index(row, IMAGE, TextTie::Previous)).collect(),
        loss_weights: (0..2 * len).map(|place| [1.0, 0.5, 0.0, 2.0][place % 4]).collect(),
        ids,
        pixels: noise.into_data().iter().collect(),
        features: None,
    }
}

/// A direction in the space of one parameter, of length 1.
fn direction(count: usize, number: usize) -> Vec<f64> {
    let values: Vec<f64> = (1..=count).map(|i| ((i * (number + 1)) as f64 * 0.7).cos()).collect();
    let length = values.iter().map(|value| value * value).sum::<f64>().sqrt();
    values.into_iter().map(|value| value / length).collect()
}

/// Moves the parameters of which there are as many as `paths`, those of index `which` alone or all of them.
struct Move {
    which: Option<usize>,
    number: usize,
    by: f64,
    index: usize,
}

impl ModuleMapper for Move {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        if !param.is_require_grad() {
            return param;
        }
        let index = self.index;
        self.index += 1;
        if self.which.is_some_and(|which| which != index) {
            return param;
        }
        let (by, number) = (self.by, self.number);
        param.map(|value| {
            let (shape, device) = (value.shape(), value.device().inner());
            let along = TensorData::new(direction(shape.num_elements(), number), shape);
            let along = Tensor::<D>::from_data(along, &device);
            Tensor::from_inner(value.inner() + along * by).require_grad()
        })
    }
}

/// The gradients' products with each direction, a row for each parameter.
struct Along<'a> {
    gradients: &'a burn::tensor::Gradients,
    found: Vec<[f64; DIRECTIONS]>,
}

impl ModuleVisitor for Along<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if !param.is_require_grad() {
            return;
        }
        // A parameter that took no part has none.
        let gradient: Vec<f64> =
            param.val().grad(self.gradients).map_or(Vec::new(), |it| it.into_data().iter().collect());
        let product =
            |number: usize| gradient.iter().zip(direction(gradient.len(), number)).map(|(a, b)| a * b).sum();
        self.found.push(std::array::from_fn(product));
    }
}

#[test]
fn gradients_are_finite_differences() {
    let mut device = Device::flex();
    device.configure(FloatDType::F64).unwrap();
    device.seed(7);
    let objective = |device: Device| FlamingoObjective { device, loss: LossSpec::default() };
    let model = model(&device);
    let batch = batch(32);
    let loss = objective(device.clone().autodiff()).loss(&model, 0, batch.clone()).loss;
    let mut along = Along { gradients: &loss.backward(), found: Vec::new() };
    model.visit(&mut along);

    let plain = objective(device);
    let moved = |which: Option<usize>, number: usize, by: f64| -> f64 {
        let model = model.clone().map(&mut Move { which, number, by, index: 0 });
        plain.loss(&model.valid(), 0, batch.clone()).loss.into_scalar()
    };
    let check = |name: &str, which: Option<usize>, number: usize, expected: f64| {
        let found = (moved(which, number, STEP) - moved(which, number, -STEP)) / (2.0 * STEP);
        let error = (found - expected).abs();
        assert!(
            error < 1e-8 + 1e-6 * expected.abs(),
            "{name}, {number}: {expected} by the graph, {found} by steps"
        );
    };
    let paths = trainable_paths(&model);
    assert_eq!(paths.len(), along.found.len());
    for (index, (path, expected)) in paths.iter().zip(&along.found).enumerate() {
        // Frame embeddings past the first take no part in single images.
        assert!(expected[0].abs() > 1e-7 || path.contains("frame"), "{path} hides: {expected:?}");
        for (number, expected) in expected.iter().enumerate() {
            check(path, Some(index), number, *expected);
        }
    }
    for number in 0..DIRECTIONS {
        check("all together", None, number, along.found.iter().map(|row| row[number]).sum());
    }
}
