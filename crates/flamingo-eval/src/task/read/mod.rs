//! Annotation files, read with errors that name the file and the record; and where pictures and clips lie.

mod files;
mod json;
mod media;
mod table;

use std::collections::HashSet;
use std::path::Path;

use crate::EvalError;

use super::Item;

pub(super) use files::Given;
pub(super) use json::{Id, Records, json, lines};
pub(super) use media::{Clips, image};
pub(crate) use table::table;

/// A record that is not as the official ones are.
pub(crate) fn odd(path: &Path, place: impl Into<String>, what: impl Into<String>) -> EvalError {
    EvalError::Format { path: path.to_owned(), place: place.into(), what: what.into() }
}

/// A file's bytes.
pub(crate) fn bytes(path: &Path) -> Result<Vec<u8>, EvalError> {
    std::fs::read(path).map_err(|source| unreadable(path, source))
}

/// A file's text.
pub(super) fn text(path: &Path) -> Result<String, EvalError> {
    let text = String::from_utf8(bytes(path)?);
    text.map_err(|error| {
        let line = error.as_bytes()[..error.utf8_error().valid_up_to()].split(|it| *it == b'\n').count();
        odd(path, format!("line {line}"), "this is not UTF-8")
    })
}

pub(crate) fn unreadable(path: &Path, source: std::io::Error) -> EvalError {
    EvalError::File { action: "read", path: path.to_owned(), source }
}

/// No two items of a file have the same id.
pub(super) fn distinct(path: &Path, items: &[Item]) -> Result<(), EvalError> {
    let mut seen = HashSet::with_capacity(items.len());
    match items.iter().position(|item| !seen.insert(item.id.as_str())) {
        None => Ok(()),
        Some(place) => Err(odd(
            path,
            format!("{:?}", items[place].id),
            "there are two records with this id; one was expected",
        )),
    }
}
