//! Packages of the npm registry.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, bail};
use flate2::read::GzDecoder;

use crate::package::{Package, tar_files};

/// Puts the package's archive into `folder`.
pub(crate) fn fetch(package: &Package, folder: &Path) -> anyhow::Result<()> {
    let Package { name, version, .. } = package;
    let output = Command::new("npm")
        .args(["pack", "--silent", "--pack-destination"])
        .arg(folder)
        .arg(format!("{name}@{version}"))
        .stdin(Stdio::null())
        .output()
        .context("cannot start npm, which fetches the package: install Node.js")?;
    if !output.status.success() {
        bail!("npm pack {name}@{version} failed: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(())
}

/// The files that are `wanted`, by path in the package.
pub(crate) fn files(
    archive: &Path,
    wanted: &dyn Fn(&str) -> bool,
) -> anyhow::Result<BTreeMap<String, Vec<u8>>> {
    let inside = |path: &str| path.strip_prefix("package/").is_some_and(wanted);
    let files = tar_files(GzDecoder::new(File::open(archive)?), &inside)?;
    Ok(files.into_iter().map(|(path, bytes)| (path["package/".len()..].to_owned(), bytes)).collect())
}
