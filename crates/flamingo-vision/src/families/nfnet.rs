//! NFNet in timm's names: `dm_nfnet_f0` to `dm_nfnet_f6`, DeepMind's ImageNet weights.
//!
//! The paper's own encoder, an NFNet-F6 trained contrastively, was never published.

use flamingo_weights::{KeyMap, tensor};

use crate::error::VisionError;
use crate::nfnet::NfNetConfig;
use crate::scaled_conv::NfVariant;

/// timm's names, by level.
pub const NAMES: [&str; 7] =
    ["dm_nfnet_f0", "dm_nfnet_f1", "dm_nfnet_f2", "dm_nfnet_f3", "dm_nfnet_f4", "dm_nfnet_f5", "dm_nfnet_f6"];

/// Sides of the images that each level was tested with, in pixels.
const SIZES: [usize; 7] = [256, 320, 352, 416, 512, 544, 576];

/// The sizes behind a name, with timm's constants, and the side of its test images.
///
/// # Errors
///
/// If there is none; the message names the nearest.
pub fn named(name: &str) -> Result<(NfNetConfig, usize), VisionError> {
    let level = NAMES.iter().position(|known| *known == name);
    let level = level.ok_or_else(|| VisionError::unknown(name, NAMES))?;
    Ok((NfNetConfig { variant: NfVariant::Timm, ..NfNetConfig::f(level) }, SIZES[level]))
}

/// The key map of timm's files; the classifier is ignored.
pub fn key_map(config: &NfNetConfig) -> KeyMap {
    let mut map = conv(KeyMap::new(), "final_conv", "final_conv").ignore("head.fc.**");
    for index in 0..4 {
        map = conv(map, &format!("stem.{index}"), &format!("stem.conv{}", index + 1));
    }
    let depths = config.depths.into_iter().enumerate();
    let theirs = depths.flat_map(|(stage, depth)| (0..depth).map(move |index| (stage, index)));
    for (block, (stage, index)) in theirs.enumerate() {
        map = map.and(self::block().below(&format!("blocks.{block}."), &format!("stages.{stage}.{index}.")));
    }
    map
}

fn block() -> KeyMap {
    let map = KeyMap::new().squeeze("skip_gain", "skipinit_gain");
    let map = ["conv1", "conv2", "conv2b", "conv3"].into_iter().fold(map, |map, name| conv(map, name, name));
    let map = conv(map, "downsample", "downsample.conv");
    [("squeeze", "attn_last.fc1"), ("excite", "attn_last.fc2")].into_iter().fold(
        map,
        |map, (ours, theirs)| {
            map.with(&format!("{ours}.weight"), &format!("{theirs}.weight"), pointwise)
                .copy(&format!("{ours}.bias"), &format!("{theirs}.bias"))
        },
    )
}

fn conv(map: KeyMap, ours: &str, theirs: &str) -> KeyMap {
    map.same(ours, theirs).squeeze(&format!("{ours}.gain"), &format!("{theirs}.gain"))
}

/// A 1x1 convolution `[out, in, 1, 1]` as the weight of a linear layer, `[in, out]`.
fn pointwise(weight: burn::tensor::TensorData) -> Result<burn::tensor::TensorData, String> {
    let shape = weight.shape().as_slice().to_vec();
    match shape[..] {
        [output, input, 1, 1] => tensor::transpose(tensor::reshape(weight, &[output, input])?),
        _ => Err(format!("must be a 1x1 convolution, and has shape {shape:?}")),
    }
}
