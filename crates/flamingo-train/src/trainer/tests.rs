//! Tests of the training loop, on a regression that a small network learns.

use std::fs;
use std::sync::atomic::AtomicU64;

use burn::nn::{Linear, LinearConfig};
use burn::optim::AdamWConfig;
use burn::tensor::{TensorData, Tolerance};

use flamingo_core::precision::{like, widen};

use super::*;
use crate::config::tests::config;
use crate::config::{AdamWSpec, GroupSpec, Mixing};
use crate::evaluation::Evaluator;
use crate::metrics::MemorySink;
use crate::stream::Indexed;
use crate::sync::{Alone, replicas, side_by_side};

#[derive(Module, Debug)]
struct Net {
    body: Linear,
    head: Linear,
}

impl Net {
    fn new(device: &Device) -> Self {
        let fill = |param: burn::module::Param<Tensor<2>>, scale: f32| {
            let count = param.shape().num_elements();
            let values = (0..count).map(|i| scale * ((i * 37 % 11) as f32 - 5.0)).collect();
            let data = TensorData::new(values, param.shape());
            param.map(|tensor| Tensor::from_data(data, &tensor.device()).require_grad())
        };
        let mut net = Self {
            body: LinearConfig::new(2, 6).init(device),
            head: LinearConfig::new(6, 1).with_bias(false).init(device),
        };
        net.body.weight = fill(net.body.weight, 0.1);
        net.body.bias = net.body.bias.map(|bias| bias.map(|tensor| tensor.zeros_like().require_grad()));
        net.head.weight = fill(net.head.weight, 0.07);
        net
    }

    fn loss(&self, xs: &[f32]) -> Tensor<1> {
        let device = self.body.weight.device();
        let x: Tensor<2> = Tensor::from_data(TensorData::new(xs.to_vec(), [xs.len() / 2, 2]), &device);
        let target = x.clone().sum_dim(1);
        let x = like(x, &self.body.weight.val());
        (widen(self.head.forward(self.body.forward(x).tanh())) - target).square().mean()
    }
}

/// Source 1 may turn bad at an update; the run may be stopped after one; a file may come to be at a path in one.
#[derive(Default)]
struct Regression<'a> {
    poison_at: Option<u64>,
    stop_at: Option<(u64, &'a AtomicBool)>,
    block: Option<(u64, &'a std::path::Path)>,
    calls: AtomicU64,
}

impl Objective for Regression<'_> {
    type Model = Net;
    type Batch = Vec<f32>;

    fn loss(&self, model: &Net, source: usize, batch: Vec<f32>) -> LossOutput {
        let update = self.calls.fetch_add(1, Ordering::Relaxed) / 2 + 1;
        if let Some((at, stop)) = self.stop_at {
            stop.store(update == at, Ordering::Relaxed);
        }
        if let Some((_, path)) = self.block.filter(|(at, _)| *at == update) {
            fs::write(path, "").unwrap();
        }
        let mut loss = model.loss(&batch);
        if source == 1 && self.poison_at == Some(update) {
            loss = loss.mul_scalar(f64::NAN);
        }
        LossOutput { loss, units: 4.0, images: 4, extra: vec![("half".into(), 0.5)] }
    }

    fn split(&self, batch: Vec<f32>, parts: usize) -> Vec<(Vec<f32>, f64)> {
        let (rows, parts) = (batch.len() / 2, parts.min(batch.len() / 2));
        let part =
            |index: usize| batch[2 * (index * rows / parts)..2 * ((index + 1) * rows / parts)].to_vec();
        (0..parts).map(part).map(|part| (part.clone(), part.len() as f64 / batch.len() as f64)).collect()
    }

    fn describe(&self, batch: &Vec<f32>) -> BTreeMap<String, TensorData> {
        BTreeMap::from([("x".to_owned(), TensorData::new(batch.clone(), [batch.len()]))])
    }

    fn diagnose(&self, model: &Net, source: usize, batch: &Vec<f32>) -> Option<String> {
        assert!(model.loss(batch).into_scalar::<f32>().is_finite(), "the poison is behind the model");
        Some(format!("the poison of {source}"))
    }

    fn probes(&self, model: &Net) -> Vec<(String, f64)> {
        vec![("head".into(), model.head.weight.val().sum().into_scalar::<f32>().into())]
    }
}

fn batch(source: u64, index: u64) -> Vec<f32> {
    (0..8).map(|i| ((derive(source, [index, i]) % 1000) as f32) / 500.0 - 1.0).collect()
}

fn streams() -> Vec<BoxStream<Vec<f32>>> {
    let stream = |source| Indexed::new(2, move |index| Ok::<_, StreamError>(batch(source, index)));
    vec![Box::new(stream(0)), Box::new(stream(1))]
}

fn trainer(folder: &tempfile::TempDir, config: TrainConfig) -> Trainer {
    Trainer {
        stage: "stage".into(),
        config,
        // Without the run's lock: replicas share the folder.
        checkpoints: folder.path().join("checkpoints").join("stage"),
        progress: Progress::Hidden,
        threads: 1,
        sync: Arc::new(Alone),
    }
}

fn fit(
    folder: &tempfile::TempDir,
    config: TrainConfig,
    objective: &Regression<'_>,
    model: Net,
) -> Result<Outcome<Net>, TrainError> {
    let never = AtomicBool::new(false);
    let stop = objective.stop_at.map_or(&never, |(_, stop)| stop);
    trainer(folder, config).fit(objective, model, &mut streams(), &mut MemorySink::default(), stop)
}

fn net() -> Net {
    Net::new(&Device::flex().autodiff())
}

#[test]
fn it_learns_and_tells() {
    let folder = tempfile::tempdir().unwrap();
    let mut sink = MemorySink::default();
    let config = TrainConfig { steps: 200, log_every: 30, checkpoint_every: 1000, ..config() };
    let outcome = trainer(&folder, config)
        .fit(&Regression::default(), net(), &mut streams(), &mut sink, &AtomicBool::new(false))
        .unwrap();
    assert!(outcome.finished && outcome.step == 200 && outcome.seconds > 0.0);

    let steps: Vec<u64> = sink.records.iter().map(|record| record.step).collect();
    assert_eq!(steps, [30, 60, 90, 120, 150, 180, 200]);
    let (first, last) = (&sink.records[0], &sink.records[6]);
    assert!(last.losses["left"] < 0.1 * first.losses["left"], "{first:?}\n{last:?}");
    assert_eq!((first.images, first.units, first.extra["right/half"]), (240, 240.0, 0.5));
    assert!(first.grad_norm > 0.0 && first.probes.contains_key("head") && first.lr > last.lr);
}

#[test]
fn parts_add_up_to_the_whole_on_any_number_of_threads() {
    let run = |microbatches: usize, threads: usize| {
        let folder = tempfile::tempdir().unwrap();
        let mut sink = MemorySink::default();
        let config = TrainConfig { microbatches, steps: 20, ..config() };
        let trainer = Trainer { threads, ..trainer(&folder, config) };
        let never = AtomicBool::new(false);
        let model =
            trainer.fit(&Regression::default(), net(), &mut streams(), &mut sink, &never).unwrap().model;
        let weights: Vec<f32> = model.body.weight.val().inner().into_data().try_to_vec().unwrap();
        let record = sink.records.last().unwrap();
        (weights, record.losses.clone(), (record.units, record.images), record.extra.clone())
    };
    let (weights, losses, ..) = run(1, 1);
    for microbatches in [2, 3, 9] {
        let alone = run(microbatches, 1);
        assert_eq!(alone, run(microbatches, 2), "{microbatches} parts");
        assert_eq!(alone, run(microbatches, 5), "{microbatches} parts");
        let near = |a: &f64, b: &f64| (a - b).abs() < 1e-5;
        assert!(losses.iter().zip(&alone.1).all(|((_, a), (_, b))| near(a, b)), "{losses:?} {:?}", alone.1);
        assert!(weights.iter().zip(&alone.0).all(|(a, b)| near(&f64::from(*a), &f64::from(*b))));
        assert!(alone.3.values().all(|half| near(half, &0.5)));
    }
}

#[test]
fn an_update_is_burns_adamw_on_the_weighted_sum_of_losses() {
    let folder = tempfile::tempdir().unwrap();
    let config = TrainConfig { clip_norm: None, groups: Vec::new(), steps: 5, ..config() };
    let trained = fit(&folder, config.clone(), &Regression::default(), net()).unwrap().model;

    let AdamWSpec { beta1, beta2, eps } = config.optimizer;
    let mut reference = AdamWConfig::new()
        .with_beta_1(beta1 as f32)
        .with_beta_2(beta2 as f32)
        .with_epsilon(eps as f32)
        .with_weight_decay(config.weight_decay as f32)
        .init();
    let mut model = net();
    for step in 0..5 {
        let loss = model.loss(&batch(0, step)) + model.loss(&batch(1, step)).mul_scalar(0.5);
        let grads = GradientsParams::from_grads(loss.backward(), &model);
        model = reference.step(config.schedule.at(step, 5), model, grads);
    }
    let tolerance = Tolerance::<f32>::absolute(1e-6);
    trained.body.weight.to_data().assert_approx_eq(&model.body.weight.to_data(), tolerance);
    trained.head.weight.to_data().assert_approx_eq(&model.head.weight.to_data(), tolerance);
}

#[test]
fn in_turn_each_update_is_one_sources() {
    let folder = tempfile::tempdir().unwrap();
    let config = TrainConfig {
        mixing: Mixing::RoundRobin,
        clip_norm: None,
        groups: Vec::new(),
        steps: 5,
        log_every: 1,
        ..config()
    };
    let mut sink = MemorySink::default();
    let never = AtomicBool::new(false);
    let trained = trainer(&folder, config.clone())
        .fit(&Regression::default(), net(), &mut streams(), &mut sink, &never)
        .unwrap()
        .model;
    let seen: Vec<Vec<&String>> = sink.records.iter().map(|record| record.losses.keys().collect()).collect();
    assert_eq!(seen, [["left"], ["right"], ["left"], ["right"], ["left"]]);

    let mut optimizer = PathAdamW::default();
    let mut model = net();
    for (step, (source, index, weight)) in
        [(0, 0, 1.0), (1, 0, 0.5), (0, 1, 1.0), (1, 1, 0.5), (0, 2, 1.0)].into_iter().enumerate()
    {
        let loss = model.loss(&batch(source, index)).mul_scalar(weight);
        let grads = GradientsParams::from_grads(loss.backward(), &model);
        model = optimizer.step(&config, config.schedule.at(step as u64, 5), model, grads);
    }
    let tolerance = Tolerance::<f32>::absolute(1e-6);
    trained.body.weight.to_data().assert_approx_eq(&model.body.weight.to_data(), tolerance);
    trained.head.weight.to_data().assert_approx_eq(&model.head.weight.to_data(), tolerance);
}

#[test]
fn groups_scale_learning_rate_and_decay() {
    let folder = tempfile::tempdir().unwrap();
    let still = GroupSpec {
        name: "still".into(),
        pattern: "body".into(),
        lr: 0.0,
        weight_decay: None,
        agc: Some(0.01),
    };
    let config = TrainConfig { groups: vec![still], ..config() };
    let model = fit(&folder, config, &Regression::default(), net()).unwrap().model;
    assert_eq!(model.body.weight.to_data(), net().body.weight.to_data());
    assert_ne!(model.head.weight.to_data(), net().head.weight.to_data());
}

#[test]
fn frozen_parameters_stay_and_cost_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let mut model = net();
    model.body = model.body.no_grad();
    let config = TrainConfig { groups: Vec::new(), ..config() };
    let outcome = fit(&folder, config, &Regression::default(), model).unwrap();
    assert_eq!(outcome.model.body.weight.to_data(), net().body.weight.to_data());
    let checkpoint = Checkpoint::latest(&folder.path().join("checkpoints/stage")).unwrap().unwrap();
    let tensors = crate::files::read_tensors(&checkpoint.path().join("model.safetensors")).unwrap();
    assert_eq!(tensors.keys().collect::<Vec<_>>(), ["head.weight"]);
    let (_, optimizer) = checkpoint.load_into(outcome.model).unwrap();
    assert_eq!(optimizer.len(), 1);
}

#[test]
fn a_stopped_run_has_a_checkpoint_and_a_finished_one_is_not_trained_again() {
    let folder = tempfile::tempdir().unwrap();
    let stop = AtomicBool::new(false);
    let objective = Regression { stop_at: Some((5, &stop)), ..Regression::default() };
    let outcome = fit(&folder, config(), &objective, net()).unwrap();
    assert!(!outcome.finished && outcome.step == 5);
    let checkpoint = Checkpoint::latest(&folder.path().join("checkpoints/stage")).unwrap().unwrap();
    assert_eq!(checkpoint.state().step, 5);

    let second = fit(&folder, config(), &Regression::default(), net()).unwrap();
    assert!(second.finished && second.step == 10);
    let again = Regression::default();
    let third = fit(&folder, config(), &again, net()).unwrap();
    assert_eq!(again.calls.load(Ordering::Relaxed), 0);
    assert_eq!(third.model.head.weight.to_data(), second.model.head.weight.to_data());
}

#[test]
fn divergence_names_source_and_step_and_overwrites_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let objective = Regression { poison_at: Some(6), ..Regression::default() };
    let error = fit(&folder, config(), &objective, net()).unwrap_err().to_string();
    assert!(error.contains("step 6") && error.contains("\"right\""), "{error}");
    assert!(
        error.contains("that of the poison of 1") && error.contains("3 of 3 parameters: body.weight"),
        "{error}"
    );
    let kept = folder.path().join("checkpoints/stage/diverged-000006-right.safetensors");
    assert!(error.contains(kept.to_str().unwrap()), "{error}");
    let x: Vec<f32> = crate::files::read_tensors(&kept).unwrap()["x"].clone().try_to_vec().unwrap();
    assert_eq!(x, batch(1, 5), "the batch of the sixth update");
    let checkpoint = Checkpoint::latest(&folder.path().join("checkpoints/stage")).unwrap().unwrap();
    assert_eq!(checkpoint.state().step, 4);
    checkpoint.load_into(net()).unwrap();
}

/// How far the head's weights are from their sum `at`: training passes by.
struct Distance {
    at: f64,
    asked: usize,
}

impl Evaluator<Net> for &mut Distance {
    fn evaluate(
        &mut self,
        model: &Net,
    ) -> Result<Vec<(String, f64)>, Box<dyn std::error::Error + Send + Sync>> {
        self.asked += 1;
        let sum: f64 = model.head.weight.val().sum().into_scalar::<f32>().into();
        // Drawing random numbers must not change what is learned.
        let noise =
            Tensor::<1>::random([1], burn::tensor::Distribution::Default, &model.body.weight.device());
        assert!(noise.into_scalar::<f32>().is_finite());
        Ok(vec![("distance".to_owned(), (sum - self.at).abs()), ("lost".to_owned(), f64::NAN)])
    }
}

fn evaluated(folder: &tempfile::TempDir, config: TrainConfig, at: f64) -> (Outcome<Net>, MemorySink, usize) {
    let (mut distance, mut sink) = (Distance { at, asked: 0 }, MemorySink::default());
    let never = AtomicBool::new(false);
    let evaluators: Evaluators<'_, Net> = vec![Box::new(&mut distance)];
    let trainer = trainer(folder, config);
    let objective = Regression::default();
    let outcome =
        trainer.fit_evaluated(&objective, net(), &mut streams(), evaluators, &mut sink, &never).unwrap();
    (outcome, sink, distance.asked)
}

#[test]
fn evaluations_are_recorded_and_the_best_checkpoint_stays() {
    let plain = tempfile::tempdir().unwrap();
    let reference = fit(&plain, config(), &Regression::default(), net()).unwrap().model;

    let folder = tempfile::tempdir().unwrap();
    let config = TrainConfig {
        evaluate_every: 3,
        keep_best: Some("distance".to_owned()),
        log_every: 4,
        checkpoint_every: 5,
        keep_last: 1,
        ..config()
    };
    // The sum falls or rises all the way: the start is the best, and is update 3.
    let start: f64 = net().head.weight.val().sum().into_scalar::<f32>().into();
    let (outcome, sink, asked) = evaluated(&folder, config.clone(), start);
    assert_eq!(outcome.model.head.weight.to_data(), reference.head.weight.to_data());
    assert_eq!(asked, 4);
    let measured: Vec<(u64, bool)> =
        sink.records.iter().map(|record| (record.step, record.evaluation.contains_key("distance"))).collect();
    assert_eq!(measured, [(3, true), (4, false), (6, true), (8, false), (9, true), (10, true)]);
    assert!(sink.records.iter().all(|record| !record.evaluation.contains_key("lost")));

    let checkpoints = folder.path().join("checkpoints/stage");
    let best = Checkpoint::best(&checkpoints, "distance").unwrap().unwrap();
    assert_eq!((best.state().step, &best.state().evaluation), (3, &sink.records[0].evaluation));
    assert_eq!(fs::read_dir(&checkpoints).unwrap().count(), 2, "the best and the last");

    // Nothing to evaluate with.
    let error = fit(&tempfile::tempdir().unwrap(), config, &Regression::default(), net()).unwrap_err();
    assert!(error.to_string().contains("`evaluate_every`"), "{error}");
}

#[test]
fn what_cannot_be_saved_is_told_with_what_is_left() {
    let folder = tempfile::tempdir().unwrap();
    let stop = AtomicBool::new(false);
    let stopped = Regression { stop_at: Some((5, &stop)), ..Regression::default() };
    fit(&folder, config(), &stopped, net()).unwrap();
    // Where the next checkpoint would be written is a file: that fails for everybody, root included.
    let checkpoints = folder.path().join("checkpoints/stage");
    let scratch = crate::files::scratch_path(&checkpoints.join("step-000008"));
    let objective = Regression { block: Some((2, &scratch)), ..Regression::default() };
    let error = fit(&folder, config(), &objective, net()).unwrap_err();
    let TrainError::Unsaved { step: 8, need: Some(need), kept: Some(kept), source } = &error else {
        panic!("{error:?}")
    };
    assert!(*need > 0 && kept.ends_with("step-000005"));
    assert!(source.to_string().contains("step-000008"), "{source}");
    let text = error.to_string();
    for part in
        ["update 8 could not be saved", "a checkpoint takes 0.3 kB", "step-000005 is whole", "--resume"]
    {
        assert!(text.contains(part), "{text}");
    }
    fs::remove_file(&scratch).unwrap();
    let end = fit(&folder, config(), &Regression::default(), net()).unwrap();
    let whole = fit(&tempfile::tempdir().unwrap(), config(), &Regression::default(), net()).unwrap();
    assert!(end.finished);
    assert_eq!(end.model.head.weight.to_data(), whole.model.head.weight.to_data());
}

#[test]
fn a_rehearsal_takes_time_and_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let trainer = trainer(&folder, config());
    let seconds = trainer.rehearse(&Regression::default(), net(), &mut streams(), 3).unwrap();
    assert!(seconds.len() == 3 && seconds.iter().all(|seconds| *seconds > 0.0));
    assert!(!folder.path().join("checkpoints").exists());
}

#[test]
fn what_cannot_work_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let never = AtomicBool::new(false);
    let mut one_stream = streams();
    one_stream.pop();
    let error = trainer(&folder, config()).fit(
        &Regression::default(),
        net(),
        &mut one_stream,
        &mut MemorySink::default(),
        &never,
    );
    assert!(error.unwrap_err().to_string().contains("2 sources are configured, but 1 streams"));

    let config_without_groups = TrainConfig { groups: Vec::new(), ..config() };
    let error = fit(&folder, config_without_groups, &Regression::default(), net().no_grad()).unwrap_err();
    assert!(matches!(error, TrainError::NothingTrainable { .. }), "{error}");

    let mut torn = streams();
    torn[1] = Box::new(Indexed::new(1, |_| Err::<Vec<f32>, _>("shard 3 is torn")));
    let error = trainer(&folder, config())
        .fit(&Regression::default(), net(), &mut torn, &mut MemorySink::default(), &never)
        .unwrap_err();
    let reason = std::error::Error::source(&error).unwrap().to_string();
    assert!(error.to_string().contains("\"right\" failed at step 1") && reason == "shard 3 is torn");
    let mut left = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name());
    assert!(left.all(|name| name == ".lock"), "nothing was written");
}

fn weights(model: &Net) -> Vec<f32> {
    [&model.body.weight, &model.head.weight]
        .iter()
        .flat_map(|weight| weight.val().inner().into_data().iter::<f32>().collect::<Vec<_>>())
        .collect()
}

fn largest_difference(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

#[test]
fn half_precision_follows_f32() {
    let run = |precision: Precision| {
        let folder = tempfile::tempdir().unwrap();
        let mut sink = MemorySink::default();
        let config = TrainConfig { precision, steps: 150, log_every: 50, ..config() };
        let model = trainer(&folder, config)
            .fit(&Regression::default(), net(), &mut streams(), &mut sink, &AtomicBool::new(false))
            .unwrap()
            .model;
        (weights(&model), sink.records)
    };
    let (expected, losses) = run(Precision::F32);
    for (precision, tolerance) in [(Precision::Bf16, 0.1), (Precision::F16, 0.02)] {
        let (found, records) = run(precision);
        let difference = largest_difference(&expected, &found);
        assert!(difference > 0.0 && difference < tolerance, "{precision}: {difference}");
        for (record, exact) in records.iter().zip(&losses) {
            let (loss, exact) = (record.losses["left"], exact.losses["left"]);
            assert!((loss - exact).abs() < 0.1 * exact + 0.02, "{precision}: {loss} {exact}");
        }
        let scaled = records[0].probes.contains_key("loss_scale");
        assert_eq!(scaled, precision == Precision::F16);
    }
}

/// Each update here is a 2000th of the weights: bf16, which knows steps of a 256th, would keep them where they are.
#[test]
fn updates_too_small_for_half_precision_add_up() {
    let folder = tempfile::tempdir().unwrap();
    let config = TrainConfig {
        precision: Precision::Bf16,
        steps: 40,
        weight_decay: 0.0,
        groups: Vec::new(),
        schedule: crate::Schedule::Constant { peak: 5e-5, warmup: 0 },
        ..config()
    };
    let before = weights(&net());
    let after = weights(&fit(&folder, config, &Regression::default(), net()).unwrap().model);
    let rounded = |value: f32| f32::from_bits((value.to_bits() + 0x8000) & 0xffff_0000);
    let moved: Vec<(f32, f32)> = before.iter().copied().zip(after).filter(|(b, _)| b.abs() > 0.1).collect();
    assert!(moved.len() > 5);
    for (before, after) in moved {
        let step = 5e-5f32.copysign(after - before);
        assert_eq!(rounded(rounded(before) + step), rounded(before), "one update is lost in bf16");
        assert!((after - before).abs() > 5.0 * step.abs(), "{before} {after}");
    }
}

#[test]
fn overflows_of_f16_are_skipped_counted_and_resumed() {
    // A gradient of about 2 times 65536 is too large for f16, which ends at 65504.
    let folder = tempfile::tempdir().unwrap();
    let stop = AtomicBool::new(false);
    let config = TrainConfig {
        precision: Precision::F16,
        log_every: 1,
        clip_norm: None,
        groups: Vec::new(),
        sources: vec![
            SourceSpec { name: "left".into(), weight: 64.0 },
            SourceSpec { name: "right".into(), weight: 64.0 },
        ],
        ..config()
    };
    let run = |objective: &Regression<'_>, folder: &tempfile::TempDir| {
        let mut sink = MemorySink::default();
        let never = AtomicBool::new(false);
        let stop = objective.stop_at.map_or(&never, |(_, stop)| stop);
        let outcome =
            trainer(folder, config.clone()).fit(objective, net(), &mut streams(), &mut sink, stop).unwrap();
        (weights(&outcome.model), sink.records)
    };
    run(&Regression { stop_at: Some((4, &stop)), ..Regression::default() }, &folder);
    let (resumed, records) = run(&Regression::default(), &folder);
    let whole = tempfile::tempdir().unwrap();
    let (expected, all) = run(&Regression::default(), &whole);
    assert_eq!(resumed, expected);
    assert_eq!(records.last().unwrap().probes, all.last().unwrap().probes);

    let first = &all[0];
    assert_eq!((first.probes["skipped_updates"], first.probes["loss_scale"]), (1.0, 32_768.0));
    assert_eq!(first.grad_norm, 0.0, "an update that was skipped has no gradient");
    let last = all.last().unwrap();
    assert!(last.probes["skipped_updates"] < 10.0 && last.grad_norm > 0.0, "{last:?}");
}

#[test]
fn replicas_on_parts_of_the_data_are_one_on_all_of_it() {
    let steps = 12;
    let config = TrainConfig { steps, log_every: 1, checkpoint_every: 5, ..config() };
    // The whole batch of update k: rows of batches 3k, 3k + 1 and 3k + 2.
    let parts = 3u64;
    let sharded = |rank: u64, world: u64| -> Vec<BoxStream<Vec<f32>>> {
        let stream = |source| {
            Indexed::new(1, move |index| {
                let all = (0..parts).filter(|part| part % world == rank);
                Ok::<_, StreamError>(all.flat_map(|part| batch(source, parts * index + part)).collect())
            })
        };
        vec![Box::new(stream(0)), Box::new(stream(1))]
    };
    let folder = tempfile::tempdir().unwrap();
    let mut sink = MemorySink::default();
    let never = AtomicBool::new(false);
    let alone = trainer(&folder, config.clone())
        .fit(&Regression::default(), net(), &mut sharded(0, 1), &mut sink, &never)
        .unwrap();

    let folder = tempfile::tempdir().unwrap();
    let base = net();
    let train = |stop_at: Option<u64>, record: &std::sync::Mutex<MemorySink>| {
        let stop = AtomicBool::new(false);
        side_by_side(replicas(3), vec![(); 3], |sync, ()| {
            let rank = sync.rank();
            // Only one of them is asked to stop.
            let stop_at = stop_at.filter(|_| rank == 1).map(|at| (at, &stop));
            let objective = Regression { stop_at, ..Regression::default() };
            let trainer = Trainer { sync, ..trainer(&folder, config.clone()) };
            let mut sink = MemorySink::default();
            let mine = AtomicBool::new(false);
            let asked = if rank == 1 { &stop } else { &mine };
            let outcome =
                trainer.fit(&objective, base.clone(), &mut sharded(rank as u64, 3), &mut sink, asked)?;
            if rank == 0 {
                record.lock().unwrap().records.extend(sink.records);
            } else {
                assert!(sink.records.is_empty(), "replica {rank} writes");
            }
            Ok((outcome.step, weights(&outcome.model)))
        })
        .unwrap()
    };
    let record = std::sync::Mutex::new(MemorySink::default());
    let halfway = train(Some(7), &record);
    assert!(halfway.iter().all(|(step, _)| *step == 7), "all stop together: {halfway:?}");
    let done = train(None, &record);
    let expected = weights(&alone.model);
    for (step, found) in &done {
        assert_eq!((*step, found), (steps, &done[0].1), "bit for bit the same");
        let difference = largest_difference(&expected, found);
        assert!(difference < 1e-6, "{difference}");
    }
    let records = record.into_inner().unwrap().records;
    assert_eq!(records.len(), sink.records.len());
    for (found, expected) in records.iter().zip(&sink.records) {
        assert!((found.losses["left"] - expected.losses["left"]).abs() < 1e-6);
        assert!((found.grad_norm - expected.grad_norm).abs() < 1e-5);
        // The objective counts four units a call.
        assert_eq!((found.units, found.images), (3.0 * expected.units, 3 * expected.images));
    }

    let trainer = trainer(&folder, config);
    let error = trainer
        .fit(&Regression::default(), net(), &mut streams(), &mut MemorySink::default(), &never)
        .unwrap_err();
    assert!(error.to_string().contains("`replicas` was 3 and is now 1"), "{error}");
}

#[test]
fn what_learns_has_leaves_of_its_own() {
    /// Fails if the gradient of what the trainer computes with reaches the model that it was given.
    struct Apart(Net);
    impl Objective for Apart {
        type Model = Net;
        type Batch = Vec<f32>;

        fn loss(&self, model: &Net, _source: usize, batch: Vec<f32>) -> LossOutput {
            let loss = model.loss(&batch);
            let gradients = model.loss(&batch).backward();
            assert!(model.head.weight.val().grad(&gradients).is_some());
            assert!(self.0.head.weight.val().grad(&gradients).is_none());
            LossOutput { loss, units: 1.0, images: 0, extra: Vec::new() }
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let (base, never) = (net(), AtomicBool::new(false));
    let objective = Apart(base.clone());
    let config = TrainConfig { steps: 1, ..config() };
    trainer(&folder, config)
        .fit(&objective, base, &mut streams(), &mut MemorySink::default(), &never)
        .unwrap();
}

#[test]
fn a_replica_that_fails_ends_all_with_its_own_reason() {
    let folder = tempfile::tempdir().unwrap();
    let base = net();
    let error = side_by_side(replicas(2), vec![(); 2], |sync, ()| {
        let mut torn = streams();
        if sync.rank() == 1 {
            torn[1] =
                Box::new(Indexed::new(1, |k| if k < 3 { Ok(batch(1, k)) } else { Err("shard 3 is torn") }));
        }
        let trainer = Trainer { sync, ..trainer(&folder, config()) };
        let never = AtomicBool::new(false);
        trainer.fit(&Regression::default(), base.clone(), &mut torn, &mut MemorySink::default(), &never)
    })
    .unwrap_err();
    assert!(error.to_string().contains("\"right\" failed at step 4"), "{error}");
}

#[test]
fn replicas_must_start_alike() {
    let folder = tempfile::tempdir().unwrap();
    let error = side_by_side(replicas(2), vec![(); 2], |sync, ()| {
        let mut model = net();
        if sync.rank() == 1 {
            model.head.weight =
                model.head.weight.map(|weight| (weight.inner() + 1e-3).autodiff().require_grad());
        }
        let trainer = Trainer { sync, ..trainer(&folder, config()) };
        let never = AtomicBool::new(false);
        trainer.fit(&Regression::default(), model, &mut streams(), &mut MemorySink::default(), &never)
    })
    .unwrap_err();
    assert!(error.to_string().contains("different weights"), "{error}");
}

#[test]
fn a_part_that_some_replicas_do_not_reach_counts_as_zero_for_them() {
    /// Replicas with an even first number leave the head out.
    struct Partial;
    impl Objective for Partial {
        type Model = Net;
        type Batch = Vec<f32>;

        fn loss(&self, model: &Net, _source: usize, batch: Vec<f32>) -> LossOutput {
            let through_body = model.body.weight.val().square().sum();
            let loss = match batch[0] > 0.0 {
                true => through_body + model.head.weight.val().sum(),
                false => through_body,
            };
            LossOutput { loss, units: 1.0, images: 0, extra: Vec::new() }
        }
    }
    let base = net();
    let config = TrainConfig {
        steps: 1,
        clip_norm: None,
        groups: Vec::new(),
        sources: vec![SourceSpec { name: "only".into(), weight: 1.0 }],
        log_every: 1,
        ..config()
    };
    let norm_of = |firsts: [f32; 2]| {
        let folder = tempfile::tempdir().unwrap();
        let norms = side_by_side(replicas(2), vec![(); 2], |sync, ()| {
            let rank = sync.rank();
            let first = firsts[rank];
            let stream: BoxStream<Vec<f32>> =
                Box::new(Indexed::new(1, move |_| Ok::<_, StreamError>(vec![first])));
            let trainer = Trainer { sync, ..trainer(&folder, config.clone()) };
            let mut sink = MemorySink::default();
            let never = AtomicBool::new(false);
            let outcome = trainer.fit(&Partial, base.clone(), &mut [stream], &mut sink, &never)?;
            Ok((sink.records.first().map(|record| record.grad_norm), weights(&outcome.model)))
        })
        .unwrap();
        assert_eq!(norms[0].1, norms[1].1);
        norms[0].0.unwrap().powi(2)
    };
    let [neither, one, both] = [norm_of([-1.0, -1.0]), norm_of([-1.0, 1.0]), norm_of([1.0, 1.0])];
    // The head has six weights with a gradient of 1, or of a half in the mean.
    assert!((one - neither - 6.0 * 0.25).abs() < 1e-4 && (both - neither - 6.0).abs() < 1e-4);
}
