//! The rows for a console.

use std::fmt::Write;

use crate::case::Suite;
use crate::row::Row;

/// One line for each row; with peers, theirs beside ours.
pub fn render(rows: &[Row]) -> String {
    let with_peers = rows.iter().any(|row| row.peer.is_some());
    let mut text = String::new();
    let _ = write!(text, "{:<26}{:>10}{:>6}{:>10}{:>8}{:>9}", "case", "ms", "±%", "cold ms", "MB", "ceiling");
    if with_peers {
        let _ = write!(
            text,
            "  {:<14}{:>10}{:>6}{:>10}{:>8}{:>8}{:>6}",
            "peer", "ms", "±%", "cold ms", "MB", "ratio", "±%"
        );
    }
    text.push('\n');
    for row in rows {
        let _ = write!(
            text,
            "{:<26}{:>10}{:>6}{:>10}{:>8}{:>9}",
            row.id(),
            ms(Some(row.ours_ms)),
            percent(Some(row.ours_spread)),
            ms(Some(row.ours_cold_ms)),
            whole(row.ours_peak_mb),
            share(row)
        );
        if let Some(peer) = &row.peer {
            let _ = write!(
                text,
                "  {:<14}{:>10}{:>6}{:>10}{:>8}{:>8}{:>6}",
                peer,
                ms(row.peer_ms),
                percent(row.peer_spread),
                ms(row.peer_cold_ms),
                whole(row.peer_peak_mb),
                row.ratio.map_or_else(dash, |ratio| format!("{ratio:.2}")),
                percent(row.ratio_spread),
            );
        }
        text.push('\n');
    }
    for (name, rate) in rates(rows) {
        let _ = writeln!(text, "{name}: {rate}");
    }
    text
}

/// The ceilings as rates: the best of ours and the peers' medians.
pub fn rates(rows: &[Row]) -> Vec<(&'static str, String)> {
    let best = |case: &str, rate: fn(&Row, f64) -> f64| {
        let rows = rows.iter().filter(|row| row.suite == Suite::Ceiling && row.case == case);
        rows.flat_map(|row| [Some(row.ours_ms), row.peer_ms].into_iter().flatten().map(|ms| rate(row, ms)))
            .reduce(f64::max)
    };
    let gemm = best("gemm", |row, ms| row.gflop / ms * 1e3);
    let memory = best("memory", |row, ms| row.mb / ms);
    [
        ("matrix product", gemm.map(|rate| format!("{rate:.0} GFLOP/s"))),
        ("memory", memory.map(|rate| format!("{rate:.1} GB/s"))),
    ]
    .into_iter()
    .filter_map(|(name, rate)| Some((name, rate?)))
    .collect()
}

/// Of the ceiling, with a letter for which: `c`omputing or `m`emory.
pub fn share(row: &Row) -> String {
    let bound = row.bound.as_deref().and_then(|bound| bound.get(..1)).unwrap_or_default();
    row.ceiling_share.map_or_else(dash, |share| format!("{:.0} % {bound}", share * 100.0))
}

/// Milliseconds with three digits that count.
pub fn ms(time: Option<f64>) -> String {
    time.map_or_else(dash, |time| match time {
        _ if time >= 100.0 => format!("{time:.0}"),
        _ if time >= 10.0 => format!("{time:.1}"),
        _ if time >= 1.0 => format!("{time:.2}"),
        _ => format!("{time:.4}"),
    })
}

pub fn percent(share: Option<f64>) -> String {
    share.map_or_else(dash, |share| format!("{:.0}", share * 100.0))
}

fn whole(number: Option<f64>) -> String {
    number.map_or_else(dash, |number| format!("{number:.0}"))
}

fn dash() -> String {
    "-".to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::row::tests::plain;

    #[test]
    fn ours_stand_alone_or_beside_a_peer() {
        let alone = render(&[plain("a", 12.345)]);
        assert!(alone.contains("micro/a") && alone.contains("12.3") && !alone.contains("peer"), "{alone}");
        let row = Row {
            peer: Some("torch".to_owned()),
            peer_ms: Some(0.5),
            ratio: Some(24.69),
            ratio_spread: Some(0.07),
            ..plain("a", 12.345)
        };
        let beside = render(&[row]);
        assert!(
            beside.contains("torch") && beside.contains("0.5000") && beside.contains("24.69     7"),
            "{beside}"
        );
        let widths: Vec<usize> = beside.lines().map(|line| line.chars().count()).collect();
        assert_eq!(widths[0], widths[1]);
    }

    #[test]
    fn ceilings_are_the_best_of_all_sides() {
        let row = |case: &str, peer_ms| Row {
            suite: Suite::Ceiling,
            peer_ms,
            gflop: 17.0,
            mb: 256.0,
            ..plain(case, 200.0)
        };
        let rates = rates(&[row("gemm", Some(100.0)), row("memory", None)]);
        assert_eq!(rates[0], ("matrix product", "170 GFLOP/s".to_owned()));
        assert_eq!(rates[1], ("memory", "1.3 GB/s".to_owned()));
    }
}
