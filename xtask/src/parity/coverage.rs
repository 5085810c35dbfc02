//! Whether every fixture says what it is, and whether something was compared with each of its results.

use std::collections::BTreeSet;

use super::fixtures::{self, Files, MAX_BYTES};
use super::measurement::Measurement;
use super::table::grouped;

/// What the measurements leave out.
#[derive(Debug, Default, PartialEq)]
pub struct Coverage {
    /// What must not be, a line each.
    pub problems: Vec<String>,
    /// Intermediates that nothing was compared with: worth knowing, not wrong.
    pub unused: Vec<String>,
}

/// Checks the fixtures against what was compared. With `left_out` nothing need be.
pub fn check(
    files: &Files,
    measurements: &[Measurement],
    left_out: Option<&str>,
) -> anyhow::Result<Coverage> {
    let mut coverage = Coverage::default();
    let silent: BTreeSet<&str> = measurements
        .iter()
        .filter(|it| it.part.is_empty() || it.reference.is_empty())
        .map(|it| it.fixture.as_str())
        .collect();
    for fixture in silent {
        let remedy = "give them to save() in its script, then cargo xtask parity --regen";
        coverage.problems.push(format!("{fixture}: does not say its part and reference: {remedy}"));
    }
    let pairs: BTreeSet<(&str, &str)> =
        measurements.iter().map(|it| (it.fixture.as_str(), it.key.as_str())).collect();
    for (path, bytes) in files {
        let Some(name) = fixture(path).filter(|name| Some(*name) != left_out) else { continue };
        if !pairs.iter().any(|(fixture, _)| *fixture == name) {
            coverage.problems.push(format!("{name}: nothing was compared with it"));
            continue;
        }
        if !path.ends_with(".safetensors") {
            continue;
        }
        let header = fixtures::header(path, bytes)?;
        for key in header.keys.iter().filter(|key| !pairs.contains(&(name, key.as_str()))) {
            match key.split_once('.') {
                Some(("out" | "grad", _)) => {
                    coverage.problems.push(format!("{name}: nothing was compared with {key}"));
                }
                Some(("mid", _)) => coverage.unused.push(format!("{name} {key}")),
                // Weights and inputs; in `weights/`, tensors under names of their own, compared all together.
                _ => {}
            }
        }
    }
    let bytes: usize = files.values().map(Vec::len).sum();
    if bytes > MAX_BYTES {
        let (bytes, most) = (grouped(bytes), grouped(MAX_BYTES));
        coverage.problems.push(format!("the fixtures take {bytes} bytes; they may take {most}"));
    }
    Ok(coverage)
}

/// The name under which comparisons with the file at `path` are measured; none for inputs, such as what stands in
/// folders and is not safetensors.
fn fixture(path: &str) -> Option<&str> {
    let whole = [".gguf", ".json"].into_iter().find_map(|end| path.strip_suffix(end));
    path.strip_suffix(".safetensors").or(whole.filter(|name| !name.contains('/')))
}

#[cfg(test)]
mod tests {
    use super::super::fixtures::tests::file;
    use super::*;

    fn measurement(fixture: &str, key: &str, part: &str) -> Measurement {
        Measurement {
            test: String::new(),
            part: part.to_owned(),
            reference: part.to_owned(),
            fixture: fixture.to_owned(),
            key: key.to_owned(),
            values: 1,
            wrong: 0,
            error: None,
        }
    }

    #[test]
    fn what_is_compared_and_says_what_it_is_passes() {
        let texts = [("part", "p"), ("reference", "r")];
        let tensors: [(&str, &[f32]); 3] = [("weights.a", &[1.0]), ("out.x", &[1.0]), ("mid.y", &[1.0])];
        let files = Files::from([
            ("a.safetensors".to_owned(), file(&texts, &tensors)),
            ("weights/b.expected.safetensors".to_owned(), file(&texts, &[("plain", &[1.0])])),
            ("c.json".to_owned(), vec![1]),
            ("weights/b.gguf".to_owned(), vec![1]),
            ("large.safetensors".to_owned(), file(&texts, &[("out.x", &[1.0])])),
        ]);
        let compared = [("a", "out.x"), ("weights/b.expected", "zip"), ("c", "texts")];
        let compared = compared.map(|(fixture, key)| measurement(fixture, key, "p"));
        let found = check(&files, &compared, Some("large")).unwrap();
        let expected = Coverage { problems: Vec::new(), unused: vec!["a mid.y".to_owned()] };
        assert_eq!(found, expected);
        assert_eq!(check(&files, &compared, None).unwrap().problems.len(), 1, "it is not left out");
    }

    #[test]
    fn what_is_left_out_is_named() {
        let files = Files::from([
            ("a.safetensors".to_owned(), file(&[], &[("out.x", &[1.0]), ("grad.x", &[1.0])])),
            ("b.safetensors".to_owned(), file(&[], &[("out.x", &[1.0])])),
            ("c.gguf".to_owned(), vec![1]),
            ("large.png".to_owned(), vec![0; MAX_BYTES]),
        ]);
        let problems = check(&files, &[measurement("a", "out.x", "")], None).unwrap().problems;
        let expected = [
            "a: does not say its part",
            "a: nothing was compared with grad.x",
            "b: nothing was compared",
            "c: nothing was compared",
            "the fixtures take 3,",
        ];
        assert_eq!(problems.len(), expected.len(), "{problems:?}");
        for (problem, expected) in problems.iter().zip(expected) {
            assert!(problem.starts_with(expected), "{problem}");
        }
    }
}
