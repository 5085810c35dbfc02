//! What the parity tests measured: one line of JSON for each comparison with a reference.

use std::collections::BTreeSet;
use std::fmt;
use std::fs;
use std::path::Path;

use anyhow::Context;
use serde::Deserialize;

/// The environment variable with the folder that the tests write to.
pub const VARIABLE: &str = "PARITY_MEASUREMENTS";

/// One comparison, as `crates/flamingo-testkit/src/record.rs` writes it.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Measurement {
    /// The test that made it.
    pub test: String,
    /// The part of this project, as `group: name`; empty if the fixture does not say.
    pub part: String,
    /// The program that computed the expected numbers, and its version; empty if the fixture does not say.
    pub reference: String,
    /// Path of the fixture below `tests/fixtures`, without the end `.safetensors`.
    pub fixture: String,
    /// The tensor in it, or what else was compared.
    pub key: String,
    /// How many numbers were compared.
    pub values: usize,
    /// How many were outside the bound, or unequal.
    pub wrong: usize,
    /// None where equality is asked for.
    pub error: Option<Error>,
}

impl fmt::Display for Measurement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { test, fixture, key, values, wrong, .. } = self;
        write!(f, "{fixture}, {key}: {wrong} of {values} numbers are not the reference's, in the test {test}")
    }
}

/// How far apart numbers were; `None` is not a number.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
pub struct Error {
    /// Largest `|a - e|`.
    pub max_abs: Option<f64>,
    /// That over the largest `|e|`.
    pub max_rel: Option<f64>,
    /// The largest share of the bound.
    pub of_bound: Option<f64>,
    /// How far apart they may be.
    pub bound: f64,
    /// Whether the bound is multiplied by `1 + |e|`.
    pub scaled: bool,
}

/// All lines of all files in `folder`.
pub fn read(folder: &Path) -> anyhow::Result<Vec<Measurement>> {
    let entries = fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?;
    let paths: BTreeSet<_> = entries.map(|entry| entry.map(|it| it.path())).collect::<Result<_, _>>()?;
    let mut all = Vec::new();
    for path in paths {
        let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        for line in text.lines() {
            all.push(parse(line).with_context(|| format!("{}: {line}", path.display()))?);
        }
    }
    Ok(all)
}

fn parse(line: &str) -> anyhow::Result<Measurement> {
    serde_json::from_str(line)
        .context("not a measurement: xtask/src/parity and flamingo-testkit disagree about its form")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read_and_missing_numbers_are_not_numbers() {
        let folder = tempfile::tempdir().unwrap();
        let line = r#"{"test":"t","part":"p","reference":"r 1","fixture":"f-0","key":"out.x","values":3,"wrong":1,
            "error":{"max_abs":null,"max_rel":0.5,"of_bound":2.0,"bound":1e-5,"scaled":true}}"#;
        let exact = r#"{"test":"t","part":"p","reference":"r 1","fixture":"f-0","key":"ids","values":3,"wrong":0,"error":null}"#;
        let text = format!("{}\n{exact}\n", line.replace('\n', ""));
        fs::write(folder.path().join("1.jsonl"), text).unwrap();
        let [first, second] = &read(folder.path()).unwrap()[..] else { panic!("two lines") };
        assert_eq!((first.values, first.wrong, first.error.unwrap().max_abs), (3, 1, None));
        assert_eq!((second.key.as_str(), second.error), ("ids", None));
        let text = "f-0, out.x: 1 of 3 numbers are not the reference's, in the test t";
        assert_eq!(first.to_string(), text);
        fs::write(folder.path().join("2.jsonl"), "{}\n").unwrap();
        let error = format!("{:#}", read(folder.path()).unwrap_err());
        assert!(error.contains("2.jsonl: {}") && error.contains("disagree"), "{error}");
    }
}
