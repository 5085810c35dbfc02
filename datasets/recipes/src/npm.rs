//! Packages of the npm registry, by name, pinned to a version and a SHA-256.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, bail, ensure};
use flate2::read::GzDecoder;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::cache;

/// A package that a dataset is made from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Package {
    /// Its name on the registry.
    pub name: &'static str,
    /// Its version.
    pub version: &'static str,
    /// SHA-256 of its archive.
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

    /// The files of the package whose path starts with one of `prefixes`, from the cache or, the first time, through
    /// the npm client.
    ///
    /// # Errors
    ///
    /// If npm is not there or cannot reach its registry, or if the archive is not the pinned one.
    pub fn files(&self, prefixes: &[&str]) -> anyhow::Result<BTreeMap<String, Vec<u8>>> {
        let path = cache::folder("packages")?.join(self.archive_name());
        if !path.is_file() {
            self.fetch(&path)?;
        }
        let archive = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let found = hex(&archive);
        ensure!(
            found == self.sha256,
            "{}: SHA-256 is {found}, expected {}; remove the file to fetch it again",
            path.display(),
            self.sha256
        );
        unpack(&archive, prefixes).with_context(|| format!("cannot unpack {}", path.display()))
    }

    fn fetch(&self, path: &Path) -> anyhow::Result<()> {
        let folder = path.parent().context("the cache has no folder")?;
        fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))?;
        let output = Command::new("npm")
            .args(["pack", "--silent", "--pack-destination"])
            .arg(folder)
            .arg(format!("{}@{}", self.name, self.version))
            .output()
            .context("cannot start npm, which fetches the packages: install Node.js")?;
        if !output.status.success() {
            bail!(
                "npm pack {}@{} failed: {}",
                self.name,
                self.version,
                String::from_utf8_lossy(&output.stderr).trim()
            );
        }
        Ok(())
    }

    /// npm's own: `@scope/name` becomes `scope-name-1.2.3.tgz`.
    fn archive_name(&self) -> String {
        format!("{}-{}.tgz", self.name.trim_start_matches('@').replace('/', "-"), self.version)
    }
}

/// SHA-256 in hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unpack(archive: &[u8], prefixes: &[&str]) -> anyhow::Result<BTreeMap<String, Vec<u8>>> {
    let mut files = BTreeMap::new();
    for entry in tar::Archive::new(GzDecoder::new(archive)).entries()? {
        let mut entry = entry?;
        let path = entry.path()?.to_string_lossy().into_owned();
        let Some(path) = path.strip_prefix("package/") else { continue };
        if prefixes.iter().any(|prefix| path.starts_with(prefix)) {
            let path = path.to_owned();
            let mut bytes = Vec::new();
            entry.read_to_end(&mut bytes)?;
            files.insert(path, bytes);
        }
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn archives_are_named_as_npm_names_them() {
        let package =
            Package { name: "@iconify-json/noto", version: "1.2.9", sha256: "", licence: "Apache-2.0" };
        assert_eq!(package.archive_name(), "iconify-json-noto-1.2.9.tgz");
    }
}
