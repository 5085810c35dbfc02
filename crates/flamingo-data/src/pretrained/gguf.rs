//! The tokenizer in a GGUF file's metadata.
//!
//! Two kinds are in use. `gpt2` is byte-level BPE with its merges, and `tokenizer.ggml.pre` names how a text is cut up
//! before. `llama` is SentencePiece's BPE, which has scores and no merges: two pieces are merged where the whole has
//! the highest score, so the merges are all ways to make a piece of two others, in the order of its score.

use std::collections::{HashMap, HashSet};

use flamingo_core::nearest;
use flamingo_weights::{Checkpoint, MetadataValue};
use serde_json::{Map, Value, json};

use super::cut::{CUTS, Cut};
use super::files::{added_token, bos_template, byte_level, pair, parse, unusable};
use super::{Ends, PretrainedTokenizer};
use crate::error::DataError;

/// What `tokenizer.ggml.token_type` says of a token.
mod kind {
    pub const NORMAL: i64 = 1;
    pub const CONTROL: i64 = 3;
    pub const USER_DEFINED: i64 = 4;
}

/// Reads the tokenizer of `checkpoint`.
pub(super) fn read(checkpoint: &Checkpoint) -> Result<PretrainedTokenizer, DataError> {
    Metadata(checkpoint).tokenizer()
}

struct Metadata<'a>(&'a Checkpoint);

impl<'a> Metadata<'a> {
    fn tokenizer(&self) -> Result<PretrainedTokenizer, DataError> {
        let model = self.required("model", MetadataValue::as_str)?;
        let tokens = self.list("tokens", MetadataValue::as_str)?;
        let kinds = self.kinds(tokens.len())?;
        let end = |name: &str| -> Result<Option<String>, DataError> {
            let Some(id) = self.optional(&format!("{name}_token_id"), MetadataValue::as_usize)? else {
                return Ok(None);
            };
            let token = tokens.get(id).map(|token| (*token).to_owned());
            token.map(Some).ok_or_else(|| self.wrong(&format!("{name}_token_id"), "is beyond the last token"))
        };
        let ends = Ends { bos: end("bos")?, eos: end("eos")?, pad: end("padding")? };
        let cut = if model == "gpt2" { self.cut()? } else { Cut::GPT2 };
        let adds_bos = self.optional("add_bos_token", MetadataValue::as_bool)?;
        let adds_bos = adds_bos.unwrap_or(model == "llama" || cut.adds_bos);
        let template = ends.bos.as_ref().filter(|_| adds_bos).and_then(|token| {
            let id = tokens.iter().position(|other| other == token)?;
            Some(bos_template(token, &json!(id)))
        });
        let added = tokens.iter().zip(&kinds).enumerate().filter_map(|(id, (token, kind))| match *kind {
            kind::CONTROL => Some(added_token(token, &json!(id), true)),
            kind::USER_DEFINED => Some(added_token(token, &json!(id), false)),
            _ => None,
        });
        let added: Vec<Value> = added.collect();
        let json = match model {
            "gpt2" => {
                let merges =
                    self.list("merges", MetadataValue::as_str)?.into_iter().filter_map(pair).collect();
                byte_level(vocabulary(&tokens), merges, cut, added, template)
            }
            "llama" => self.sentence_piece(&tokens, &kinds, added, template)?,
            other => return Err(self.wrong("model", &format!("is {other:?}; gpt2 and llama are known"))),
        };
        let inner = parse(self.0.path(), json.to_string().as_bytes())?;
        Ok(PretrainedTokenizer { inner, source: self.0.path().to_owned(), ends })
    }

    /// The contents of a `tokenizer.json` for SentencePiece's BPE with byte fallback.
    fn sentence_piece(
        &self,
        tokens: &[&str],
        kinds: &[i64],
        added: Vec<Value>,
        template: Option<Value>,
    ) -> Result<Value, DataError> {
        let scores = self.list("scores", MetadataValue::as_f64)?;
        if scores.len() != tokens.len() {
            return Err(self.wrong("scores", "has not one value for each token"));
        }
        let unknown = self.optional("unknown_token_id", MetadataValue::as_usize)?.unwrap_or(0);
        let prefix = self.optional("add_space_prefix", MetadataValue::as_bool)?.unwrap_or(true);
        let mut normalizers = vec![json!({"type": "Replace", "pattern": {"String": " "}, "content": SPACE})];
        let mut decoders = vec![
            json!({"type": "Replace", "pattern": {"String": SPACE}, "content": " "}),
            json!({"type": "ByteFallback"}),
            json!({"type": "Fuse"}),
        ];
        if prefix {
            normalizers.insert(0, json!({"type": "Prepend", "prepend": SPACE}));
            decoders.push(json!({"type": "Strip", "content": " ", "start": 1, "stop": 0}));
        }
        Ok(json!({
            "version": "1.0",
            "added_tokens": added,
            "normalizer": {"type": "Sequence", "normalizers": normalizers},
            "pre_tokenizer": null,
            "post_processor": template,
            "decoder": {"type": "Sequence", "decoders": decoders},
            "model": {
                "type": "BPE",
                "unk_token": tokens.get(unknown),
                "fuse_unk": true,
                "byte_fallback": true,
                "vocab": vocabulary(tokens),
                "merges": merges(tokens, kinds, &scores),
            },
        }))
    }

    fn cut(&self) -> Result<Cut, DataError> {
        let name = self.optional("pre", MetadataValue::as_str)?.unwrap_or("default");
        let found = CUTS.into_iter().find(|(known, _)| *known == name);
        found.map(|(_, cut)| cut).ok_or_else(|| {
            let known = CUTS.map(|(name, _)| name);
            let hint = nearest::hint(name, known);
            let what = format!("is {name:?}, which is none of {}{hint}", known.join(", "));
            self.wrong("pre", &what)
        })
    }

    /// The kind of each token; all are normal if the file does not say.
    fn kinds(&self, n_tokens: usize) -> Result<Vec<i64>, DataError> {
        if !self.0.metadata().contains_key("tokenizer.ggml.token_type") {
            return Ok(vec![kind::NORMAL; n_tokens]);
        }
        let kinds = self.list("token_type", MetadataValue::as_usize)?;
        match kinds.len() == n_tokens {
            true => Ok(kinds.into_iter().map(|kind| kind as i64).collect()),
            false => Err(self.wrong("token_type", "has not one value for each token")),
        }
    }

    fn list<T>(
        &self,
        name: &str,
        read: impl Fn(&'a MetadataValue) -> Option<T>,
    ) -> Result<Vec<T>, DataError> {
        let values = self.required(name, MetadataValue::as_list)?;
        let values: Option<Vec<T>> = values.iter().map(read).collect();
        values.ok_or_else(|| self.wrong(name, "has values of a wrong type"))
    }

    fn required<T>(
        &self,
        name: &str,
        read: impl FnOnce(&'a MetadataValue) -> Option<T>,
    ) -> Result<T, DataError> {
        self.optional(name, read)?.ok_or_else(|| self.wrong(name, "is missing"))
    }

    fn optional<T>(
        &self,
        name: &str,
        read: impl FnOnce(&'a MetadataValue) -> Option<T>,
    ) -> Result<Option<T>, DataError> {
        let Some(value) = self.0.metadata().get(&format!("tokenizer.ggml.{name}")) else {
            return Ok(None);
        };
        read(value).map(Some).ok_or_else(|| self.wrong(name, "is of a wrong type"))
    }

    fn wrong(&self, name: &str, what: &str) -> DataError {
        unusable(self.0.path(), format!("cannot be used: tokenizer.ggml.{name} {what}"))
    }
}

/// How SentencePiece writes a space.
const SPACE: &str = "▁";

fn vocabulary(tokens: &[&str]) -> Value {
    let entries = tokens.iter().enumerate().map(|(id, token)| ((*token).to_owned(), json!(id)));
    Value::Object(entries.collect::<Map<_, _>>())
}

/// All ways to make a piece of two others, the best piece first.
fn merges(tokens: &[&str], kinds: &[i64], scores: &[f64]) -> Vec<Value> {
    let normal = || tokens.iter().zip(kinds).zip(scores).filter(|((_, kind), _)| **kind == kind::NORMAL);
    let pieces: HashSet<&str> = normal().map(|((piece, _), _)| *piece).collect();
    let ids: HashMap<&str, usize> = tokens.iter().enumerate().map(|(id, token)| (*token, id)).collect();
    let mut found: Vec<(f64, &str, &str)> = Vec::new();
    for ((piece, _), score) in normal() {
        let mut ways: Vec<_> = piece
            .char_indices()
            .skip(1)
            .map(|(at, _)| piece.split_at(at))
            .filter(|(left, right)| pieces.contains(left) && pieces.contains(right))
            .collect();
        ways.sort_by_key(|(left, right)| (ids[left], ids[right]));
        found.extend(ways.into_iter().map(|(left, right)| (*score, left, right)));
    }
    found.sort_by(|(a, ..), (b, ..)| b.total_cmp(a));
    found.into_iter().map(|(_, left, right)| json!([left, right])).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn merges_come_in_the_order_of_the_whole_pieces_scores() {
        let tokens = ["<s>", "a", "b", "ab", "abb", "bb"];
        let kinds = [kind::CONTROL, 1, 1, 1, 1, 1];
        let scores = [0.0, -9.0, -9.0, -3.0, -1.0, -2.0];
        let expected = [("a", "bb"), ("ab", "b"), ("b", "b"), ("a", "b")];
        let expected = expected.map(|(left, right)| json!([left, right]));
        assert_eq!(merges(&tokens, &kinds, &scores), expected);
    }
}
