//! How many numbers a forward pass keeps for the backward pass: an estimate, counted from shapes.
//!
//! Counted is what operators keep of their inputs and outputs, for the operators of which the parts are made here:
//!
//! - a transformer block, for each of its T positions: `12 D` (norms, residual sums, projections), `5 A` (queries, keys, values
//!   and the context, once more where heads are put first), `3 H S` (scores, their mask and softmax over S keys) and `3 F`;
//! - a convolution: its input's and its output's size, and twice the output's for an activation and its gain.
//!
//! Kept are numbers of f32. What the frozen encoder computes has no graph and is not counted; what the frozen decoder
//! computes is: gradients pass through it on their way to the gated blocks.

use flamingo_core::HostBatch;
use flamingo_vision::{NfNetConfig, VisionConfig, VitConfig};

use super::config::RunConfig;
use crate::stages::contrastive::PairBatch;

/// The sizes of a stack of transformer blocks.
#[derive(Clone, Copy)]
struct Blocks {
    layers: usize,
    /// Width of the hidden states.
    d_model: usize,
    /// Width of all heads together.
    d_heads: usize,
    n_heads: usize,
    d_ff: usize,
}

impl Blocks {
    /// Over `positions` in all, each of which attends to `keys`.
    fn kept(self, positions: usize, keys: usize) -> usize {
        let Self { layers, d_model, d_heads, n_heads, d_ff } = self;
        layers * positions * (12 * d_model + 5 * d_heads + 3 * n_heads * keys + 3 * d_ff)
    }
}

/// Bytes that a pass of both towers over `pairs` keeps; `None` for an encoder whose operators are not counted here.
pub(super) fn contrastive(config: &RunConfig, batch: &PairBatch) -> Option<u64> {
    let text = &config.contrastive.towers.text;
    let tower = Blocks {
        layers: text.n_layers,
        d_model: text.d_model,
        d_heads: text.d_model,
        n_heads: text.n_heads,
        d_ff: 4 * text.d_model,
    };
    let len = batch.texts.tokens();
    let images = match &config.model.vision {
        VisionConfig::Nfnet(nfnet) => of_nfnet(nfnet, batch.size),
        VisionConfig::Vit(vit) => of_vit(vit),
        VisionConfig::Efficientnet(_) => return None,
    };
    Some(bytes(batch.pairs * images + tower.kept(batch.pairs * len, len)))
}

/// Bytes that a pass of the language model alone keeps.
pub(super) fn language(config: &RunConfig, batch: &HostBatch) -> u64 {
    bytes(
        decoder(config, batch)
            + scores(config, config.language.loss.block_tokens(config.model.lm.vocab), batch),
    )
}

/// Bytes that a pass of the joined model keeps, the encoder being frozen.
pub(super) fn flamingo(config: &RunConfig, batch: &HostBatch) -> u64 {
    let model = &config.model;
    let positions = batch.batch * batch.len;
    let resampler = &model.resampler;
    let d_heads = resampler.n_heads * resampler.d_head;
    let images = batch.batch * batch.media;
    let features = batch.frames * model.vision.n_positions(batch.size);
    let latents = Blocks {
        layers: resampler.n_layers,
        d_model: resampler.d_model,
        d_heads,
        n_heads: resampler.n_heads,
        d_ff: resampler.d_ff,
    };
    // Keys and values of the features, which are normed in every layer too.
    let of_features = resampler.n_layers * images * features * (4 * resampler.d_model + 4 * d_heads);
    let gated = Blocks {
        layers: model.lm.n_layers.div_ceil(model.xattn.every.max(1)),
        d_model: model.xattn.d_model,
        d_heads: model.xattn.n_heads * model.xattn.d_head,
        n_heads: model.xattn.n_heads,
        d_ff: model.xattn.d_ff,
    };
    let seen = resampler.n_latents;
    let of_media = gated.layers * images * seen * 4 * gated.d_heads;
    bytes(
        latents.kept(images * seen, features + seen)
            + of_features
            + gated.kept(positions, seen)
            + of_media
            + decoder(config, batch)
            + scores(config, config.flamingo.loss.block_tokens(model.lm.vocab), batch),
    )
}

fn decoder(config: &RunConfig, batch: &HostBatch) -> usize {
    let lm = &config.model.lm;
    let blocks = Blocks {
        layers: lm.n_layers,
        d_model: lm.d_model,
        d_heads: lm.n_heads * lm.d_head,
        n_heads: lm.n_heads,
        d_ff: lm.d_ff * if lm.gated { 2 } else { 1 },
    };
    blocks.kept(batch.batch * batch.len, batch.len)
}

/// Of one block of tokens: scores, probabilities, and the gradient of the scores.
fn scores(config: &RunConfig, block: usize, batch: &HostBatch) -> usize {
    3 * config.model.lm.vocab * block.min(batch.batch * batch.len)
}

/// Of one image.
fn of_vit(vit: &VitConfig) -> usize {
    let positions = (vit.image_size / vit.patch_size).pow(2) + 1;
    let blocks = Blocks {
        layers: vit.n_layers,
        d_model: vit.d_model,
        d_heads: vit.d_model,
        n_heads: vit.n_heads,
        d_ff: vit.d_ff,
    };
    blocks.kept(positions, positions)
}

/// Of one image of `size` pixels.
fn of_nfnet(config: &NfNetConfig, size: usize) -> usize {
    let conv = |input: usize, output: usize| input + 3 * output;
    let area = |side: usize| side * side;
    let (half, quarter) = (size.div_ceil(2), size.div_ceil(4));
    let [a, b, c, d] = [8, 4, 2, 1].map(|part| config.stem_width / part);
    let mut kept = conv(3 * area(size), a * area(half))
        + conv(a * area(half), b * area(half))
        + conv(b * area(half), c * area(half))
        + conv(c * area(half), d * area(quarter));
    let (mut side, mut channels) = (quarter, d);
    for (stage, (width, depth)) in config.widths.into_iter().zip(config.depths).enumerate() {
        for index in 0..depth {
            let before = side;
            if index == 0 && stage > 0 {
                side = side.div_ceil(2);
            }
            let (input, inner, output) =
                (channels * area(before), (width / 2) * area(side), width * area(side));
            // The activation before the branch; the branch; the shortcut, squeeze-and-excitation, and the sum.
            kept += 2 * input
                + conv(input, (width / 2) * area(before))
                + conv((width / 2) * area(before), inner)
                + conv(inner, inner)
                + conv(inner, output)
                + 4 * output;
            channels = width;
        }
    }
    kept + conv(channels * area(side), config.final_width * area(side))
}

fn bytes(numbers: usize) -> u64 {
    4 * numbers as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(rows: usize, len: usize, media: usize) -> HostBatch {
        HostBatch {
            batch: rows,
            len,
            media,
            frames: 1,
            size: 48,
            ids: vec![0; rows * len],
            media_index: vec![0; rows * len],
            loss_weights: vec![1.0; rows * len],
            pixels: Vec::new(),
            features: None,
        }
    }

    #[test]
    fn a_small_model_is_counted_by_hand() {
        let mut config = RunConfig::nano();
        config.model.lm = flamingo_lm::DecoderConfig { n_layers: 1, ..config.model.lm };
        let (lm, rows, len) = (&config.model.lm, 2, 3);
        let block = 6 * (12 * lm.d_model + 5 * lm.n_heads * lm.d_head + 3 * lm.n_heads * len + 3 * lm.d_ff);
        assert_eq!(language(&config, &batch(rows, len, 0)), 4 * (block + 3 * lm.vocab * 6) as u64);
    }

    #[test]
    fn more_images_and_larger_ones_keep_more() {
        let config = RunConfig::nano();
        let text = flamingo(&config, &batch(4, 16, 0));
        let [one, two] = [1, 2].map(|media| flamingo(&config, &batch(4, 16, media)));
        assert!(text < one && two - one == one - text);
        let nano = NfNetConfig::nano();
        let [small, large] = [48, 96].map(|size| of_nfnet(&nano, size));
        assert!((3.8..4.2).contains(&(large as f64 / small as f64)), "{small} {large}");
    }
}
