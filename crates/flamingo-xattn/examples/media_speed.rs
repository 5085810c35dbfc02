//! What the images of a prompt cost one gated block's attention, on the CPU: by a mask over all of them, and in groups.
//!
//! `cargo run --release --example media_speed` prints milliseconds, the best of several rounds, for a prompt with 20
//! tokens behind each image (*masked*, *groups*; *loop* is one attention for each image), for the same with its
//! gradients, and for one more token that sees the last image, by a mask and with that image alone.

use std::time::Instant;

use burn::tensor::{Device, Distribution, Tensor};
use flamingo_core::{MediaAttention, MediaLayout};
use flamingo_xattn::{GatedXattnBlock, GatedXattnConfig, MediaKv, Sight};

const TOKENS: usize = 20;
const LATENTS: usize = 64;
const D_MEDIA: usize = 1024;
const ROUNDS: usize = 9;

fn main() {
    println!(
        "width images | masked groups   loop | with gradients: masked groups | next token: masked one image"
    );
    for d_model in [576, 2048] {
        for images in [1, 4, 8, 16, 32] {
            compare(d_model, images);
        }
    }
}

fn compare(d_model: usize, images: usize) {
    let device = Device::flex();
    let config = GatedXattnConfig { d_head: 64, ..GatedXattnConfig::paper(d_model, 8, D_MEDIA, 1) };
    let block = config.init(&device);
    let len = images * TOKENS;
    let text = Tensor::random([1, len, d_model], Distribution::Default, &device);
    let visual = Tensor::random([1, images, LATENTS, D_MEDIA], Distribution::Default, &device);
    let media = block.media_kv(visual.clone());
    let phi: Vec<u32> = (0..len).map(|position| (position / TOKENS) as u32 + 1).collect();
    let sights = |device: &Device| {
        let layout = MediaLayout::new(&phi, 1, len, device);
        let masked = Sight::masked(&layout, MediaAttention::Preceding, media.dims());
        [masked, Sight::grouped(&layout, media.dims())]
    };

    let ways = sights(&device);
    let [masked, groups] = ways.each_ref().map(|way| best(|| block.attend(text.clone(), &media, way)));
    let alone: Vec<MediaKv> = (0..images).map(|image| media.pick(&[(0, image)])).collect();
    let by_loop = best(|| {
        let piece = |(i, kv): (usize, &MediaKv)| {
            block.attend(text.clone().narrow(1, i * TOKENS, TOKENS), kv, &Sight::Everything)
        };
        Tensor::cat(alone.iter().enumerate().map(piece).collect(), 1)
    });

    let graph = device.clone().autodiff();
    let trained = config.init(&graph);
    let [masked_gradients, group_gradients] = sights(&graph).map(|way| {
        best(|| {
            gradients(&trained, Tensor::from_inner(text.clone()), Tensor::from_inner(visual.clone()), &way)
        })
    });

    let next = text.narrow(1, len - 1, 1);
    let layout = MediaLayout::new(&[images as u32], 1, 1, &device);
    let mask = Sight::masked(&layout, MediaAttention::Preceding, media.dims());
    let next_masked = best(|| block.attend(next.clone(), &media, &mask));
    let last = &alone[images - 1];
    let next_alone = best(|| block.attend(next.clone(), last, &Sight::Everything));

    println!(
        "{d_model:>5} {images:>6} | {masked:>6.2} {groups:>6.2} {by_loop:>6.2} | {masked_gradients:>22.1} \
         {group_gradients:>6.1} | {next_masked:>18.3} {next_alone:>9.3}"
    );
}

/// The visual tokens' keys and values are made here, as training makes them.
fn gradients(block: &GatedXattnBlock, text: Tensor<3>, visual: Tensor<4>, sight: &Sight) -> Tensor<4> {
    let visual = visual.require_grad();
    let attended = block.attend(text, &block.media_kv(visual.clone()), sight);
    let gradients = attended.sum().backward();
    visual.grad(&gradients).unwrap_or_else(|| visual.inner())
}

/// Milliseconds.
fn best<T>(run: impl Fn() -> T) -> f64 {
    let time = || {
        let start = Instant::now();
        let result = run();
        let seconds = start.elapsed().as_secs_f64();
        drop(result);
        seconds * 1e3
    };
    (0..ROUNDS).map(|_| time()).fold(f64::INFINITY, f64::min)
}
