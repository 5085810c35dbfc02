//! Which encoder a cache is of.

use std::path::Path;

use burn_store::ModuleSnapshot;
use flamingo_core::PreprocessSpec;
use flamingo_vision::{VisionConfig, VisionEncoder};
use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::error::FlamingoError;
use crate::pretrained::folder::write_json;

/// Of the files' layout: another one has other folders.
const VERSION: u32 = 1;

/// All that features depend on, beside the picture.
#[derive(Serialize)]
pub(super) struct Identity<'a> {
    version: u32,
    vision: &'a VisionConfig,
    preprocess: &'a PreprocessSpec,
    /// SHA-256 of the weights' names, number formats, shapes and bytes.
    weights: String,
}

pub(super) fn of<'a>(
    encoder: &VisionEncoder,
    vision: &'a VisionConfig,
    preprocess: &'a PreprocessSpec,
) -> Result<Identity<'a>, FlamingoError> {
    Ok(Identity { version: VERSION, vision, preprocess, weights: hex(&weights_sha256(encoder)?) })
}

/// SHA-256 of an encoder's weights: of their names, number formats, shapes and bytes.
///
/// # Errors
///
/// If a weight cannot be read from its device.
pub fn weights_sha256(encoder: &VisionEncoder) -> Result<[u8; 32], FlamingoError> {
    let mut hash = Sha256::new();
    let mut tensors = encoder.collect(None, None, true);
    tensors.sort_by(|a, b| a.name.cmp(&b.name));
    for tensor in tensors {
        let bytes = tensor.to_bytes().map_err(|error| FlamingoError::Features {
            what: format!("weight {:?} of the vision encoder cannot be read ({error})", tensor.name),
        })?;
        hash.update(format!("{}\n{:?}\n{:?}\n", tensor.name, tensor.dtype, tensor.shape.as_slice()));
        hash.update(&bytes[..]);
    }
    Ok(hash.finalize().into())
}

impl Identity<'_> {
    /// The folder's name: 32 hexadecimal digits.
    pub(super) fn name(&self) -> String {
        let json = serde_json::to_vec(self).expect("numbers, texts and lists have a JSON form");
        hex(&Sha256::digest(json)[..16])
    }

    /// Says in the folder what it is for.
    pub(super) fn describe(&self, folder: &Path) -> Result<(), FlamingoError> {
        let path = folder.join("cache.json");
        if path.is_file() { Ok(()) } else { write_json(&path, self) }
    }
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
