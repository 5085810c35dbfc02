//! The loss and its gradient in blocks of tokens, so that scores `[N, V]` never exist for more than one block.
//!
//! A language model's vocabulary is the widest thing in it: 2048 tokens of SmolLM2 have 100 million scores, and a
//! gradient graph keeps several tensors of that size. But the gradient of `sum w (logsumexp(h W') - h W'[y])` is known:
//!
//! ```text
//! d/dh = w (p W - W[y])      d/dW = w (p - onehot(y))' h      p = softmax(h W')
//! ```
//!
//! Each block's scores give its loss and these products at once, and are gone. What enters the graph is
//! `sum h * d/dh + sum W * d/dW`, gradients as constants, with its value replaced by the loss: it has the loss's value
//! and the loss's gradient. A table that is frozen has no gradient, and nothing is computed for it.

use burn::module::Param;
use burn::tensor::{IndexingUpdateOp, Int, Tensor};
use flamingo_core::precision::{like, widen};
use flamingo_lm::Decoder;

use super::targets::Targets;
use super::{LossSpec, Reduction};

/// Negative log-likelihood of the tokens that count, `[1]`, from hidden states `[B, L, D]`; `spec` says what becomes
/// of the tokens' losses. Softmax and sums are at least in f32.
///
/// Gradients reach the hidden states, and of the head's tables those that are trained.
///
/// # Panics
///
/// If the targets are of a batch of other sizes or on another device.
pub fn weighted_nll(lm: &Decoder, hidden: Tensor<3>, targets: &Targets, spec: LossSpec) -> Tensor<1> {
    let [batch, len, d_model] = hidden.dims();
    let flat = hidden.reshape([batch * len, d_model]);
    if targets.is_empty() {
        // Zero, but still of the graph: whoever asks for gradients gets zeros.
        return flat.slice(0..1).mul_scalar(0.0).sum();
    }
    let scored = flat.select(0, targets.places.clone());
    let head = Head::of(lm);
    in_graph(&head, scored, targets, spec.reduction, spec.block_tokens(head.vocab()))
}

/// The loss of the tokens predicted from `scored` `[N, D]`, in blocks of so many `tokens`, as a part of the graph.
fn in_graph(
    head: &Head<'_>,
    scored: Tensor<2>,
    targets: &Targets,
    reduction: Reduction,
    tokens: usize,
) -> Tensor<1> {
    let sums = head.sums(scored.clone(), targets, tokens);
    let divisor = reduction.divisor(targets.weight, targets.rows);
    let value = sums.loss.div_scalar(divisor);
    let Some(gradient) = sums.hidden else { return value };

    let dot = |x: Tensor<2>, gradient: Tensor<2>| {
        (widen(x) * Tensor::from_inner(gradient.div_scalar(divisor))).sum()
    };
    let mut carrier = dot(scored, gradient);
    for (table, gradient) in [(Some(head.known), sums.known), (head.new, sums.new)] {
        if let (Some(table), Some(gradient)) = (table, gradient) {
            carrier = carrier + dot(table.val(), gradient);
        }
    }
    carrier.clone() - carrier.detach() + Tensor::from_inner(value)
}

/// The tables that make scores: of the vocabulary `[V, D]`, and of the new tokens behind it `[A, D]`.
struct Head<'a> {
    known: &'a Param<Tensor<2>>,
    new: Option<&'a Param<Tensor<2>>>,
}

/// Sums over tokens; the gradients without a graph, and only where they are needed.
struct Sums {
    /// `[1]`.
    loss: Tensor<1>,
    /// `[N, D]`.
    hidden: Option<Tensor<2>>,
    /// `[V, D]`.
    known: Option<Tensor<2>>,
    /// `[A, D]`.
    new: Option<Tensor<2>>,
}

/// One block of n tokens, without a graph.
struct Block {
    /// `[n, D]`.
    hidden: Tensor<2>,
    /// `[n]`.
    ids: Tensor<1, Int>,
    /// `[n, 1]`.
    weights: Tensor<2>,
}

impl<'a> Head<'a> {
    fn of(lm: &'a Decoder) -> Self {
        let (known, new) = lm.head_tables();
        Self { known, new }
    }

    /// Scores of a token.
    fn vocab(&self) -> usize {
        self.known.dims()[0] + self.new.map_or(0, |table| table.dims()[0])
    }

    fn sums(&self, scored: Tensor<2>, targets: &Targets, block: usize) -> Sums {
        let learns = |table: &Param<Tensor<2>>| table.val().is_tracked();
        let wanted = Wanted {
            hidden: scored.is_tracked() || learns(self.known) || self.new.is_some_and(learns),
            known: learns(self.known),
            new: self.new.is_some_and(learns),
        };
        let scored = scored.inner();
        let known = self.known.val().inner();
        let new = self.new.map(|table| table.val().inner());

        let mut hidden = Vec::new();
        let mut sums = Sums { loss: zero(&scored), hidden: None, known: None, new: None };
        for start in (0..targets.count).step_by(block) {
            let range = start..targets.count.min(start + block);
            let block = Block {
                hidden: scored.clone().slice(range.clone()),
                ids: targets.ids.clone().slice(range.clone()),
                weights: targets.weights.clone().slice(range).unsqueeze_dim(1),
            };
            let part = block.sums(&known, new.as_ref(), wanted);
            sums.loss = sums.loss + part.loss;
            hidden.extend(part.hidden);
            sums.known = plus(sums.known, part.known);
            sums.new = plus(sums.new, part.new);
        }
        sums.hidden = (!hidden.is_empty()).then(|| Tensor::cat(hidden, 0));
        sums
    }
}

/// Which gradients somebody needs.
#[derive(Clone, Copy)]
struct Wanted {
    hidden: bool,
    known: bool,
    new: bool,
}

impl Block {
    fn sums(self, known: &Tensor<2>, new: Option<&Tensor<2>>, wanted: Wanted) -> Sums {
        let [vocab, _] = known.dims();
        let hidden = widen(self.hidden.clone());
        let weights = widen(self.weights.clone());
        let target = self.target_rows(known, new); // [n, D]
        let target_score = (hidden.clone() * target.clone()).sum_dim(1); // [n, 1]

        let scores = |table: &Tensor<2>| widen(self.hidden.clone().matmul(table.clone().transpose()));
        let (known_scores, new_scores) = (scores(known), new.map(scores)); // [n, V], [n, A]
        let largest = known_scores.clone().max_dim(1);
        let largest = match &new_scores {
            Some(scores) => largest.max_pair(scores.clone().max_dim(1)),
            None => largest,
        };
        let known_exp = (known_scores - largest.clone()).exp();
        let new_exp = new_scores.map(|scores| (scores - largest.clone()).exp());
        let sum = match &new_exp {
            Some(exp) => known_exp.clone().sum_dim(1) + exp.clone().sum_dim(1),
            None => known_exp.clone().sum_dim(1),
        };
        let nll = largest + sum.clone().log() - target_score;
        let loss = (nll * weights.clone()).sum();
        if !wanted.hidden {
            return Sums { loss, hidden: None, known: None, new: None };
        }

        // What makes weighted probabilities of exponentials, put to the narrower factor of each product.
        let share = weights.clone() / sum; // [n, 1]
        let shared_hidden = hidden.clone() * share.clone();
        let weighted_hidden = hidden * weights.clone();
        let known_gradient = wanted.known.then(|| {
            let of_probabilities = widen(known_exp.clone().transpose().matmul(shared_hidden.clone())); // [V, D]
            let is_known = self.ids.clone().lower_elem(vocab as i64).float().unsqueeze_dim::<2>(1);
            let targets = (weighted_hidden.clone() * like(is_known, &weighted_hidden)).neg();
            let ids = self.ids.clone().clamp_max(vocab as i64 - 1);
            of_probabilities.select_assign(0, ids, targets, IndexingUpdateOp::Add)
        });
        let new_gradient = new_exp.as_ref().filter(|_| wanted.new).map(|exp| {
            let [n, rows] = exp.dims();
            let row_ids = Tensor::<1, Int>::arange(0..rows as i64, &exp.device()) + vocab as i64;
            let is_target = self.ids.clone().unsqueeze_dim::<2>(1).expand([n, rows]);
            let is_target = is_target.equal(row_ids.unsqueeze_dim::<2>(0).expand([n, rows])).float();
            exp.clone().transpose().matmul(shared_hidden)
                - like(is_target, &weighted_hidden).transpose().matmul(weighted_hidden)
        });
        let product = |exp: Tensor<2>, table: &Tensor<2>| widen(like(exp, table).matmul(table.clone()));
        let expected = match (new_exp, new) {
            (Some(exp), Some(table)) => product(known_exp, known) + product(exp, table),
            _ => product(known_exp, known),
        };
        let hidden = expected * share - target * weights;
        Sums { loss, hidden: Some(hidden), known: known_gradient, new: new_gradient }
    }

    /// The row of each token predicted, `[n, D]`.
    fn target_rows(&self, known: &Tensor<2>, new: Option<&Tensor<2>>) -> Tensor<2> {
        let vocab = known.dims()[0] as i64;
        let rows = known.clone().select(0, self.ids.clone().clamp_max(vocab - 1));
        let Some(new) = new else { return widen(rows) };
        let dims = rows.dims();
        let is_new = self.ids.clone().greater_equal_elem(vocab).unsqueeze_dim::<2>(1).expand(dims);
        let new_rows = new.clone().select(0, (self.ids.clone() - vocab).clamp_min(0));
        widen(rows.mask_where(is_new, new_rows))
    }
}

fn plus(sum: Option<Tensor<2>>, part: Option<Tensor<2>>) -> Option<Tensor<2>> {
    match (sum, part) {
        (Some(sum), Some(part)) => Some(sum + part),
        (sum, part) => sum.or(part),
    }
}

/// `[1]`, of the format in which sums are made.
fn zero(like: &Tensor<2>) -> Tensor<1> {
    widen(like.clone().slice([0..1, 0..1]).zeros_like()).reshape([1])
}

#[cfg(test)]
mod tests;
