//! Where the project keeps what can be made or fetched again.

use std::path::PathBuf;

/// `flamingo` in the user's cache folder: in `XDG_CACHE_HOME`, else in `~/.cache`. `None` if nothing says where that is.
pub fn folder() -> Option<PathBuf> {
    let named = std::env::var_os("XDG_CACHE_HOME").filter(|value| !value.is_empty()).map(PathBuf::from);
    Some(named.or_else(|| Some(std::env::home_dir()?.join(".cache")))?.join("flamingo"))
}
