//! The paper's objective: negative log-likelihood of the text, each token weighted (equation 1, section 2.4).
//!
//! [`weighted_nll`] is for training: it never holds the scores of a whole batch (`blocks.rs`). [`token_log_probs`] is for
//! those who want to see the tokens.

mod blocks;
mod targets;

pub use blocks::weighted_nll;
pub use targets::Targets;

use burn::tensor::activation::log_softmax;
use burn::tensor::{Int, Tensor};
use flamingo_core::HostBatch;
use flamingo_lm::Decoder;
use serde::{Deserialize, Serialize};

/// How the loss of a batch is made of the losses of its tokens, and in what memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LossSpec {
    /// Sum or mean.
    pub reduction: Reduction,
    /// Memory of the scores of one block of tokens, in MiB: a batch is cut into blocks that do not take more, whatever
    /// the size of its vocabulary. A little more is in use at once: `cargo run --release --example loss_memory` measures it.
    pub block_mib: usize,
    /// Whether activations are computed a second time instead of being kept for the backward pass: less memory, more time,
    /// the same gradients ([`recompute`](crate::recompute)).
    pub gradient_checkpointing: bool,
}

impl Default for LossSpec {
    fn default() -> Self {
        Self { reduction: Reduction::default(), block_mib: 64, gradient_checkpointing: false }
    }
}

impl LossSpec {
    /// Tokens in a block, for `vocab` scores of four bytes each; at least one.
    pub fn block_tokens(&self, vocab: usize) -> usize {
        ((self.block_mib << 20) / (4 * vocab.max(1))).max(1)
    }
}

/// What the losses of tokens become.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reduction {
    /// Their weighted mean over the batch: `sum(weight * nll) / sum(weight)`. A token counts as much in a long text as
    /// in a short one, and learning rates do not depend on lengths.
    #[default]
    Mean,
    /// Their weighted sum over each sequence, and the mean over the sequences: the expectation in the paper's
    /// equation 2. Long texts count more.
    Sum,
}

impl Reduction {
    /// By what the sum over all tokens is divided, given the sum of their weights and the number of sequences.
    fn divisor(self, weight: f64, rows: usize) -> f64 {
        match self {
            // Nothing to predict is no loss.
            Reduction::Mean => weight.max(1e-6),
            Reduction::Sum => rows.max(1) as f64,
        }
    }
}

/// Log-probability of each token given all before it: hidden `[B, L, D]`, ids `[B, L]` to `[B, L-1]`; entry `l` is of
/// token `l + 1`.
pub fn token_log_probs(lm: &Decoder, hidden: Tensor<3>, ids: Tensor<2, Int>) -> Tensor<2> {
    let [batch, len, d_model] = hidden.dims();
    let predicting = hidden.slice([0..batch, 0..len - 1]).reshape([batch * (len - 1), d_model]);
    let targets = ids.slice([0..batch, 1..len]).reshape([batch * (len - 1), 1]);
    log_softmax(lm.logits(predicting), 1).gather(1, targets).reshape([batch, len - 1])
}

/// Parts of a batch for [`weighted_nll`], and the share of each, so that the loss stays one over the whole batch.
pub fn split_by_tokens(batch: &HostBatch, parts: usize, reduction: Reduction) -> Vec<(HostBatch, f64)> {
    // The first position is never predicted.
    let weight = |part: &HostBatch| -> f64 {
        part.loss_weights
            .chunks(part.len.max(1))
            .flat_map(|row| &row[1..])
            .map(|weight| f64::from(*weight))
            .sum()
    };
    let divisor = |part: &HostBatch| reduction.divisor(weight(part), part.batch);
    let whole = divisor(batch);
    batch
        .split(parts)
        .into_iter()
        .map(|part| {
            // A part without weight has no loss, whatever its share.
            let share = divisor(&part) / whole;
            (part, share)
        })
        .collect()
}
