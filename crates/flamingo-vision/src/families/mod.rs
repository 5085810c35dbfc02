//! Encoders that other people have published: their sizes by name, and their tensors' names.
//!
//! A family is data: which configuration a name stands for, and which tensors of a file make each parameter. No family
//! has mathematics of its own.
//!
//! ```no_run
//! use burn::tensor::Device;
//! use flamingo_vision::families;
//! use flamingo_weights::{Checkpoint, load_into};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let published = families::named("efficientnet-lite2")?;
//! let checkpoint = Checkpoint::open("efficientnet-lite2-9656183e.pth")?;
//! let map = families::key_map(&published.config, &checkpoint);
//! let (encoder, report) = load_into(published.config.init(&Device::flex()), &checkpoint, &map)?;
//! # Ok(())
//! # }
//! ```

pub mod clip;
pub mod efficientnet;
pub mod nfnet;

use flamingo_core::PreprocessSpec;
use flamingo_weights::{Checkpoint, KeyMap};

use crate::encoder::VisionConfig;
use crate::error::VisionError;

/// A published encoder.
#[derive(Debug, Clone, PartialEq)]
pub struct Published {
    /// Its family and sizes.
    pub config: VisionConfig,
    /// How it was shown its images when it was evaluated, but for NFNet: that has Flamingo's padding rule.
    pub preprocess: PreprocessSpec,
}

/// The encoder of that name, of any family.
///
/// # Errors
///
/// If there is none; the message lists all and names the nearest.
pub fn named(name: &str) -> Result<Published, VisionError> {
    if let Ok(config) = clip::named(name) {
        return Ok(Published { preprocess: PreprocessSpec::clip(config.image_size), config: config.into() });
    }
    if let Ok((config, size)) = nfnet::named(name) {
        return Ok(Published { config: config.into(), preprocess: PreprocessSpec::imagenet(size) });
    }
    if let Ok((config, size)) = efficientnet::named(name) {
        return Ok(Published { config: config.into(), preprocess: PreprocessSpec::inception(size) });
    }
    Err(VisionError::unknown(name, clip::names().chain(nfnet::NAMES).chain(efficientnet::NAMES)))
}

/// The key map from `checkpoint` to an encoder of `config`'s family and sizes; which program wrote the file is told by
/// its tensors' names.
pub fn key_map(config: &VisionConfig, checkpoint: &Checkpoint) -> KeyMap {
    match config {
        VisionConfig::Nfnet(config) => nfnet::key_map(config),
        VisionConfig::Vit(config) => clip::key_map(config, clip::Naming::of(checkpoint)),
        VisionConfig::Efficientnet(config) => {
            efficientnet::key_map(config, efficientnet::Naming::of(checkpoint))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_family_is_found_by_name() {
        let sizes = |name: &str| {
            let published = named(name).unwrap();
            let size = published.preprocess.size;
            (published.config.d_features(), published.config.n_positions(size), size)
        };
        assert_eq!(sizes("ViT-L-14"), (1024, 256, 224));
        assert_eq!(sizes("ViT-H-14"), (1280, 256, 224));
        assert_eq!(sizes("ViT-B-32-quickgelu"), (768, 49, 224));
        assert_eq!(sizes("dm_nfnet_f6"), (1536, 324, 576));
        assert_eq!(sizes("efficientnet-lite2"), (352, 81, 260));
        assert_eq!(sizes("tf_efficientnet_lite0"), (320, 49, 224));
    }

    #[test]
    fn an_unknown_name_gets_the_nearest() {
        let error = named("ViT-L-41").unwrap_err().to_string();
        assert!(error.contains("did you mean \"ViT-L-14\"?") && error.contains("dm_nfnet_f0"), "{error}");
    }
}
