//! What this command keeps for itself in the project's cache folder.

use std::path::PathBuf;

use flamingo::core::cache::folder;

/// What was typed into `flamingo chat`.
pub fn chat_history() -> Option<PathBuf> {
    Some(folder()?.join("chat-history"))
}
