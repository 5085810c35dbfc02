//! A published language model: its family, its sizes, and its weights into a decoder.

use std::fs;
use std::path::Path;

use burn::tensor::Device;
use flamingo_weights::{Checkpoint, Format, KeyMap, LoadReport, load_into};
use serde::Deserialize;
use serde_json::Value;

use super::fields::{Metadata, parse};
use super::{Family, NewRows};
use crate::config::DecoderConfig;
use crate::decoder::Decoder;
use crate::error::LmError;

/// What a model's files say about it.
///
/// The vocabulary is that of the tables. Where the tokenizer has fewer tokens, or more are added, change
/// [`DecoderConfig::vocab`] and [`DecoderConfig::new_tokens`] before loading: the key map leaves out the other rows.
#[derive(Debug, Clone)]
pub struct LanguageModel {
    /// Its family.
    pub family: &'static Family,
    /// Its sizes.
    pub config: DecoderConfig,
    /// Its special tokens.
    pub tokens: TokenIds,
    key_map: fn(&DecoderConfig, NewRows) -> KeyMap,
}

/// The special tokens that a configuration names. A tokenizer's own files may know more.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TokenIds {
    /// Begins a text.
    pub bos: Option<u32>,
    /// Any of these ends one.
    pub eos: Vec<u32>,
    /// Fills rows up to the batch's length.
    pub pad: Option<u32>,
}

impl LanguageModel {
    /// Opens a folder as `transformers` saves it, or a GGUF file.
    ///
    /// # Errors
    ///
    /// If there are no weights, or no configuration of a known family.
    pub fn open(path: impl AsRef<Path>) -> Result<(Self, Checkpoint), LmError> {
        let path = path.as_ref();
        let checkpoint = Checkpoint::open(path)?;
        let model = match checkpoint.format() {
            Format::Gguf => Self::from_gguf(&checkpoint)?,
            _ => {
                let folder = if path.is_dir() { path } else { path.parent().unwrap_or(path) };
                Self::read_config(&folder.join("config.json"))?
            }
        };
        Ok((model, checkpoint))
    }

    /// From a `config.json` file.
    ///
    /// # Errors
    ///
    /// If it cannot be read, or is not of a known family.
    pub fn read_config(path: &Path) -> Result<Self, LmError> {
        let text =
            fs::read_to_string(path).map_err(|source| LmError::Io { path: path.to_owned(), source })?;
        let config =
            serde_json::from_str(&text).map_err(|source| LmError::Json { path: path.to_owned(), source })?;
        Self::from_config(&config)
    }

    /// From the contents of a `config.json`.
    ///
    /// # Errors
    ///
    /// If the family is unknown, or the configuration lacks something or asks for something unsupported.
    pub fn from_config(config: &Value) -> Result<Self, LmError> {
        let family = Family::of_config(config)?;
        let tokens = parse::<TokenFields>(family.name, config)?.into();
        Self::new(family, (family.config)(config)?, tokens, family.key_map)
    }

    /// From the metadata of a GGUF file.
    ///
    /// # Errors
    ///
    /// As [`LanguageModel::from_config`].
    pub fn from_gguf(checkpoint: &Checkpoint) -> Result<Self, LmError> {
        let (family, gguf) = Family::of_gguf(checkpoint)?;
        let token = |name: &str| -> Result<Option<u32>, LmError> {
            let id = Metadata(checkpoint).optional_size(&format!("tokenizer.ggml.{name}_token_id"))?;
            Ok(id.and_then(|id| u32::try_from(id).ok()))
        };
        let tokens =
            TokenIds { bos: token("bos")?, eos: token("eos")?.into_iter().collect(), pad: token("padding")? };
        Self::new(family, (gguf.config)(checkpoint)?, tokens, gguf.key_map)
    }

    /// Which tensors make each parameter.
    pub fn key_map(&self, new_rows: NewRows) -> KeyMap {
        (self.key_map)(&self.config, new_rows)
    }

    /// Creates the decoder on `device` with the weights of `checkpoint`; new tokens start at random.
    ///
    /// # Errors
    ///
    /// If the sizes do not fit each other or the tensors do not fit the sizes; the message lists all that do not.
    pub fn load(&self, checkpoint: Checkpoint, device: &Device) -> Result<(Decoder, LoadReport), LmError> {
        self.config.validate()?;
        let checkpoint = self.with_prefix(checkpoint)?;
        let map = self.key_map(NewRows::Absent);
        Ok(load_into(self.config.init(device), &checkpoint, &map)?)
    }

    fn new(
        family: &'static Family,
        config: DecoderConfig,
        tokens: TokenIds,
        key_map: fn(&DecoderConfig, NewRows) -> KeyMap,
    ) -> Result<Self, LmError> {
        config.validate()?;
        Ok(Self { family, config, tokens, key_map })
    }

    /// Files of the bare model, such as OpenAI's GPT-2, lack the prefix that the key map expects.
    fn with_prefix(&self, checkpoint: Checkpoint) -> Result<Checkpoint, LmError> {
        let prefix = self.family.base_prefix;
        let bare =
            checkpoint.format() != Format::Gguf && !checkpoint.names().any(|name| name.starts_with(prefix));
        match bare {
            true => Ok(checkpoint.rename(|name| Some(format!("{prefix}{name}")))?),
            false => Ok(checkpoint),
        }
    }
}

/// The special tokens of a `config.json`.
#[derive(Deserialize)]
struct TokenFields {
    bos_token_id: Option<u32>,
    eos_token_id: Option<OneOrMore>,
    pad_token_id: Option<i64>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMore {
    One(u32),
    More(Vec<u32>),
}

impl From<TokenFields> for TokenIds {
    fn from(fields: TokenFields) -> Self {
        let eos = match fields.eos_token_id {
            None => Vec::new(),
            Some(OneOrMore::One(id)) => vec![id],
            Some(OneOrMore::More(ids)) => ids,
        };
        // LLaMA's first files have -1, which is no token.
        let pad = fields.pad_token_id.and_then(|id| u32::try_from(id).ok());
        Self { bos: fields.bos_token_id, eos, pad }
    }
}
