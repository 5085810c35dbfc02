//! A prompt is read: ids to keys and values in a cache, and scores of the next token. Images are keys and values already.

use std::hint::black_box;

use flamingo::lm::NoHook;
use flamingo::{FlamingoConfig, MediaLayout};
use serde_json::json;

use super::inputs::{finish, flamingo, interleaved, layout, normal, ready, row, text};
use crate::case::{Case, Prepared, Suite};
use crate::count::{self, Reading};
use crate::sizes;

/// Images of a prompt with 32 examples and a query, and tokens of each.
pub const SHOTS: [usize; 2] = [33, 20];

pub fn cases() -> anyhow::Result<Vec<Case>> {
    Ok(vec![
        language_model(512)?,
        one_image("smol-512", "smol, 512 tokens that see one image", sizes::smol()?, 512),
        shots(sizes::smol()?),
        one_image("nano-64", "nano, 64 tokens that see one image", sizes::nano(), 64),
    ])
}

fn whole(len: usize) -> Reading {
    Reading { batch: 1, past: 0, len, scored: 1 }
}

fn language_model(len: usize) -> anyhow::Result<Case> {
    let config = sizes::smollm2()?;
    Ok(Case {
        suite: Suite::Prefill,
        name: "smollm2-512",
        about: "SmolLM2-135M alone, 512 tokens",
        work: count::decoder(&config, whole(len)),
        peer: Some(json!({"kind": "llama-prefill", "lm": config, "len": len})),
        prepare: Box::new(move |context| {
            let device = context.device.clone();
            let lm = ready(config.init(&device));
            let ids = text(1, len, &device);
            Ok(Prepared::each(move || {
                let mut cache = lm.cache(1, len);
                let hidden = lm.extend(ids.clone(), &mut cache, &NoHook).narrow(1, len - 1, 1);
                black_box(lm.logits(hidden));
                finish(&device)
            }))
        }),
    })
}

fn one_image(name: &'static str, about: &'static str, config: FlamingoConfig, len: usize) -> Case {
    Case {
        suite: Suite::Prefill,
        name,
        about,
        work: count::reading(&config, whole(len)),
        peer: Some(json!({"kind": "prefill", "model": config, "images": 1, "each": len})),
        prepare: Box::new(move |context| {
            let device = context.device.clone();
            let model = flamingo(&config, &device)?;
            let visual = normal([1, 1, config.resampler.n_latents, config.resampler.d_model], &device);
            let media = model.media(visual);
            let ids = text(1, len, &device);
            Ok(Prepared::each(move || {
                let seen = model.see(&media, &MediaLayout::new(&vec![1; len], 1, len, &device));
                let mut cache = model.lm.cache(1, len);
                let hidden = model.lm.extend(ids.clone(), &mut cache, &seen).narrow(1, len - 1, 1);
                black_box(model.lm.logits(hidden));
                finish(&device)
            }))
        }),
    }
}

fn shots(config: FlamingoConfig) -> Case {
    let [images, each] = SHOTS;
    Case {
        suite: Suite::Prefill,
        name: "smol-32-shot",
        about: "smol, 33 images with 20 tokens each",
        work: count::reading(&config, whole(images * each)),
        peer: Some(json!({"kind": "prefill", "model": config, "images": images, "each": each})),
        prepare: Box::new(move |context| {
            let device = context.device.clone();
            let model = flamingo(&config, &device)?;
            let visual = normal([1, images, config.resampler.n_latents, config.resampler.d_model], &device);
            let media = model.media(visual);
            let ids = interleaved(images, each);
            let (layout, text) = (layout(&ids, &device), row(&ids, &device));
            Ok(Prepared::each(move || {
                let seen = model.see(&media, &layout);
                let mut cache = model.lm.cache(1, ids.len());
                let hidden = model.lm.extend(text.clone(), &mut cache, &seen).narrow(1, ids.len() - 1, 1);
                black_box(model.lm.logits(hidden));
                finish(&device)
            }))
        }),
    }
}
