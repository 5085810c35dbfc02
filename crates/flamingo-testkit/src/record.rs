//! Comparisons with a reference, measured for `cargo xtask parity --check`.

use std::fmt::Debug;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::PathBuf;
use std::sync::{LazyLock, Mutex, PoisonError};

use burn::tensor::Tensor;
use serde::Serialize;

use crate::compare::values;
use crate::difference::{Bound, Difference};

/// The environment variable with the folder to which comparisons write what they measured.
pub const MEASUREMENTS: &str = "PARITY_MEASUREMENTS";

/// What a fixture's numbers are about and where they come from.
///
/// Each assertion writes what it measured as a line of JSON, before it panics, into a file of [`MEASUREMENTS`], if that
/// is set. `key` names what was compared; in fixtures that are safetensors it is the tensor's name, so that
/// `cargo xtask parity` can tell which tensors nothing was compared with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// Path of the file below `tests/fixtures`, without the end `.safetensors`.
    pub fixture: String,
    /// The part of this project, as `group: name`.
    pub part: String,
    /// The program that computed the numbers, and its version.
    pub reference: String,
}

impl Origin {
    /// From a file's metadata: `lookup` gives the text below `part` and below `reference`. What is not there is empty,
    /// which `cargo xtask parity` reports.
    pub fn new(fixture: &str, lookup: impl Fn(&str) -> Option<String>) -> Self {
        let said = |key| lookup(key).unwrap_or_default();
        Self { fixture: fixture.to_owned(), part: said("part"), reference: said("reference") }
    }

    /// Asserts that every element is within `tolerance * (1 + |expected|)`.
    ///
    /// # Panics
    ///
    /// As [`assert_close`](crate::assert_close).
    #[track_caller]
    pub fn assert_close<const D: usize>(
        &self,
        key: &str,
        actual: Tensor<D>,
        expected: Tensor<D>,
        tolerance: f32,
    ) {
        assert_eq!(
            actual.dims(),
            expected.dims(),
            "{key}: actual and expected tensors have different shapes"
        );
        let shape = expected.dims();
        self.assert_inside(key, &values(actual), &values(expected), &shape, Bound::Scaled(tolerance));
    }

    /// Asserts that every number is within `bound`.
    ///
    /// # Panics
    ///
    /// If lengths differ, or a number is farther away or NaN.
    #[track_caller]
    pub fn assert_within(&self, key: &str, actual: &[f32], expected: &[f32], bound: f32) {
        assert_eq!(actual.len(), expected.len(), "{key}: actual and expected lists have different lengths");
        self.assert_inside(key, actual, expected, &[expected.len()], Bound::Absolute(bound));
    }

    /// Asserts that two lists are equal: tokens, bytes.
    ///
    /// # Panics
    ///
    /// If they are not.
    #[track_caller]
    pub fn assert_equal<T: PartialEq + Debug>(&self, key: &str, actual: &[T], expected: &[T]) {
        let different = actual.iter().zip(expected).filter(|(a, e)| a != e).count();
        let wrong = different + actual.len().abs_diff(expected.len());
        self.record(key, expected.len(), wrong, None);
        assert_eq!(actual, expected, "{key} of {}", self.fixture);
    }

    #[track_caller]
    pub(crate) fn assert_inside(
        &self,
        key: &str,
        actual: &[f32],
        expected: &[f32],
        shape: &[usize],
        bound: Bound,
    ) {
        let difference = Difference::of(actual, expected, bound);
        self.record(key, difference.values, difference.wrong, Some(&difference));
        difference.assert_inside(actual, expected, shape);
    }

    fn record(&self, key: &str, values: usize, wrong: usize, difference: Option<&Difference>) {
        let Some(file) = &*FILE else { return };
        let thread = std::thread::current();
        let line = Line {
            test: thread.name().unwrap_or_default(),
            part: &self.part,
            reference: &self.reference,
            fixture: &self.fixture,
            key,
            values,
            wrong,
            error: difference.map(|it| Error {
                max_abs: it.max_abs,
                max_rel: it.max_rel,
                of_bound: it.of_bound,
                bound: it.bound.number(),
                scaled: matches!(it.bound, Bound::Scaled(_)),
            }),
        };
        let mut text = serde_json::to_vec(&line).unwrap_or_else(|error| panic!("{MEASUREMENTS}: {error}"));
        text.push(b'\n');
        // A failed comparison panics behind this, never while it holds the lock.
        let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
        file.write_all(&text).unwrap_or_else(|error| panic!("cannot write to {MEASUREMENTS}: {error}"));
    }
}

/// A file of this process's own.
static FILE: LazyLock<Option<Mutex<File>>> = LazyLock::new(|| {
    let folder = PathBuf::from(std::env::var_os(MEASUREMENTS)?);
    let path = folder.join(format!("{}.jsonl", std::process::id()));
    let file = OpenOptions::new().create(true).append(true).open(&path);
    let file =
        file.unwrap_or_else(|error| panic!("{MEASUREMENTS}: cannot write {}: {error}", path.display()));
    Some(Mutex::new(file))
});

/// `xtask/src/parity/measurement.rs` reads it. Numbers that are not finite become `null`.
#[derive(Serialize)]
struct Line<'a> {
    /// Tests run in threads of their names.
    test: &'a str,
    part: &'a str,
    reference: &'a str,
    fixture: &'a str,
    key: &'a str,
    values: usize,
    /// Values outside the bound, or unequal.
    wrong: usize,
    /// None where equality is asked for.
    error: Option<Error>,
}

#[derive(Serialize)]
struct Error {
    max_abs: f32,
    max_rel: f32,
    of_bound: f32,
    bound: f32,
    /// Whether the bound is multiplied by `1 + |expected|`.
    scaled: bool,
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::*;

    fn origin() -> Origin {
        Origin::new("none", |key| (key == "part").then(|| "testkit".to_owned()))
    }

    #[test]
    fn what_the_metadata_lack_is_empty() {
        assert_eq!((origin().part.as_str(), origin().reference.as_str()), ("testkit", ""));
    }

    #[test]
    fn what_is_inside_the_bounds_passes() {
        let tensor = |value: f32| Tensor::<1>::from_floats([value], &Device::flex());
        origin().assert_close("close", tensor(9.5), tensor(9.0), 0.06);
        origin().assert_within("within", &[9.5], &[9.0], 0.5);
        origin().assert_equal("equal", &[1, 2], &[1, 2]);
    }

    #[test]
    #[should_panic(expected = "differ by more than 4e-1; worst at [0]: 9.5 where 9 was expected")]
    fn what_is_outside_does_not() {
        origin().assert_within("within", &[9.5], &[9.0], 0.4);
    }

    #[test]
    #[should_panic(expected = "tokens of none")]
    fn what_is_cut_off_is_unequal() {
        origin().assert_equal("tokens", &[1], &[1, 2]);
    }
}
