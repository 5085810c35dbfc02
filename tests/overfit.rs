//! What a Flamingo can learn by heart: eight documents whose texts only their images tell apart.
//!
//! A device's random numbers belong to the whole process, and the first weights are drawn from them: hence one test in a
//! binary of its own.

mod tiny;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use burn::tensor::Device;
use flamingo::core::Precision;
use flamingo::core::media::{TextTie, media_index};
use flamingo::loss::LossSpec;
use flamingo::stages::flamingo::FlamingoObjective;
use flamingo::train::{
    AdamWSpec, Alone, BoxStream, GroupSpec, Indexed, MemorySink, Mixing, Progress, Schedule, SourceSpec,
    StreamError, TrainConfig, Trainer,
};
use flamingo::{Flamingo, HostBatch, MediaAttention};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::tiny::{EOC, IMAGE, config};

const DOCUMENTS: usize = 8;
const WORDS: u32 = 12;
const STEPS: u64 = 500;

/// Frozen towers as training finds them: a language model that can say anything, here a random one whose rows all have
/// the same length, so that none is hidden behind others, and enough of it for a sharp softmax.
fn model(device: &Device) -> Flamingo {
    device.seed(11);
    let mut model = config(MediaAttention::Preceding).init(device).unwrap();
    model.lm.embedding = model.lm.embedding.map(|table| {
        let lengths = table.clone().square().sum_dim(1).sqrt();
        table / lengths * 6.0
    });
    model.frozen_for_training()
}

/// Of two images each, with three words on each; every document begins alike, and words repeat between them. No word stands
/// twice in a row: a language model with random weights hardly counts how often.
fn documents(size: usize) -> HostBatch {
    let mut rng = ChaCha8Rng::seed_from_u64(5);
    let mut ids = Vec::new();
    for _ in 0..DOCUMENTS {
        for _ in 0..2 {
            ids.push(IMAGE);
            let mut word = rng.random_range(0..WORDS);
            ids.push(word);
            for _ in 1..3 {
                word = (word + rng.random_range(1..WORDS)) % WORDS;
                ids.push(word);
            }
            ids.push(EOC);
        }
    }
    let len = ids.len() / DOCUMENTS;
    HostBatch {
        batch: DOCUMENTS,
        len,
        media: 2,
        frames: 1,
        size,
        media_index: ids.chunks(len).flat_map(|row| media_index(row, IMAGE, TextTie::Previous)).collect(),
        loss_weights: ids.iter().map(|id| if *id == IMAGE { 0.0 } else { 1.0 }).collect(),
        ids,
        pixels: (0..2 * DOCUMENTS).flat_map(|_| picture(size, &mut rng)).collect(),
        features: None,
    }
}

/// Squares of random colours, a quarter of a side each, `[3, size, size]`: no two pictures look alike to a random encoder.
fn picture(size: usize, rng: &mut ChaCha8Rng) -> Vec<f32> {
    let colours: Vec<f32> = (0..3 * 16).map(|_| rng.random_range(-3.0..3.0)).collect();
    let square = |place: usize| place / size / (size / 4) * 4 + place % size / (size / 4);
    (0..3 * size * size)
        .map(|place| colours[place / (size * size) * 16 + square(place % (size * size))])
        .collect()
}

fn training() -> TrainConfig {
    let gates = GroupSpec {
        name: "gates".into(),
        pattern: "xattn.*_gate".into(),
        lr: 5.0,
        weight_decay: Some(0.0),
        agc: None,
    };
    TrainConfig {
        steps: STEPS,
        seed: 1,
        optimizer: AdamWSpec::default(),
        schedule: Schedule::Linear { peak: 8e-3, warmup: 10, end_factor: 0.05 },
        weight_decay: 0.0,
        groups: vec![gates],
        clip_norm: Some(1.0),
        sources: vec![SourceSpec { name: "documents".into(), weight: 1.0 }],
        mixing: Mixing::Accumulate,
        microbatches: 1,
        precision: Precision::default(),
        log_every: 10,
        checkpoint_every: STEPS,
        keep_last: 1,
        evaluate_every: 0,
        keep_best: None,
    }
}

#[test]
fn eight_documents_are_learned_by_heart() {
    let model = model(&Device::flex());
    let batch = documents(config(MediaAttention::Preceding).preprocess.size);
    let stream: BoxStream<HostBatch> =
        Box::new(Indexed::new(1, move |_| Ok::<_, StreamError>(batch.clone())));
    let folder = tempfile::tempdir().unwrap();
    let trainer = Trainer {
        stage: "overfit".into(),
        config: training(),
        checkpoints: folder.path().join("checkpoints"),
        progress: Progress::Hidden,
        threads: 1,
        sync: Arc::new(Alone),
    };
    let objective = FlamingoObjective { device: Device::flex().autodiff(), loss: LossSpec::default() };
    let mut sink = MemorySink::default();
    trainer.fit(&objective, model, &mut [stream], &mut sink, &AtomicBool::new(false)).unwrap();
    let losses: Vec<f64> = sink.records.iter().map(|record| record.losses["documents"]).collect();
    // Without images the best guess of the first of three words alone costs more than this.
    assert!(losses.last().is_some_and(|loss| *loss < 0.05), "{losses:?}");
}
