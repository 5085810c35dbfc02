//! Where this command keeps what is its own, outside any project.

use std::path::PathBuf;

/// `flamingo` in the user's cache folder: in `XDG_CACHE_HOME`, else in `~/.cache`. `None` if nothing says where that is.
pub fn folder() -> Option<PathBuf> {
    let named = std::env::var_os("XDG_CACHE_HOME").filter(|value| !value.is_empty()).map(PathBuf::from);
    Some(named.or_else(|| Some(std::env::home_dir()?.join(".cache")))?.join("flamingo"))
}

/// What was typed into `flamingo chat`.
pub fn chat_history() -> Option<PathBuf> {
    Some(folder()?.join("chat-history"))
}

/// Small weights that `cargo xtask data fetch` got.
pub fn weights() -> Option<PathBuf> {
    Some(folder()?.join("weights"))
}
