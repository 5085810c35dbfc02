//! One update of a whole tiny OpenFlamingo against the `open_flamingo` package and torch: losses of two datasets, the
//! gradient of every trained tensor, and every weight behind clipping and AdamW.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use burn::module::{Module, ModuleVisitor, Param};
use burn::optim::GradientsParams;
use burn::tensor::{Device, Tensor};
use flamingo::core::Precision;
use flamingo::core::media::{TextTie, media_index};
use flamingo::loss::LossSpec;
use flamingo::published::{OpenFlamingoFiles, load_open_flamingo};
use flamingo::stages::flamingo::FlamingoObjective;
use flamingo::train::{
    AdamWSpec, Alone, BoxStream, GroupSpec, Indexed, MemorySink, Mixing, Objective, Progress, Schedule,
    SourceSpec, StreamError, TrainConfig, Trainer, trainable_paths,
};
use flamingo::{Flamingo, HostBatch};
use flamingo_testkit::Fixture;

use crate::published::{BASE_VOCAB, Published};

/// Of losses, and of weights as a fraction of the norm of their tensor; gradients may differ by ten times as much.
const TOLERANCE: f32 = 1e-5;
const LAMBDAS: [f64; 2] = [1.0, 0.2];
const IMAGE: u32 = BASE_VOCAB as u32 + 1;
/// Numbers in a row of `trained`: the norm, and what is left of eight directions.
const ROW: usize = 9;

fn config() -> TrainConfig {
    let spared = GroupSpec {
        name: "resampler".into(),
        pattern: "resampler".into(),
        lr: 1.0,
        weight_decay: Some(0.0),
        agc: None,
    };
    let source = |index: usize| SourceSpec { name: format!("row {index}"), weight: LAMBDAS[index] };
    TrainConfig {
        steps: 1,
        seed: 0,
        optimizer: AdamWSpec { beta1: 0.9, beta2: 0.95, eps: 1e-5 },
        schedule: Schedule::Constant { peak: 1e-2, warmup: 0 },
        weight_decay: 0.1,
        groups: vec![spared],
        clip_norm: Some(1.0),
        sources: (0..2).map(source).collect(),
        mixing: Mixing::Accumulate,
        microbatches: 1,
        precision: Precision::default(),
        log_every: 1,
        checkpoint_every: 1,
        keep_last: 1,
        evaluate_every: 0,
        keep_best: None,
    }
}

/// Sequence `row` of the two; the model's inputs are the published model's, the token weights this fixture's.
fn batch(published: &Published, fixture: &Fixture, row: usize) -> HostBatch {
    let device = Device::flex();
    let values = |tensor: Tensor<2>| -> Vec<f32> { tensor.slice(row..row + 1).into_data().iter().collect() };
    let ids = values(published.fixture.tensor("in.ids", &device));
    let ids: Vec<u32> = ids.into_iter().map(|id| id as u32).collect();
    let pixels = published.fixture.tensor::<6>("in.pixels", &device).slice(row..row + 1);
    let [_, media, frames, _, size, _] = pixels.dims();
    HostBatch {
        batch: 1,
        len: ids.len(),
        media,
        frames,
        size,
        media_index: media_index(&ids, IMAGE, TextTie::Previous),
        ids,
        loss_weights: values(fixture.tensor("in.weights", &device)),
        pixels: pixels.into_data().iter().collect(),
        features: None,
    }
}

/// A trained parameter's name in the package, keys and values apart.
fn their_name(path: &str) -> String {
    let names: &[(&str, &str)] = match path.starts_with("xattn.") {
        true => &[
            ("attention_gate", "attn_gate"),
            ("feed_forward_gate", "ff_gate"),
            ("attention_norm", "attn.norm"),
            ("attention.", "attn."),
            ("feed_forward_norm", "ff.0"),
            ("feed_forward.up", "ff.1"),
            ("feed_forward.down", "ff.3"),
        ],
        false => &[
            ("resampler.", "perceiver."),
            ("lm.new_embedding", "new_rows"),
            ("media_norm", "0.norm_media"),
            ("latents_norm", "0.norm_latents"),
            ("attention.", "0."),
            ("feed_forward_norm", "1.0"),
            ("feed_forward.up", "1.1"),
            ("feed_forward.down", "1.3"),
        ],
    };
    let common = [
        ("query.", "to_q."),
        ("key.", "to_k."),
        ("value.", "to_v."),
        ("output.", "to_out."),
        (".gamma", ".weight"),
        (".beta", ".bias"),
    ];
    names.iter().chain(&common).fold(path.to_owned(), |name, (ours, theirs)| name.replace(ours, theirs))
}

/// Tensors of the trained parameters (or what belongs to them) in the package's layout, by the package's names.
fn collect(model: &Flamingo, gradients: Option<&GradientsParams>) -> BTreeMap<String, Vec<f64>> {
    struct Collect<'a> {
        gradients: Option<&'a GradientsParams>,
        paths: std::vec::IntoIter<String>,
        found: BTreeMap<String, Vec<f64>>,
    }
    impl ModuleVisitor for Collect<'_> {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            if !param.is_require_grad() {
                return;
            }
            let path = self.paths.next().unwrap();
            let tensor = match self.gradients {
                Some(gradients) => {
                    gradients.get::<D>(param.id).unwrap_or_else(|| panic!("{path}: no gradient"))
                }
                None => param.val().inner(),
            };
            // Burn's linear layers are [in, out].
            let tensor = if path.ends_with(".weight") { tensor.swap_dims(0, D - 1) } else { tensor };
            self.found.insert(their_name(&path), tensor.into_data().iter::<f64>().collect());
        }
    }
    let mut visitor =
        Collect { gradients, paths: trainable_paths(model).into_iter(), found: BTreeMap::new() };
    model.visit(&mut visitor);
    visitor.found
}

/// Compares every tensor with its row of `key`, as fractions of the norm that the reference found.
fn compare(published: &Fixture, names: &str, key: &str, tensors: &BTreeMap<String, Vec<f64>>, bound: f32) {
    let found: Vec<&str> = tensors.keys().map(String::as_str).collect();
    assert_eq!(found.join(" "), names);
    let rows: Vec<f64> = published.tensor::<2>(key, &Device::flex()).into_data().iter::<f64>().collect();
    for ((name, values), row) in tensors.iter().zip(rows.chunks(ROW)) {
        let norm = values.iter().map(|value| value * value).sum::<f64>().sqrt();
        let along = |direction: usize| -> f64 {
            values.iter().zip(1..).map(|(value, i)| value * f64::from(direction as u32 * i).cos()).sum()
        };
        let actual: Vec<f32> = std::iter::once(norm / row[0])
            .chain((1..ROW).map(|direction| along(direction) / row[0]))
            .map(|value| value as f32)
            .collect();
        let expected: Vec<f32> =
            std::iter::once(1.0).chain(row[1..].iter().copied()).map(|value| value as f32).collect();
        let inside = actual.iter().zip(&expected).all(|(a, e)| (a - e).abs() <= bound);
        assert!(inside, "{key} {name}: {actual:?} where {expected:?} was expected");
        published.origin().assert_within(key, &actual, &expected, bound);
    }
}

#[test]
fn one_update_is_torchs() {
    for seed in 0..2 {
        let published = Published::new(&format!("open-flamingo-{seed}"));
        let step = Published::new(&format!("training-step-{seed}"));
        let names = step.checkpoint.metadata()["names"].as_str().unwrap();
        let fixture = &step.fixture;
        let [checkpoint, lm, vision] = published.open_flamingo_parts();
        let files = OpenFlamingoFiles {
            checkpoint: &checkpoint,
            lm: &lm,
            vision: &vision,
            base_vocab: Some(BASE_VOCAB),
        };
        let model = load_open_flamingo(files, &Device::flex()).unwrap().model.frozen_for_training();
        let objective = FlamingoObjective { device: Device::flex().autodiff(), loss: LossSpec::default() };

        let batches = [0, 1].map(|row| batch(&published, fixture, row));
        let losses = [0, 1].map(|source| objective.loss(&model, source, batches[source].clone()).loss);
        let [first, second] = losses.clone();
        let sum = first.mul_scalar(LAMBDAS[0]) + second.mul_scalar(LAMBDAS[1]);
        let gradients = GradientsParams::from_grads(sum.backward(), &model);
        compare(fixture, names, "grad.trained", &collect(&model, Some(&gradients)), 10.0 * TOLERANCE);
        fixture.assert_close("out.losses", Tensor::cat(losses.to_vec(), 0), TOLERANCE);

        let folder = tempfile::tempdir().unwrap();
        let trainer = Trainer {
            stage: "step".into(),
            config: config(),
            checkpoints: folder.path().join("checkpoints"),
            progress: Progress::Hidden,
            threads: 1,
            sync: Arc::new(Alone),
        };
        let stream = |batch: HostBatch| -> BoxStream<HostBatch> {
            Box::new(Indexed::new(1, move |_| Ok::<_, StreamError>(batch.clone())))
        };
        let mut sink = MemorySink::default();
        let never = AtomicBool::new(false);
        let after =
            trainer.fit(&objective, model, &mut batches.map(stream), &mut sink, &never).unwrap().model;
        let norm = Tensor::<1>::from_floats([sink.records[0].grad_norm as f32], &Device::flex());
        fixture.assert_close("out.norm", norm, TOLERANCE);
        compare(fixture, names, "out.trained", &collect(&after, None), TOLERANCE);
    }
}
