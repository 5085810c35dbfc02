//! The files of `tests/fixtures`: what they say about themselves, and what changed between two readings.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::Context;
use safetensors::{Dtype, SafeTensors, tensor::TensorView};

/// The most that all fixtures may take together, in bytes.
pub const MAX_BYTES: usize = (3 << 20) + (320 << 10);

/// Paths below the folder, with forward slashes, and contents.
pub type Files = BTreeMap<String, Vec<u8>>;

/// All files below `folder`.
pub fn read(folder: &Path) -> anyhow::Result<Files> {
    let mut files = Files::new();
    add(folder, "", &mut files).with_context(|| format!("cannot read {}", folder.display()))?;
    Ok(files)
}

fn add(folder: &Path, below: &str, files: &mut Files) -> std::io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = format!("{below}{}", entry.file_name().to_string_lossy());
        if entry.file_type()?.is_dir() {
            add(&entry.path(), &format!("{name}/"), files)?;
        } else {
            files.insert(name, fs::read(entry.path())?);
        }
    }
    Ok(())
}

/// What a safetensors file says about itself.
#[derive(Debug, PartialEq)]
pub struct Header {
    /// The texts beside the tensors.
    pub texts: BTreeMap<String, String>,
    /// The tensors' names.
    pub keys: Vec<String>,
}

/// The header of a safetensors file.
pub fn header(path: &str, bytes: &[u8]) -> anyhow::Result<Header> {
    let damaged = || format!("tests/fixtures/{path} is not a whole safetensors file");
    let (_, metadata) = SafeTensors::read_metadata(bytes).with_context(damaged)?;
    let texts = metadata.metadata().clone().unwrap_or_default().into_iter().collect();
    Ok(Header { texts, keys: metadata.offset_keys() })
}

/// How `after` differs from `before`, a line for each file that does.
pub fn changes(before: &Files, after: &Files) -> anyhow::Result<Vec<String>> {
    let mut lines = Vec::new();
    for (path, bytes) in after {
        let change = match before.get(path) {
            None => Some("new".to_owned()),
            Some(old) if old == bytes => None,
            Some(old) if path.ends_with(".safetensors") => tensor_changes(path, old, bytes)?,
            Some(_) => Some("other bytes".to_owned()),
        };
        lines.extend(change.map(|change| format!("{path}: {change}")));
    }
    Ok(lines)
}

/// None if only the order of bytes is another one.
fn tensor_changes(path: &str, before: &[u8], after: &[u8]) -> anyhow::Result<Option<String>> {
    let (old, new) = (header(path, before)?, header(path, after)?);
    let [old_tensors, new_tensors] = [before, after].map(SafeTensors::deserialize);
    let (old_tensors, new_tensors) = (old_tensors?, new_tensors?);
    let mut parts = Vec::new();
    parts.extend(list("new tensors", new.keys.iter().filter(|key| !old.keys.contains(key))));
    parts.extend(list("tensors gone", old.keys.iter().filter(|key| !new.keys.contains(key))));
    for key in new.keys.iter().filter(|key| old.keys.contains(key)) {
        let change = difference(&old_tensors.tensor(key)?, &new_tensors.tensor(key)?);
        parts.extend(change.map(|change| format!("{key} {change}")));
    }
    for key in old.texts.keys().chain(new.texts.keys().filter(|key| !old.texts.contains_key(*key))) {
        match (old.texts.get(key), new.texts.get(key)) {
            (a, b) if a == b => {}
            (Some(a), Some(b)) if a.len() + b.len() < 120 => parts.push(format!("{key} was {a:?}, is {b:?}")),
            _ => parts.push(format!("another {key}")),
        }
    }
    Ok((!parts.is_empty()).then(|| parts.join("; ")))
}

fn list<'a>(what: &str, keys: impl Iterator<Item = &'a String>) -> Option<String> {
    let keys: Vec<&str> = keys.map(String::as_str).collect();
    (!keys.is_empty()).then(|| format!("{what} {}", keys.join(", ")))
}

fn difference(before: &TensorView<'_>, after: &TensorView<'_>) -> Option<String> {
    if before.dtype() != after.dtype() || before.shape() != after.shape() {
        return Some(format!("was {}, is {}", form(before), form(after)));
    }
    if before.data() == after.data() {
        return None;
    }
    if before.dtype() != Dtype::F32 {
        return Some("has other values".to_owned());
    }
    let most = floats(before)
        .zip(floats(after))
        .map(|(a, b)| (a - b).abs())
        .fold(0.0, |most: f32, it| if it.is_nan() { f32::INFINITY } else { most.max(it) });
    Some(format!("differs by up to {most:.1e}"))
}

fn form(tensor: &TensorView<'_>) -> String {
    format!("{:?} {:?}", tensor.dtype(), tensor.shape())
}

fn floats<'a>(tensor: &TensorView<'a>) -> impl Iterator<Item = f32> + use<'a> {
    tensor.data().as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes))
}

#[cfg(test)]
pub mod tests {
    use super::*;

    /// A safetensors file of f32 vectors.
    pub fn file(texts: &[(&str, &str)], tensors: &[(&str, &[f32])]) -> Vec<u8> {
        let bytes: Vec<(&str, Vec<u8>)> = tensors
            .iter()
            .map(|(key, values)| (*key, values.iter().flat_map(|value| value.to_le_bytes()).collect()))
            .collect();
        let views = bytes
            .iter()
            .map(|(key, bytes)| (*key, TensorView::new(Dtype::F32, vec![bytes.len() / 4], bytes).unwrap()));
        let texts = texts.iter().map(|(key, text)| ((*key).to_owned(), (*text).to_owned())).collect();
        safetensors::serialize(views, Some(texts)).unwrap()
    }

    fn files(files: &[(&str, Vec<u8>)]) -> Files {
        files.iter().map(|(name, bytes)| ((*name).to_owned(), bytes.clone())).collect()
    }

    #[test]
    fn folders_are_read_to_the_bottom() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("b")).unwrap();
        fs::write(folder.path().join("b/c.png"), [1]).unwrap();
        fs::write(folder.path().join("a.gguf"), [2]).unwrap();
        assert_eq!(read(folder.path()).unwrap(), files(&[("a.gguf", vec![2]), ("b/c.png", vec![1])]));
    }

    #[test]
    fn changes_are_told_tensor_by_tensor() {
        let before = file(&[("reference", "x 1")], &[("a", &[1.0, 2.0]), ("b", &[1.0]), ("c", &[1.0])]);
        let after = file(&[("reference", "x 2")], &[("a", &[1.0, 2.5]), ("b", &[1.0]), ("d", &[1.0])]);
        let [line] =
            &changes(&files(&[("x.safetensors", before)]), &files(&[("x.safetensors", after)])).unwrap()[..]
        else {
            panic!("one line")
        };
        let expected = "x.safetensors: new tensors d; tensors gone c; a differs by up to 5.0e-1; \
            reference was \"x 1\", is \"x 2\"";
        assert_eq!(line, expected);
    }

    #[test]
    fn other_shapes_other_files_and_new_files_are_told() {
        let before = files(&[
            ("same.safetensors", file(&[("a", "1")], &[])),
            ("shape.safetensors", file(&[], &[("a", &[1.0])])),
            ("x.gguf", vec![1]),
        ]);
        let after = files(&[
            ("new.png", vec![1]),
            ("same.safetensors", file(&[("a", "1")], &[])),
            ("shape.safetensors", file(&[], &[("a", &[1.0, 2.0])])),
            ("x.gguf", vec![2]),
        ]);
        assert_eq!(
            changes(&before, &after).unwrap(),
            ["new.png: new", "shape.safetensors: a was F32 [1], is F32 [2]", "x.gguf: other bytes"]
        );
    }

    #[test]
    fn a_damaged_file_is_named() {
        let error = header("x.safetensors", &[0; 4]).unwrap_err().to_string();
        assert!(error.contains("tests/fixtures/x.safetensors is not a whole"), "{error}");
    }
}
