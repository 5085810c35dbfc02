//! Where packages and their files are kept: outside the repository, for all checkouts of it.

use std::path::PathBuf;

use anyhow::Context;

/// `flamingo/NAME` in the user's cache folder.
///
/// # Errors
///
/// If nothing says where that is.
pub fn folder(name: &str) -> anyhow::Result<PathBuf> {
    let base = match std::env::var_os("XDG_CACHE_HOME").filter(|value| !value.is_empty()) {
        Some(cache) => PathBuf::from(cache),
        None => PathBuf::from(std::env::var_os("HOME").context("neither XDG_CACHE_HOME nor HOME is set")?)
            .join(".cache"),
    };
    Ok(base.join("flamingo").join(name))
}
