//! Packages of Debian. A release has one version of each; another release has another.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use anyhow::{Context, anyhow, bail, ensure};

use crate::package::{Package, Versions, tar_files};

/// The pinned version if apt can get it; else, if `versions` allows it, the newest that apt can get.
pub(crate) fn choose_version(package: &Package, versions: Versions, cache: &Path) -> anyhow::Result<String> {
    let Package { name, version: pinned, .. } = package;
    let output = run("apt-cache", &["madison", name], cache)?;
    let listed = available(&String::from_utf8_lossy(&output.stdout), name);
    match listed.first() {
        _ if listed.iter().any(|version| version == pinned) => Ok((*pinned).to_owned()),
        Some(newest) if versions == Versions::Any => Ok(newest.clone()),
        Some(newest) => bail!(
            "this system's mirror has {name} {newest}, the recipe was written for {pinned}: \
             pass --accept-version to take {newest} (the manifest will say so, splits and counts may differ)"
        ),
        None => {
            bail!("apt knows no package {name}: run `apt-get update` first; it is in Debian's section main")
        }
    }
}

/// The versions of `apt-cache madison`, newest first: `name | version | where`.
fn available(list: &str, name: &str) -> Vec<String> {
    let version = |line: &str| {
        let mut columns = line.split('|').map(str::trim);
        (columns.next()? == name).then(|| columns.next().map(str::to_owned))?
    };
    list.lines().filter_map(version).collect()
}

/// Puts the package's archive into `folder`.
pub(crate) fn fetch(package: &Package, version: &str, folder: &Path) -> anyhow::Result<()> {
    let wanted = format!("{}={version}", package.name);
    let output = run("apt-get", &["download", "--quiet", &wanted], folder)?;
    ensure!(
        output.status.success(),
        "apt-get download {wanted} failed: {}",
        String::from_utf8_lossy(&output.stderr).trim()
    );
    Ok(())
}

fn run(program: &str, args: &[&str], folder: &Path) -> anyhow::Result<Output> {
    let result = Command::new(program).args(args).current_dir(folder).stdin(Stdio::null()).output();
    result.map_err(|error| match error.kind() {
        ErrorKind::NotFound => anyhow!(
            "{program} is not there: this dataset is made from a package of Debian; run the recipe on Debian, on a \
             system derived from it, or in a container of it, or copy the package's file into the cache by hand"
        ),
        _ => anyhow!("cannot start {program}: {error}"),
    })
}

/// The files that are `wanted`, by path in the package.
pub(crate) fn files(
    archive: &Path,
    wanted: &dyn Fn(&str) -> bool,
) -> anyhow::Result<BTreeMap<String, Vec<u8>>> {
    let mut unpacker = Command::new("dpkg-deb")
        .arg("--fsys-tarfile")
        .arg(archive)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .context("cannot start dpkg-deb, which unpacks the package: install the package dpkg")?;
    let stream = unpacker.stdout.take().context("dpkg-deb has no output")?;
    let files = tar_files(stream, wanted);
    let status = unpacker.wait()?;
    let files = files?;
    ensure!(status.success(), "dpkg-deb ended with {status}");
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_from_the_list_of_apt() {
        let list = " some-data | 1:2.0-1 | mirror stable/main amd64 Packages\n some-data | 1.0 | mirror\n\
                    other | 3 | mirror\n";
        assert_eq!(available(list, "some-data"), ["1:2.0-1", "1.0"]);
        assert!(available("", "some-data").is_empty());
    }
}
