//! The language-model families that the decoder can be, and how to find the one of a checkpoint.
//!
//! A family is data: how its `config.json` becomes a [`DecoderConfig`], and a key map from the names of `transformers`.
//! To add one, write a file like its neighbours and put its [`Family`] into [`ALL`]. What its mathematics has that no
//! other family has becomes a choice in [`DecoderConfig`].
//!
//! Chinchilla is not in the list: it was never published, and its presets need no file of others.

pub mod chinchilla;
pub mod gpt2;
pub mod gpt_neox;
pub mod llama;
pub mod mosaic_gpt;
pub mod mpt;
pub mod opt;

mod fields;
mod model;
mod tables;

use flamingo_core::nearest;
use flamingo_weights::{Checkpoint, KeyMap};
use serde_json::Value;

use crate::config::DecoderConfig;
use crate::error::LmError;

pub use model::{LanguageModel, TokenIds};
pub use tables::NewRows;

/// All families, by name.
pub const ALL: [&Family; 6] =
    [&gpt2::GPT2, &gpt_neox::GPT_NEOX, &llama::LLAMA, &mosaic_gpt::MOSAIC_GPT, &mpt::MPT, &opt::OPT];

/// What is particular to a family.
#[derive(Debug)]
pub struct Family {
    /// Its name, which is also `model_type` in its `config.json`.
    pub name: &'static str,
    /// What `architectures` in its `config.json` may hold.
    pub architectures: &'static [&'static str],
    /// Reads its `config.json`.
    pub config: fn(&Value) -> Result<DecoderConfig, LmError>,
    /// Which tensors, under the names of `transformers`, make each parameter.
    pub key_map: fn(&DecoderConfig, NewRows) -> KeyMap,
    /// What files of the bare model, saved without its head, leave out at the front of every name.
    pub base_prefix: &'static str,
    /// The same for GGUF files, if they can be read.
    pub gguf: Option<Gguf>,
}

/// A family as llama.cpp's converter writes it.
#[derive(Debug)]
pub struct Gguf {
    /// What `general.architecture` says.
    pub architecture: &'static str,
    /// Reads the metadata.
    pub config: fn(&Checkpoint) -> Result<DecoderConfig, LmError>,
    /// Which tensors make each parameter.
    pub key_map: fn(&DecoderConfig, NewRows) -> KeyMap,
}

impl Family {
    /// The family of a `config.json`, by `model_type`, else by `architectures`.
    ///
    /// # Errors
    ///
    /// [`LmError::UnknownFamily`] with the nearest name and all names, or [`LmError::NoFamily`].
    pub fn of_config(config: &Value) -> Result<&'static Family, LmError> {
        let model_type = config["model_type"].as_str();
        let architecture = config["architectures"][0].as_str();
        let found = ALL.into_iter().find(|family| {
            model_type == Some(family.name)
                || architecture.is_some_and(|name| family.architectures.contains(&name))
        });
        let known = || ALL.map(|family| family.name);
        match (found, model_type, architecture) {
            (Some(family), _, _) => Ok(family),
            (None, Some(name), _) => Err(unknown("model_type", name, known())),
            (None, None, Some(name)) => Err(unknown(
                "architectures",
                name,
                ALL.iter().flat_map(|family| family.architectures).copied(),
            )),
            (None, None, None) => Err(LmError::NoFamily),
        }
    }

    /// The family of a GGUF file, by `general.architecture`, and how such files have it.
    ///
    /// # Errors
    ///
    /// As [`Family::of_config`].
    pub fn of_gguf(checkpoint: &Checkpoint) -> Result<(&'static Family, &'static Gguf), LmError> {
        const KEY: &str = "general.architecture";
        let name = fields::Metadata(checkpoint).text(KEY)?;
        let readable = || ALL.into_iter().filter_map(|family| Some((family, family.gguf.as_ref()?)));
        readable()
            .find(|(_, gguf)| gguf.architecture == name)
            .ok_or_else(|| unknown(KEY, name, readable().map(|(_, gguf)| gguf.architecture)))
    }
}

fn unknown(key: &'static str, name: &str, known: impl IntoIterator<Item = &'static str>) -> LmError {
    let known: Vec<&str> = known.into_iter().collect();
    let hint = nearest::hint(name, known.iter().copied());
    LmError::UnknownFamily { key, name: name.to_owned(), known: known.join(", "), hint }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn families_are_found_by_type_and_by_architecture() {
        let found = |config: Value| Family::of_config(&config).map(|family| family.name);
        assert_eq!(found(json!({"model_type": "mosaic_gpt"})).unwrap(), "mosaic_gpt");
        assert_eq!(found(json!({"architectures": ["OPTForCausalLM"]})).unwrap(), "opt");
        let error = found(json!({"model_type": "lama"})).unwrap_err().to_string();
        assert!(error.contains("did you mean \"llama\"") && error.contains("gpt_neox"), "{error}");
        let error = found(json!({"architectures": ["GPT2Model"]})).unwrap_err().to_string();
        assert!(error.contains("GPT2LMHeadModel"), "{error}");
        assert!(matches!(found(json!({})), Err(LmError::NoFamily)));
    }

    #[test]
    fn unknown_keys_are_ignored_and_missing_ones_named() {
        let error = Family::of_config(&json!({"model_type": "opt"}))
            .and_then(|family| (family.config)(&json!({"model_type": "opt", "dropout": 0.1})))
            .unwrap_err();
        let text = format!("{error}");
        assert!(text.contains("opt") && text.contains("vocab_size"), "{text}");
    }
}
