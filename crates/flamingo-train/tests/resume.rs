//! A run that was stopped and resumed in a new process ends bit for bit where an unbroken one does.
//!
//! The model has dropout, whose randomness comes from the device's global generator: hence one test in a process of
//! its own.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use burn::module::Module;
use burn::nn::{Dropout, DropoutConfig, Linear, LinearConfig};
use burn::tensor::{Device, Tensor, TensorData};
use flamingo_core::Precision;
use flamingo_core::seed::derive;
use flamingo_train::{
    AdamWSpec, Alone, BoxStream, Existing, GroupSpec, Indexed, JsonlSink, LossOutput, MetricRecord, Mixing,
    Objective, Outcome, Progress, RunDir, Schedule, SourceSpec, StreamError, TrainConfig, Trainer,
    load_module, save_module,
};

#[derive(Module, Debug)]
struct Net {
    body: Linear,
    dropout: Dropout,
    head: Linear,
}

fn net() -> Net {
    let device = Device::flex().autodiff();
    Net {
        body: LinearConfig::new(4, 32).init(&device),
        dropout: DropoutConfig::new(0.3).init(),
        head: LinearConfig::new(32, 1).init(&device),
    }
}

/// Sets its flag during the update `stop_at`, given how many batches an update takes.
struct Regression {
    batches: u64,
    stop_at: u64,
    calls: AtomicU64,
    stop: AtomicBool,
}

impl Objective for Regression {
    type Model = Net;
    type Batch = Vec<f32>;

    fn loss(&self, model: &Net, _source: usize, batch: Vec<f32>) -> LossOutput {
        let update = self.calls.fetch_add(1, Ordering::Relaxed) / self.batches + 1;
        self.stop.store(update == self.stop_at, Ordering::Relaxed);
        let device = model.body.weight.device();
        let x: Tensor<2> = Tensor::from_data(TensorData::new(batch, [8, 4]), &device);
        let target = x.clone().square().sum_dim(1);
        let hidden = model.dropout.forward(model.body.forward(x).tanh());
        let loss = (model.head.forward(hidden) - target).square().mean();
        LossOutput { loss, units: 8.0, images: 8, extra: Vec::new() }
    }
}

fn config(mixing: Mixing) -> TrainConfig {
    TrainConfig {
        steps: 10,
        seed: 3,
        optimizer: AdamWSpec::default(),
        schedule: Schedule::Cosine { peak: 0.02, warmup: 3, end_factor: 0.1 },
        weight_decay: 0.05,
        groups: vec![GroupSpec {
            name: "head".into(),
            pattern: "head".into(),
            lr: 0.5,
            weight_decay: Some(0.0),
            agc: Some(0.1),
        }],
        clip_norm: Some(1.0),
        sources: ["pages", "pairs"].map(|name| SourceSpec { name: name.into(), weight: 0.5 }).into(),
        mixing,
        microbatches: 1,
        precision: Precision::default(),
        // Neither divides the update at which the run is stopped.
        log_every: 3,
        checkpoint_every: 4,
        keep_last: 1,
        evaluate_every: 0,
        keep_best: None,
    }
}

fn streams() -> Vec<BoxStream<Vec<f32>>> {
    let value = |source, index, i| (derive(source, [index, i]) % 1000) as f32 / 500.0 - 1.0;
    let stream = |source| {
        Indexed::new(3, move |index| Ok::<_, StreamError>((0..32).map(|i| value(source, index, i)).collect()))
    };
    vec![Box::new(stream(1)), Box::new(stream(2))]
}

/// One session of the run in `folder`; the model starts from `weights` with new parameter ids, as in a new process.
fn session(folder: &Path, weights: &Path, mixing: Mixing, stop_at: u64) -> Outcome<Net> {
    let run = RunDir::create(folder, Existing::Resume).unwrap();
    let batches = if mixing == Mixing::Accumulate { 2 } else { 1 };
    let objective = Regression { batches, stop_at, calls: AtomicU64::new(0), stop: AtomicBool::new(false) };
    let model = load_module(net(), weights).unwrap();
    let mut sink = JsonlSink::new(run.join("metrics.jsonl"));
    let checkpoints = run.checkpoints("test");
    let trainer = Trainer {
        stage: "test".into(),
        config: config(mixing),
        checkpoints,
        progress: Progress::Hidden,
        threads: 1,
        sync: Arc::new(Alone),
    };
    trainer.fit(&objective, model, &mut streams(), &mut sink, &objective.stop).unwrap()
}

fn records(folder: &Path) -> Vec<MetricRecord> {
    let timeless = |record: MetricRecord| MetricRecord { images_per_s: 0.0, elapsed_s: 0.0, ..record };
    JsonlSink::read(&folder.join("metrics.jsonl")).unwrap().into_iter().map(timeless).collect()
}

fn tensors(folder: &Path, file: &str) -> Vec<u8> {
    std::fs::read(folder.join("checkpoints/test/step-000010").join(file)).unwrap()
}

#[test]
fn stopping_and_resuming_changes_no_bit() {
    for mixing in [Mixing::Accumulate, Mixing::RoundRobin] {
        let root = tempfile::tempdir().unwrap();
        let (weights, whole, broken) =
            (root.path().join("initial.safetensors"), root.path().join("whole"), root.path().join("broken"));
        save_module(&net(), &weights).unwrap();

        assert!(session(&whole, &weights, mixing, 0).finished);
        let first = session(&broken, &weights, mixing, 5);
        assert!(!first.finished && first.step == 5);
        assert!(session(&broken, &weights, mixing, 0).finished);

        for file in ["model.safetensors", "optimizer.safetensors"] {
            assert_eq!(tensors(&whole, file), tensors(&broken, file), "{file} differs, {mixing:?}");
        }
        assert_eq!(records(&whole), records(&broken));
        assert_eq!(records(&whole).iter().map(|record| record.step).collect::<Vec<_>>(), [3, 6, 9, 10]);
    }
}
