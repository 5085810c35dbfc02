//! The next token behind a prompt, which is in the cache: scores, the likeliest one, and so on.

use burn::tensor::{Int, Tensor, TensorData};
use flamingo::lm::{Decoder, DecoderCache, LayerHook, NoHook};
use flamingo::{FlamingoConfig, MediaLayout};
use serde_json::json;

use super::inputs::{flamingo, normal, ready, text};
use crate::case::{Case, Prepared, Suite};
use crate::count::{self, Reading};
use crate::sizes;

/// Tokens of a call; then the cache is cut back to the prompt.
const NEW: usize = 16;

pub fn cases() -> anyhow::Result<Vec<Case>> {
    Ok(vec![
        language_model(512)?,
        behind_an_image("smol-512", "a token of smol behind an image and 512 tokens", sizes::smol()?, 512),
        behind_an_image("nano-64", "a token of nano behind an image and 64 tokens", sizes::nano(), 64),
    ])
}

/// One token, on average of those behind the prompt.
fn one(past: usize) -> Reading {
    Reading { batch: 1, past: past + NEW / 2, len: 1, scored: 1 }
}

fn language_model(past: usize) -> anyhow::Result<Case> {
    let config = sizes::smollm2()?;
    Ok(Case {
        suite: Suite::Decode,
        name: "smollm2-512",
        about: "a token of SmolLM2-135M alone behind 512 tokens",
        work: count::decoder(&config, one(past)),
        peer: Some(json!({"kind": "llama-decode", "lm": config, "past": past, "new": NEW})),
        prepare: Box::new(move |context| {
            let device = context.device.clone();
            let lm = ready(config.init(&device));
            let mut cache = lm.cache(1, past + NEW);
            lm.extend(text(1, past, &device), &mut cache, &NoHook);
            let call = move || go_on(&lm, &mut cache, past, &NoHook);
            Ok(Prepared::Repeat { call: Box::new(call), of: NEW as f64 })
        }),
    })
}

fn behind_an_image(name: &'static str, about: &'static str, config: FlamingoConfig, past: usize) -> Case {
    Case {
        suite: Suite::Decode,
        name,
        about,
        work: count::reading(&config, one(past)),
        peer: Some(json!({"kind": "decode", "model": config, "past": past, "new": NEW})),
        prepare: Box::new(move |context| {
            let device = context.device.clone();
            let model = flamingo(&config, &device)?;
            let visual = normal([1, 1, config.resampler.n_latents, config.resampler.d_model], &device);
            let media = model.media(visual);
            let mut cache = model.lm.cache(1, past + NEW);
            let seen = model.see(&media, &MediaLayout::new(&vec![1; past], 1, past, &device));
            model.lm.extend(text(1, past, &device), &mut cache, &seen);
            let call = move || {
                let seen = model.see(&media, &MediaLayout::new(&[1], 1, 1, &device));
                go_on(&model.lm, &mut cache, past, &seen)
            };
            Ok(Prepared::Repeat { call: Box::new(call), of: NEW as f64 })
        }),
    }
}

/// Always the likeliest token, which is looked at before the next is read, as any program that prints it does.
fn go_on(lm: &Decoder, cache: &mut DecoderCache, past: usize, seen: &impl LayerHook) -> anyhow::Result<()> {
    cache.truncate(past);
    let device = lm.embedding.val().device();
    let mut token = 5;
    for _ in 0..NEW {
        let ids = Tensor::<2, Int>::from_data(TensorData::new(vec![token], [1, 1]), &device);
        let hidden = lm.extend(ids, cache, seen);
        let likeliest = lm.logits(hidden).argmax(2).into_data().convert::<i32>();
        token = likeliest.iter::<i32>().next().unwrap_or(token);
    }
    Ok(())
}
