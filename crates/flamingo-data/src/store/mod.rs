//! Bytes by path or URL: what a pattern stands for, and the contents of a file, here or elsewhere.
//!
//! ```text
//! "data/{000..127}.tar" ─┐
//! "s3://bucket/*.tar.gz" ├─ list ─▶ Location … ─ open ─▶ ByteStream ─ unpacked ─▶ ByteStream
//! "https://host/a.zst"   ┘                       (from any byte)   (gzip, zstd)
//! ```

mod braces;
mod bytes;
#[cfg(feature = "cloud")]
mod cloud;
#[cfg(not(feature = "cloud"))]
#[path = "no_cloud.rs"]
mod cloud;
mod local;
mod location;

use std::collections::BTreeMap;
use std::io::{self, ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::time::Duration;

pub use bytes::ByteStream;
pub use location::Location;

use crate::DataError;

/// How the names of WebDataset shards end.
pub const SHARD_ENDINGS: &[&str] = &[".tar", ".tar.gz", ".tgz", ".tar.zst"];

/// How long a server is waited for. A broken transfer goes on at the byte where it broke.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// The longest time without a byte.
    pub silence: Duration,
    /// Requests that may fail one after the other, without a MiB between them.
    pub attempts: u32,
    /// The pause after the first failure; it doubles with each.
    pub pause: Duration,
}

impl Default for Patience {
    /// 30 seconds of silence, 5 attempts, half a second.
    fn default() -> Self {
        Self { silence: Duration::from_secs(30), attempts: 5, pause: Duration::from_millis(500) }
    }
}

/// What the environment does not say about servers, by the names that `object_store` has: `aws_endpoint`,
/// `aws_skip_signature`, `google_base_url` …
pub type Settings = BTreeMap<String, String>;

/// Opens and lists files, here or elsewhere. Cheap to clone.
///
/// `http`, `https`, `s3` and `gs` need the feature `cloud`. Credentials are found as the crate `object_store` finds them:
/// `AWS_ACCESS_KEY_ID`, `AWS_REGION`, `AWS_ENDPOINT`, `AWS_SKIP_SIGNATURE` (for public buckets) …,
/// `GOOGLE_APPLICATION_CREDENTIALS`, `GOOGLE_SKIP_SIGNATURE` …, or the machine's own.
#[derive(Debug, Clone, Default)]
pub struct Store {
    cloud: cloud::Cloud,
}

impl Store {
    /// A store with this patience, and with settings that count more than the environment. An unknown setting is an
    /// error when the first file is opened.
    pub fn new(patience: Patience, settings: Settings) -> Self {
        Self { cloud: cloud::Cloud::new(patience, settings) }
    }

    /// The locations that `patterns` stand for, in the order of the patterns and sorted within each. A folder stays a
    /// folder.
    ///
    /// Braces are expanded as in bash (`{000..127}`, `{a,b}`); `*`, `?`, `[…]` and `**` match files on this machine and
    /// in buckets. Other files behind URLs are not looked for before they are opened.
    ///
    /// # Errors
    ///
    /// [`DataError::MissingShard`] if a pattern stands for nothing, with what is there instead.
    pub fn list(&self, patterns: &[String]) -> Result<Vec<Location>, DataError> {
        let mut found = Vec::new();
        for pattern in patterns {
            let expanded = braces::expand(pattern).ok_or_else(|| DataError::MissingShard {
                path: Location::from(pattern.as_str()).to_string().into(),
                hint: format!("its braces stand for more than {} files", braces::MAX_EXPANSIONS),
            })?;
            for one in expanded {
                found.extend(self.list_one(&one)?);
            }
        }
        Ok(found)
    }

    /// As [`Store::list`], but a folder (behind a URL: what ends in `/`) stands for the files directly in it whose names
    /// end in one of `endings`.
    ///
    /// # Errors
    ///
    /// As [`Store::list`]; and if a folder has no such file.
    pub fn files(&self, patterns: &[String], endings: &[&str]) -> Result<Vec<Location>, DataError> {
        let mut found = Vec::new();
        for location in self.list(patterns)? {
            match location.path().filter(|path| path.is_dir()) {
                None if location.scheme().is_some() && location.as_str().ends_with('/') => {
                    found.extend(self.cloud.in_folder(&location, endings)?);
                }
                Some(folder) => {
                    found.extend(
                        local::in_folder(folder, endings)?.iter().map(|path| Location::from(path.as_path())),
                    );
                }
                None => found.push(location),
            }
        }
        Ok(found)
    }

    /// As [`Store::files`] with the endings of WebDataset shards, [`SHARD_ENDINGS`].
    ///
    /// # Errors
    ///
    /// As [`Store::files`].
    pub fn shards(&self, patterns: &[String]) -> Result<Vec<Location>, DataError> {
        self.files(patterns, SHARD_ENDINGS)
    }

    /// The contents of a file from byte `offset` on, as they are.
    ///
    /// # Errors
    ///
    /// What the system says. What a server says comes with the first bytes.
    pub fn open(&self, location: &Location, offset: u64) -> io::Result<ByteStream> {
        match location.path() {
            Some(path) => ByteStream::file(path, offset),
            None => self.cloud.open(location, offset),
        }
    }

    /// The whole contents of a file of at most `limit` bytes, as they are.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::FileTooLarge`] over the limit; and as [`Store::open`].
    pub fn read(&self, location: &Location, limit: u64) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        self.open(location, 0)?.take(limit.saturating_add(1)).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > limit {
            let what = format!("it has more than {limit} bytes, the most that is read");
            return Err(io::Error::new(ErrorKind::FileTooLarge, what));
        }
        Ok(bytes)
    }

    /// What a pattern without braces stands for.
    fn list_one(&self, pattern: &str) -> Result<Vec<Location>, DataError> {
        match pattern.split_once("://") {
            None => local::list(pattern),
            Some(("file", path)) => local::list(path),
            Some(_) => self.cloud.list(pattern),
        }
    }
}

/// The shards of a folder, sorted by name: [`SHARD_ENDINGS`].
///
/// # Errors
///
/// [`DataError::MissingShard`] if the folder cannot be read or holds none.
pub fn list_shards(folder: impl AsRef<Path>) -> Result<Vec<PathBuf>, DataError> {
    local::in_folder(folder.as_ref(), SHARD_ENDINGS)
}

#[cfg(test)]
mod tests;
