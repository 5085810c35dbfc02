//! Whole published models, OpenFlamingo and IDEFICS, from files as people have them: every part and the logits against
//! the programs that they come from.

use std::cell::RefCell;
use std::path::PathBuf;

use burn::tensor::{Device, Int, Tensor};
use flamingo::core::media::{TextTie, media_index};
use flamingo::lm::LayerHook;
use flamingo::published::{Loaded, OpenFlamingoFiles, load_idefics, load_open_flamingo};
use flamingo::{Flamingo, MediaLayout, Seen};
use flamingo_testkit::Fixture;

use crate::published::{BASE_VOCAB, Published};

/// Asked for are 1e-4 in the logits.
const TOLERANCE: f32 = 1e-5;

/// Keeps what leaves each gated block.
struct Spy<'a> {
    seen: Seen<'a>,
    layers: &'a [usize],
    kept: RefCell<Vec<Tensor<3>>>,
}

impl LayerHook for Spy<'_> {
    fn before_layer(&self, layer: usize, hidden: Tensor<3>) -> Tensor<3> {
        let hidden = self.seen.before_layer(layer, hidden);
        if self.layers.contains(&layer) {
            self.kept.borrow_mut().push(hidden.clone());
        }
        hidden
    }
}

/// phi of `ids` `[B, L]`.
fn layout(ids: &Tensor<2, Int>, image: u32) -> MediaLayout {
    let [batch, len] = ids.dims();
    let values: Vec<u32> = ids.clone().into_data().iter::<u32>().collect();
    let phi: Vec<u32> =
        values.chunks(len).flat_map(|row| media_index(row, image, TextTie::Previous)).collect();
    MediaLayout::new(&phi, batch, len, &ids.device())
}

/// `pixels` `[B, M, 1, 3, I, I]`; `image` is the id of `<image>`, and greedy continuations choose among the first
/// `choices` tokens but never that one.
fn check(published: &Published, loaded: &Loaded, pixels: Tensor<6>, image: u32, choices: usize) {
    let (fixture, model) = (&published.fixture, &loaded.model);
    let device = pixels.device();

    let features = model.features(pixels.clone());
    let [batch, media, _, positions, width] = features.dims();
    let flat = features.clone().reshape([batch * media, positions, width]);
    fixture.assert_close("mid.features", flat, TOLERANCE);
    let visual = model.resample(features);
    let [_, _, latents, _] = visual.dims();
    // [B*M, R, E] or [B, M, R, E].
    let wanted: Vec<f32> = published.checkpoint.read("mid.latents").unwrap().iter::<f32>().collect();
    let wanted = Tensor::<1>::from_floats(wanted.as_slice(), &device).reshape([batch, media, latents, width]);
    fixture.origin().assert_close("mid.latents", visual.clone(), wanted, TOLERANCE);

    let ids = fixture.tensor::<2>("in.ids", &device).int();
    let kv = model.media(visual.clone());
    let spy = Spy {
        seen: model.see(&kv, &layout(&ids, image)),
        layers: model.xattn_layers(),
        kept: RefCell::default(),
    };
    let logits = model.lm.logits(model.lm.hidden(ids, &spy));
    for (index, kept) in spy.kept.into_inner().into_iter().enumerate() {
        fixture.assert_close(&format!("mid.block.{index}"), kept, TOLERANCE);
    }
    fixture.assert_close("out.logits", logits, TOLERANCE);
    continuation_is_theirs(fixture, model, visual.slice(0..1), image, choices);
}

fn continuation_is_theirs(
    fixture: &Fixture,
    model: &Flamingo,
    visual: Tensor<4>,
    image: u32,
    choices: usize,
) {
    let device = visual.device();
    let expected: Vec<i64> =
        fixture.tensor::<2>("out.greedy", &device).int().into_data().iter::<i64>().collect();
    let media = model.media(visual);
    let prompt = expected.len() - 20;
    let mut text = expected[..prompt].to_vec();
    while text.len() < expected.len() {
        let ids = Tensor::<1, Int>::from_data(text.as_slice(), &device).unsqueeze::<2>();
        let hidden = model.hidden_with(ids.clone(), &model.see(&media, &layout(&ids, image)));
        let scores: Vec<f32> = model.lm.logits(hidden).into_data().iter().collect();
        let last = &scores[scores.len() / text.len() * (text.len() - 1)..][..choices];
        let best =
            (0..choices).filter(|id| *id != image as usize).max_by(|a, b| last[*a].total_cmp(&last[*b]));
        text.push(best.unwrap() as i64);
    }
    fixture.origin().assert_equal("out.greedy", &text[prompt..], &expected[prompt..]);
}

#[test]
fn idefics_is_transformers_idefics() {
    for seed in 0..2 {
        let published = Published::new(&format!("idefics-{seed}"));
        let folder = published.idefics_folder();
        let device = Device::flex();
        let loaded = load_idefics(&folder, &device).unwrap();
        assert!(loaded.reports.iter().all(|report| report.is_complete()), "{:?}", loaded.reports);
        let pixels = published.fixture.tensor::<5>("in.pixels", &device).unsqueeze_dim::<6>(2);
        check(&published, &loaded, pixels, 21, 20);
    }
}

fn open_flamingo(published: &Published, base_vocab: usize) -> Result<Loaded, flamingo::FlamingoError> {
    let [checkpoint, lm, vision] = published.open_flamingo_parts();
    let [checkpoint, lm, vision] = [&checkpoint, &lm, &vision].map(PathBuf::as_path);
    let files = OpenFlamingoFiles { checkpoint, lm, vision, base_vocab: Some(base_vocab) };
    load_open_flamingo(files, &Device::flex())
}

#[test]
fn open_flamingo_is_open_flamingo() {
    for seed in 0..2 {
        let published = Published::new(&format!("open-flamingo-{seed}"));
        let loaded = open_flamingo(&published, BASE_VOCAB).unwrap();
        let pixels = published.fixture.tensor::<6>("in.pixels", &Device::flex());
        check(&published, &loaded, pixels, BASE_VOCAB as u32 + 1, BASE_VOCAB + 3);
    }
}

#[test]
fn a_wrong_language_model_is_named() {
    let published = Published::new("open-flamingo-0");
    let error = open_flamingo(&published, 19).unwrap_err().to_string();
    assert!(error.contains("20 rows") && error.contains("19 tokens") && error.contains("lm"), "{error}");
}
