//! Blocks against the loss in one piece, which leaves everything to the gradient graph.

use burn::module::Module;
use burn::tensor::{Device, Distribution};
use flamingo_core::HostBatch;
use flamingo_lm::families::chinchilla::chinchilla;
use flamingo_lm::{DecoderConfig, Head as HeadKind};
use flamingo_testkit::assert_close;

use super::*;
use crate::loss::{Reduction, split_by_tokens, token_log_probs};

const VOCAB: usize = 11;
const D: usize = 8;

/// Two rows of five tokens, old and new ones; weights of all kinds; the last two of the second row are padding.
fn batch() -> HostBatch {
    HostBatch {
        batch: 2,
        len: 5,
        ids: vec![1, 11, 3, 12, 10, 12, 0, 11, 7, 7],
        media_index: vec![0; 10],
        loss_weights: vec![1.0, 1.0, 0.25, 0.0, 2.5, 3.0, 1.0, 0.5, 0.0, 0.0],
        ..HostBatch::default()
    }
}

/// Large enough tables that no probability is near another.
fn decoder(head: HeadKind, new_tokens: usize) -> Decoder {
    let config = DecoderConfig { vocab: VOCAB, new_tokens, head, ..chinchilla(1, D, 2) };
    let spread = |table: Param<Tensor<2>>| table.map(|values| values * 40.0);
    let mut lm = config.init(&Device::flex());
    lm.embedding = spread(lm.embedding);
    lm.new_embedding = lm.new_embedding.map(spread);
    lm.head = lm.head.map(spread);
    lm.new_head = lm.new_head.map(spread);
    lm
}

/// Loss, and its gradients with respect to hidden states and each table of the head that is trained.
fn graded(
    lm: &Decoder,
    hidden: &Tensor<3>,
    loss: impl FnOnce(Tensor<3>) -> Tensor<1>,
) -> (f32, Tensor<3>, Vec<Tensor<2>>) {
    let leaf = hidden.clone().require_grad();
    let loss = loss(leaf.clone());
    let gradients = (loss.clone() * 1.7).backward();
    let (known, new) = lm.head_tables();
    let tables = [Some(known), new].into_iter().flatten();
    let of_tables = tables.filter_map(|table| table.val().grad(&gradients)).collect();
    (loss.into_scalar(), leaf.grad(&gradients).unwrap(), of_tables)
}

fn in_one_piece(lm: &Decoder, hidden: Tensor<3>, batch: &HostBatch, reduction: Reduction) -> Tensor<1> {
    let device = hidden.device();
    let on_device = batch.to_device(&device);
    let weights = on_device.loss_weights.slice([0..batch.batch, 1..batch.len]);
    let divisor = match reduction {
        Reduction::Mean => weights.clone().sum(),
        Reduction::Sum => Tensor::from_floats([batch.batch as f32], &device),
    };
    (token_log_probs(lm, hidden, on_device.ids) * weights).sum().neg() / divisor
}

fn check(lm: &Decoder, batch: &HostBatch, hidden: &Tensor<3>, trained: usize) {
    let targets = Targets::new(batch, &hidden.device());
    for reduction in [Reduction::Mean, Reduction::Sum] {
        let expected = graded(lm, hidden, |hidden| in_one_piece(lm, hidden, batch, reduction));
        assert_eq!(expected.2.len(), trained);
        for tokens in [1, 2, 3, 5, 64] {
            let head = Head::of(lm);
            let sums = |hidden: Tensor<3>| {
                let [rows, len, d_model] = hidden.dims();
                let scored = hidden.reshape([rows * len, d_model]).select(0, targets.places.clone());
                in_graph(&head, scored, &targets, reduction, tokens)
            };
            let actual = graded(lm, hidden, sums);
            let near = (actual.0 - expected.0).abs() < 1e-6 * (1.0 + expected.0);
            assert!(near, "{tokens}: {} {}", actual.0, expected.0);
            assert_close(actual.1, expected.1.clone(), 1e-6);
            assert_eq!(actual.2.len(), trained);
            for (actual, expected) in actual.2.into_iter().zip(&expected.2) {
                assert_close(actual, expected.clone(), 1e-6);
            }
        }
    }
}

fn hidden(device: &Device) -> Tensor<3> {
    device.seed(3);
    Tensor::random([2, 5, D], Distribution::Normal(0.0, 1.0), device)
}

#[test]
fn every_block_size_gives_the_loss_and_gradients_of_one_piece() {
    let device = Device::flex().autodiff();
    let hidden = hidden(&device);
    for kind in [HeadKind::Tied, HeadKind::Own] {
        let lm = decoder(kind, 2).train();
        check(&lm, &batch(), &hidden, 2);

        let mut frozen = lm.no_grad();
        check(&frozen, &batch(), &hidden, 0);
        frozen.new_embedding = frozen.new_embedding.map(|table| table.set_require_grad(true));
        frozen.new_head = frozen.new_head.map(|table| table.set_require_grad(true));
        check(&frozen, &batch(), &hidden, 1);
    }
}

#[test]
fn a_head_without_new_tokens_is_a_head() {
    let device = Device::flex().autodiff();
    let lm = decoder(HeadKind::Tied, 0).train();
    let ids = batch().ids.into_iter().map(|id| id.min(VOCAB as u32 - 1)).collect();
    check(&lm, &HostBatch { ids, ..batch() }, &hidden(&device), 1);
}

#[test]
fn a_batch_in_which_nothing_counts_has_loss_zero_and_gradient_zero() {
    let device = Device::flex().autodiff();
    let lm = decoder(HeadKind::Tied, 2).train();
    // The first position is never predicted, whatever its weight.
    let loss_weights = vec![1.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0];
    let targets = Targets::new(&HostBatch { loss_weights, ..batch() }, &device);
    assert!(targets.is_empty());
    let spec = LossSpec::default();
    let (loss, gradient, _) =
        graded(&lm, &hidden(&device), |hidden| weighted_nll(&lm, hidden, &targets, spec));
    assert_eq!((loss, gradient.abs().max().into_scalar::<f32>()), (0.0, 0.0));
}

#[test]
fn without_a_graph_there_is_the_value_alone() {
    let device = Device::flex();
    let lm = decoder(HeadKind::Own, 2);
    let targets = Targets::new(&batch(), &device);
    assert_eq!(targets.len(), 5);
    let hidden = hidden(&device);
    let loss: f32 = weighted_nll(&lm, hidden.clone(), &targets, LossSpec::default()).into_scalar();
    let expected: f32 = in_one_piece(&lm, hidden, &batch(), Reduction::Mean).into_scalar();
    assert!((loss - expected).abs() < 1e-6, "{loss} {expected}");
}

#[test]
fn parts_of_a_batch_add_up_to_it() {
    let device = Device::flex();
    let lm = decoder(HeadKind::Tied, 2);
    let hidden = hidden(&device);
    for reduction in [Reduction::Mean, Reduction::Sum] {
        let spec = LossSpec { reduction, ..LossSpec::default() };
        let loss = |batch: &HostBatch, hidden: Tensor<3>| -> f64 {
            weighted_nll(&lm, hidden, &Targets::new(batch, &device), spec).into_scalar::<f32>().into()
        };
        let whole = loss(&batch(), hidden.clone());
        let parts = split_by_tokens(&batch(), 2, reduction);
        let sum: f64 = parts
            .iter()
            .enumerate()
            .map(|(row, (part, share))| share * loss(part, hidden.clone().slice(row..row + 1)))
            .sum();
        assert!((sum - whole).abs() < 1e-6 * (1.0 + whole), "{sum} {whole}");
    }
}

#[test]
fn blocks_fit_the_memory_they_are_given() {
    let spec = LossSpec { block_mib: 64, ..LossSpec::default() };
    assert_eq!(spec.block_tokens(49_152), 341);
    assert_eq!(LossSpec { block_mib: 0, ..spec }.block_tokens(10), 1);
}
