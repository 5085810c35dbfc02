//! An update by the trainer that runs use: images and text to a loss, gradients, clipping, AdamW.
//!
//! The encoder runs in every update, as it does where features are not kept on disk. A batch is made on the host before
//! the clock of an update asks for it, and moved to the device within the update. On a CPU, an update is computed in as many
//! parts as there are threads, as runs are configured to do.

use std::convert::Infallible;
use std::path::PathBuf;
use std::sync::Arc;

use flamingo::core::Precision;
use flamingo::loss::LossSpec;
use flamingo::nn::count_parameters;
use flamingo::stages::flamingo::FlamingoObjective;
use flamingo::train::{
    AdamWSpec, Alone, BoxStream, Indexed, Mixing, Progress, Schedule, SourceSpec, TrainConfig, Trainer,
};
use flamingo::{FlamingoConfig, HostBatch};
use serde_json::json;

use super::inputs::ready;
use crate::case::{Case, Prepared, Suite};
use crate::count::{self, Reading};
use crate::sizes;

pub fn cases() -> anyhow::Result<Vec<Case>> {
    Ok(vec![
        case("smol-4x256", "smol, 4 rows of 256 tokens with an image each", sizes::smol()?, [4, 256])?,
        case("nano-64x32", "nano, 64 rows of 32 tokens with an image each", sizes::nano(), [64, 32])?,
    ])
}

/// Numbers that learn: all but the towers, and the rows of new tokens.
fn trained(config: &FlamingoConfig) -> anyhow::Result<usize> {
    let model = config.init(&burn::tensor::Device::flex())?;
    Ok(count_parameters(&model.resampler)
        + count_parameters(&model.xattn)
        + config.lm.new_tokens * config.lm.d_model)
}

fn case(
    name: &'static str,
    about: &'static str,
    config: FlamingoConfig,
    [batch, len]: [usize; 2],
) -> anyhow::Result<Case> {
    let read = Reading { batch, past: 0, len, scored: batch * (len - 1) };
    Ok(Case {
        suite: Suite::Train,
        name,
        about,
        work: count::update(&config, read, batch, trained(&config)?),
        peer: Some(json!({"kind": "train", "model": config, "batch": batch, "len": len})),
        prepare: Box::new(move |context| {
            let device = context.device.clone().autodiff();
            let model = ready(config.init(&device)?.frozen_for_training());
            let vocabulary = config.lm.vocab;
            let size = config.preprocess.size;
            let make =
                move |index: u64| Ok::<_, Infallible>(host_batch(index, [batch, len], vocabulary, size));
            let trainer = trainer(if context.is_cpu { parts(batch, context.threads) } else { 1 });
            Ok(Prepared::Timed(Box::new(move |goes_on| {
                let mut streams: Vec<BoxStream<HostBatch>> = vec![Box::new(Indexed::new(1, make))];
                let objective = FlamingoObjective { device, loss: LossSpec::default() };
                Ok(trainer
                    .rehearse_while(&objective, model, &mut streams, |seconds| goes_on(seconds * 1e3))?)
            })))
        }),
    })
}

/// Rows that begin with their image; every token but the first counts.
fn host_batch(index: u64, [batch, len]: [usize; 2], vocabulary: usize, size: usize) -> HostBatch {
    let place = |place: usize| match place % len {
        0 => vocabulary as u32,
        _ => ((place as u64 * 7919 + index) % vocabulary as u64) as u32,
    };
    let pixel = |place: usize| ((place * 31 + index as usize) % 255) as f32 / 127.5 - 1.0;
    HostBatch {
        batch,
        len,
        media: 1,
        frames: 1,
        size,
        ids: (0..batch * len).map(place).collect(),
        media_index: vec![1; batch * len],
        loss_weights: vec![1.0; batch * len],
        pixels: (0..batch * 3 * size * size).map(pixel).collect(),
        features: None,
    }
}

/// Into how many equal parts a batch of so many rows is cut for so many threads.
fn parts(rows: usize, threads: usize) -> usize {
    (1..=threads.min(rows)).rev().find(|parts| rows.is_multiple_of(*parts)).unwrap_or(1)
}

fn trainer(parts: usize) -> Trainer {
    Trainer {
        stage: "flamingo".to_owned(),
        config: TrainConfig {
            steps: 1000,
            seed: 1,
            optimizer: AdamWSpec::default(),
            schedule: Schedule::Constant { peak: 1e-4, warmup: 1 },
            weight_decay: 0.1,
            groups: Vec::new(),
            clip_norm: Some(1.0),
            sources: vec![SourceSpec { name: "rows".to_owned(), weight: 1.0 }],
            mixing: Mixing::default(),
            microbatches: parts,
            precision: Precision::F32,
            log_every: 1,
            checkpoint_every: 1,
            keep_last: 1,
            evaluate_every: 0,
            keep_best: None,
        },
        checkpoints: PathBuf::new(),
        progress: Progress::Hidden,
        threads: parts,
        sync: Arc::new(Alone),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_has_what_its_documentation_asks_for() {
        let batch = host_batch(3, [2, 5], 1024, 4);
        assert_eq!((batch.ids.len(), batch.pixels.len(), batch.images()), (10, 2 * 3 * 16, 2));
        assert!(batch.ids[0] == 1024 && batch.ids[5] == 1024);
        assert!(batch.ids.iter().enumerate().all(|(place, id)| place % 5 == 0 || *id < 1024));
    }

    #[test]
    fn parts_are_equal_and_no_more_than_threads() {
        assert_eq!([1, 2, 3, 4, 16].map(|threads| parts(4, threads)), [1, 2, 2, 4, 4]);
        assert_eq!(parts(7, 4), 1);
    }

    #[test]
    fn what_learns_is_what_the_trainer_trains() {
        let config = sizes::nano();
        let model = config.init(&burn::tensor::Device::flex().autodiff()).unwrap().frozen_for_training();
        let [learns, _] = flamingo::train::Footprint::of(&model).numbers();
        assert_eq!(trained(&config).unwrap(), learns);
    }
}
