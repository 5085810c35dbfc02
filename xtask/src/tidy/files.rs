//! The files that belong to the repository: what git tracks, and what it would track after `git add .`.

use std::path::Path;
use std::process::Command;

use anyhow::Context;

use crate::workspace;

/// One file of the repository.
#[derive(Debug)]
pub struct File {
    /// Path from the workspace root, with forward slashes.
    pub path: String,
    /// Size in bytes.
    pub bytes: u64,
    /// Contents, if they are UTF-8 without a zero byte.
    pub text: Option<String>,
}

impl File {
    /// What follows the last dot of the file name.
    pub fn extension(&self) -> Option<&str> {
        Path::new(&self.path).extension()?.to_str()
    }
}

/// All files of the repository at `root`. Symbolic links and files deleted but not yet staged are left out.
pub fn list(root: &Path) -> anyhow::Result<Vec<File>> {
    let mut git = Command::new("git");
    git.current_dir(root).args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"]);
    let names = workspace::output(&mut git).context("tidy asks git which files belong to the repository")?;
    let mut paths: Vec<&str> = names.split('\0').filter(|path| !path.is_empty()).collect();
    paths.sort_unstable();
    paths.dedup();
    let present =
        paths.into_iter().filter(|path| root.join(path).symlink_metadata().is_ok_and(|it| it.is_file()));
    present.map(|path| read(root, path)).collect()
}

fn read(root: &Path, path: &str) -> anyhow::Result<File> {
    let bytes = std::fs::read(root.join(path)).with_context(|| format!("cannot read {path}"))?;
    let size = bytes.len() as u64;
    let text = String::from_utf8(bytes).ok().filter(|text| !text.contains('\0'));
    Ok(File { path: path.to_owned(), bytes: size, text })
}
