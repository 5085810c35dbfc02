//! Where this command keeps what is its own, outside any project.

use std::path::PathBuf;

use flamingo::core::cache::folder;

/// What was typed into `flamingo chat`.
pub fn chat_history() -> Option<PathBuf> {
    Some(folder()?.join("chat-history"))
}

/// Small weights that `cargo xtask data fetch` got.
pub fn weights() -> Option<PathBuf> {
    Some(folder()?.join("weights"))
}
