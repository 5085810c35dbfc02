//! A partial TOML file laid over a complete preset.
//!
//! Users write only what differs from a preset. A key that the preset does not have is an error that names the nearest
//! key: a mistyped learning rate must not train for a night at the default one.

use std::fmt::Display;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use thiserror::Error;

use crate::nearest;

/// Why a configuration file could not be applied.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum OverlayError {
    /// The text is not TOML.
    #[error("{origin}: not valid TOML: {message}")]
    Syntax {
        /// File or flag the text came from.
        origin: String,
        /// The parser's message, with line and column.
        message: String,
    },
    /// A key that the configuration does not have.
    #[error("{origin}: unknown key `{key}`{hint}")]
    UnknownKey {
        /// File or flag the text came from.
        origin: String,
        /// Dotted path of the key.
        key: String,
        /// The nearest key, as the end of a sentence.
        hint: String,
    },
    /// A value of the wrong type or out of range.
    #[error("{origin}: {message}")]
    Value {
        /// File or flag the text came from.
        origin: String,
        /// What was expected.
        message: String,
    },
}

/// Lays `text` (TOML, any subset of the keys) over `base`; `origin` names the text in errors.
///
/// Tables merge key by key; everything else replaces. A table with another `kind` than the base's replaces it whole
/// (a choice between alternatives with fields of their own).
///
/// ```
/// use flamingo_core::overlay;
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Serialize, Deserialize)]
/// struct Config { steps: usize, lr: f64 }
///
/// let base = Config { steps: 10, lr: 1e-3 };
/// assert_eq!(overlay(&base, "steps = 20", "run.toml")?.steps, 20);
/// let error = overlay(&base, "stpes = 20", "run.toml").err().unwrap();
/// assert_eq!(error.to_string(), "run.toml: unknown key `stpes`; did you mean \"steps\"?");
/// # Ok::<(), flamingo_core::OverlayError>(())
/// ```
///
/// # Errors
///
/// On text that is not TOML, on unknown keys and on values that the configuration does not accept.
pub fn overlay<T: Serialize + DeserializeOwned>(
    base: &T,
    text: &str,
    origin: impl Display,
) -> Result<T, OverlayError> {
    let origin = origin.to_string();
    let table: toml::Table = toml::from_str(text)
        .map_err(|error| OverlayError::Syntax { origin: origin.clone(), message: error.to_string() })?;
    let patch = serde_json::to_value(table)
        .map_err(|error| OverlayError::Value { origin: origin.clone(), message: error.to_string() })?;
    overlay_value(base, patch, origin)
}

/// As [`overlay()`], with the keys already parsed.
///
/// # Errors
///
/// On unknown keys and on values that the configuration does not accept.
pub fn overlay_value<T: Serialize + DeserializeOwned>(
    base: &T,
    patch: Value,
    origin: impl Display,
) -> Result<T, OverlayError> {
    let origin = origin.to_string();
    let value_error = |message: String| OverlayError::Value { origin: origin.clone(), message };
    // JSON keeps absent options as null, so that every key of the configuration is known.
    let mut merged = serde_json::to_value(base).map_err(|error| value_error(error.to_string()))?;
    merge(&mut merged, patch, "", &origin)?;
    serde_json::from_value(merged).map_err(|error| value_error(error.to_string()))
}

fn merge(base: &mut Value, patch: Value, path: &str, origin: &str) -> Result<(), OverlayError> {
    match (base, patch) {
        (Value::Object(base), Value::Object(patch)) if !changes_kind(base, &patch) => {
            for (key, value) in patch {
                let full = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                if !base.contains_key(&key) {
                    let hint = nearest::hint(&key, base.keys().map(String::as_str));
                    return Err(OverlayError::UnknownKey { origin: origin.to_owned(), key: full, hint });
                }
                merge(&mut base[&key], value, &full, origin)?;
            }
            Ok(())
        }
        (base @ Value::Object(_), patch) if !patch.is_object() => Err(OverlayError::Value {
            origin: origin.to_owned(),
            message: format!(
                "`{path}` is a table with the keys {}, not a single value",
                base.as_object()
                    .map(|map| map.keys().cloned().collect::<Vec<_>>().join(", "))
                    .unwrap_or_default()
            ),
        }),
        (base, patch) => {
            *base = patch;
            Ok(())
        }
    }
}

fn changes_kind(base: &Map<String, Value>, patch: &Map<String, Value>) -> bool {
    matches!((base.get("kind"), patch.get("kind")), (Some(old), Some(new)) if old != new)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Config {
        steps: usize,
        optim: Optim,
        schedule: Schedule,
        limit: Option<usize>,
    }

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Optim {
        lr: f64,
        decay: f64,
    }

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    #[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
    enum Schedule {
        Constant,
        Linear { to: f64 },
    }

    fn base() -> Config {
        Config { steps: 1, optim: Optim { lr: 0.1, decay: 0.0 }, schedule: Schedule::Constant, limit: None }
    }

    #[test]
    fn partial_files_keep_the_rest() {
        let merged = overlay(&base(), "limit = 3\n[optim]\nlr = 1", "x").unwrap();
        assert_eq!(merged, Config { optim: Optim { lr: 1.0, decay: 0.0 }, limit: Some(3), ..base() });
    }

    #[test]
    fn another_kind_replaces_the_whole_table() {
        let merged = overlay(&base(), "schedule = { kind = \"linear\", to = 0.5 }", "x").unwrap();
        assert_eq!(merged.schedule, Schedule::Linear { to: 0.5 });
    }

    #[test]
    fn a_nested_unknown_key_is_named_with_its_path_and_nearest() {
        let error = overlay(&base(), "[optim]\nlrr = 1", "run.toml").unwrap_err().to_string();
        assert_eq!(error, "run.toml: unknown key `optim.lrr`; did you mean \"lr\"?");
    }

    #[test]
    fn wrong_types_and_broken_text_are_errors() {
        for text in ["steps = \"many\"", "steps = -1", "optim = 3", "steps ="] {
            assert!(overlay(&base(), text, "x").is_err(), "{text}");
        }
    }
}
