//! A model by its name: a path first, small weights that were fetched second, a model of the Hugging Face hub third.
//!
//! A name that exists as a path is that path; `smollm2` and the like are what `cargo xtask data fetch` got
//! ([`cache::fetched`]). Any other must be an id, `owner/name` or `owner/name@revision`, and is looked for in the hub's cache on this machine, which other programs share, and only then fetched into it. Of a
//! repository only what is used here is fetched: weights in one format, configuration and tokenizer.
//!
//! A branch that is in the cache is taken as it is, and the hub is not asked for a newer state: name a commit as the
//! revision to have that one.

mod config;
mod fetch;
mod files;
mod id;
mod snapshot;

use std::path::{Path, PathBuf};

use crate::cache;
use crate::error::FlamingoError;

pub use config::HubConfig;
pub use id::ModelId;

/// Where the model `name` is, as the environment says; see [`HubConfig::from_env`].
///
/// # Errors
///
/// As [`HubConfig::locate`] and [`HubConfig::from_env`].
pub fn locate(name: &str) -> Result<PathBuf, FlamingoError> {
    if let Some(path) = existing(name) {
        return Ok(path);
    }
    match cache::fetched(name) {
        Some(path) if path.is_file() => Ok(path),
        Some(path) => Err(FlamingoError::NotFetched { name: name.to_owned(), path }),
        None => HubConfig::from_env()?.locate(name),
    }
}

impl HubConfig {
    /// Where the model `name` is: the path itself, or the folder of a snapshot in the cache, fetched if it is not whole.
    ///
    /// # Errors
    ///
    /// - [`FlamingoError::NoSuchModel`] if it is neither a path nor like an id.
    /// - [`FlamingoError::Offline`] if it is not in the cache and nothing may be fetched.
    /// - [`FlamingoError::Hub`] if the hub has no such model, does not give it, or what came is damaged.
    pub fn locate(&self, name: &str) -> Result<PathBuf, FlamingoError> {
        if let Some(path) = existing(name) {
            return Ok(path);
        }
        let id: ModelId = name.parse()?;
        if let Some(folder) = snapshot::find(self, &id) {
            return Ok(folder);
        }
        if self.offline {
            return Err(FlamingoError::Offline { id: name.to_owned(), cache: self.cache.clone() });
        }
        fetch::fetch(self, &id)
    }
}

fn existing(name: &str) -> Option<PathBuf> {
    let path = Path::new(name);
    path.exists().then(|| path.to_owned())
}
