//! A query behind 32 examples, none of which was seen before: JPEGs to scores of ten candidates.

use std::sync::Arc;

use flamingo::dialect::{Dialect, Style};
use flamingo::{Engine, Medium, Network, Pretrained, Prompt, Source};
use serde_json::json;

use super::inputs::{flamingo, interleaved};
use super::prefill::SHOTS;
use crate::assets;
use crate::case::{Case, Prepared, Suite};
use crate::count::{self, Reading, Work};
use crate::sizes;

const CANDIDATES: usize = 10;
/// Tokens of each.
const LEN: usize = 3;

pub fn cases() -> anyhow::Result<Vec<Case>> {
    let config = sizes::smol()?;
    let [images, each] = SHOTS;
    let prompt = Reading { batch: 1, past: 0, len: images * each, scored: 1 };
    let tails =
        Reading { batch: CANDIDATES, past: images * each, len: LEN - 1, scored: CANDIDATES * (LEN - 1) };
    // The keys and values of the prompt are one, whoever shares them.
    let shared = Work { bytes: 0.0, ..count::reading(&config, tails) };
    let work = count::seeing(&config, images) + count::reading(&config, prompt) + shared;
    let peer = json!({
        "kind": "score", "model": config, "images": images, "each": each, "candidates": CANDIDATES, "len": LEN,
    });
    Ok(vec![Case {
        suite: Suite::Eval,
        name: "smol-32-shot",
        about: "32 examples and a query, 33 JPEGs of 640 x 480: scores of ten candidates of three tokens",
        work,
        peer: Some(peer),
        prepare: Box::new(move |context| {
            let model = flamingo(&config, &context.device)?;
            let network = Network::Flamingo { model: Box::new(model), preprocess: config.preprocess.clone() };
            let dialect = Dialect::of_ids(Style::Paper, Some(sizes::IMAGE), None);
            let mut engine = Engine::new(Pretrained { network, dialect, reports: Vec::new() });
            let pictures = (0..images)
                .map(|number| Ok(Arc::from(std::fs::read(assets::picture(&context.assets, number))?)))
                .collect::<anyhow::Result<Vec<Arc<[u8]>>>>()?;
            let candidates: Vec<Vec<u32>> = (0..CANDIDATES).map(candidate).collect();
            Ok(Prepared::each(move || {
                engine.forget();
                let media = pictures.iter().map(|bytes| Medium::Image(Source::Bytes(Arc::clone(bytes))));
                let prompt = Prompt::Tokens { ids: interleaved(images, each), media: media.collect() };
                let scores = engine.token_candidates(&prompt, &candidates)?;
                anyhow::ensure!(scores.iter().all(|score| score.sum().is_finite()), "a score is not finite");
                Ok(())
            }))
        }),
    }])
}

fn candidate(index: usize) -> Vec<u32> {
    (0..LEN).map(|token| (100 + index * 17 + token * 5) as u32).collect()
}
