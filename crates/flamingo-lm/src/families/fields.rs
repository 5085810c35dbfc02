//! Reading what the families' configurations have in common.

use flamingo_core::nearest;
use flamingo_nn::Act;
use flamingo_weights::{Checkpoint, MetadataValue};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::config::Head;
use crate::error::LmError;
use crate::positions::Positions;
use crate::positions::rotary::Scaling;

/// The fields that a family reads, from a configuration that has many more.
pub(super) fn parse<T: DeserializeOwned>(family: &'static str, config: &Value) -> Result<T, LmError> {
    T::deserialize(config).map_err(|source| LmError::Config { family, source })
}

/// An error unless `supported`; `setting` is the key, and `value` what the configuration has.
pub(super) fn require(
    family: &'static str,
    supported: bool,
    setting: &str,
    value: &(impl std::fmt::Debug + ?Sized),
    expected: &'static str,
) -> Result<(), LmError> {
    if supported {
        return Ok(());
    }
    Err(LmError::Unsupported { family, setting: format!("{setting} = {value:?}"), expected })
}

/// An activation by its name in `transformers`.
pub(super) fn act(family: &'static str, setting: &str, name: &str) -> Result<Act, LmError> {
    match name {
        "gelu" => Ok(Act::Gelu),
        "gelu_new" | "gelu_fast" | "gelu_pytorch_tanh" => Ok(Act::GeluTanh),
        "quick_gelu" => Ok(Act::QuickGelu),
        "relu" => Ok(Act::Relu),
        "relu2" => Ok(Act::SquaredRelu),
        "silu" | "swish" => Ok(Act::Silu),
        _ => {
            let expected =
                "gelu, gelu_new, gelu_fast, gelu_pytorch_tanh, quick_gelu, relu, relu2, silu or swish";
            Err(LmError::Unsupported { family, setting: format!("{setting} = {name:?}"), expected })
        }
    }
}

/// Width of a head.
pub(super) fn head_width(d_model: usize, n_heads: usize) -> Result<usize, LmError> {
    match d_model.checked_rem(n_heads) {
        Some(0) => Ok(d_model / n_heads),
        _ => {
            Err(LmError::Sizes { what: format!("a width of {d_model} cannot be split into {n_heads} heads") })
        }
    }
}

/// A head that is tied, or not.
pub(super) fn head(tied: bool) -> Head {
    if tied { Head::Tied } else { Head::Own }
}

/// For fields that are true if left out.
pub(super) fn yes() -> bool {
    true
}

/// Where `transformers` writes about rotary positions: at the top, or since version 5 together.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Rope {
    rope_theta: Option<f64>,
    rope_scaling: Option<Value>,
    rope_parameters: Option<Value>,
}

impl Rope {
    /// Rotary positions over a `fraction` of each head, with the base `older`, or 10,000, if none is given here.
    pub fn positions(
        &self,
        family: &'static str,
        older: Option<f64>,
        fraction: f64,
    ) -> Result<Positions, LmError> {
        let theta = self.rope_theta.or(self.parameter("rope_theta")).or(older).unwrap_or(10_000.0);
        let scaling = match scaling(family, "rope_scaling", &self.rope_scaling)? {
            None => scaling(family, "rope_parameters", &self.rope_parameters)?,
            found => found,
        };
        Ok(Positions::Rotary { theta, fraction, scaling })
    }

    /// A number among the parameters that stand together.
    pub fn parameter(&self, name: &str) -> Option<f64> {
        self.rope_parameters.as_ref()?.get(name)?.as_f64()
    }
}

/// What `setting` says of scaled wavelengths.
fn scaling(family: &'static str, setting: &str, value: &Option<Value>) -> Result<Option<Scaling>, LmError> {
    let Some(value) = value else {
        return Ok(None);
    };
    let number = |name: &str| {
        let found = value.get(name).and_then(Value::as_f64);
        let missing = || LmError::Unsupported {
            family,
            setting: format!("{setting} = {value}"),
            expected: "the numbers of this scaling in transformers: factor, and for llama3 also low_freq_factor, \
                       high_freq_factor and original_max_position_embeddings",
        };
        found.ok_or_else(missing)
    };
    match value.get("rope_type").or(value.get("type")).and_then(Value::as_str) {
        None | Some("default") => Ok(None),
        Some("linear") => Ok(Some(Scaling::Linear { factor: number("factor")? })),
        Some("llama3") => Ok(Some(Scaling::Llama3 {
            factor: number("factor")?,
            low_freq_factor: number("low_freq_factor")?,
            high_freq_factor: number("high_freq_factor")?,
            original_len: number("original_max_position_embeddings")? as usize,
        })),
        Some(_) => Err(LmError::Unsupported {
            family,
            setting: format!("{setting} = {value}"),
            expected: "positions without scaling, or scaled by linear or llama3",
        }),
    }
}

/// The metadata of a GGUF file, with errors that name the key.
pub(super) struct Metadata<'a>(pub &'a Checkpoint);

impl<'a> Metadata<'a> {
    /// A text.
    pub fn text(&self, key: &str) -> Result<&'a str, LmError> {
        self.required(key, "text", MetadataValue::as_str)
    }

    /// A size.
    pub fn size(&self, key: &str) -> Result<usize, LmError> {
        self.required(key, "a size", MetadataValue::as_usize)
    }

    /// A size, if the key is there.
    pub fn optional_size(&self, key: &str) -> Result<Option<usize>, LmError> {
        self.optional(key, "a size", MetadataValue::as_usize)
    }

    /// A number.
    pub fn number(&self, key: &str) -> Result<f64, LmError> {
        self.required(key, "a number", MetadataValue::as_f64)
    }

    /// A number, if the key is there.
    pub fn optional_number(&self, key: &str) -> Result<Option<f64>, LmError> {
        self.optional(key, "a number", MetadataValue::as_f64)
    }

    /// A text, if the key is there.
    pub fn optional_text(&self, key: &str) -> Result<Option<&'a str>, LmError> {
        self.optional(key, "text", MetadataValue::as_str)
    }

    /// Length of a list.
    pub fn length(&self, key: &str) -> Result<usize, LmError> {
        self.required(key, "a list", |value| value.as_list().map(<[_]>::len))
    }

    fn required<T>(
        &self,
        key: &str,
        expected: &'static str,
        read: impl FnOnce(&'a MetadataValue) -> Option<T>,
    ) -> Result<T, LmError> {
        self.optional(key, expected, read)?.ok_or_else(|| {
            let hint = nearest::hint(key, self.0.metadata().keys().map(String::as_str));
            LmError::Metadata { key: key.to_owned(), expected, found: format!("nothing{hint}") }
        })
    }

    fn optional<T>(
        &self,
        key: &str,
        expected: &'static str,
        read: impl FnOnce(&'a MetadataValue) -> Option<T>,
    ) -> Result<Option<T>, LmError> {
        let Some(value) = self.0.metadata().get(key) else {
            return Ok(None);
        };
        let wrong = || LmError::Metadata { key: key.to_owned(), expected, found: value.to_string() };
        read(value).map(Some).ok_or_else(wrong)
    }
}
