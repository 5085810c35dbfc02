//! Single operations in the sizes in which `smol` has them, and the two parts that Flamingo adds.
//!
//! Where an operation computes next to nothing, its ceiling is memory: what it must read and write.

use std::hint::black_box;

use burn::nn::LinearConfig;
use burn::optim::GradientsParams;
use burn::tensor::activation::{gelu, silu, softmax};
use burn::tensor::module::{attention, conv2d, embedding, linear};
use burn::tensor::ops::{AttentionModuleOptions, ConvOptions};
use burn::tensor::{Device, Tensor};
use flamingo::core::Precision;
use flamingo::loss::{LossSpec, Targets, weighted_nll};
use flamingo::nn::NormConfig;
use flamingo::train::{AdamWSpec, Mixing, PathAdamW, Schedule, TrainConfig};
use flamingo::{HostBatch, MediaAttention};
use serde_json::{Value, json};

use super::inputs::{finish, interleaved, layout, normal, ready, text};
use super::prefill::SHOTS;
use crate::case::{Case, Prepared, Suite};
use crate::count::{self, Work};
use crate::sizes;

/// Makes an operation's inputs, and the operation.
type Make = fn(&Device) -> anyhow::Result<Operation>;
type Operation = Box<dyn FnMut()>;

pub fn cases() -> anyhow::Result<Vec<Case>> {
    let mut cases = products();
    cases.extend(attentions());
    cases.extend(elementwise());
    cases.extend(convolutions());
    cases.extend(learning());
    cases.extend(parts()?);
    Ok(cases)
}

fn case(name: &'static str, about: &'static str, work: Work, peer: Value, make: Make) -> Case {
    let prepare = move |context: &crate::case::Context| {
        let device = context.device.clone();
        let mut operation = make(&device)?;
        Ok(Prepared::each(move || {
            operation();
            finish(&device)
        }))
    };
    Case { suite: Suite::Micro, name, about, work, peer: Some(peer), prepare: Box::new(prepare) }
}

fn product<const M: usize, const K: usize, const N: usize>(device: &Device) -> anyhow::Result<Operation> {
    let (a, b) = (normal([M, K], device), normal([K, N], device));
    Ok(Box::new(move || drop(black_box(a.clone().matmul(b.clone())))))
}

fn products() -> Vec<Case> {
    let gemm = |m: usize, k: usize, n: usize| json!({"kind": "gemm", "m": m, "k": k, "n": n});
    vec![
        case(
            "gemm-1024",
            "[1024, 1024] x [1024, 1024]",
            Work::product(1024, 1024, 1024),
            gemm(1024, 1024, 1024),
            product::<1024, 1024, 1024>,
        ),
        case(
            "gemm-up",
            "[1024, 576] x [576, 1536]: a feed-forward network widens",
            Work::product(1024, 576, 1536),
            gemm(1024, 576, 1536),
            product::<1024, 576, 1536>,
        ),
        case(
            "gemm-head",
            "[256, 576] x [576, 49152], the table transposed: scores of a block of tokens",
            Work::product(256, 576, 49_152),
            json!({"kind": "head", "rows": 256, "d": 576, "vocab": 49_152}),
            head::<256>,
        ),
        case(
            "gemv-head",
            "[1, 576] x [576, 49152], the table transposed: scores of a new token",
            Work::product(1, 576, 49_152),
            json!({"kind": "head", "rows": 1, "d": 576, "vocab": 49_152}),
            head::<1>,
        ),
        case(
            "gemv-down",
            "[1, 1536] x [1536, 576]: a feed-forward network narrows, for a new token",
            Work::product(1, 1536, 576),
            gemm(1, 1536, 576),
            product::<1, 1536, 576>,
        ),
    ]
}

fn head<const ROWS: usize>(device: &Device) -> anyhow::Result<Operation> {
    let (x, table) = (normal([ROWS, 576], device), normal([49_152, 576], device));
    Ok(Box::new(move || drop(black_box(linear(x.clone(), table.clone().transpose(), None)))))
}

/// Scores and mixing of `[B, H, L, K]` queries with S keys and values; what stands in memory is read and written once.
fn mixing([batch, heads, len, keys]: [usize; 4], pairs: usize) -> Work {
    let d = 64;
    Work { flops: 4.0 * (batch * heads * pairs * d) as f64, bytes: 0.0 }
        + Work::numbers(2 * batch * heads * d * (len + keys))
}

fn mix<const B: usize, const H: usize, const L: usize, const S: usize, const CAUSAL: bool>(
    device: &Device,
) -> anyhow::Result<Operation> {
    let query = normal([B, H, L, 64], device);
    let [key, value] = [(); 2].map(|()| normal([B, H, S, 64], device));
    let options = AttentionModuleOptions { is_causal: CAUSAL, ..Default::default() };
    Ok(Box::new(move || {
        drop(black_box(attention(query.clone(), key.clone(), value.clone(), None, None, options)));
    }))
}

fn attentions() -> Vec<Case> {
    let peer = |b: usize, h: usize, l: usize, s: usize, causal: bool| json!({"kind": "attention", "batch": b, "heads": h, "len": l, "keys": s, "causal": causal});
    vec![
        case(
            "attention-causal",
            "9 heads, 512 tokens",
            mixing([1, 9, 512, 512], 512 * 513 / 2),
            peer(1, 9, 512, 512, true),
            mix::<1, 9, 512, 512, true>,
        ),
        case(
            "attention-decode",
            "9 heads, a new token and 512 keys",
            mixing([1, 9, 1, 512], 512),
            peer(1, 9, 1, 512, false),
            mix::<1, 9, 1, 512, false>,
        ),
        case(
            "attention-media",
            "8 heads, 33 images of 64 tokens, 20 positions that see each",
            mixing([33, 8, 20, 64], 20 * 64),
            peer(33, 8, 20, 64, false),
            mix::<33, 8, 20, 64, false>,
        ),
    ]
}

fn elementwise() -> Vec<Case> {
    let op = |name: &str, shape: &[usize]| json!({"kind": "elementwise", "op": name, "shape": shape});
    vec![
        case(
            "add-16mb",
            "sum of two matrices of 2048 x 2048",
            Work::numbers(3 * 2048 * 2048),
            op("add", &[2048, 2048]),
            |device| {
                let [a, b] = [(); 2].map(|()| normal([2048, 2048], device));
                Ok(Box::new(move || drop(black_box(a.clone() + b.clone()))))
            },
        ),
        case(
            "softmax-vocab",
            "softmax of 256 rows of 49,152",
            Work::numbers(2 * 256 * 49_152),
            op("softmax", &[256, 49_152]),
            |device| {
                let x = normal([256, 49_152], device);
                Ok(Box::new(move || drop(black_box(softmax(x.clone(), 1)))))
            },
        ),
        case(
            "rms-norm",
            "1024 rows of 576",
            Work::numbers(2 * 1024 * 576),
            op("rms-norm", &[1024, 576]),
            |device| {
                let norm = ready(NormConfig::Rms { epsilon: 1e-5 }.init(576, device));
                let x = normal([1024, 576], device);
                Ok(Box::new(move || drop(black_box(norm.forward(x.clone())))))
            },
        ),
        case(
            "layer-norm",
            "400 rows of 768",
            Work::numbers(2 * 400 * 768),
            op("layer-norm", &[400, 768]),
            |device| {
                let norm = ready(NormConfig::Layer { epsilon: 1e-5 }.init(768, device));
                let x = normal([400, 768], device);
                Ok(Box::new(move || drop(black_box(norm.forward(x.clone())))))
            },
        ),
        case(
            "silu-mul",
            "silu(a) * b, 1024 rows of 1536",
            Work::numbers(3 * 1024 * 1536),
            op("silu-mul", &[1024, 1536]),
            |device| {
                let [a, b] = [(); 2].map(|()| normal([1024, 1536], device));
                Ok(Box::new(move || drop(black_box(silu(a.clone()) * b.clone()))))
            },
        ),
        case("gelu", "400 rows of 3072", Work::numbers(2 * 400 * 3072), op("gelu", &[400, 3072]), |device| {
            let x = normal([400, 3072], device);
            Ok(Box::new(move || drop(black_box(gelu(x.clone())))))
        }),
        case(
            "swap-dims",
            "[4, 256, 9, 64] with the middle dimensions exchanged, in memory: heads apart",
            Work::numbers(2 * 4 * 256 * 9 * 64),
            op("swap-dims", &[4, 256, 9, 64]),
            |device| {
                // Burn has no call for a copy in order; `cat` of two halves makes one of the same size.
                let [a, b] = [(); 2].map(|()| normal([2, 256, 9, 64], device));
                Ok(Box::new(move || {
                    let halves = [&a, &b].map(|half| half.clone().swap_dims(1, 2));
                    drop(black_box(Tensor::cat(halves.into(), 0)));
                }))
            },
        ),
        case(
            "embedding",
            "1024 rows of a table of 49,152 x 576",
            Work::numbers(2 * 1024 * 576),
            json!({"kind": "embedding", "rows": 1024, "vocab": 49_152, "d": 576}),
            |device| {
                let (table, ids) = (normal([49_152, 576], device), text(1, 1024, device));
                Ok(Box::new(move || drop(black_box(embedding(table.clone(), ids.clone())))))
            },
        ),
    ]
}

/// To `to` channels of 12 x 12 positions, as in the third stage of an NFNet-F0.
fn convolution(from: usize, to: usize, kernel: usize, groups: usize) -> Work {
    let weights = to * from / groups * kernel * kernel;
    let positions = 12 * 12;
    Work { flops: 2.0 * (positions * weights) as f64, bytes: 0.0 }
        + Work::numbers(weights + positions * (from + to))
}

fn convolve<const FROM: usize, const TO: usize, const KERNEL: usize, const GROUPS: usize>(
    device: &Device,
) -> anyhow::Result<Operation> {
    let weight = normal([TO, FROM / GROUPS, KERNEL, KERNEL], device);
    let x = normal([1, FROM, 12, 12], device);
    Ok(Box::new(move || {
        let options = ConvOptions::new([1, 1], [KERNEL / 2, KERNEL / 2], [1, 1], GROUPS);
        drop(black_box(conv2d(x.clone(), weight.clone(), None, options)));
    }))
}

fn convolutions() -> Vec<Case> {
    let peer = |from: usize, to: usize, kernel: usize, groups: usize| json!({"kind": "conv", "from": from, "to": to, "kernel": kernel, "groups": groups, "side": 12});
    vec![
        case(
            "conv-1x1",
            "1536 to 768 channels, 12 x 12 positions",
            convolution(1536, 768, 1, 1),
            peer(1536, 768, 1, 1),
            convolve::<1536, 768, 1, 1>,
        ),
        case(
            "conv-3x3-groups",
            "768 channels in 6 groups, 12 x 12 positions",
            convolution(768, 768, 3, 6),
            peer(768, 768, 3, 6),
            convolve::<768, 768, 3, 6>,
        ),
    ]
}

fn learning() -> Vec<Case> {
    vec![
        case(
            "loss",
            "loss and gradient of 512 tokens over 49,152 words, the table frozen",
            Work::product(512, 576, 49_152) * 2.0,
            json!({"kind": "loss", "tokens": 512, "vocab": 49_152, "d": 576}),
            loss,
        ),
        case(
            "adamw",
            "AdamW on 16.8 million numbers",
            // Reads gradient, weight and two moments, writes the last three.
            Work::numbers(7 * 4096 * 4096),
            json!({"kind": "adamw", "from": 4096, "to": 4096}),
            adamw,
        ),
    ]
}

/// As training has it.
fn loss(device: &Device) -> anyhow::Result<Operation> {
    let device = device.clone().autodiff();
    let config = flamingo::lm::DecoderConfig { n_layers: 0, ..sizes::smollm2()? };
    let lm = ready(burn::module::Module::no_grad(config.init(&device)));
    let tokens = 513;
    let batch = HostBatch {
        batch: 1,
        len: tokens,
        ids: (0..tokens).map(|place| (place * 7919 % 49_152) as u32).collect(),
        media_index: vec![0; tokens],
        loss_weights: vec![1.0; tokens],
        ..HostBatch::default()
    };
    let targets = Targets::new(&batch, &device);
    let hidden = normal([1, tokens, 576], &device);
    Ok(Box::new(move || {
        let hidden = hidden.clone().require_grad();
        let loss = weighted_nll(&lm, hidden.clone(), &targets, LossSpec::default());
        drop(black_box(hidden.grad(&loss.backward())));
    }))
}

fn adamw(device: &Device) -> anyhow::Result<Operation> {
    let graph = device.clone().autodiff();
    let mut layer = Some(ready(LinearConfig::new(4096, 4096).with_bias(false).init(&graph)));
    let gradient = normal([4096, 4096], device);
    let config = TrainConfig {
        steps: 1,
        seed: 1,
        optimizer: AdamWSpec::default(),
        schedule: Schedule::Constant { peak: 1e-4, warmup: 1 },
        weight_decay: 0.1,
        groups: Vec::new(),
        clip_norm: None,
        sources: Vec::new(),
        mixing: Mixing::default(),
        microbatches: 1,
        precision: Precision::F32,
        log_every: 1,
        checkpoint_every: 1,
        keep_last: 1,
        evaluate_every: 0,
        keep_best: None,
    };
    let mut optimizer = PathAdamW::default();
    Ok(Box::new(move || {
        if let Some(before) = layer.take() {
            let mut gradients = GradientsParams::new();
            gradients.register(before.weight.id, gradient.clone());
            layer = Some(optimizer.step(&config, 1e-4, before, gradients));
        }
    }))
}

fn parts() -> anyhow::Result<Vec<Case>> {
    let config = sizes::smol()?;
    let positions = config.vision.n_positions(config.preprocess.size);
    let [images, each] = SHOTS;
    let rows = images * each;
    Ok(vec![
        case(
            "resampler-4",
            "smol's Perceiver Resampler, four images",
            count::resampler(&config.resampler, 4, positions),
            json!({"kind": "resampler", "model": config, "images": 4}),
            |device| {
                let config = sizes::smol()?;
                let resampler = ready(config.resampler.init(device));
                let positions = config.vision.n_positions(config.preprocess.size);
                let features = normal([1, 4, 1, positions, config.vision.d_features()], device);
                Ok(Box::new(move || drop(black_box(resampler.forward(features.clone())))))
            },
        ),
        case(
            "gated-block",
            "one gated block of smol, 660 positions that see 33 images",
            count::gated_block(&config.xattn, rows, config.resampler.n_latents),
            json!({"kind": "gated-block", "model": config, "images": images, "each": each}),
            |device| {
                let config = sizes::smol()?;
                let block = ready(config.xattn.init(device));
                let [images, each] = SHOTS;
                let visual = normal([1, images, config.resampler.n_latents, config.xattn.d_media], device);
                let media = block.media_kv(visual);
                let layout = layout(&interleaved(images, each), device);
                let sight = flamingo::xattn::Sight::new(&layout, MediaAttention::Preceding, media.dims());
                let text = normal([1, images * each, config.xattn.d_model], device);
                Ok(Box::new(move || drop(black_box(block.forward(text.clone(), &media, &sight)))))
            },
        ),
    ])
}
