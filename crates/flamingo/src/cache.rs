//! Where this project keeps what is its own on a machine: small weights, prepared datasets, cached features.

use std::path::PathBuf;

pub use flamingo_core::cache::folder;

/// Small weights that `cargo xtask data fetch` got.
pub fn weights() -> Option<PathBuf> {
    Some(folder()?.join("weights"))
}

/// Datasets that `cargo xtask data prepare` made.
pub fn datasets() -> Option<PathBuf> {
    Some(folder()?.join("data"))
}

/// Weights that `cargo xtask data fetch NAME` gets: the names and their files.
const FETCHED: [(&str, &str); 2] = [
    ("smollm2", "SmolLM2-135M-Instruct.Q4_1.gguf"),
    ("efficientnet-lite2", "efficientnet-lite2-9656183e.pth"),
];

/// The file of weights that can be fetched by `name`, whether or not they are there; `None` for any other name.
pub fn fetched(name: &str) -> Option<PathBuf> {
    let (_, file) = FETCHED.into_iter().find(|(known, _)| *known == name)?;
    Some(weights()?.join(file))
}
