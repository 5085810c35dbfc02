//! Files on this machine: globs, folders, and what to say when there is nothing.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use super::Location;
use crate::DataError;

/// Paths with one of these are globs.
const GLOB: [char; 3] = ['*', '?', '['];

/// Whether `text` has a character that makes it a glob.
pub(super) fn is_glob(text: &str) -> bool {
    text.contains(GLOB)
}

/// What `pattern` (without braces) stands for, sorted: the file of that name, or the files that match the glob.
pub(super) fn list(pattern: &str) -> Result<Vec<Location>, DataError> {
    // A file may have a bracket in its name.
    if Path::new(pattern).exists() {
        return Ok(vec![Location::from(pattern)]);
    }
    let missing = |hint: String| DataError::MissingShard { path: pattern.into(), hint };
    if !is_glob(pattern) {
        return Err(missing(nearest(Path::new(pattern))));
    }
    let paths = glob::glob(pattern).map_err(|error| missing(format!("{error}; check the pattern")))?;
    let mut found = Vec::new();
    for path in paths {
        let path = path.map_err(|error| missing(format!("cannot list a folder: {error}")))?;
        found.push(Location::from(path.as_path()));
    }
    if found.is_empty() {
        let fixed: PathBuf = Path::new(pattern)
            .components()
            .take_while(|part| !is_glob(&part.as_os_str().to_string_lossy()))
            .collect();
        return Err(missing(match fixed.exists() || fixed.as_os_str().is_empty() {
            true => format!("no file matches the pattern{}", some_names(&fixed)),
            false => nearest(&fixed),
        }));
    }
    found.sort();
    Ok(found)
}

/// The files directly in `folder` whose names end in one of `endings`, sorted.
pub(super) fn in_folder(folder: &Path, endings: &[&str]) -> Result<Vec<PathBuf>, DataError> {
    let missing = |hint: String| DataError::MissingShard { path: folder.to_owned(), hint };
    let entries = folder.read_dir().map_err(|error| missing(format!("cannot read the folder ({error})")))?;
    let mut found = Vec::new();
    for entry in entries {
        let path = entry.map_err(|error| missing(format!("cannot list the folder ({error})")))?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if endings.iter().any(|ending| name.ends_with(ending)) && path.is_file() {
            found.push(path);
        }
    }
    if found.is_empty() {
        return Err(missing(format!(
            "expected {} files in this folder{}",
            endings.join(" or "),
            some_names(folder)
        )));
    }
    found.sort();
    Ok(found)
}

/// What is there instead of `path`: how far it leads, and the name that is most like the missing one.
pub(super) fn nearest(path: &Path) -> String {
    let reached = path.ancestors().skip(1).find(|folder| folder.as_os_str().is_empty() || folder.exists());
    let reached = reached.unwrap_or(Path::new(""));
    if reached.is_file() {
        return format!("{} is a file, not a folder; check the path", reached.display());
    }
    let rest = path.strip_prefix(reached).unwrap_or(path);
    let wanted = rest.components().next().map(|part| part.as_os_str().to_string_lossy().into_owned());
    let wanted = wanted.unwrap_or_default();
    let likeness = |name: &str| strsim::jaro_winkler(name, &wanted);
    let close = names(reached).into_iter().max_by(|a, b| likeness(a).total_cmp(&likeness(b)));
    match close.filter(|name| likeness(name) > 0.8) {
        Some(name) => format!("there is no {wanted:?}; did you mean {}?", reached.join(name).display()),
        None => format!("there is no {wanted:?} in {}{}", display(reached), some_names(reached)),
    }
}

fn display(folder: &Path) -> String {
    match folder.as_os_str().is_empty() {
        true => "the current folder".to_owned(),
        false => folder.display().to_string(),
    }
}

/// `; there are a, b, c and 4 others`.
fn some_names(folder: &Path) -> String {
    let mut names = names(folder);
    names.sort();
    let shown = names.iter().take(4).cloned().collect::<Vec<_>>().join(", ");
    match names.len() {
        0 => "; it is empty".to_owned(),
        1..=4 => format!("; there are {shown}"),
        count => format!("; there are {shown} and {} others", count - 4),
    }
}

/// The names in a folder; none if it cannot be read, as this is only for hints.
fn names(folder: &Path) -> Vec<String> {
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    let entries = folder.read_dir().into_iter().flatten().flatten();
    let name = |name: &OsStr| name.to_string_lossy().into_owned();
    entries.map(|entry| name(&entry.file_name())).take(10_000).collect()
}
