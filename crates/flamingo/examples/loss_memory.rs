//! What the loss over a large vocabulary costs in time and memory: in one piece, and in blocks of tokens.
//!
//! `cargo run --release --example loss_memory -- [TOKENS]` takes a head of SmolLM2-135M's size (49,152 + 2 rows of 576,
//! frozen but for the two) and 2048 tokens, or as many as said, of which all or a quarter count. Each line is a process of
//! its own: the seconds of loss and gradient, best of three, and by how much its peak of resident memory (Linux) exceeds
//! what it had before.

use std::error::Error;
use std::process::Command;
use std::time::Instant;

use burn::module::Module;
use burn::tensor::{Device, Distribution, Tensor};
use flamingo::HostBatch;
use flamingo::lm::families::chinchilla::chinchilla;
use flamingo::lm::{Decoder, DecoderConfig};
use flamingo::loss::{LossSpec, Targets, token_log_probs, weighted_nll};

const VOCAB: usize = 49_152;
const D: usize = 576;
const ROUNDS: usize = 3;
/// Of the blocks' scores.
const BLOCKS: [usize; 6] = [4, 16, 64, 128, 256, 1024];

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |text: &String| text.parse::<usize>();
    match arguments.as_slice() {
        [mib, every, tokens] => measure(number(mib)?, number(every)?, number(tokens)?),
        _ => {
            let tokens = arguments.first().map_or(Ok(2048), number)?;
            println!("{tokens} tokens, {VOCAB} scores each: {} MiB\n", (4 * VOCAB * tokens) >> 20);
            println!("{:>24}{:>14}{:>12}{:>12}", "", "tokens count", "seconds", "MiB");
            for every in [1, 4] {
                // Blocks of 0 MiB stand for one piece.
                for mib in [0].into_iter().chain(BLOCKS) {
                    let arguments = [mib, every, tokens].map(|number| number.to_string());
                    Command::new(std::env::current_exe()?).args(arguments).status()?;
                }
            }
        }
    }
    Ok(())
}

/// One line: blocks of so many MiB, with every so many-th token counting.
fn measure(mib: usize, every: usize, tokens: usize) {
    let device = Device::flex().autodiff();
    let lm = DecoderConfig { vocab: VOCAB, new_tokens: 2, ..chinchilla(0, D, 1) }.init(&device);
    let mut lm = lm.no_grad();
    lm.new_embedding = lm.new_embedding.map(|table| table.set_require_grad(true));
    let weight = |place: usize| if place.is_multiple_of(every) { 1.0 } else { 0.0 };
    let batch = HostBatch {
        batch: 1,
        len: tokens,
        ids: (0..tokens).map(|place| (place * 7919 % (VOCAB + 2)) as u32).collect(),
        media_index: vec![0; tokens],
        loss_weights: (0..tokens).map(weight).collect(),
        ..HostBatch::default()
    };
    let hidden = Tensor::<3>::random([1, tokens, D], Distribution::Normal(0.0, 1.0), &device);
    let step = || {
        let start = Instant::now();
        let hidden = hidden.clone().require_grad();
        let loss = loss(&lm, hidden.clone(), &batch, mib);
        let gradient = hidden.grad(&loss.backward());
        assert!(gradient.is_some(), "the loss depends on what it is made of");
        start.elapsed().as_secs_f64()
    };
    // Tables are made when they are first used.
    let _tables = (lm.embedding.val(), hidden.clone());
    let before = resident("VmRSS");
    let seconds = (0..ROUNDS).map(|_| step()).fold(f64::INFINITY, f64::min);
    let grown = resident("VmHWM").saturating_sub(before) >> 10;
    let name = if mib == 0 { "in one piece".to_owned() } else { format!("blocks of {mib} MiB") };
    println!("{name:>24}{:>14}{seconds:>12.2}{grown:>12}", format!("1 in {every}"));
}

fn loss(lm: &Decoder, hidden: Tensor<3>, batch: &HostBatch, mib: usize) -> Tensor<1> {
    let device = hidden.device();
    if mib > 0 {
        let spec = LossSpec { block_mib: mib, ..LossSpec::default() };
        return weighted_nll(lm, hidden, &Targets::new(batch, &device), spec);
    }
    let on_device = batch.to_device(&device);
    let weights = on_device.loss_weights.slice([0..1, 1..batch.len]);
    let total = weights.clone().sum();
    (token_log_probs(lm, hidden, on_device.ids) * weights).sum().neg() / total
}

/// KiB, as the kernel counts them; 0 where it is not Linux.
fn resident(field: &str) -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
    line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok()).unwrap_or(0)
}
