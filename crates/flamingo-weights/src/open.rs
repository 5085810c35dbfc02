//! Finding out what a file or folder is, and putting shards together.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::checkpoint::{Checkpoint, Entry, Format};
use crate::error::WeightsError;
use crate::input::SourceFile;
use crate::metadata::MetadataValue;
use crate::{gguf, pickle, safetensors};

/// What one file holds.
pub(crate) struct Contents {
    pub entries: BTreeMap<String, Entry>,
    pub metadata: BTreeMap<String, MetadataValue>,
}

pub(crate) fn open(path: &Path) -> Result<Checkpoint, WeightsError> {
    let meta = fs::metadata(path).map_err(WeightsError::io("read", path))?;
    if meta.is_dir() {
        let file = find_in_folder(path)?;
        return Ok(Checkpoint { path: path.to_owned(), ..open_file(&file)? });
    }
    open_file(path)
}

fn open_file(path: &Path) -> Result<Checkpoint, WeightsError> {
    let file = SourceFile::open(path)?;
    let start = file.read(0, file.len().min(16))?;
    let (format, contents) = if start.starts_with(b"GGUF") {
        (Format::Gguf, gguf::open(file)?)
    } else if start.starts_with(b"PK\x03\x04") {
        (Format::PyTorch, pickle::open_zip(file)?)
    } else if start.starts_with(&[0x80, 2]) {
        (Format::LegacyPyTorch, pickle::open_legacy(file)?)
    } else if safetensors::is_format(&start) {
        (Format::Safetensors, safetensors::open(file)?)
    } else if start.starts_with(b"{") {
        return open_index(path);
    } else {
        return Err(WeightsError::unknown_format(path, describe_unknown(&start)));
    };
    Ok(Checkpoint { path: path.to_owned(), format, entries: contents.entries, metadata: contents.metadata })
}

fn describe_unknown(start: &[u8]) -> String {
    const KNOWN: &str = "safetensors, PyTorch (.pt, .pth, .bin) and GGUF can be read";
    match start {
        [] => format!("is empty; {KNOWN}"),
        _ if start.starts_with(b"version https://") => {
            "is a Git LFS pointer, not the weights: run `git lfs pull` in its repository".to_owned()
        }
        _ => format!("is in no known format (it begins with {:?}); {KNOWN}", String::from_utf8_lossy(start)),
    }
}

/// The checkpoint of a folder: the first of these kinds that is there.
fn find_in_folder(folder: &Path) -> Result<PathBuf, WeightsError> {
    const KINDS: [&[&str]; 5] = [
        &[".safetensors.index.json"],
        &[".safetensors"],
        &[".bin.index.json"],
        &[".bin", ".pt", ".pth"],
        &[".gguf"],
    ];
    let io = || WeightsError::io("list", folder);
    let mut names = Vec::new();
    for item in fs::read_dir(folder).map_err(io())? {
        names.push(item.map_err(io())?.file_name().to_string_lossy().into_owned());
    }
    names.sort_unstable();
    for endings in KINDS {
        let found: Vec<&String> =
            names.iter().filter(|name| endings.iter().any(|ending| name.ends_with(ending))).collect();
        match found.as_slice() {
            [] => {}
            [name] => return Ok(folder.join(name)),
            several => {
                // A trainer's own state lies beside the weights in many repositories.
                let usual = several
                    .iter()
                    .find(|name| ["model.safetensors", "pytorch_model.bin"].contains(&name.as_str()));
                return usual.map(|name| folder.join(name)).ok_or_else(|| {
                    let names: Vec<&str> = several.iter().map(|name| name.as_str()).collect();
                    WeightsError::unknown_format(
                        folder,
                        format!("has several checkpoints, name one of them: {}", names.join(", ")),
                    )
                });
            }
        }
    }
    Err(WeightsError::unknown_format(
        folder,
        "holds no checkpoint (no .safetensors, .bin, .pt, .pth or .gguf file)",
    ))
}

#[derive(Deserialize)]
struct Index {
    weight_map: BTreeMap<String, String>,
}

/// A sharded checkpoint, by its `*.index.json`.
fn open_index(path: &Path) -> Result<Checkpoint, WeightsError> {
    let bytes = fs::read(path).map_err(WeightsError::io("read", path))?;
    let index: Index = serde_json::from_slice(&bytes).map_err(|error| {
        WeightsError::unknown_format(path, format!("is not the index of a sharded checkpoint: {error}"))
    })?;
    let mut shards = BTreeMap::new();
    for shard in index.weight_map.values() {
        if !shards.contains_key(shard) {
            shards.insert(shard.clone(), open_file(&shard_path(path, shard)?)?);
        }
    }
    let format = shards.values().next().map_or(Format::Safetensors, |shard| shard.format);
    let mut all =
        Checkpoint { path: path.to_owned(), format, entries: BTreeMap::new(), metadata: BTreeMap::new() };
    for (shard_name, shard) in shards {
        all.metadata.extend(shard.metadata);
        for (name, entry) in shard.entries {
            // A name may be in two shards; the index says which one counts.
            if index.weight_map.get(&name).is_none_or(|chosen| *chosen == shard_name)
                && all.entries.insert(name.clone(), entry).is_some()
            {
                return Err(WeightsError::DuplicateTensor { path: path.to_owned(), name });
            }
        }
    }
    if let Some((name, shard)) = index.weight_map.iter().find(|(name, _)| !all.entries.contains_key(*name)) {
        return Err(WeightsError::corrupt(
            path,
            format!("says that {name:?} is in {shard}, where it is not"),
        ));
    }
    Ok(all)
}

/// A shard lies beside its index: any other path is refused.
fn shard_path(index: &Path, shard: &str) -> Result<PathBuf, WeightsError> {
    let plain = Path::new(shard).file_name().is_some_and(|name| name == shard) && !shard.ends_with(".json");
    if !plain {
        return Err(WeightsError::corrupt(
            index,
            format!("names the shard {shard:?}, which is not a file beside it"),
        ));
    }
    Ok(index.with_file_name(shard))
}
