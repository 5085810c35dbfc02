//! What gradients cost in time and memory: with all activations kept, by Burn's gradient checkpointing, with layers computed
//! twice, and in half precision.
//!
//! `cargo run --release --example recompute_memory -- [TOKENS [LAYERS]]` takes a decoder of SmolLM2-135M's shape (30 layers
//! of 576, or as many as said), frozen, with a gated block before every third layer, and one sequence of 256 tokens, or as
//! many as said, with an image. Each line is a process of its own: the seconds of loss and gradients, best of two, and by
//! how much its peak of resident memory (Linux) exceeds what the weights take.

use std::error::Error;
use std::process::Command;
use std::time::Instant;

use burn::module::{Module, ModuleVisitor, Param};
use burn::optim::GradientsParams;
use burn::tensor::{Device, Tensor};
use flamingo::core::Precision;
use flamingo::lm::{Biases, DecoderConfig, Head, Positions, Residual};
use flamingo::loss::LossSpec;
use flamingo::nn::{Act, NormConfig, count_parameters};
use flamingo::stages::flamingo::FlamingoObjective;
use flamingo::train::Objective;
use flamingo::train::precision::{Shelf, narrowed};
use flamingo::xattn::GatedXattnConfig;
use flamingo::{FlamingoConfig, HostBatch};

const ROUNDS: usize = 2;
const MODES: [(&str, &str, bool); 5] = [
    ("all kept", "f32", false),
    ("Burn's checkpointing", "f32", false),
    ("layers twice", "f32", true),
    ("all kept, bf16", "bf16", false),
    ("layers twice, bf16", "bf16", true),
];

fn main() -> Result<(), Box<dyn Error>> {
    let numbers: Vec<usize> = std::env::args().skip(1).map(|text| text.parse()).collect::<Result<_, _>>()?;
    match *numbers.as_slice() {
        [mode, tokens, layers] => measure(mode, tokens, layers),
        ref some => {
            let tokens = some.first().copied().unwrap_or(256);
            let layers = some.get(1).copied().unwrap_or(30);
            println!("{tokens} tokens, {layers} layers\n{:>24}{:>12}{:>12}", "", "seconds", "MiB");
            for mode in 0..MODES.len() {
                let arguments = [mode, tokens, layers].map(|number| number.to_string());
                Command::new(std::env::current_exe()?).args(arguments).status()?;
            }
            Ok(())
        }
    }
}

/// SmolLM2-135M's sizes, but for the vocabulary, whose tables every line would hold alike.
fn sizes(layers: usize) -> FlamingoConfig {
    let mut config = FlamingoConfig::nano();
    config.lm = DecoderConfig {
        vocab: 4096,
        d_model: 576,
        n_heads: 9,
        n_kv_heads: Some(3),
        d_head: 64,
        n_layers: layers,
        d_ff: 1536,
        act: Act::Silu,
        gated: true,
        norm: NormConfig::Rms { epsilon: 1e-5 },
        positions: Positions::Rotary { theta: 1e5, fraction: 1.0, scaling: None },
        biases: Biases { query_key_value: false, attention_output: false, feed_forward: false },
        residual: Residual::Sequential,
        head: Head::Tied,
        ..config.lm
    };
    let d_media = config.xattn.d_media;
    config.xattn = GatedXattnConfig { d_head: 48, d_ff: 1152, ..GatedXattnConfig::paper(576, 8, d_media, 3) };
    config
}

fn measure(mode: usize, tokens: usize, layers: usize) -> Result<(), Box<dyn Error>> {
    let (name, precision, gradient_checkpointing) = MODES[mode];
    let precision: Precision = precision.parse()?;
    let plain = Device::flex();
    let device = match mode {
        1 => plain.clone().autodiff().gradient_checkpointing(),
        _ => plain.autodiff(),
    };
    let config = sizes(layers);
    let model = config.init(&device)?.frozen_for_training();
    model.visit(&mut Touch);
    let (model, shelf) = Shelf::fill(model, precision);
    drop(shelf);
    let size = config.preprocess.size;
    let batch = HostBatch {
        batch: 1,
        len: tokens,
        media: 1,
        frames: 1,
        size,
        ids: (0..tokens).map(|place| (place * 7919 % config.lm.vocab) as u32).collect(),
        media_index: vec![1; tokens],
        loss_weights: vec![1.0; tokens],
        pixels: vec![0.5; 3 * size * size],
        ..HostBatch::default()
    };
    let loss = LossSpec { gradient_checkpointing, ..LossSpec::default() };
    let objective = FlamingoObjective { device, loss };
    let before = resident("VmRSS");
    let mut seconds = f64::INFINITY;
    for _ in 0..ROUNDS {
        let start = Instant::now();
        let loss = objective.loss(&narrowed(&model, precision), 0, batch.clone()).loss;
        let gradients = GradientsParams::from_grads(loss.backward(), &model);
        assert!(!gradients.is_empty(), "something learns");
        seconds = seconds.min(start.elapsed().as_secs_f64());
    }
    let grown = resident("VmHWM").saturating_sub(before) >> 10;
    println!("{name:>24}{seconds:>12.2}{grown:>12}");
    if mode + 1 == MODES.len() {
        println!("\n{} million parameters", count_parameters(&model) / 1_000_000);
    }
    Ok(())
}

/// Parameters are made when they are first looked at.
struct Touch;

impl ModuleVisitor for Touch {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let _made = param.val();
    }
}

/// KiB, as the kernel counts them; 0 where it is not Linux.
fn resident(field: &str) -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
    line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok()).unwrap_or(0)
}
