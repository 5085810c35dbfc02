//! What became slower: than the rows of an earlier run, or than another build in turns.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use anyhow::Context;

use crate::case::Suite;
use crate::peer::Peer;
use crate::row::Row;

/// The rows that `--json` wrote.
pub fn read(path: &Path) -> anyhow::Result<Vec<Row>> {
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    serde_json::from_str(&text)
        .with_context(|| format!("{} is no list of rows: give a file that --json wrote", path.display()))
}

/// How a case's median changed.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    pub id: String,
    pub before_ms: f64,
    pub now_ms: f64,
}

impl Change {
    /// Above 0 it is slower.
    pub fn percent(&self) -> f64 {
        (self.now_ms / self.before_ms - 1.0) * 100.0
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { id, before_ms, now_ms } = self;
        write!(f, "{id:<28} {before_ms:>10.3} ms before {now_ms:>10.3} ms now {:>+8.1} %", self.percent())
    }
}

/// Two runs side by side.
#[derive(Debug, Clone, PartialEq)]
pub struct Comparison {
    /// Cases of both, in the order of the later one.
    pub changes: Vec<Change>,
    /// Cases of the later one alone: nothing is said of them.
    pub new: Vec<String>,
}

/// Our times in `now` beside those in `before`. Cases that were not measured now are left out.
pub fn compare(before: &[Row], now: &[Row]) -> Comparison {
    let earlier: BTreeMap<String, f64> = before.iter().map(|row| (row.id(), row.ours_ms)).collect();
    let mut comparison = Comparison { changes: Vec::new(), new: Vec::new() };
    let mut last = None;
    for row in now {
        // With several peers a case has several rows, of which ours is the same.
        let id = row.id();
        if last.as_ref() == Some(&id) {
            continue;
        }
        last = Some(id.clone());
        match earlier.get(&id) {
            Some(before_ms) => {
                comparison.changes.push(Change { id, before_ms: *before_ms, now_ms: row.ours_ms });
            }
            None => comparison.new.push(id),
        }
    }
    comparison
}

impl Comparison {
    /// What became more than `limit` percent slower. A time that is not a number counts as slower.
    pub fn slower_than(&self, limit: f64) -> Vec<&Change> {
        self.changes.iter().filter(|change| exceeds(change.percent(), limit)).collect()
    }
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for change in &self.changes {
            writeln!(f, "{change}")?;
        }
        for id in &self.new {
            writeln!(f, "{id:<28} is not in the baseline")?;
        }
        Ok(())
    }
}

/// What is not a number exceeds every limit.
fn exceeds(percent: f64, limit: f64) -> bool {
    percent > limit || percent.is_nan()
}

/// Lines about the cases that take more than `limit` percent longer than in the other build, in turns: the machine's speed
/// drops out of it. A ratio that is not a number counts as more. Ceilings are the machine's, not the build's.
pub fn slower_than_build(rows: &[Row], limit: f64) -> impl Iterator<Item = String> {
    let of_build =
        |row: &&Row| row.peer.as_deref() == Some(Peer::Build.name()) && row.suite != Suite::Ceiling;
    rows.iter().filter(of_build).filter_map(move |row| {
        let percent = (row.ratio? - 1.0) * 100.0;
        exceeds(percent, limit)
            .then(|| format!("{:<28} {percent:+.1} % beside the other build, in turns", row.id()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::row::tests::plain;

    #[test]
    fn a_build_that_became_slower_is_caught_in_turns() {
        let row = |name, ratio| Row {
            peer: Some("other build".to_owned()),
            ratio: Some(ratio),
            ..plain(name, 1.0)
        };
        let ceiling = Row { suite: Suite::Ceiling, ..row("gemm", 3.0) };
        let torch = Row { peer: Some("torch".to_owned()), ..row("d", 9.0) };
        let rows = [row("a", 1.2), row("b", 1.05), row("c", f64::NAN), ceiling, torch, plain("e", 1.0)];
        let found: Vec<String> = slower_than_build(&rows, 10.0).collect();
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(found[0].contains("micro/a") && found[0].contains("+20.0 %") && found[1].contains("micro/c"));
    }

    #[test]
    fn twenty_percent_are_caught_by_a_limit_of_ten() {
        let before = [plain("a", 10.0), plain("b", 5.0), plain("c", 1.0)];
        let now = [plain("a", 12.0), plain("b", 5.4), plain("c", 0.5), plain("d", 1.0)];
        let comparison = compare(&before, &now);
        assert_eq!(comparison.new, ["micro/d"]);
        let slower = comparison.slower_than(10.0);
        assert_eq!(slower.len(), 1);
        assert!(slower[0].id == "micro/a" && (slower[0].percent() - 20.0).abs() < 1e-9);
        assert!(comparison.slower_than(20.5).is_empty());
        assert_eq!(comparison.slower_than(5.0).len(), 2);
        let text = comparison.to_string();
        assert!(text.contains("+20.0 %") && text.contains("-50.0 %") && text.contains("micro/d"), "{text}");
    }

    #[test]
    fn a_time_that_is_no_number_is_slower_than_anything() {
        let comparison = compare(&[plain("a", 0.0)], &[plain("a", 0.0)]);
        assert_eq!(comparison.slower_than(1e9).len(), 1);
    }

    #[test]
    fn rows_of_several_peers_count_once() {
        let now = [plain("a", 12.0), plain("a", 12.0)];
        assert_eq!(compare(&[plain("a", 10.0)], &now).changes.len(), 1);
    }

    #[test]
    fn a_file_that_is_none_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rows.json");
        assert!(format!("{:#}", read(&path).unwrap_err()).contains("rows.json"));
        std::fs::write(&path, "{}").unwrap();
        assert!(format!("{:#}", read(&path).unwrap_err()).contains("--json"));
        std::fs::write(&path, serde_json::to_string(&[plain("a", 2.5)]).unwrap()).unwrap();
        assert_eq!(read(&path).unwrap(), [plain("a", 2.5)]);
    }
}
