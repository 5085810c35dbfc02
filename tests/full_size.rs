//! Vision encoders at their published sizes against the programs they come from: run by hand, because the files are
//! large. `parity/full_size.py` writes them and says how.

use std::path::PathBuf;
use std::time::Instant;

use burn::tensor::{Device, Tensor};
use flamingo::vision::families::{key_map, named};
use flamingo::vision::{FeatureTap, VisionConfig};
use flamingo::weights::{Checkpoint, load_into};
use flamingo_testkit::max_abs_diff;

/// The reference's picture and output, by key.
fn expected<const D: usize>(file: &Checkpoint, key: &str, device: &Device) -> Tensor<D> {
    Tensor::from_data(file.read(key).unwrap(), device)
}

fn check(name: &str, file: &str) {
    let folder = PathBuf::from(std::env::var_os("FULL_SIZE").expect("FULL_SIZE: the folder of full_size.py"));
    let device = Device::flex();
    let mut config = named(name).unwrap().config;
    match &mut config {
        VisionConfig::Nfnet(config) => config.tap = FeatureTap::Final,
        VisionConfig::Efficientnet(config) => config.tap = FeatureTap::Final,
        VisionConfig::Vit(_) => {}
    }

    let start = Instant::now();
    let checkpoint = Checkpoint::open(folder.join(file)).unwrap();
    let map = key_map(&config, &checkpoint);
    let (encoder, report) = load_into(config.init(&device), &checkpoint, &map).unwrap();
    println!("{name}: {} parameters loaded in {:.1?}", report.loaded.len(), start.elapsed());

    let reference = Checkpoint::open(folder.join(format!("{name}.expected.safetensors"))).unwrap();
    let start = Instant::now();
    let features = encoder.features(expected(&reference, "in.image", &device));
    let difference = max_abs_diff(features, expected::<3>(&reference, "out.features", &device));
    println!("{name}: one image in {:.1?}, largest difference {difference:e}", start.elapsed());
    assert!(difference <= 1e-4, "{name}: {difference}");
}

#[test]
#[ignore = "needs the files of tests/parity/full_size.py"]
fn full_size_clip_is_open_clips() {
    check("ViT-L-14-quickgelu", "ViT-L-14-quickgelu.safetensors");
}

#[test]
#[ignore = "needs the files of tests/parity/full_size.py"]
fn full_size_nfnet_is_timms() {
    check("dm_nfnet_f0", "dm_nfnet_f0.safetensors");
}

#[test]
#[ignore = "needs the files of tests/parity/full_size.py"]
fn full_size_efficientnet_is_the_packages() {
    check("efficientnet-lite2", "efficientnet-lite2.pth");
}
