//! Perceiver Resampler and gated cross-attention against the `open_flamingo` package.

use burn::module::Param;
use burn::tensor::{Device, Tensor};
use flamingo::nn::{Act, NormConfig};
use flamingo::resampler::{Layer, PerceiverResampler, Resampler, ResamplerConfig};
use flamingo::xattn::{GatedXattnBlock, GatedXattnConfig, Sight};
use flamingo::{MediaAttention, MediaLayout};
use flamingo_testkit::{Fixture, weighted_sum};

const NORM: NormConfig = NormConfig::Layer { epsilon: 1e-5 };
const D_MEDIA: usize = 12;
const LATENTS: usize = 3;

fn resampler(fixture: &Fixture, n_frames: usize, device: &Device) -> PerceiverResampler {
    let config = ResamplerConfig {
        layer: Layer::Perceiver,
        d_model: D_MEDIA,
        n_layers: 2,
        n_heads: 2,
        d_head: 4,
        d_ff: 3 * D_MEDIA,
        n_latents: LATENTS,
        n_frames,
        act: Act::Gelu,
        norm: NORM,
        head_norm: None,
        init_std: 1.0,
        d_input: None,
    };
    let mut weights = fixture
        .weights()
        .rename(".0.norm_media.", ".media_norm.")
        .rename(".0.norm_latents.", ".latents_norm.")
        .rename(".0.to_q.", ".attention.query.")
        .split_rows(".0.to_kv.", &[(".attention.key.", 8), (".attention.value.", 8)])
        .rename(".0.to_out.", ".attention.output.")
        .rename(".1.0.", ".feed_forward_norm.")
        .rename(".1.1.weight", ".feed_forward.up.weight")
        .rename(".1.3.weight", ".feed_forward.down.weight");
    if n_frames > 0 {
        weights = weights.rename("frame_embs", "frame_embeddings");
    }
    match weights.load_into(config.init(device)) {
        Resampler::Perceiver(resampler) => resampler,
        other => panic!("no Perceiver: {other:?}"),
    }
}

fn check_resampler(name: &str, n_frames: usize) {
    let device = Device::flex().autodiff();
    let fixture = Fixture::load(name);
    let resampler = resampler(&fixture, n_frames, &device);
    let features = fixture.tensor::<5>("in.features", &device).require_grad();
    let out = resampler.forward(features.clone());
    fixture.assert_close("out.latents", out.clone(), 1e-5);
    let gradients = weighted_sum(out).backward();
    fixture.assert_close("grad.features", features.grad(&gradients).unwrap(), 2e-5);
    fixture.assert_close("grad.latents", resampler.latents.val().grad(&gradients).unwrap(), 2e-5);
}

#[test]
fn resampler_of_images_is_open_flamingos() {
    check_resampler("resampler-image-0", 0);
    check_resampler("resampler-image-1", 0);
}

#[test]
fn resampler_of_video_is_open_flamingos() {
    check_resampler("resampler-video-0", 4);
    check_resampler("resampler-video-1", 4);
}

#[test]
fn clips_shorter_and_longer_than_trained_take_the_right_embeddings() {
    let device = Device::flex();
    for seed in 0..2 {
        let fixture = Fixture::load(&format!("resampler-video-{seed}"));
        let resampler = resampler(&fixture, 4, &device);
        let two = fixture.tensor::<5>("in.features", &device).slice([0..2, 0..2, 0..2]);
        fixture.assert_close("out.two_frames", resampler.forward(two), 1e-5);
        let nine = fixture.tensor::<5>("in.clip", &device);
        fixture.assert_close("out.clip", resampler.forward(nine), 1e-5);
    }
}

fn xattn(fixture: &Fixture, device: &Device) -> GatedXattnBlock {
    let config = GatedXattnConfig {
        d_head: 4,
        act: Act::Gelu,
        norm: NORM,
        ..GatedXattnConfig::paper(10, 3, D_MEDIA, 1)
    };
    fixture
        .weights()
        .rename("attn_gate", "attention_gate")
        .rename("ff_gate", "feed_forward_gate")
        .rename("attn.norm.", "attention_norm.")
        .rename("attn.to_q.", "attention.query.")
        .split_rows("attn.to_kv.", &[("attention.key.", 12), ("attention.value.", 12)])
        .rename("attn.to_out.", "attention.output.")
        .rename("ff.0.", "feed_forward_norm.")
        .rename("ff.1.", "feed_forward.up.")
        .rename("ff.3.", "feed_forward.down.")
        .load_into(config.init(device))
}

/// In the second mode open_flamingo lets text before the first image attend to all images alike, where the paper (and
/// this implementation) gives zero: those positions are left out there.
fn check_xattn(seed: u32, mode: &str, attention: MediaAttention) {
    let device = Device::flex().autodiff();
    let fixture = Fixture::load(&format!("xattn-{seed}"));
    let block = xattn(&fixture, &device);
    let text = fixture.tensor::<3>("in.text", &device).require_grad();
    let media = fixture.tensor::<4>("in.media", &device).require_grad();
    let index = fixture.tensor::<2>("in.media_index", &device);
    let [batch, len] = index.dims();
    let phi: Vec<u32> = index.into_data().iter::<u32>().collect();
    let layout = MediaLayout::new(&phi, batch, len, &device);
    let sees = layout.index.clone().greater_elem(0).float().unsqueeze_dim::<3>(2);
    let compared = match attention {
        MediaAttention::Preceding => sees.ones_like(),
        MediaAttention::AllPrevious => sees.clone(),
    };
    let kv = block.media_kv(media.clone());
    let sight = Sight::new(&layout, attention, kv.dims());
    let check = |key: &str, actual: Tensor<3>| {
        let expected = fixture.tensor::<3>(key, &device) * compared.clone();
        fixture.origin().assert_close(key, actual * compared.clone(), expected, 1e-5);
    };

    check(&format!("mid.{mode}.attended"), block.attend(text.clone(), &kv, &sight));
    let out = block.forward(text.clone(), &kv, &sight);
    check(&format!("out.{mode}"), out.clone());

    let gradients = weighted_sum(out * sees).backward();
    let wanted = |name: &str| format!("grad.{mode}.{name}");
    fixture.assert_close(&wanted("text"), text.grad(&gradients).unwrap(), 2e-5);
    fixture.assert_close(&wanted("media"), media.grad(&gradients).unwrap(), 2e-5);
    let gate = |gate: &Option<Param<Tensor<1>>>| gate.as_ref().unwrap().val().grad(&gradients).unwrap();
    fixture.assert_close(&wanted("attn_gate"), gate(&block.attention_gate), 2e-5);
    fixture.assert_close(&wanted("ff_gate"), gate(&block.feed_forward_gate), 2e-5);
}

#[test]
fn gated_cross_attention_is_open_flamingos() {
    for seed in 0..2 {
        check_xattn(seed, "preceding", MediaAttention::Preceding);
    }
}

#[test]
fn gated_cross_attention_to_all_previous_images_is_open_flamingos() {
    for seed in 0..2 {
        check_xattn(seed, "all_previous", MediaAttention::AllPrevious);
    }
}
