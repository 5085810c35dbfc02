//! What a model has to compute and to read, counted from its configuration.
//!
//! A multiplication and an addition are two operations (FLOP). Counted are matrix products and convolutions, attention's two
//! included: norms, activations and softmax are a per cent of them. Of a causal attention only the scores that are used
//! count. Bytes are those that must pass by at the least: weights once, the cache of keys and values once, in f32; what one
//! layer hands to the next is taken to stay in the processor. It is the least that has to be done, so a share of a ceiling
//! is never flattering, with one exception: weights that fit into the caches, as nano's do, need not come from memory again.

use std::ops::{Add, Mul};

use flamingo::FlamingoConfig;
use flamingo::lm::DecoderConfig;
use flamingo::resampler::{Layer, ResamplerConfig};
use flamingo::vision::{NfNetConfig, VisionConfig, VitConfig};
use flamingo::xattn::GatedXattnConfig;

/// Bytes of a number.
const SIZE: f64 = 4.0;

/// What something takes.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Work {
    /// Floating-point operations.
    pub flops: f64,
    /// Bytes between memory and processor.
    pub bytes: f64,
}

impl Add for Work {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self { flops: self.flops + other.flops, bytes: self.bytes + other.bytes }
    }
}

impl Mul<f64> for Work {
    type Output = Self;

    fn mul(self, times: f64) -> Self {
        Self { flops: self.flops * times, bytes: self.bytes * times }
    }
}

impl std::iter::Sum for Work {
    fn sum<I: Iterator<Item = Self>>(all: I) -> Self {
        all.fold(Self::default(), Add::add)
    }
}

impl Work {
    /// Nothing but so many numbers, read or written.
    pub fn numbers(count: usize) -> Self {
        Self { flops: 0.0, bytes: SIZE * count as f64 }
    }

    /// A matrix product `[m, k] x [k, n]` of matrices that are not in the processor yet.
    pub fn product(m: usize, k: usize, n: usize) -> Self {
        let flops = 2.0 * m as f64 * k as f64 * n as f64;
        Self { flops, bytes: SIZE * (m * k + k * n + m * n) as f64 }
    }

    /// Without what is read.
    fn computed(self) -> Self {
        Self { bytes: 0.0, ..self }
    }
}

/// A linear layer over `rows`; its weights are read.
fn linear(rows: usize, from: usize, to: usize) -> Work {
    Work::product(rows, from, to).computed() + Work::numbers(from * to)
}

/// Scores and mixing for so many pairs of a query and a key, in all heads together `inner` wide.
fn attend(pairs: usize, inner: usize) -> Work {
    Work { flops: 4.0 * pairs as f64 * inner as f64, bytes: 0.0 }
}

/// One pass of a decoder.
#[derive(Debug, Clone, Copy)]
pub struct Reading {
    /// Rows.
    pub batch: usize,
    /// Tokens of each that were read before.
    pub past: usize,
    /// Tokens of each that are read now.
    pub len: usize,
    /// How many positions, of all rows together, get scores over the vocabulary.
    pub scored: usize,
}

/// The blocks of a decoder, and its head for the positions that are scored.
pub fn decoder(config: &DecoderConfig, reading: Reading) -> Work {
    let Reading { batch, past, len, scored } = reading;
    let rows = batch * len;
    let (d, inner) = (config.d_model, config.n_heads * config.d_head);
    let kv = config.kv_heads() * config.d_head;
    let pairs = batch * (past * len + len * (len + 1) / 2);
    let relative = matches!(config.positions, flamingo::lm::positions::Positions::TransformerXl);
    let distances = if relative {
        // Queries times projected distances; these are projected once for all rows, and kept behind a cache.
        let fresh = if past == 0 { linear(len, d, inner) } else { Work::numbers((past + len) * inner) };
        fresh + attend(pairs, inner) * 0.5
    } else {
        Work::default()
    };
    let projections = linear(rows, d, inner) + linear(rows, d, kv) * 2.0 + linear(rows, inner, d);
    let feed_forward = linear(rows, d, config.d_ff) * if config.gated { 3.0 } else { 2.0 };
    let cache = Work::numbers(2 * batch * past * kv);
    let block = projections + feed_forward + attend(pairs, inner) + distances + cache;
    let vocabulary = config.vocab + config.new_tokens;
    let head = if scored > 0 { linear(scored, d, vocabulary) } else { Work::default() };
    block * config.n_layers as f64 + head
}

/// One gated block over so many rows of text, each of which sees `latents` tokens; keys and values are there.
pub fn gated_block(config: &GatedXattnConfig, rows: usize, latents: usize) -> Work {
    let inner = config.n_heads * config.d_head;
    let feed_forward = linear(rows, config.d_model, config.d_ff) * if config.gated { 3.0 } else { 2.0 };
    linear(rows, config.d_model, inner)
        + linear(rows, inner, config.d_model)
        + attend(rows * latents, inner)
        + feed_forward
}

/// Keys and values of so many visual tokens for one gated block.
pub fn media_kv(config: &GatedXattnConfig, tokens: usize) -> Work {
    linear(tokens, config.d_media, config.n_heads * config.d_head) * 2.0
}

/// A Perceiver Resampler over so many media, each of so many positions.
///
/// # Panics
///
/// If it is one of the paper's alternatives.
pub fn resampler(config: &ResamplerConfig, media: usize, positions: usize) -> Work {
    assert_eq!(config.layer, Layer::Perceiver, "only the Perceiver is counted");
    let (d, inner, r) = (config.d_model, config.n_heads * config.d_head, config.n_latents);
    let (queries, keys) = (media * r, media * (positions + r));
    let layer = linear(queries, d, inner)
        + linear(keys, d, inner) * 2.0
        + linear(queries, inner, d)
        + attend(queries * (positions + r), inner)
        + linear(queries, d, config.d_ff) * 2.0;
    let input = config.d_input.map(|from| linear(media * positions, from, d)).unwrap_or_default();
    layer * config.n_layers as f64 + input
}

/// A vision transformer over so many images.
pub fn vit(config: &VitConfig, images: usize) -> Work {
    let patches = (config.image_size / config.patch_size).pow(2);
    let (d, tokens) = (config.d_model, patches + 1);
    let rows = images * tokens;
    let block =
        linear(rows, d, d) * 4.0 + attend(images * tokens * tokens, d) + linear(rows, d, config.d_ff) * 2.0;
    linear(images * patches, 3 * config.patch_size.pow(2), d) + block * config.n_layers as f64
}

/// A convolution to so many positions (of all images).
fn convolution(positions: usize, [from, to]: [usize; 2], kernel: usize, groups: usize) -> Work {
    linear(positions, from / groups * kernel * kernel, to)
}

/// An NFNet, with its final convolution, over so many images of `size` pixels.
pub fn nfnet(config: &NfNetConfig, images: usize, size: usize) -> Work {
    let halved = |side: usize| side.div_ceil(2);
    let area = |side: usize| images * side * side;
    let [a, b, c, d] = [8, 4, 2, 1].map(|part| config.stem_width / part);
    let half = halved(size);
    let mut side = halved(half);
    let mut work = convolution(area(half), [3, a], 3, 1)
        + convolution(area(half), [a, b], 3, 1)
        + convolution(area(half), [b, c], 3, 1)
        + convolution(area(side), [c, d], 3, 1);
    let mut channels = config.stem_width;
    for (stage, (width, depth)) in config.widths.into_iter().zip(config.depths).enumerate() {
        for index in 0..depth {
            let before = side;
            let strided = index == 0 && stage > 0;
            if strided {
                side = halved(side);
            }
            let inner = width / 2;
            let groups = (inner / config.group_size).max(1);
            if strided || channels != width {
                work = work + convolution(area(side), [channels, width], 1, 1);
            }
            work = work
                + convolution(area(before), [channels, inner], 1, 1)
                + convolution(area(side), [inner, inner], 3, groups) * 2.0
                + convolution(area(side), [inner, width], 1, 1)
                + linear(images, width, width / 2)
                + linear(images, width / 2, width);
            channels = width;
        }
    }
    work + convolution(area(side), [channels, config.final_width], 1, 1)
}

/// The encoder of a Flamingo over so many images of the size that it is for.
///
/// # Panics
///
/// If it is an EfficientNet.
pub fn encoder(config: &FlamingoConfig, images: usize) -> Work {
    match &config.vision {
        VisionConfig::Vit(vit_config) => vit(vit_config, images),
        VisionConfig::Nfnet(net) => {
            let whole = nfnet(net, images, config.preprocess.size);
            let side = (net.n_positions(config.preprocess.size) as f64).sqrt() as usize;
            // A Flamingo reads the stages' output, not that of the final convolution.
            let last = convolution(images * side * side, [net.widths[3], net.final_width], 1, 1);
            whole + last * -1.0
        }
        VisionConfig::Efficientnet(_) => panic!("EfficientNets are not counted"),
    }
}

/// A Flamingo's language model and gated blocks, over text of which every position sees one image; keys and values of
/// images are there.
pub fn reading(config: &FlamingoConfig, reading: Reading) -> Work {
    let blocks = config.xattn.layers(config.lm.n_layers).len() as f64;
    let rows = reading.batch * reading.len;
    decoder(&config.lm, reading) + gated_block(&config.xattn, rows, config.resampler.n_latents) * blocks
}

/// Pixels to keys and values in all gated blocks.
pub fn seeing(config: &FlamingoConfig, images: usize) -> Work {
    encoder(config, images) + resampling(config, images)
}

/// Features to keys and values in all gated blocks.
pub fn resampling(config: &FlamingoConfig, images: usize) -> Work {
    let blocks = config.xattn.layers(config.lm.n_layers).len() as f64;
    let positions = config.vision.n_positions(config.preprocess.size);
    resampler(&config.resampler, images, positions)
        + media_kv(&config.xattn, images * config.resampler.n_latents) * blocks
}

/// An update of what a Flamingo trains, with the encoder in it, of which `trained` numbers are.
///
/// A layer's gradient for its input costs what the layer costs, and so does the one for its weights, if these are trained;
/// attention's gradient costs twice its forward pass, like a trained layer's. Every weight is read forward and backward,
/// and of a trained one AdamW reads gradient, weight and two moments, and writes three of them.
pub fn update(config: &FlamingoConfig, read: Reading, images: usize, trained: usize) -> Work {
    let blocks = config.xattn.layers(config.lm.n_layers).len() as f64;
    let rows = read.batch * read.len;
    let frozen = decoder(&config.lm, read);
    let inner = config.lm.n_heads * config.lm.d_head;
    let pairs = read.batch * read.len * (read.len + 1) / 2;
    let attention = attend(pairs, inner) * config.lm.n_layers as f64;
    let learning =
        gated_block(&config.xattn, rows, config.resampler.n_latents) * blocks + resampling(config, images);
    let written = Work::numbers(8 * trained);
    encoder(config, images)
        + frozen * 2.0
        + attention
        + Work { bytes: learning.bytes * 2.0, flops: learning.flops * 3.0 }
        + written
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;
    use flamingo::nn::count_parameters;

    use super::*;
    use crate::sizes;

    /// Whether `a` is `b`, but for so large a share.
    fn near(a: f64, b: f64, share: f64) -> bool {
        (a / b - 1.0).abs() <= share
    }

    #[test]
    fn a_product_is_counted_as_by_hand() {
        let work = Work::product(2, 3, 5);
        assert_eq!((work.flops, work.bytes), (60.0, 4.0 * (6.0 + 15.0 + 10.0)));
        assert_eq!((work + work * 2.0).flops, 180.0);
    }

    #[test]
    fn a_token_of_smollm2_reads_its_weights_and_computes_two_operations_with_each() {
        let config = sizes::smollm2().unwrap();
        let one = decoder(&config, Reading { batch: 1, past: 0, len: 1, scored: 1 });
        // All parameters but the norms', of which there are two in a block and one behind.
        let weights = count_parameters(&config.init(&Device::flex())) - 61 * 576;
        // By hand: 2 * 576^2 + 2 * 576 * 192 + 3 * 576 * 1536 in each of 30 blocks, and 49,152 * 576 in the head.
        assert_eq!(weights, 30 * 3_538_944 + 28_311_552);
        assert_eq!(one.bytes, 4.0 * weights as f64);
        // A query and a key: 4 operations for each of 9 * 64 channels, in 30 blocks.
        assert_eq!(one.flops, 2.0 * weights as f64 + 30.0 * 4.0 * 576.0);
        // Behind 511 others it sees them all and reads their keys and values, 2 * 3 * 64 numbers in each block.
        let behind = decoder(&config, Reading { batch: 1, past: 511, len: 1, scored: 1 });
        assert_eq!(behind.flops - one.flops, 30.0 * 4.0 * 576.0 * 511.0);
        assert_eq!(behind.bytes - one.bytes, 30.0 * 4.0 * 384.0 * 511.0);
    }

    #[test]
    fn a_prompt_costs_what_its_tokens_cost_one_by_one() {
        let config = sizes::smollm2().unwrap();
        let one_by_one: f64 =
            (0..7).map(|past| decoder(&config, Reading { batch: 2, past, len: 1, scored: 0 }).flops).sum();
        assert_eq!(decoder(&config, Reading { batch: 2, past: 0, len: 7, scored: 0 }).flops, one_by_one);
    }

    #[test]
    fn encoders_are_counted_as_their_publishers_count_them() {
        // Billions of multiply-additions with a classifier of 1000 classes: 12.38 for NFNet-F0 at 256 pixels (Brock et al.
        // 2021, table 3), 4.41 for a ViT-B/32 at 224 (timm 1.0's benchmark table, `vit_base_patch32_224`).
        let f0 = nfnet(&sizes::nfnet_f0(), 1, 256).flops / 2e9 + 3072.0 * 1000.0 / 1e9;
        assert!(near(f0, 12.38, 0.001), "{f0}");
        let b32 = vit(&sizes::clip_b32().unwrap(), 1).flops / 2e9 + 768.0 * 1000.0 / 1e9;
        assert!(near(b32, 4.41, 0.002), "{b32}");
        assert_eq!(
            vit(&sizes::clip_b32().unwrap(), 3).flops,
            3.0 * vit(&sizes::clip_b32().unwrap(), 1).flops
        );
    }

    #[test]
    fn weights_of_the_trained_parts_are_read_once() {
        let config = sizes::smol().unwrap();
        let device = Device::flex();
        // Weights of five blocks, without two norms and two gates each.
        let block = count_parameters(&config.xattn.init(&device)) - 2 * 576 - 2;
        let counted = gated_block(&config.xattn, 10, 64) + media_kv(&config.xattn, 64);
        assert_eq!(counted.bytes, 4.0 * block as f64);
        // A resampler without its latents, 8 frame embeddings and 2 * (2 * 3 + 1) vectors of norms.
        let all = count_parameters(&config.resampler.init(&device));
        let plain = all - (64 + 8 + 14) * 768;
        assert_eq!(resampler(&config.resampler, 4, 49).bytes, 4.0 * plain as f64);
        // By hand, one layer of one image: queries, keys and values, output, attention, feed-forward network.
        let layer = 2.0 * (64.0 + 2.0 * 113.0 + 64.0) * 768.0 * 768.0
            + 4.0 * 64.0 * 113.0 * 768.0
            + 2.0 * 2.0 * 64.0 * 768.0 * 3072.0;
        assert_eq!(resampler(&config.resampler, 1, 49).flops, 2.0 * layer);
    }

    #[test]
    fn an_update_costs_less_than_three_forward_passes_and_more_than_two_of_the_frozen_part() {
        let config = sizes::smol().unwrap();
        let read = Reading { batch: 4, past: 0, len: 256, scored: 4 * 255 };
        let forward = reading(&config, read) + resampling(&config, 4);
        let update = update(&config, read, 4, 30_000_000) + encoder(&config, 4) * -1.0;
        assert!(update.flops > 2.0 * forward.flops && update.flops < 3.0 * forward.flops);
    }

    #[test]
    fn a_nano_reads_the_output_of_its_stages() {
        let config = sizes::nano();
        let VisionConfig::Nfnet(net) = &config.vision else { panic!("nano has an NFNet") };
        let without = nfnet(net, 2, 48).flops - 2.0 * (2.0 * 2.0 * 2.0) * 256.0 * 256.0;
        assert_eq!(encoder(&config, 2).flops, without);
    }
}
