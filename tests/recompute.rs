//! Layers computed twice give the gradients of layers whose activations were kept.

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::optim::GradientsParams;
use burn::tensor::{Device, FloatDType, Tensor};
use flamingo::core::Precision;
use flamingo::core::media::{TextTie, media_index};
use flamingo::lm::{DecoderConfig, LoraConfig, Positions};
use flamingo::loss::LossSpec;
use flamingo::stages::flamingo::FlamingoObjective;
use flamingo::stages::language::LanguageObjective;
use flamingo::train::precision::{Shelf, narrowed};
use flamingo::train::{Objective, trainable_paths};
use flamingo::{Flamingo, FlamingoConfig, HostBatch, MediaAttention};

use crate::tiny::{EOC, IMAGE, config};

/// Of a gradient's length: sums over tokens come in another order (a gate's gradient is one such sum; it differed by 2e-5).
const SUMS: f32 = 1e-4;
/// By how much the direction of all gradients together may differ where each term is rounded to 8 bits: 1 - cosine. (A single
/// tensor's, of which terms of both signs leave little, differed by a quarter of its length.)
const DIRECTION_BF16: f32 = 0.06;

/// Values around 0 that no generator of random numbers is asked for; gates are opened.
struct Fill {
    place: usize,
}

impl ModuleMapper for Fill {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let shape = param.lazy_shape();
        let count = shape.num_elements();
        self.place += 1;
        if D == 1 && count > 1 {
            return param;
        }
        let scale = if D < 2 { 0.7 } else { 1.5 / (shape[0] as f64).sqrt() };
        let value = |i: usize| scale * ((i * 7 + self.place * 3) as f64 * 0.7).sin();
        let values: Vec<f32> = (0..count).map(|i| value(i) as f32).collect();
        let data = burn::tensor::TensorData::new(values, shape);
        param.map(|old| {
            let learns = old.is_require_grad();
            Tensor::from_data(data, &old.device()).set_require_grad(learns)
        })
    }
}

fn open(model: Flamingo) -> Flamingo {
    let vision = model.vision.clone();
    let mut model = model.map(&mut Fill { place: 0 });
    model.vision = vision;
    model
}

fn batch(images: bool) -> HostBatch {
    let size = config(MediaAttention::Preceding).preprocess.size;
    let ids = vec![1, 2, IMAGE, 3, 4, EOC, IMAGE, 5, 6, EOC, 7, 8, 9, IMAGE, 3, 3, EOC, 0, 0, 0];
    let len = ids.len() / 2;
    let pixels = (0..2 * 2 * 3 * size * size).map(|i| ((i * 31 % 97) as f32 - 48.0) / 40.0).collect();
    let text = HostBatch {
        batch: 2,
        len,
        size,
        media_index: vec![0; 2 * len],
        loss_weights: (0..2 * len).map(|place| [1.0, 0.5, 0.0, 2.0][place % 4]).collect(),
        ids,
        ..HostBatch::default()
    };
    match images {
        false => text,
        true => HostBatch {
            media: 2,
            frames: 1,
            media_index: text
                .ids
                .chunks(len)
                .flat_map(|row| media_index(row, IMAGE, TextTie::Previous))
                .collect(),
            pixels,
            ..text
        },
    }
}

/// Gradients in the model's order, `None` for what was not reached.
struct Read<'a> {
    gradients: &'a GradientsParams,
    found: Vec<Option<Vec<f32>>>,
}

impl ModuleVisitor for Read<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if param.is_require_grad() {
            let gradient = self.gradients.get::<D>(param.id);
            self.found.push(gradient.map(|it| it.cast(FloatDType::F32).into_data().iter::<f32>().collect()));
        }
    }
}

type Step = (f32, Vec<Option<Vec<f32>>>);

fn step<O: Objective<Batch = HostBatch>>(
    objective: &O,
    model: &O::Model,
    precision: Precision,
    batch: HostBatch,
) -> Step {
    let loss = objective.loss(&narrowed(model, precision), 0, batch).loss;
    let value = loss.clone().into_scalar();
    // A factor reaches all gradients, as lambda and the share of a part do.
    let gradients = GradientsParams::from_grads(loss.mul_scalar(0.5).backward(), model);
    let mut read = Read { gradients: &gradients, found: Vec::new() };
    model.visit(&mut read);
    (value, read.found)
}

fn compare(names: &[String], (kept_loss, kept): Step, (loss, again): Step, tolerance: f32) {
    assert!((kept_loss - loss).abs() <= tolerance * kept_loss.abs(), "{kept_loss} {loss}");
    assert_eq!(names.len(), kept.len());
    for ((name, kept), again) in names.iter().zip(kept).zip(again) {
        assert_eq!(kept.is_some(), again.is_some(), "{name}");
        let (Some(kept), Some(again)) = (kept, again) else { continue };
        let length = kept.iter().map(|value| value * value).sum::<f32>().sqrt();
        assert!(length > 1e-6 || name.contains("frame"), "{name} has no gradient to compare: {length}");
        let difference = kept.iter().zip(&again).map(|(a, b)| (a - b).powi(2)).sum::<f32>().sqrt();
        assert!(difference <= tolerance * length.max(1e-6), "{name}: {difference} of {length}");
    }
}

/// Of the angle between all gradients of two models.
fn cosine(one: &[Option<Vec<f32>>], other: &[Option<Vec<f32>>]) -> f32 {
    let flat = |rows: &[Option<Vec<f32>>]| rows.iter().flatten().flatten().copied().collect::<Vec<f32>>();
    let (a, b) = (flat(one), flat(other));
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>();
    dot(&a, &b) / (dot(&a, &a) * dot(&b, &b)).sqrt()
}

fn objective(gradient_checkpointing: bool) -> FlamingoObjective {
    let loss = LossSpec { gradient_checkpointing, ..LossSpec::default() };
    FlamingoObjective { device: Device::flex().autodiff(), loss }
}

#[test]
fn a_flamingos_gradients_are_the_same() {
    let rotary = Positions::Rotary { theta: 1e4, fraction: 1.0, scaling: None };
    for (case, attention) in [MediaAttention::Preceding, MediaAttention::AllPrevious].into_iter().enumerate()
    {
        let sizes = config(attention);
        // Both ways in which positions enter, and an adapter in one of them.
        let sizes = match case {
            0 => sizes,
            _ => FlamingoConfig {
                lm: DecoderConfig { positions: rotary.clone(), ..sizes.lm.clone() },
                ..sizes
            },
        };
        let mut model = sizes.init(&Device::flex()).unwrap();
        if case == 1 {
            model.lm = LoraConfig { rank: 2, ..LoraConfig::default() }.attach(model.lm).unwrap();
        }
        let model = open(model.frozen_for_training());
        let names = trainable_paths(&model);
        assert_eq!(names.iter().filter(|name| name.contains("lora")).count(), 12 * case);
        for images in [true, false] {
            let run = |twice| step(&objective(twice), &model, Precision::F32, batch(images));
            compare(&names, run(false), run(true), SUMS);
        }
    }
}

#[test]
fn in_bf16_they_are_the_same_but_for_the_order_of_sums() {
    let model = open(config(MediaAttention::Preceding).init(&Device::flex()).unwrap().frozen_for_training());
    let (model, _shelf) = Shelf::fill(model, Precision::Bf16);
    let run = |twice| step(&objective(twice), &model, Precision::Bf16, batch(true));
    let ((kept_loss, kept), (loss, again)) = (run(false), run(true));
    assert!((kept_loss - loss).abs() <= 0.02 * kept_loss, "{kept_loss} {loss}");
    let reached = |gradients: &[Option<Vec<f32>>]| gradients.iter().map(Option::is_some).collect::<Vec<_>>();
    assert_eq!(reached(&kept), reached(&again));
    let cosine = cosine(&kept, &again);
    assert!(1.0 - cosine < DIRECTION_BF16, "{cosine}");
}

/// Half precision is near f32, in loss and in the direction of the gradients.
#[test]
fn bf16_and_f16_are_near_f32() {
    let model = open(config(MediaAttention::Preceding).init(&Device::flex()).unwrap().frozen_for_training());
    let exact = step(&objective(false), &model, Precision::F32, batch(true));
    for (precision, tolerance) in [(Precision::Bf16, 0.06), (Precision::F16, 0.01)] {
        let (narrow, _shelf) = Shelf::fill(model.clone(), precision);
        let (loss, gradients) = step(&objective(false), &narrow, precision, batch(true));
        assert!((loss - exact.0).abs() < 0.5 * tolerance * exact.0, "{precision}: {loss} {}", exact.0);
        let cosine = cosine(&exact.1, &gradients);
        assert!(1.0 - cosine < tolerance, "{precision}: {cosine}");
    }
}

#[test]
fn a_language_models_gradients_are_the_same() {
    let sizes = config(MediaAttention::Preceding).lm;
    let model = sizes.init(&Device::flex().autodiff()).map(&mut Fill { place: 0 });
    let run = |gradient_checkpointing| {
        let loss = LossSpec { gradient_checkpointing, ..LossSpec::default() };
        let objective = LanguageObjective { device: Device::flex().autodiff(), loss };
        step(&objective, &model, Precision::F32, batch(false))
    };
    compare(&trainable_paths(&model), run(false), run(true), SUMS);
}
