//! The files of a folder.

use std::fs;
use std::path::{Path, PathBuf};

use super::state::io_error;
use crate::DataError;
use crate::reject::{Reason, Reject};

/// Endings of pages.
const PAGES: [&str; 3] = ["html", "htm", "xhtml"];

/// A page's file.
#[derive(Debug, Clone)]
pub(crate) struct PageFile {
    /// Below the folder, with `/` between its parts.
    pub name: String,
    pub path: PathBuf,
}

/// The pages of a folder and of those below it, sorted by name, and those whose names cannot be told.
///
/// Hidden files and folders are passed over, and links to folders are not followed.
///
/// # Errors
///
/// [`DataError::Io`] if a folder cannot be read; [`DataError::MissingShard`] if there is no page.
pub(crate) fn pages(root: &Path) -> Result<(Vec<PageFile>, Vec<Reject>), DataError> {
    let (mut pages, mut rejects) = (Vec::new(), Vec::new());
    for path in below(root, &PAGES)? {
        let parts = path.strip_prefix(root).unwrap_or(&path).components();
        let parts: Option<Vec<&str>> = parts.map(|part| part.as_os_str().to_str()).collect();
        match parts {
            Some(parts) => pages.push(PageFile { name: parts.join("/"), path }),
            None => {
                let what = "the name is not UTF-8; rename the file";
                rejects.push(Reject::new(root.display(), path.to_string_lossy(), Reason::UnsafeName, what));
            }
        }
    }
    if pages.is_empty() && rejects.is_empty() {
        let hint = "expected files that end in .html, .htm or .xhtml here or in folders below".to_owned();
        return Err(DataError::MissingShard { path: root.to_owned(), hint });
    }
    pages.sort_by(|a, b| a.name.cmp(&b.name));
    Ok((pages, rejects))
}

/// The files below `root` whose names end in one of `endings`, in no order that means anything; `root` itself if it is a
/// file.
///
/// # Errors
///
/// [`DataError::Io`] if a folder cannot be read.
pub(crate) fn below(root: &Path, endings: &[&str]) -> Result<Vec<PathBuf>, DataError> {
    let (mut files, mut folders) = (Vec::new(), vec![root.to_owned()]);
    if root.is_file() {
        return Ok(vec![root.to_owned()]);
    }
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).map_err(|error| io_error(&folder, error))? {
            let entry = entry.map_err(|error| io_error(&folder, error))?;
            let kind = entry.file_type().map_err(|error| io_error(&folder, error))?;
            let (path, name) = (entry.path(), entry.file_name());
            let ending = path.extension().map(|ending| ending.to_string_lossy().to_ascii_lowercase());
            if name.to_string_lossy().starts_with('.') {
                continue;
            }
            if kind.is_dir() {
                folders.push(path);
            } else if ending.is_some_and(|ending| endings.contains(&ending.as_str())) && path.is_file() {
                files.push(path);
            }
        }
    }
    files.sort();
    Ok(files)
}
