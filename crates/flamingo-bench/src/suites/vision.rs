//! Images to features, without a gradient graph.

use std::hint::black_box;

use flamingo::vision::VisionConfig;
use serde_json::json;

use super::inputs::{finish, normal, ready};
use crate::case::{Case, Prepared, Suite};
use crate::count::{self, Work};
use crate::sizes;

pub fn cases() -> anyhow::Result<Vec<Case>> {
    let b32 = sizes::clip_b32()?;
    let f0 = sizes::nfnet_f0();
    let nano = sizes::nano();
    let mut cases = Vec::new();
    for (name, about, images) in
        [("clip-b32-1", "CLIP ViT-B/32, one image", 1), ("clip-b32-8", "CLIP ViT-B/32, eight images", 8)]
    {
        let peer = json!({"kind": "open-clip", "name": "ViT-B-32", "images": images, "size": b32.image_size});
        cases.push(case(
            name,
            about,
            b32.clone().into(),
            [images, b32.image_size],
            count::vit(&b32, images),
            peer,
        ));
    }
    for (name, about, images) in [
        ("nfnet-f0-1", "NFNet-F0 at 192 pixels, one image", 1),
        ("nfnet-f0-4", "NFNet-F0 at 192 pixels, four images", 4),
    ] {
        let size = sizes::F0_SIZE;
        let peer = json!({"kind": "timm", "name": "dm_nfnet_f0", "images": images, "size": size});
        cases.push(case(
            name,
            about,
            f0.clone().into(),
            [images, size],
            count::nfnet(&f0, images, size),
            peer,
        ));
    }
    let (images, size) = (32, nano.preprocess.size);
    let peer = json!({"kind": "nfnet", "config": nano.vision, "images": images, "size": size});
    let work = count::encoder(&nano, images);
    cases.push(case("nano-32", "nano's NFNet, 32 images", nano.vision, [images, size], work, peer));
    Ok(cases)
}

fn case(
    name: &'static str,
    about: &'static str,
    config: VisionConfig,
    [images, size]: [usize; 2],
    work: Work,
    peer: serde_json::Value,
) -> Case {
    Case {
        suite: Suite::Vision,
        name,
        about,
        work,
        peer: Some(peer),
        prepare: Box::new(move |context| {
            let device = context.device.clone();
            let encoder = ready(config.init(&device));
            let pixels = normal([images, 3, size, size], &device);
            Ok(Prepared::each(move || {
                black_box(encoder.features(pixels.clone()));
                finish(&device)
            }))
        }),
    }
}
