//! The paper's objective: negative log-likelihood of the text, each token weighted (equation 1, section 2.4).

use burn::tensor::activation::log_softmax;
use burn::tensor::{Int, Tensor};
use flamingo_core::HostBatch;
use flamingo_lm::Decoder;

/// Log-probability of each token given all before it: hidden `[B, L, D]`, ids `[B, L]` to `[B, L-1]`; entry `l` is of
/// token `l + 1`.
pub fn token_log_probs(lm: &Decoder, hidden: Tensor<3>, ids: Tensor<2, Int>) -> Tensor<2> {
    let [batch, len, d_model] = hidden.dims();
    let predicting = hidden.slice([0..batch, 0..len - 1]).reshape([batch * (len - 1), d_model]);
    let targets = ids.slice([0..batch, 1..len]).reshape([batch * (len - 1), 1]);
    log_softmax(lm.logits(predicting), 1).gather(1, targets).reshape([batch, len - 1])
}

/// Mean negative log-likelihood over the weighted tokens, `[1]`: `sum(weight * nll) / sum(weight)`.
///
/// weights `[B, L]` say how much the prediction *of* each token counts; the first position's is ignored.
pub fn weighted_nll(lm: &Decoder, hidden: Tensor<3>, ids: Tensor<2, Int>, weights: Tensor<2>) -> Tensor<1> {
    let [batch, len] = ids.dims();
    let weights = weights.slice([0..batch, 1..len]);
    let total = weights.clone().sum().clamp_min(1e-6);
    (token_log_probs(lm, hidden, ids) * weights).sum().neg() / total
}

/// Parts of a batch for [`weighted_nll`]: the share of each is that of its token weights, so that the mean stays one
/// over all tokens of the batch.
pub fn split_by_tokens(batch: &HostBatch, parts: usize) -> Vec<(HostBatch, f64)> {
    // The first position is never predicted.
    let weight = |part: &HostBatch| -> f64 {
        part.loss_weights
            .chunks(part.len.max(1))
            .flat_map(|row| &row[1..])
            .map(|weight| f64::from(*weight))
            .sum()
    };
    let total = weight(batch).max(1e-6);
    batch
        .split(parts)
        .into_iter()
        .map(|part| {
            let share = weight(&part) / total;
            (part, share)
        })
        .collect()
}
