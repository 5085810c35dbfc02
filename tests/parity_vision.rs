//! NFNet and the contrastive loss against timm and torch.

use burn::tensor::{Device, Tensor};
use flamingo::vision::{FeatureTap, NfActivation, NfNet, NfNetConfig, NfVariant, contrastive_loss};
use flamingo_testkit::{Fixture, assert_close, weighted_sum};

/// Blocks of each stage in the fixtures.
const DEPTHS: [usize; 4] = [1, 2, 1, 1];

fn network(fixture: &Fixture, variant: NfVariant, device: &Device) -> NfNet {
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
    let mut weights = fixture
        .weights()
        .rename(".downsample.conv.", ".downsample.")
        .rename(".attn_last.fc1.", ".squeeze.")
        .rename(".attn_last.fc2.", ".excite.")
        .rename(".skipinit_gain", ".skip_gain")
        .with_rank("gain", 1)
        .with_rank("squeeze.weight", 2)
        .with_rank("excite.weight", 2);
    for conv in 0..4 {
        weights = weights.rename(&format!("stem.conv{}.", conv + 1), &format!("stem.{conv}."));
    }
    let names =
        DEPTHS.iter().enumerate().flat_map(|(stage, depth)| (0..*depth).map(move |index| (stage, index)));
    for (block, (stage, index)) in names.enumerate() {
        weights = weights.rename(&format!("stages.{stage}.{index}."), &format!("blocks.{block}."));
    }
    weights.load_into(config.init(device))
}

/// Every stage on its own input, then the whole network, then the gradient at the image.
fn check_network(name: &str, variant: NfVariant) {
    let device = Device::flex().autodiff();
    let fixture = Fixture::load(name);
    let net = network(&fixture, variant, &device);
    for size in [50, 64] {
        let mut blocks = net.blocks.iter();
        let mut x = fixture.tensor::<4>(&format!("mid.{size}.stem"), &device);
        for (stage, depth) in DEPTHS.into_iter().enumerate() {
            x = blocks.by_ref().take(depth).fold(x, |x, block| block.forward(x));
            let expected = fixture.tensor::<4>(&format!("mid.{size}.stage{stage}"), &device);
            assert_close(x, expected.clone(), 2e-5);
            x = expected;
        }
        let image = fixture.tensor::<4>(&format!("in.{size}"), &device).require_grad();
        assert_close(net.stages(image.clone()), x, 2e-5);
        let expected = fixture.tensor::<4>(&format!("out.{size}"), &device);
        let [n, width, rows, columns] = expected.dims();
        let positions = net.features(image.clone()); // [N, P, E]
        let out = positions.swap_dims(1, 2).reshape([n, width, rows, columns]);
        assert_close(out.clone(), expected, 5e-5);
        let gradient = image.grad(&weighted_sum(out).backward()).unwrap();
        assert_close(gradient, fixture.tensor(&format!("grad.{size}"), &device.clone().inner()), 2e-4);
    }
}

#[test]
fn nfnet_is_timms() {
    check_network("nfnet-timm-0", NfVariant::Timm);
    check_network("nfnet-timm-1", NfVariant::Timm);
}

#[test]
fn nfnet_is_deepminds_with_the_other_constants() {
    check_network("nfnet-deepmind-0", NfVariant::DeepMind);
}

#[test]
#[should_panic(expected = "elements differ")]
fn the_two_variants_are_told_apart() {
    check_network("nfnet-timm-0", NfVariant::DeepMind);
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
        assert_close(loss.clone(), fixture.tensor("out.loss", &device), 1e-6);
        let gradients = loss.backward();
        let device = device.clone().inner();
        assert_close(images.grad(&gradients).unwrap(), fixture.tensor("grad.images", &device), 1e-5);
        assert_close(texts.grad(&gradients).unwrap(), fixture.tensor("grad.texts", &device), 1e-5);
        assert_close(
            scale.grad(&gradients).unwrap(),
            fixture.tensor("grad.inverse_temperature", &device),
            1e-5,
        );
    }
}
