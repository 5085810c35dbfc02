//! What must hold for every Flamingo, whatever its weights: a tiny one with open gates, so that nothing is hidden.

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::optim::{AdamWConfig, GradientsParams, ModuleOptimizer};
use burn::tensor::{Device, Distribution, Int, Tensor, TensorData};
use flamingo::core::media::{TextTie, media_index};
use flamingo::loss::token_log_probs;
use flamingo::{Batch, Flamingo, MediaAttention, MediaLayout};

use crate::tiny::{EOC, IMAGE, config};

/// Random weights; every gate open.
fn model(attention: MediaAttention, device: &Device) -> Flamingo {
    open_gates(closed(attention, device))
}

/// A fresh model with every gate open.
pub fn open_gates(model: Flamingo) -> Flamingo {
    struct OpenGates;
    impl ModuleMapper for OpenGates {
        fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
            // Gates and SkipInit gains are the only scalars that start at zero.
            match param.lazy_shape().num_elements() {
                1 => param.map(|value| value + 0.7),
                _ => param,
            }
        }
    }
    model.map(&mut OpenGates)
}

fn closed(attention: MediaAttention, device: &Device) -> Flamingo {
    device.seed(7);
    config(attention).init(device).unwrap()
}

fn batch(rows: &[&[u32]], pixels: Option<Tensor<6>>, device: &Device) -> Batch {
    let len = rows[0].len();
    let phi: Vec<u32> = rows.iter().flat_map(|row| media_index(row, IMAGE, TextTie::Previous)).collect();
    let ids: Vec<i32> = rows.iter().flat_map(|row| row.iter().map(|id| *id as i32)).collect();
    Batch {
        features: None,
        pixels,
        ids: Tensor::from_data(TensorData::new(ids, [rows.len(), len]), device),
        media: MediaLayout::new(&phi, rows.len(), len, device),
        loss_weights: Tensor::ones([rows.len(), len], device),
    }
}

fn images(count: usize, device: &Device) -> Tensor<6> {
    Tensor::random([1, count, 1, 3, 32, 32], Distribution::Normal(0.0, 1.0), device)
}

/// The largest difference at each position of the first row.
fn differences(a: Tensor<3>, b: Tensor<3>) -> Vec<f32> {
    let [_, len, _] = a.dims();
    let first = (a - b).abs().max_dim(2).slice([0..1, 0..len]);
    first.into_data().iter::<f32>().collect()
}

const PAGE: &[u32] = &[1, 2, IMAGE, 3, 4, EOC, IMAGE, 5, 6, EOC];

#[test]
fn closed_gates_give_the_bare_language_models_logits_bit_for_bit() {
    let device = Device::flex();
    let model = closed(MediaAttention::Preceding, &device);
    let batch = batch(&[PAGE], Some(images(2, &device)), &device);
    assert_eq!(model.forward(&batch).into_data(), model.bare_logits(batch.ids).into_data());
}

#[test]
fn open_gates_do_not() {
    let device = Device::flex();
    let model = model(MediaAttention::Preceding, &device);
    let batch = batch(&[PAGE], Some(images(2, &device)), &device);
    let moved = differences(model.forward(&batch), model.bare_logits(batch.ids));
    assert!(moved.iter().all(|difference| *difference > 1e-4), "{moved:?}");
}

#[test]
fn a_changed_image_changes_nothing_before_its_tag() {
    let device = Device::flex();
    for attention in [MediaAttention::Preceding, MediaAttention::AllPrevious] {
        let model = model(attention, &device);
        let pixels = images(2, &device);
        let other = Tensor::cat(vec![pixels.clone().slice([0..1, 0..1]), images(1, &device)], 1);
        let run = |pixels: Tensor<6>| model.forward(&batch(&[PAGE], Some(pixels), &device));
        let moved = differences(run(pixels), run(other));
        assert!(moved[..6].iter().all(|difference| *difference == 0.0), "{attention:?} {moved:?}");
        assert!(moved[6..].iter().all(|difference| *difference > 1e-5), "{attention:?} {moved:?}");
    }
}

#[test]
fn text_before_the_first_image_is_what_it_is_without_images() {
    let device = Device::flex();
    for attention in [MediaAttention::Preceding, MediaAttention::AllPrevious] {
        let model = model(attention, &device);
        let with = model.forward(&batch(&[PAGE], Some(images(2, &device)), &device));
        let without = model.forward(&batch(&[PAGE], None, &device));
        let moved = differences(with, without);
        assert!(moved[..2].iter().all(|difference| *difference < 1e-6), "{moved:?}");
        assert!(moved[2] > 1e-5);
    }
}

#[test]
fn a_row_of_a_batch_equals_the_row_alone() {
    let device = Device::flex();
    let model = model(MediaAttention::Preceding, &device);
    let pixels = images(2, &device);
    let alone = model.forward(&batch(&[PAGE], Some(pixels.clone()), &device));
    let other: &[u32] = &[IMAGE, 9, 9, EOC, IMAGE, 8, 8, 8, 7, EOC];
    let both = Tensor::cat(vec![pixels, images(2, &device)], 0);
    let together = model.forward(&batch(&[PAGE, other], Some(both), &device)).slice(0..1);
    let moved = differences(alone, together);
    assert!(moved.iter().all(|difference| *difference < 1e-5), "{moved:?}");
}

#[test]
fn padded_media_are_inert() {
    let device = Device::flex();
    for attention in [MediaAttention::Preceding, MediaAttention::AllPrevious] {
        let model = model(attention, &device);
        let pixels = images(2, &device);
        let padded = Tensor::cat(vec![pixels.clone(), Tensor::zeros([1, 2, 1, 3, 32, 32], &device)], 1);
        let run = |pixels: Tensor<6>| model.forward(&batch(&[PAGE], Some(pixels), &device));
        let moved = differences(run(pixels), run(padded));
        assert!(moved.iter().all(|difference| *difference < 1e-5), "{attention:?} {moved:?}");
    }
}

#[test]
fn frozen_parameters_are_bit_identical_after_training_and_all_others_have_moved() {
    let device = Device::flex().autodiff();
    let mut model = model(MediaAttention::Preceding, &Device::flex()).frozen_for_training();
    let before = snapshot(&model);
    let mut optimizer: ModuleOptimizer = AdamWConfig::new().with_weight_decay(0.1).init();
    for _ in 0..3 {
        let batch = batch(&[PAGE], Some(images(2, &device)), &device);
        let hidden = model.hidden(&batch);
        let loss = token_log_probs(&model.lm, hidden, batch.ids).mean().neg();
        let gradients = GradientsParams::from_grads(loss.backward(), &model);
        model = optimizer.step(1e-2, model, gradients);
    }
    for ((path, old), (_, new)) in before.iter().zip(snapshot(&model)) {
        let frozen =
            path.starts_with("vision") || (path.starts_with("lm") && !path.contains("new_embedding"));
        // Frame embeddings past the first take no part in single images.
        let unused = path.contains("frame_embeddings");
        assert!(unused || (*old == new) == frozen, "{path}: frozen {frozen}");
    }
}

/// Every parameter with its path, in order.
fn snapshot(model: &Flamingo) -> Vec<(String, TensorData)> {
    #[derive(Default)]
    struct Snapshot {
        path: Vec<String>,
        found: Vec<(String, TensorData)>,
    }
    impl ModuleVisitor for Snapshot {
        fn enter_module(&mut self, name: &str, _container: &str) {
            self.path.push(name.to_owned());
        }
        fn exit_module(&mut self, _name: &str, _container: &str) {
            self.path.pop();
        }
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            self.found.push((self.path.join("."), param.val().into_data()));
        }
        fn visit_int<const D: usize>(&mut self, param: &Param<Tensor<D, Int>>) {
            self.found.push((self.path.join("."), param.val().into_data()));
        }
    }
    let mut snapshot = Snapshot::default();
    model.visit(&mut snapshot);
    snapshot.found
}
