//! Measurements added up to rows, and the rows as text.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Write};

use super::measurement::{Error, Measurement};

/// All comparisons, by part and reference, then by what was compared.
#[derive(Debug, Default)]
pub struct Table {
    groups: BTreeMap<(String, String), BTreeMap<(u8, String), Row>>,
}

/// What was found of one kind of numbers.
#[derive(Debug, Default)]
struct Row {
    fixtures: BTreeSet<String>,
    values: usize,
    wrong: usize,
    /// None as long as all had to be equal.
    worst: Option<Error>,
}

/// What the columns mean; printed below the table.
const LEGEND: &str = "\
error: the largest |a - e|, where e is the reference's number
relative: that over the largest |e| of its tensor
bound: |a - e| <= bound * (1 + |e|), the loosest of the row; with '<=' in front, |a - e| <= bound
used: how much of its bound the worst number takes up";

impl Table {
    /// One row for all comparisons of the same part, reference and kind.
    pub fn new(measurements: &[Measurement]) -> Self {
        let mut table = Self::default();
        for measurement in measurements {
            let group = (measurement.part.clone(), measurement.reference.clone());
            let rows = table.groups.entry(group).or_default();
            rows.entry(label(&measurement.key)).or_default().add(measurement);
        }
        table
    }

    /// How many fixtures were compared with.
    pub fn fixtures(&self) -> usize {
        let rows = self.groups.values().flat_map(BTreeMap::values);
        rows.flat_map(|row| &row.fixtures).collect::<BTreeSet<_>>().len()
    }
}

impl Row {
    fn add(&mut self, measurement: &Measurement) {
        self.fixtures.insert(measurement.fixture.clone());
        self.values += measurement.values;
        self.wrong += measurement.wrong;
        self.worst = match (self.worst, measurement.error) {
            (Some(a), Some(b)) => Some(Error {
                max_abs: larger(a.max_abs, b.max_abs),
                max_rel: larger(a.max_rel, b.max_rel),
                of_bound: larger(a.of_bound, b.of_bound),
                bound: a.bound.max(b.bound),
                scaled: a.scaled && b.scaled,
            }),
            (a, b) => a.or(b),
        };
    }
}

/// `None` is not a number, and larger than all.
fn larger(a: Option<f64>, b: Option<f64>) -> Option<f64> {
    Some(a?.max(b?))
}

/// What a tensor of a fixture is, for people, behind its place among the others: `out.33.final` is `final`,
/// `mid.block.1` one of the `gated blocks`. What is not a tensor's name stays as it is.
fn label(key: &str) -> (u8, String) {
    let (place, name) = match key.split_once('.') {
        Some(("mid", name)) => (1, name),
        Some(("out", name)) => (2, name),
        Some(("grad", _)) => return (3, "gradients".to_owned()),
        _ => return (2, key.to_owned()),
    };
    let words = name.split(['.', '_']).map(|word| word.trim_end_matches(|c: char| c.is_ascii_digit()));
    let words: Vec<&str> = words.filter(|word| !word.is_empty()).collect();
    let (place, text) = match words.join(" ").as_str() {
        "" => (place, "output"),
        "embed" => (0, "embedded patches"),
        "stem" => (0, "stem"),
        "features" => (0, "features"),
        "latents" => (0, "visual tokens"),
        "block" => (place, "gated blocks"),
        "layer" => (place, "layers"),
        "stage" => (place, "stages"),
        "padded" => (place, "logits, padded rows"),
        "greedy" => (place, "tokens by greedy search"),
        "logprobs" => (place, "log-probabilities"),
        other => return (place, other.to_owned()),
    };
    (place, text.to_owned())
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let head = ["fixtures", "values", "error", "relative", "bound", "used"];
        let [fixtures, values, error, relative, bound, used] = head;
        writeln!(
            f,
            "{:30} {fixtures:>8} {values:>9} {error:>8} {relative:>8} {bound:>8} {used:>5}  verdict",
            ""
        )?;
        for ((part, reference), rows) in &self.groups {
            writeln!(f, "{} | {}", or_unknown(part), or_unknown(reference))?;
            for ((_, what), row) in rows {
                writeln!(f, "  {what:28} {row}")?;
            }
        }
        f.write_char('\n')?;
        writeln!(f, "{LEGEND}")
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:8} {:>9} ", self.fixtures.len(), grouped(self.values))?;
        match self.worst {
            None => write!(f, "{:>8} {:>8} {:>8} {:>5}", "equal", "", "equal", "")?,
            Some(Error { max_abs, max_rel, of_bound, bound, scaled }) => {
                let bound = match scaled {
                    true => format!("{bound:e}"),
                    false if bound < 0.1 => format!("<= {bound:e}"),
                    false => format!("<= {bound}"),
                };
                let used = match of_bound {
                    None => "NaN".to_owned(),
                    Some(share) if share >= 10.0 => ">10 x".to_owned(),
                    Some(share) => format!("{:.0} %", 100.0 * share),
                };
                write!(f, "{:>8} {:>8} {bound:>8} {used:>5}", number(max_abs), number(max_rel))?;
            }
        }
        match self.wrong {
            0 => f.write_str("  ok"),
            wrong => write!(f, "  FAILED at {}", grouped(wrong)),
        }
    }
}

fn number(value: Option<f64>) -> String {
    match value {
        None => "NaN".to_owned(),
        Some(0.0) => "0".to_owned(),
        Some(value) if value >= 0.1 => format!("{value:.1}"),
        Some(value) => format!("{value:.1e}"),
    }
}

fn or_unknown(text: &str) -> &str {
    if text.is_empty() { "(the fixture does not say)" } else { text }
}

/// A whole number with a comma before every three digits.
pub fn grouped(number: usize) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measurement(fixture: &str, key: &str, error: Option<(f64, f64)>) -> Measurement {
        let error = error.map(|(max_abs, bound)| Error {
            max_abs: Some(max_abs).filter(|it| it.is_finite()),
            max_rel: Some(max_abs / 4.0).filter(|it| it.is_finite()),
            of_bound: Some(max_abs / bound).filter(|it| it.is_finite()),
            bound,
            scaled: true,
        });
        let wrong = error.map_or(0, |it| usize::from(it.of_bound.is_none_or(|share| share > 1.0)));
        let text = |text: &str| text.to_owned();
        let (part, reference) = (text("vision: net"), text("other 1.0"));
        let (test, fixture, key) = (text("t"), text(fixture), text(key));
        Measurement { test, part, reference, fixture, key, values: 1500, wrong, error }
    }

    #[test]
    fn keys_are_named_for_people() {
        let text = |key: &str| label(key).1;
        assert_eq!(text("grad.preceding.text"), "gradients");
        assert_eq!((text("out.50"), text("out.33.final")), ("output".to_owned(), "final".to_owned()));
        assert_eq!(
            (text("mid.64.stage3"), text("mid.block.0")),
            ("stages".to_owned(), "gated blocks".to_owned())
        );
        assert_eq!(text("out.all_previous"), "all previous");
        assert_eq!(text("mid.all_previous.attended"), "all previous attended");
        assert_eq!(text("pixels, in steps of 255"), "pixels, in steps of 255");
        let order = ["mid.features", "mid.latents", "mid.block.0", "out.logits", "grad.x"];
        assert!(order.is_sorted_by_key(|key| label(key)));
    }

    #[test]
    fn the_worst_of_all_fixtures_makes_the_row() {
        let table = Table::new(&[
            measurement("net-0", "out.50", Some((2e-6, 1e-5))),
            measurement("net-1", "out.64", Some((4e-6, 1e-5))),
            measurement("net-1", "out.greedy", None),
        ]);
        assert_eq!(table.fixtures(), 2);
        let text = table.to_string();
        let lines: Vec<Vec<&str>> = text.lines().map(|line| line.split_whitespace().collect()).collect();
        assert_eq!(lines[1], ["vision:", "net", "|", "other", "1.0"]);
        assert_eq!(lines[2], ["output", "2", "3,000", "4.0e-6", "1.0e-6", "1e-5", "40", "%", "ok"]);
        assert_eq!(lines[3], ["tokens", "by", "greedy", "search", "1", "1,500", "equal", "equal", "ok"]);
    }

    #[test]
    fn what_is_too_far_or_not_a_number_fails() {
        let table = Table::new(&[
            measurement("net-0", "out.a", Some((2e-5, 1e-5))),
            measurement("net-0", "out.b", Some((f64::NAN, 1e-5))),
            measurement("net-0", "out.c", Some((1.0, 1e-5))),
            measurement("net-0", "out.b", Some((0.0, 1e-5))),
        ]);
        let text = table.to_string();
        for expected in ["200 %  FAILED at 1", "NaN  FAILED at 1", ">10 x  FAILED at 1"] {
            assert!(text.contains(expected), "{text}");
        }
    }

    #[test]
    fn large_numbers_are_grouped() {
        assert_eq!([7, 999, 1000, 3145728].map(grouped), ["7", "999", "1,000", "3,145,728"]);
    }
}
