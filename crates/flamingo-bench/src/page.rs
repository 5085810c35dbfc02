//! The rows as one HTML page with bars.

use flamingo::train::report::{Bars, ReportPage};

use crate::row::Row;
use crate::table;

/// A page that needs nothing else; `command` is what was run.
pub fn render(rows: &[Row], machine: &str, command: &str) -> String {
    let mut page = ReportPage::new("How fast everything is");
    let mut facts = vec![("machine", machine.to_owned()), ("command", command.to_owned())];
    if let Some(version) = rows.iter().find_map(|row| row.peer_version.clone()) {
        facts.push(("peer", version));
    }
    facts.extend(table::rates(rows));
    page.section(
        "What was measured",
        "Medians of warm repetitions, each case in processes of its own, in turns with the peer's. A round's ratio is the \
         median of its turns'; that of the case is the median of the rounds that began with ours, in the geometric mean with \
         that of the rounds that began with the peer. ± is the distance between the quartiles of all turns. A share of a \
         ceiling is the least time that the machine's fastest matrix product and its memory allow, over the time that was taken.",
    );
    page.key_values(&facts);
    for part in rows.chunk_by(|a, b| a.suite == b.suite) {
        let Some(first) = part.first() else { continue };
        page.section(first.suite.name(), "Milliseconds; bars of one case have one scale.");
        page.bars(&bars(part));
        page.table(
            [
                "case",
                "ms",
                "cold ms",
                "MB",
                "of the ceiling",
                "peer",
                "peer ms",
                "peer cold ms",
                "peer MB",
                "ratio",
            ],
            part.iter().map(cells),
        );
    }
    page.finish()
}

/// A group for each case: ours, and every peer.
fn bars(rows: &[Row]) -> Vec<Bars> {
    let group = |rows: &[Row]| {
        let ours = ("ours".to_owned(), rows[0].ours_ms);
        let peers = rows.iter().filter_map(|row| Some((row.peer.clone()?, row.peer_ms?)));
        Bars { label: rows[0].case.clone(), bars: std::iter::once(ours).chain(peers).collect() }
    };
    rows.chunk_by(|a, b| a.case == b.case).map(group).collect()
}

fn cells(row: &Row) -> [String; 10] {
    let whole = |number: Option<f64>| number.map_or_else(String::new, |number| format!("{number:.0}"));
    let time = |ms: Option<f64>| ms.map_or_else(String::new, |ms| table::ms(Some(ms)));
    [
        row.case.clone(),
        table::ms(Some(row.ours_ms)),
        table::ms(Some(row.ours_cold_ms)),
        whole(row.ours_peak_mb),
        table::share(row),
        row.peer.clone().unwrap_or_default(),
        time(row.peer_ms),
        time(row.peer_cold_ms),
        whole(row.peer_peak_mb),
        row.ratio
            .map_or_else(String::new, |ratio| format!("{ratio:.2} ± {} %", table::percent(row.ratio_spread))),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::row::tests::plain;

    #[test]
    fn a_page_has_the_machine_the_command_and_a_bar_for_each_side() {
        let row = Row { peer: Some("torch".to_owned()), peer_ms: Some(5.0), ..plain("a<b", 10.0) };
        let compiled = Row { peer: Some("torch-compile".to_owned()), peer_ms: Some(4.0), ..row.clone() };
        let html = render(&[row, compiled, plain("c", 1.0)], "a machine", "cargo xtask bench --x");
        assert!(html.starts_with("<!doctype html>") && html.contains("a machine"));
        assert!(html.contains("cargo xtask bench --x") && html.contains("a&lt;b") && !html.contains("a<b"));
        assert_eq!(html.matches("class=\"bar\"").count(), 4);
        assert!(
            html.contains("width:100.0%") && html.contains("width:50.0%") && html.contains("width:40.0%")
        );
    }
}
