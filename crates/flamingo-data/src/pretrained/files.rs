//! Tokenizers from the files that `transformers` saves.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};
use tokenizers::Tokenizer;

use super::cut::{self, Cut};
use super::{Ends, PretrainedTokenizer};
use crate::error::DataError;

/// Opens a file, or the tokenizer of a folder.
pub(super) fn open(path: &Path) -> Result<PretrainedTokenizer, DataError> {
    let (folder, file) = match path.is_dir() {
        true => (path, path.join("tokenizer.json")),
        false => (path.parent().unwrap_or(path), path.to_owned()),
    };
    let names = Names::read(folder)?;
    let (inner, source) = match file.exists() || !folder.join("vocab.json").exists() {
        true => (parse(&file, &read(&file)?)?, file),
        false => (vocabulary_and_merges(folder, &names)?, folder.to_owned()),
    };
    Ok(PretrainedTokenizer { inner, source, ends: names.ends })
}

/// What `tokenizer_config.json` says, if there is one.
#[derive(Default)]
struct Names {
    ends: Ends,
    adds_bos: bool,
}

impl Names {
    fn read(folder: &Path) -> Result<Self, DataError> {
        let path = folder.join("tokenizer_config.json");
        if !path.exists() {
            return Ok(Self::default());
        }
        let config: Value = json_file(&path)?;
        let token = |key: &str| {
            let token = config.get(key)?;
            token.get("content").unwrap_or(token).as_str().map(str::to_owned)
        };
        let ends = Ends { bos: token("bos_token"), eos: token("eos_token"), pad: token("pad_token") };
        Ok(Self { ends, adds_bos: config["add_bos_token"] == true })
    }
}

/// GPT-2's older form, in which OPT is published.
fn vocabulary_and_merges(folder: &Path, names: &Names) -> Result<Tokenizer, DataError> {
    let vocab: Map<String, Value> = json_file(&folder.join("vocab.json"))?;
    let path = folder.join("merges.txt");
    let text = String::from_utf8(read(&path)?).map_err(|_| unusable(&path, "is not UTF-8".to_owned()))?;
    let merges: Vec<Value> =
        text.lines().filter(|line| !line.starts_with("#version")).filter_map(pair).collect();
    let Ends { bos, eos, pad } = &names.ends;
    let special: Vec<Value> = [bos, eos, pad]
        .into_iter()
        .flatten()
        .filter_map(|token| vocab.get(token).map(|id| added_token(token, id, true)))
        .collect();
    let bos = bos.as_ref().filter(|_| names.adds_bos);
    let template = bos.and_then(|token| Some(bos_template(token, vocab.get(token)?)));
    let json = byte_level(Value::Object(vocab), merges, Cut::GPT2, special, template);
    parse(folder, json.to_string().as_bytes())
}

/// The contents of a `tokenizer.json` for byte-level BPE.
pub(super) fn byte_level(
    vocab: Value,
    merges: Vec<Value>,
    cut: Cut,
    added: Vec<Value>,
    template: Option<Value>,
) -> Value {
    json!({
        "version": "1.0",
        "added_tokens": added,
        "normalizer": cut.normalizer(),
        "pre_tokenizer": cut.pre_tokenizer(),
        "post_processor": template,
        "decoder": cut::byte_level(true),
        "model": {"type": "BPE", "vocab": vocab, "merges": merges, "ignore_merges": cut.ignore_merges},
    })
}

/// A merge, from `left right`.
pub(super) fn pair(line: &str) -> Option<Value> {
    line.split_once(' ').map(|(left, right)| json!([left, right]))
}

/// An entry of `added_tokens`.
pub(super) fn added_token(content: &str, id: &Value, special: bool) -> Value {
    json!({
        "id": id, "content": content, "special": special,
        "single_word": false, "lstrip": false, "rstrip": false, "normalized": false,
    })
}

/// A post-processor that puts `token` before every text.
pub(super) fn bos_template(token: &str, id: &Value) -> Value {
    let bos = json!({"SpecialToken": {"id": token, "type_id": 0}});
    let text = |name: &str, type_id: u32| json!({"Sequence": {"id": name, "type_id": type_id}});
    json!({
        "type": "TemplateProcessing",
        "single": [bos, text("A", 0)],
        "pair": [bos, text("A", 0), text("B", 1)],
        "special_tokens": {token: {"id": token, "ids": [id], "tokens": [token]}},
    })
}

/// A tokenizer from the contents of a `tokenizer.json`.
pub(super) fn parse(path: &Path, json: &[u8]) -> Result<Tokenizer, DataError> {
    let mut inner = Tokenizer::from_bytes(json)
        .map_err(|error| unusable(path, format!("is not a tokenizer ({error})")))?;
    // A file may ask for rows of one length, as it was last used; batches are ours to make.
    inner.with_padding(None);
    inner
        .with_truncation(None)
        .map_err(|error| unusable(path, format!("cuts texts, which cannot be switched off ({error})")))?;
    Ok(inner)
}

pub(super) fn unusable(path: &Path, what: String) -> DataError {
    DataError::TokenizerFile { path: path.to_owned(), what }
}

fn read(path: &PathBuf) -> Result<Vec<u8>, DataError> {
    fs::read(path).map_err(|error| {
        unusable(
            path,
            format!("cannot be read ({error}); a tokenizer.json, or vocab.json and merges.txt, are needed"),
        )
    })
}

fn json_file<T: serde::de::DeserializeOwned>(path: &PathBuf) -> Result<T, DataError> {
    serde_json::from_slice(&read(path)?)
        .map_err(|error| unusable(path, format!("is not what it should be ({error})")))
}

#[cfg(test)]
mod tests {
    use super::*;

    const VOCAB: &str = r#"{"<s>": 0, "a": 1, "b": 2, "ab": 3, "Ġ": 4, "</s>": 5}"#;

    fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            fs::write(folder.path().join(name), text).unwrap();
        }
        folder
    }

    #[test]
    fn vocabulary_and_merges_with_the_bos_that_the_configuration_asks_for() {
        let config = r#"{"bos_token": {"content": "</s>"}, "pad_token": "<s>", "add_bos_token": true}"#;
        let folder = folder(&[
            ("vocab.json", VOCAB),
            ("merges.txt", "#version: 0.2\na b\n"),
            ("tokenizer_config.json", config),
        ]);
        let mut tokenizer = PretrainedTokenizer::open(folder.path()).unwrap();
        assert_eq!(tokenizer.encode("ab ab</s>").unwrap(), [5, 3, 4, 3, 5]);
        assert_eq!(tokenizer.encode_part("ba").unwrap(), [2, 1]);
        let tokens = tokenizer.add_open_flamingo().unwrap();
        assert_eq!((tokens.eoc, tokens.image, tokens.pad), (6, 7, 0), "it has a padding token already");
        assert_eq!(tokenizer.encode("ab<image>b<|endofchunk|>").unwrap(), [5, 3, 7, 2, 6]);
        assert_eq!(tokenizer.decode(&[5, 3, 4, 7, 2]).unwrap(), "ab b");
        assert_eq!(tokenizer.vocab(), 8);
    }

    #[test]
    fn padding_is_appended_last_where_there_is_none() {
        let folder = folder(&[("vocab.json", VOCAB), ("merges.txt", "a b")]);
        let mut tokenizer = PretrainedTokenizer::open(folder.path()).unwrap();
        assert_eq!(tokenizer.pad(), None);
        let tokens = tokenizer.add_open_flamingo().unwrap();
        assert_eq!((tokens.eoc, tokens.image, tokens.pad), (6, 7, 8));
        assert_eq!(tokenizer.add_open_flamingo().unwrap(), tokens, "found the second time");
    }

    #[test]
    fn what_is_missing_or_broken_is_named() {
        let empty = folder(&[]);
        let error = PretrainedTokenizer::open(empty.path()).unwrap_err().to_string();
        assert!(error.contains("tokenizer.json") && error.contains("merges.txt"), "{error}");
        let broken = folder(&[("tokenizer.json", "[]")]);
        let error = PretrainedTokenizer::open(broken.path()).unwrap_err().to_string();
        assert!(error.contains("is not a tokenizer"), "{error}");
    }
}
