//! Which files of a repository are used here.

use std::collections::{BTreeMap, BTreeSet};
use std::io;

use serde::Deserialize;

use super::id::is_plain;

/// Beside the weights, as far as a repository has them: configuration, preprocessing, tokenizer.
pub(super) const SMALL: [&str; 10] = [
    "config.json",
    "generation_config.json",
    "preprocessor_config.json",
    "model.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "merges.txt",
];

/// The weights' usual names, the best first.
const USUAL: [&str; 4] = [
    "model.safetensors",
    "model.safetensors.index.json",
    "pytorch_model.bin",
    "pytorch_model.bin.index.json",
];

/// Endings of weights under any other name, if there is one file of the kind; the best kind first.
const KINDS: [&[&str]; 3] = [&[".safetensors"], &[".pt", ".pth", ".bin"], &[".gguf"]];

/// The file with the weights, or the index of its shards, among the files of a repository.
///
/// # Errors
///
/// What is wrong, if there are none, or several that might be meant.
pub(super) fn weights<'a>(names: &[&'a str]) -> Result<&'a str, String> {
    if let Some(name) = USUAL.into_iter().find_map(|usual| names.iter().find(|name| **name == usual)) {
        return Ok(name);
    }
    for endings in KINDS {
        let is_kind = |name: &&str| is_plain(name) && endings.iter().any(|ending| name.ends_with(ending));
        match names.iter().copied().filter(is_kind).collect::<Vec<_>>()[..] {
            [] => {}
            [name] => return Ok(name),
            ref several => {
                return Err(format!(
                    "it has several files of weights, {}: get the one that you want, and name its path",
                    several.join(", ")
                ));
            }
        }
    }
    Err("it has no weights in its first folder (.safetensors, .bin, .pt, .pth or .gguf)".to_owned())
}

/// The shards that an index names; `None` if the file is no index.
///
/// # Errors
///
/// What is wrong with the index.
pub(super) fn shards(
    name: &str,
    read: impl FnOnce() -> io::Result<Vec<u8>>,
) -> Result<Option<BTreeSet<String>>, String> {
    #[derive(Deserialize)]
    struct Index {
        weight_map: BTreeMap<String, String>,
    }
    if !name.ends_with(".index.json") {
        return Ok(None);
    }
    let bytes = read().map_err(|error| format!("cannot read {name}: {error}"))?;
    let index: Index = serde_json::from_slice(&bytes)
        .map_err(|error| format!("{name} is not an index of shards: {error}"))?;
    let shards: BTreeSet<String> = index.weight_map.into_values().collect();
    match shards.iter().find(|shard| !is_plain(shard)) {
        None => Ok(Some(shards)),
        Some(odd) => Err(format!("{name} names the shard {odd:?}, which is not a file beside it")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn safetensors_come_before_pickles_and_those_before_gguf() {
        let chosen = |names: &[&'static str]| weights(names).unwrap();
        let both = ["pytorch_model.bin", "model.safetensors", "flax_model.msgpack", "x.gguf"];
        assert_eq!(chosen(&both), "model.safetensors");
        assert_eq!(
            chosen(&["pytorch_model.bin.index.json", "pytorch_model-00001-of-00002.bin"]),
            "pytorch_model.bin.index.json"
        );
        assert_eq!(chosen(&["README.md", "checkpoint.pt"]), "checkpoint.pt");
        assert_eq!(chosen(&["a.gguf", "onnx/model.bin"]), "a.gguf");
    }

    #[test]
    fn none_and_several_are_named() {
        assert!(weights(&["config.json"]).unwrap_err().contains("no weights"));
        let error = weights(&["a.Q4_0.gguf", "a.Q8_0.gguf"]).unwrap_err();
        assert!(error.contains("a.Q4_0.gguf, a.Q8_0.gguf"), "{error}");
    }

    #[test]
    fn shards_are_files_beside_their_index() {
        let of = |json: &str| shards("model.safetensors.index.json", || Ok(json.as_bytes().to_vec()));
        let found =
            of(r#"{"weight_map": {"a": "2.safetensors", "b": "1.safetensors", "c": "2.safetensors"}}"#);
        assert!(found.unwrap().unwrap().into_iter().eq(["1.safetensors", "2.safetensors"]));
        assert!(of(r#"{"weight_map": {"a": "../x"}}"#).unwrap_err().contains("../x"));
        assert!(of("[]").unwrap_err().contains("not an index"));
        assert_eq!(shards("model.safetensors", || unreachable!()), Ok(None));
    }
}
