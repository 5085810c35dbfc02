//! Vision encoders and the contrastive loss against timm, open_clip, transformers, efficientnet-lite-pytorch and torch,
//! loaded through the families' key maps.

use burn::tensor::{Device, Tensor, s};
use flamingo::nn::Act;
use flamingo::vision::efficientnet::StageConfig;
use flamingo::vision::families::key_map;
use flamingo::vision::{
    EfficientNetConfig, FeatureTap, NfActivation, NfNet, NfNetConfig, NfVariant, VisionConfig, VisionEncoder,
    VitConfig, contrastive_loss,
};
use flamingo::weights::{Checkpoint, load_into};
use flamingo_testkit::{Fixture, fixture, max_abs_diff, weighted_sum};

/// The reference's weights in a fixture, as a file of its own names.
fn checkpoint(name: &str) -> Checkpoint {
    let own = |key: &str| key.strip_prefix("weights.").map(str::to_owned);
    Checkpoint::open(fixture::path(name)).and_then(|file| file.rename(own)).unwrap()
}

/// The encoder of `config` with a fixture's weights.
fn encoder(name: &str, config: impl Into<VisionConfig>, device: &Device) -> VisionEncoder {
    let (config, checkpoint) = (config.into(), checkpoint(name));
    let map = key_map(&config, &checkpoint);
    load_into(config.init(device), &checkpoint, &map).unwrap_or_else(|error| panic!("{name}: {error}")).0
}

/// Features `[N, P, E]` as the grid `[N, E, h, w]` of a convolutional reference.
fn as_grid(features: Tensor<3>, [n, width, rows, columns]: [usize; 4]) -> Tensor<4> {
    features.swap_dims(1, 2).reshape([n, width, rows, columns])
}

/// Blocks of each stage in the NFNet fixtures.
const DEPTHS: [usize; 4] = [1, 2, 1, 1];

fn nfnet(name: &str, variant: NfVariant, device: &Device) -> NfNet {
    let config = NfNetConfig {
        stem_width: 16,
        widths: [16, 32, 48, 48],
        depths: DEPTHS,
        group_size: 8,
        final_width: 64,
        alpha: 0.2,
        activation: NfActivation::Gelu,
        variant,
        tap: FeatureTap::Final,
    };
    match encoder(name, config, device) {
        VisionEncoder::Nfnet(net) => net,
        other => panic!("{other:?}"),
    }
}

/// The stem and every stage of an NFNet, each on its own input, then the whole network, then the gradient at the image.
/// `given` is the fixture that holds the weights and the images.
fn check_nfnet(name: &str, given: &str, variant: NfVariant) {
    let device = Device::flex().autodiff();
    let fixture = Fixture::load(name);
    let net = nfnet(given, variant, &device);
    let given = Fixture::load(given);
    for size in [50, 64] {
        let image = given.tensor::<4>(&format!("in.{size}"), &device).require_grad();
        let mut stem = net.clone();
        stem.blocks.clear();
        let mut key = format!("mid.{size}.stem");
        fixture.assert_close(&key, stem.stages(image.clone()), 2e-5);
        let mut blocks = net.blocks.iter();
        for (stage, depth) in DEPTHS.into_iter().enumerate() {
            let x = fixture.tensor::<4>(&key, &device);
            key = format!("mid.{size}.stage{stage}");
            fixture.assert_close(
                &key,
                blocks.by_ref().take(depth).fold(x, |x, block| block.forward(x)),
                2e-5,
            );
        }
        fixture.assert_close(&key, net.stages(image.clone()), 2e-5);
        let key = format!("out.{size}");
        let dims = fixture.tensor::<4>(&key, &device).dims();
        let out = as_grid(net.features(image.clone()), dims);
        fixture.assert_close(&key, out.clone(), 2e-5);
        let gradient = image.grad(&weighted_sum(out).backward()).unwrap();
        fixture.assert_close(&format!("grad.{size}"), gradient, 2e-6);
    }
}

#[test]
fn nfnet_is_timms() {
    check_nfnet("nfnet-timm-0", "nfnet-timm-0", NfVariant::Timm);
    check_nfnet("nfnet-timm-1", "nfnet-timm-1", NfVariant::Timm);
}

#[test]
fn nfnet_is_deepminds_with_the_other_constants() {
    check_nfnet("nfnet-deepmind-0", "nfnet-timm-0", NfVariant::DeepMind);
}

#[test]
fn the_two_variants_are_told_apart() {
    let device = Device::flex();
    let fixture = Fixture::load("nfnet-timm-0");
    let other = nfnet("nfnet-timm-0", NfVariant::DeepMind, &device);
    let stages = other.stages(fixture.tensor("in.64", &device));
    assert!(max_abs_diff(stages, fixture.tensor("mid.64.stage3", &device)) > 2e-4);
}

/// The fixtures' tiny CLIP.
fn vit(act: Act, d_projection: Option<usize>) -> VitConfig {
    VitConfig {
        image_size: 21,
        patch_size: 7,
        d_model: 16,
        n_layers: 2,
        n_heads: 2,
        d_ff: 40,
        act,
        epsilon: 1e-5,
        keep_class: true,
        d_projection,
    }
}

/// All tokens, the patches alone, and the pooled embedding.
fn check_vit(name: &str, config: VitConfig) {
    let device = Device::flex();
    let fixture = Fixture::load(name);
    let image = fixture.tensor::<4>("in.image", &device);
    let tokens = fixture.tensor::<3>("out.tokens", &device);

    let keeping = encoder(name, config.clone(), &device);
    fixture.assert_close("out.tokens", keeping.features(image.clone()), 2e-5);
    fixture.assert_close("out.pooled", keeping.pooled(image.clone()), 2e-5);

    let dropping = encoder(name, VitConfig { keep_class: false, ..config }, &device);
    let patches = tokens.slice(s![.., 1..]);
    fixture.origin().assert_close("out.tokens", dropping.features(image), patches, 2e-5);
}

#[test]
fn clip_is_open_clips() {
    for (name, act) in [("clip-open-clip-0", Act::Gelu), ("clip-open-clip-quick-1", Act::QuickGelu)] {
        let config = vit(act, Some(12));
        check_vit(name, config.clone());

        // What the first block reads.
        let (device, fixture) = (Device::flex(), Fixture::load(name));
        let VisionEncoder::Vit(net) = encoder(name, config, &device) else { panic!("not a ViT") };
        fixture.assert_close("mid.embed", net.embed(fixture.tensor("in.image", &device)), 2e-5);
    }
}

#[test]
fn clip_is_transformers() {
    for seed in 0..2 {
        check_vit(&format!("clip-transformers-{seed}"), vit(Act::QuickGelu, None));
    }
}

#[test]
fn the_two_gelus_are_told_apart() {
    let device = Device::flex();
    let fixture = Fixture::load("clip-open-clip-0");
    let other = encoder("clip-open-clip-0", vit(Act::QuickGelu, Some(12)), &device);
    let tokens = other.features(fixture.tensor("in.image", &device));
    assert!(max_abs_diff(tokens, fixture.tensor("out.tokens", &device)) > 1e-3);
}

#[test]
#[should_panic(expected = "clip-open-clip-0: ")]
fn a_clip_of_another_depth_is_refused() {
    encoder("clip-open-clip-0", VitConfig { n_layers: 3, ..vit(Act::Gelu, Some(12)) }, &Device::flex());
}

#[test]
fn efficientnet_is_timms_and_the_packages() {
    let device = Device::flex();
    let stage = |[width, depth, kernel, stride, expansion]: [usize; 5]| StageConfig {
        width,
        depth,
        kernel,
        stride,
        expansion,
    };
    let stages = [[16, 1, 3, 1, 1], [8, 2, 3, 2, 3], [16, 2, 5, 2, 3]].map(stage);
    for (kind, seed) in [("timm", 0), ("timm", 1), ("package", 0), ("package", 1)] {
        let name = format!("efficientnet-{kind}-{seed}");
        let fixture = Fixture::load(&name);
        let given = Fixture::load(&format!("efficientnet-timm-{seed}"));
        for (tap, output) in [(FeatureTap::Stages, "stages"), (FeatureTap::Final, "final")] {
            let config = EfficientNetConfig {
                stem_width: 8,
                stages: stages.into(),
                final_width: 80,
                epsilon: 1e-3,
                tap,
            };
            let net = encoder(&name, config.clone(), &device);
            for size in [33, 40] {
                let key = format!("out.{size}.{output}");
                let dims = fixture.tensor::<4>(&key, &device).dims();
                let features = net.features(given.tensor::<4>(&format!("in.{size}"), &device));
                assert_eq!(features.dims()[1], config.n_positions(size));
                fixture.assert_close(&key, as_grid(features, dims), 2e-5);
            }
        }
    }
}

#[test]
fn contrastive_loss_is_torchs_cross_entropy_both_ways() {
    let device = Device::flex().autodiff();
    for seed in 0..2 {
        let fixture = Fixture::load(&format!("contrastive-{seed}"));
        let input = |name: &str| fixture.tensor::<2>(&format!("in.{name}"), &device).require_grad();
        let (images, texts) = (input("images"), input("texts"));
        let scale: Tensor<1> = fixture.tensor("in.inverse_temperature", &device).require_grad();
        let loss = contrastive_loss(images.clone(), texts.clone(), scale.clone(), 0.1);
        fixture.assert_close("out.loss", loss.clone(), 1e-6);
        let gradients = loss.backward();
        fixture.assert_close("grad.images", images.grad(&gradients).unwrap(), 1e-5);
        fixture.assert_close("grad.texts", texts.grad(&gradients).unwrap(), 1e-5);
        fixture.assert_close("grad.inverse_temperature", scale.grad(&gradients).unwrap(), 1e-5);
    }
}
