//! How much memory training takes: a decoder of SmolLM2's shapes, all of it trained, in f32 on the CPU.
//!
//! `cargo run --release --example training_memory -- [LAYERS BATCH TOKENS]` takes 8 layers of SmolLM2-135M's size (width 576, 9 heads of
//! which 3 have keys and values, 1536 in the feed-forward part), 8192 tokens in the vocabulary, and 4 sequences of 256 tokens.
//! It makes six updates (loss, gradient, clipping, AdamW) by the trainer that runs use, whole batches at once, and prints the
//! peak of resident memory (Linux), by how much that exceeds what the process had before, and the seconds of an update.
//! `python training_memory.py`, beside this file, does the same with PyTorch.

use std::convert::Infallible;
use std::error::Error;
use std::path::PathBuf;
use std::sync::Arc;

use burn::tensor::Device;
use flamingo::HostBatch;
use flamingo::core::Precision;
use flamingo::lm::families::llama;
use flamingo::loss::LossSpec;
use flamingo::stages::language::LanguageObjective;
use flamingo::train::footprint::{Footprint, peak_resident, resident};
use flamingo::train::{
    AdamWSpec, Alone, BoxStream, Indexed, Mixing, Progress, Schedule, SourceSpec, TrainConfig, Trainer,
};
use serde_json::json;

const VOCAB: usize = 8192;
const UPDATES: u64 = 6;

fn main() -> Result<(), Box<dyn Error>> {
    let numbers = std::env::args().skip(1).map(|text| text.parse()).collect::<Result<Vec<usize>, _>>()?;
    let [layers, batch, len] = match numbers[..] {
        [] => [8, 4, 256],
        [layers, batch, len] => [layers, batch, len],
        _ => return Err("expected LAYERS BATCH TOKENS, or nothing".into()),
    };
    let device = Device::flex().autodiff();
    let config = llama::config(&json!({
        "model_type": "llama",
        "vocab_size": VOCAB,
        "hidden_size": 576,
        "num_attention_heads": 9,
        "num_key_value_heads": 3,
        "num_hidden_layers": layers,
        "intermediate_size": 1536,
        "hidden_act": "silu",
        "rms_norm_eps": 1e-5,
        "rope_theta": 100_000.0,
        "max_position_embeddings": 2048,
        "tie_word_embeddings": true,
    }))?;
    // What any program has: the first update of a number starts threads and so on.
    let before = resident().unwrap_or(0);
    let model = config.init(&device);
    let [trained, _] = Footprint::of(&model).numbers();

    let make = move |index: u64| {
        let ids = (0..batch * len).map(|place| ((place as u64 * 7919 + index) % VOCAB as u64) as u32);
        Ok::<_, Infallible>(HostBatch {
            batch,
            len,
            ids: ids.collect(),
            media_index: vec![0; batch * len],
            loss_weights: vec![1.0; batch * len],
            ..HostBatch::default()
        })
    };
    let mut streams: Vec<BoxStream<HostBatch>> = vec![Box::new(Indexed::new(1, make))];
    let trainer = Trainer {
        stage: "language".to_owned(),
        config: TrainConfig {
            steps: UPDATES,
            seed: 1,
            optimizer: AdamWSpec::default(),
            schedule: Schedule::Constant { peak: 1e-4, warmup: 1 },
            weight_decay: 0.1,
            groups: Vec::new(),
            clip_norm: Some(1.0),
            sources: vec![SourceSpec { name: "text".to_owned(), weight: 1.0 }],
            mixing: Mixing::default(),
            microbatches: 1,
            precision: Precision::default(),
            log_every: 1,
            checkpoint_every: 1,
            keep_last: 1,
            evaluate_every: 0,
            keep_best: None,
        },
        checkpoints: PathBuf::new(),
        progress: Progress::Hidden,
        threads: 1,
        sync: Arc::new(Alone),
    };
    let objective = LanguageObjective { device, loss: LossSpec::default() };
    let seconds = trainer.rehearse(&objective, model, &mut streams, UPDATES)?;
    let peak = peak_resident().unwrap_or(0);
    let best = seconds.iter().copied().fold(f64::INFINITY, f64::min);
    println!(
        "{trained} parameters, {batch} x {len} tokens: peak {} MiB, {} MiB over the start, {best:.2} s an update",
        peak >> 20,
        peak.saturating_sub(before) >> 20
    );
    Ok(())
}
