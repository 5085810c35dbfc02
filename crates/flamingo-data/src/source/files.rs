//! Images and clips that a table names: files in a folder, or URLs.

use std::io::ErrorKind;
use std::path::{Component, Path, PathBuf};

use sha2::{Digest, Sha256};

use super::SourceSpec;
use crate::DataError;
use crate::reject::Reason;
use crate::store::{Location, Store};

/// Endings of an image that is kept by the hash of its URL.
const ENDINGS: [&str; 6] = ["jpg", "jpeg", "png", "webp", "gif", ""];

/// Where named files are.
#[derive(Debug, Clone)]
pub(super) struct Files {
    pub store: Store,
    /// The folder of relative paths and of files that are kept by hash.
    pub folder: Option<PathBuf>,
    /// Whether URLs are fetched.
    pub download: bool,
    /// The most bytes of a file.
    pub limit: u64,
}

impl Files {
    /// Checks `download`, which needs a feature.
    pub fn check(&self, spec: &SourceSpec) -> Result<(), DataError> {
        match self.download && !cfg!(feature = "cloud") {
            true => Err(spec.bad_option("`download` needs a program built with the feature `cloud`")),
            false => Ok(()),
        }
    }

    /// The contents of a file.
    ///
    /// # Errors
    ///
    /// [`Reason::UnsafeName`], [`Reason::Missing`] or [`Reason::TooLarge`], with what is wrong.
    pub fn read(&self, name: &str) -> Result<Vec<u8>, (Reason, String)> {
        // What is said of a URL leaves out the secrets in it.
        let said = Location::from(name);
        let place = match is_url(name) {
            true if self.download => said.clone(),
            true => {
                let what = format!("{said:?} is a URL; `download = true` fetches it");
                return Err((Reason::Missing, what));
            }
            false => Location::from(self.path(name)?.as_path()),
        };
        self.store.read(&place, self.limit).map_err(|error| {
            let reason = match error.kind() {
                ErrorKind::FileTooLarge => Reason::TooLarge,
                _ => Reason::Missing,
            };
            (reason, format!("{said:?}: {error}"))
        })
    }

    /// The contents of an image by its URL: from the folder, where it is kept by the SHA-256 of the URL (64 hexadecimal
    /// digits, with an ending or without), else fetched.
    ///
    /// # Errors
    ///
    /// As [`Files::read`].
    pub fn read_kept(&self, url: &str) -> Result<Vec<u8>, (Reason, String)> {
        if let Some(folder) = &self.folder {
            let hash: String = Sha256::digest(url).iter().map(|byte| format!("{byte:02x}")).collect();
            let kept = ENDINGS.iter().map(|ending| folder.join(&hash).with_extension(ending));
            if let Some(path) = kept.into_iter().find(|path| path.is_file()) {
                let read = self.store.read(&Location::from(path.as_path()), self.limit);
                return read.map_err(|error| (Reason::TooLarge, format!("{}: {error}", path.display())));
            }
            if !self.download {
                let url = Location::from(url);
                return Err((
                    Reason::Missing,
                    format!("{url:?} is not in the folder, as {hash}.jpg or the like"),
                ));
            }
        }
        self.read(url)
    }

    /// The path of a file on this machine.
    ///
    /// # Errors
    ///
    /// [`Reason::UnsafeName`] if it leads out of the folder, [`Reason::Missing`] if there is no such file.
    pub fn path(&self, name: &str) -> Result<PathBuf, (Reason, String)> {
        // What is a path to another system is refused here too, so that a table means the same everywhere.
        let rooted = name.starts_with(['/', '\\']) || name.as_bytes().get(1) == Some(&b':');
        let path = Path::new(name);
        let stays = path.components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
        if rooted || !stays || name.contains('\0') || name.split('\\').any(|part| part == "..") {
            return Err((Reason::UnsafeName, format!("{name:?} is absolute, or leads out of its folder")));
        }
        let path = self.folder.as_deref().unwrap_or(Path::new("")).join(path);
        match path.is_file() {
            true => Ok(path),
            false => Err((Reason::Missing, format!("there is no file {}", path.display()))),
        }
    }
}

/// Whether a name is a URL.
pub(super) fn is_url(name: &str) -> bool {
    name.contains("://")
}
