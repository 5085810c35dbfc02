//! JSON, as one value or one in each line.

use std::fmt;
use std::marker::PhantomData;
use std::path::Path;

use serde::de::{DeserializeOwned, Error as _, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::{bytes, odd, text};
use crate::EvalError;

/// A list; an error in it begins with the record's number.
#[derive(Debug)]
pub(in super::super) struct Records<T>(pub Vec<T>);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Records<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct List<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for List<T> {
            type Value = Records<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
                let mut records = Vec::new();
                loop {
                    let next = list.next_element();
                    match next
                        .map_err(|error| A::Error::custom(format!("{RECORD}{}: {error}", records.len())))?
                    {
                        Some(record) => records.push(record),
                        None => return Ok(Records(records)),
                    }
                }
            }
        }
        deserializer.deserialize_seq(List(PhantomData))
    }
}

/// How an error in [`Records`] begins.
const RECORD: &str = "record ";

/// An id, a number or a text.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Deserialize)]
#[serde(untagged, expecting = "a number or a text was expected as id")]
pub(in super::super) enum Id {
    Number(u64),
    Text(String),
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => number.fmt(f),
            Self::Text(text) => f.write_str(text),
        }
    }
}

/// Reads a file of JSON.
pub(in super::super) fn json<T: DeserializeOwned>(path: &Path) -> Result<T, EvalError> {
    serde_json::from_slice(&bytes(path)?).map_err(|error| {
        let text = error.to_string();
        let record = text.strip_prefix(RECORD).and_then(|rest| rest.split_once(": "));
        match record {
            Some((record, what)) => odd(path, format!("{RECORD}{record} (from 0)"), what),
            None => odd(path, format!("line {}, column {}", error.line(), error.column()), text),
        }
    })
}

/// Reads a file with a value of JSON in each line; an empty line is none.
pub(in super::super) fn lines<T: DeserializeOwned>(path: &Path) -> Result<Vec<T>, EvalError> {
    let text = text(path)?;
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    let read = |(row, line): (usize, &str)| {
        serde_json::from_str(line).map_err(|error| odd(path, format!("line {}", row + 1), error.to_string()))
    };
    lines.map(read).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Deserialize)]
    struct File {
        #[expect(dead_code, reason = "only its reading is tested")]
        images: Records<Image>,
    }

    #[derive(Debug, Deserialize)]
    struct Image {
        id: Id,
    }

    fn read<T: DeserializeOwned + fmt::Debug>(
        text: &str,
        read: impl FnOnce(&Path) -> Result<T, EvalError>,
    ) -> Result<T, String> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        read(file.path()).map_err(|error| error.to_string())
    }

    #[test]
    fn a_record_that_is_wrong_is_named() {
        let error = read(r#"{"images": [{"id": 1}, {"name": 2}]}"#, json::<File>).unwrap_err();
        assert!(error.contains("record 1 (from 0): missing field `id`"), "{error}");
        let error = read(r#"{"images": [{"id": 1.5}]}"#, json::<File>).unwrap_err();
        assert!(error.contains("record 0 (from 0): a number or a text"), "{error}");
        let error = read("{\n\"images\": 3}", json::<File>).unwrap_err();
        assert!(error.contains("line 2, column") && error.contains("a list"), "{error}");
        let error = read("{", json::<File>).unwrap_err();
        assert!(error.contains("line 1"), "{error}");
    }

    #[test]
    fn lines_are_counted() {
        let ids = read("{\"id\": \"a\"}\n\n{\"id\": 2}\n", lines::<Image>).unwrap();
        assert_eq!(ids.iter().map(|it| it.id.to_string()).collect::<Vec<_>>(), ["a", "2"]);
        let error = read("{\"id\": 1}\n{\"od\": 2}", lines::<Image>).unwrap_err();
        assert!(error.contains("line 2: missing field `id`"), "{error}");
    }
}
