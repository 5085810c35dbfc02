//! Virtual environments with pinned packages, made once and kept in the user's cache folder.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use anyhow::{Context, bail};
use sha2::{Digest, Sha256};

/// How many lines of a failed program's output are shown.
const SHOWN: usize = 20;

/// The interpreter that makes environments.
const PYTHON: &str = if cfg!(windows) { "python" } else { "python3" };

/// Packages that are installed together.
#[derive(Debug)]
pub struct Environment {
    /// The beginning of its folder's name.
    pub name: &'static str,
    /// Where the files of its requirements are, from the workspace root.
    pub folder: &'static str,
    /// The files, installed one after another; false: without what the packages say they need.
    pub requirements: &'static [(&'static str, bool)],
}

impl Environment {
    /// Its interpreter. The first time this installs the packages, which takes minutes and, because of torch, gigabytes.
    ///
    /// The folder's name has a hash of the requirements and of Python's version: another pin is another environment.
    pub fn python(&self, root: &Path) -> anyhow::Result<PathBuf> {
        let version = version()?;
        let scripts = root.join(self.folder);
        let folder = cache_folder()?.join(format!("{}-{}", self.name, self.hash(&scripts, &version)?));
        let python = folder.join(if cfg!(windows) { "Scripts/python.exe" } else { "bin/python" });
        let complete = folder.join("complete");
        if complete.exists() {
            return Ok(python);
        }
        if folder.exists() {
            fs::remove_dir_all(&folder).with_context(|| format!("cannot remove {}", folder.display()))?;
        }
        println!("{version}: installing packages into {}; this takes some minutes", folder.display());
        must(Command::new(PYTHON).args(["-m", "venv"]).arg(&folder), "making a virtual environment")?;
        for (file, with_dependencies) in self.requirements {
            let mut pip = Command::new(&python);
            pip.args(["-m", "pip", "install", "--disable-pip-version-check", "--quiet"]);
            if !with_dependencies {
                pip.arg("--no-deps");
            }
            must(pip.arg("-r").arg(scripts.join(file)), &format!("pip install -r {}/{file}", self.folder))?;
        }
        fs::write(&complete, "").with_context(|| format!("cannot write {}", complete.display()))?;
        Ok(python)
    }

    fn hash(&self, scripts: &Path, version: &str) -> anyhow::Result<String> {
        let mut hash = Sha256::new();
        hash.update(version);
        for (file, with_dependencies) in self.requirements {
            let path = scripts.join(file);
            let text =
                fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
            hash.update([u8::from(*with_dependencies)]);
            hash.update(text);
        }
        Ok(hash.finalize().iter().take(6).map(|byte| format!("{byte:02x}")).collect())
    }
}

/// Such as `Python 3.11.7`.
fn version() -> anyhow::Result<String> {
    let output = Command::new(PYTHON).arg("--version").stdin(Stdio::null()).output().with_context(|| {
        format!(
            "cannot start {PYTHON}: install Python 3.11 with its venv module, or name an interpreter that has the \
             packages by --python"
        )
    })?;
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// The user's cache folder for this project.
fn cache_folder() -> anyhow::Result<PathBuf> {
    let set = |name| std::env::var_os(name).filter(|value: &OsString| !value.is_empty()).map(PathBuf::from);
    let home = || set("HOME").or_else(|| set("USERPROFILE")).map(|home| home.join(".cache"));
    let folder = set("XDG_CACHE_HOME")
        .or_else(home)
        .context("neither XDG_CACHE_HOME nor HOME is set: there is no cache folder for Python's packages")?;
    Ok(folder.join("flamingo"))
}

/// Runs a program; its failure is an error with its last lines.
fn must(command: &mut Command, what: &str) -> anyhow::Result<()> {
    let program = PathBuf::from(command.get_program());
    let output = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("{what}: cannot start {}", program.display()))?;
    if !output.status.success() {
        bail!("{what} failed ({}). Its last words:\n{}", output.status, last_lines(&output));
    }
    Ok(())
}

/// The end of what a program printed: where it complained, or else where it spoke.
pub fn last_lines(output: &Output) -> String {
    let bytes = if output.stderr.is_empty() { &output.stdout } else { &output.stderr };
    let text = String::from_utf8_lossy(bytes);
    let lines: Vec<&str> = text.trim_end().lines().collect();
    lines[lines.len().saturating_sub(SHOWN)..].join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_pin_is_another_environment() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a.txt");
        let environment = |with| Environment {
            name: "a",
            folder: ".",
            requirements: if with { &[("a.txt", true)] } else { &[("a.txt", false)] },
        };
        fs::write(&file, "x==1\n").unwrap();
        let hash = |with, version| environment(with).hash(folder.path(), version).unwrap();
        let first = hash(true, "Python 3.11.7");
        assert_eq!((first.len(), &first), (12, &hash(true, "Python 3.11.7")));
        assert_ne!(first, hash(true, "Python 3.12.0"));
        assert_ne!(first, hash(false, "Python 3.11.7"));
        fs::write(&file, "x==2\n").unwrap();
        assert_ne!(first, hash(true, "Python 3.11.7"));
        fs::remove_file(&file).unwrap();
        assert!(environment(true).hash(folder.path(), "").unwrap_err().to_string().contains("a.txt"));
    }

    #[cfg(unix)]
    #[test]
    fn a_failed_program_is_quoted() {
        let error = must(Command::new("sh").args(["-c", "seq 100 >&2; exit 3"]), "counting").unwrap_err();
        let text = error.to_string();
        assert!(text.starts_with("counting failed") && text.ends_with("\n99\n100"), "{text}");
        assert_eq!(text.lines().count(), 1 + SHOWN);
    }
}
