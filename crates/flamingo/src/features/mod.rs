//! What a frozen vision encoder made of pictures, kept on disk: from the second epoch on it need not look again.
//!
//! ```text
//! ROOT/ENCODER/cache.json                                  what the folder is for, for people
//!              features-NNNNNN-XXXXXXXX.safetensors        shards: MediaKey ─▶ f16 [F, P, E]
//! ```
//!
//! `ENCODER` is a hash of everything that the features depend on: the encoder's configuration (which tensor is its
//! output), its weights, and how pictures become its input. So a cache cannot give features of another encoder, and the
//! caches of several lie side by side. What a medium is known by is [`MediaKey`]'s to say.
//!
//! Shards are whole or absent and never changed, and no two processes write one of the same name and another content: many
//! may fill and read one cache. Whatever is lost can be made again.

mod fill;
mod identity;
mod progress;
mod shards;
mod stats;

#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use flamingo_core::PreprocessSpec;
use flamingo_data::{DataError, FeatureLookup, MediaKey};
use flamingo_vision::{VisionConfig, VisionEncoder};
use half::f16;

pub use fill::{FillOptions, Filled};
pub use identity::weights_sha256;
pub use stats::ChannelStats;

use crate::error::FlamingoError;
use shards::Shards;

/// Features of one encoder on disk; see the [module documentation](self).
#[derive(Debug)]
pub struct FeatureCache {
    folder: PathBuf,
    preprocess: PreprocessSpec,
    /// Positions and width `[P, E]`.
    shape: [usize; 2],
    shards: RwLock<Shards>,
}

/// `features` in the project's cache folder: the root of all caches, unless another is named. `None` if nothing says where
/// that is.
pub fn default_root() -> Option<PathBuf> {
    Some(flamingo_core::cache::folder()?.join("features"))
}

impl FeatureCache {
    /// The cache of `encoder`, with this configuration and for pictures prepared like this, in a folder of its own in
    /// `root`. It is made if it is not there.
    ///
    /// All shards' headers are read, and all weights of the encoder to find the folder.
    ///
    /// # Errors
    ///
    /// If the folder cannot be made or read, or a shard is damaged; the message names it.
    pub fn open(
        root: impl AsRef<Path>,
        encoder: &VisionEncoder,
        config: &VisionConfig,
        preprocess: &PreprocessSpec,
    ) -> Result<Self, FlamingoError> {
        let identity = identity::of(encoder, config, preprocess)?;
        let folder = root.as_ref().join(identity.name());
        let shape = [config.n_positions(preprocess.size), config.d_features()];
        std::fs::create_dir_all(&folder).map_err(|error| FlamingoError::Folder {
            path: folder.clone(),
            message: format!("cannot be made ({error}); name another folder for features"),
        })?;
        identity.describe(&folder)?;
        let mut shards = Shards::new(&folder, shape);
        shards.refresh()?;
        Ok(Self { folder, preprocess: preprocess.clone(), shape, shards: RwLock::new(shards) })
    }

    /// Its folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// How pictures become the encoder's input.
    pub fn preprocess(&self) -> &PreprocessSpec {
        &self.preprocess
    }

    /// Media that it has features of.
    pub fn len(&self) -> usize {
        self.read_shards().len()
    }

    /// Whether it is empty.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether it has features of a medium.
    pub fn contains(&self, key: &MediaKey) -> bool {
        self.read_shards().contains(key)
    }

    /// All media that it has features of, ascending.
    pub fn keys(&self) -> Vec<MediaKey> {
        self.read_shards().keys()
    }

    fn read_shards(&self) -> RwLockReadGuard<'_, Shards> {
        self.shards.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write_shards(&self) -> RwLockWriteGuard<'_, Shards> {
        self.shards.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl FeatureLookup for FeatureCache {
    fn shape(&self) -> [usize; 2] {
        self.shape
    }

    fn read(&self, key: &MediaKey, out: &mut Vec<f16>) -> Result<Option<usize>, DataError> {
        self.read_shards().read(key, out)
    }
}
