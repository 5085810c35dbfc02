//! The records as the tables of `docs/ablations.md`.

use std::collections::BTreeSet;

use super::list::{ABLATIONS, Ablation, PAPER_BASELINE};
use super::record::Record;
use super::statistics::Spread;

const BEGIN: &str = "<!-- What follows is written by `cargo xtask ablate`. -->";
const END: &str = "<!-- What `cargo xtask ablate` writes ends here. -->";

/// A column: its head, the figure's path in the report, and how it is shown.
struct Column {
    head: &'static str,
    figure: &'static str,
    factor: f64,
    precision: usize,
}

const fn nats(head: &'static str, figure: &'static str) -> Column {
    Column { head, figure, factor: 1.0, precision: 2 }
}

const fn percent(head: &'static str, figure: &'static str) -> Column {
    Column { head, figure, factor: 100.0, precision: 1 }
}

/// Held-out pictures alone, and on pages of several.
const HELD_OUT: [Column; 8] = [
    percent("exact %", "heldout_images.exact_right"),
    percent("exact %, shuffled", "heldout_images.exact_shuffled"),
    nats("NLL right", "heldout_images.nll_right"),
    nats("NLL shuffled", "heldout_images.nll_shuffled"),
    nats("NLL no image", "heldout_images.nll_no_image"),
    nats("pages: NLL own", "heldout_pages.nll_right"),
    nats("pages: NLL neighbour's", "heldout_pages.nll_rotated"),
    percent("pages: prefers own %", "heldout_pages.prefers_own"),
];

/// Pictures of the training data, and what a run takes.
const TRAINING: [Column; 6] = [
    percent("exact %", "train_images.exact_right"),
    nats("NLL right", "train_images.nll_right"),
    nats("NLL shuffled", "train_images.nll_shuffled"),
    nats("NLL no image", "train_images.nll_no_image"),
    Column { head: "trained parameters, M", figure: "params.trained", factor: 1e-6, precision: 3 },
    Column { head: "seconds of training", figure: "stages.flamingo.seconds", factor: 1.0, precision: 0 },
];

/// The part of the page that is written: `command`, where and how long, and two tables of the records of runs of
/// `updates` updates.
pub fn part(records: &[Record], updates: u64, command: &str) -> String {
    let records: Vec<&Record> = records.iter().filter(|record| record.updates == updates).collect();
    let mut lines = vec![BEGIN.to_owned(), String::new()];
    lines.push(format!("{}, made with `{command}`:", runs(&records, updates)));
    lines.push(String::new());
    for facts in facts(&records) {
        lines.push(format!("- {facts}"));
    }
    lines.push(String::new());
    lines.push("Held-out pictures:".to_owned());
    lines.push(String::new());
    lines.extend(table(&records, &HELD_OUT, true));
    lines.push(String::new());
    lines.push("Pictures of the training data, size and time:".to_owned());
    lines.push(String::new());
    lines.extend(table(&records, &TRAINING, false));
    lines.extend([String::new(), END.to_owned()]);
    lines.join("\n") + "\n"
}

/// `page` with its written part replaced by `part`, or with that at its end.
pub fn placed(page: Option<&str>, part: &str) -> String {
    let Some(page) = page else { return format!("# Ablations on nano\n\n{part}") };
    let found = page.find(BEGIN).and_then(|from| {
        let to = from + page[from..].find(END)? + END.len();
        Some((&page[..from], page[to..].trim_start_matches('\n')))
    });
    match found {
        Some((before, "")) => format!("{before}{part}"),
        Some((before, after)) => format!("{before}{part}\n{after}"),
        None => format!("{}\n\n{part}", page.trim_end()),
    }
}

fn runs(records: &[&Record], updates: u64) -> String {
    let seeds: BTreeSet<u64> = records.iter().map(|record| record.seed).collect();
    let plural = |count: usize, what: &str| format!("{count} {what}{}", if count == 1 { "" } else { "s" });
    format!("{} of {updates} updates over {}", plural(records.len(), "run"), plural(seeds.len(), "seed"))
}

/// What the runs had in common, or each way in which they differed.
fn facts(records: &[&Record]) -> Vec<String> {
    let each: BTreeSet<String> = records
        .iter()
        .map(|record| {
            let towers = match record.towers {
                Some([contrastive, language]) => format!(
                    "; towers shared by all runs: {contrastive} contrastive and {language} language updates"
                ),
                None => String::new(),
            };
            let Record { machine, threads, jobs, .. } = record;
            format!("{machine}; {jobs} runs at once with {threads} threads each{towers}")
        })
        .collect();
    each.into_iter().collect()
}

fn table(records: &[&Record], columns: &[Column], with_paper: bool) -> Vec<String> {
    let mut heads = vec!["", "seeds"];
    heads.extend(with_paper.then_some("paper: overall"));
    heads.extend(columns.iter().map(|column| column.head));
    let mut lines = vec![row(&heads), row(&vec!["---"; heads.len()])];
    for ablation in &ABLATIONS {
        let of_it: Vec<&Record> =
            records.iter().filter(|record| record.ablation == ablation.name).copied().collect();
        if of_it.is_empty() {
            continue;
        }
        let mut cells = vec![ablation.title.to_owned(), of_it.len().to_string()];
        cells.extend(with_paper.then(|| paper(ablation)));
        cells.extend(columns.iter().map(|column| cell(&of_it, column)));
        lines.push(row(&cells));
    }
    lines
}

fn paper(ablation: &Ablation) -> String {
    if ablation.paper < PAPER_BASELINE {
        format!("{:.1} ({:+.1})", ablation.paper, ablation.paper - PAPER_BASELINE)
    } else {
        format!("{:.1}", ablation.paper)
    }
}

fn cell(records: &[&Record], column: &Column) -> String {
    let values: Vec<f64> = records.iter().filter_map(|record| record.figure(column.figure)).collect();
    let precision = column.precision;
    Spread::of(&values)
        .map_or_else(|| "–".to_owned(), |spread| format!("{:.precision$}", spread.times(column.factor)))
}

fn row<S: AsRef<str>>(cells: &[S]) -> String {
    let cells = cells.iter().map(|cell| cell.as_ref().to_owned());
    format!("| {} |", cells.collect::<Vec<_>>().join(" | "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ablate::record::tests::record;

    #[test]
    fn figures_are_averaged_over_seeds_beside_the_papers() {
        let records = [
            record("mlp", 1, 1.0),
            record("baseline", 1, 2.0),
            record("baseline", 2, 4.0),
            Record { updates: 7, ..record("baseline", 3, 100.0) },
        ];
        let part = part(&records, 300, "cargo xtask ablate");
        assert!(
            part.contains("3 runs of 300 updates over 2 seeds, made with `cargo xtask ablate`:"),
            "{part}"
        );
        let line = |start: &str| part.lines().find(|line| line.starts_with(start)).unwrap();
        assert_eq!(
            line("| baseline | 2 | 70.7 |"),
            "| baseline | 2 | 70.7 | 30.0 ± 14.1 | – | 3.00 ± 1.41 | – | – | – | – | 80.0 ± 14.1 |"
        );
        assert!(line("| MLP").starts_with("| MLP as resampler | 1 | 66.6 (-4.1) | 10.0 |"), "{part}");
        assert!(part.contains("1.235") && part.contains("103 ± 1"), "{part}");
        assert!(part.contains("- a machine, 16 cores; 8 runs at once with 2 threads each; towers"), "{part}");
    }

    #[test]
    fn what_people_wrote_around_the_tables_stays() {
        let first = part(&[], 1, "first");
        let page = placed(Some("# Title\n\nBefore.\n"), &first);
        assert!(page.starts_with("# Title\n\nBefore.\n\n<!--"));
        let page = page + "\nAfter.\n";
        let again = placed(Some(&page), &part(&[], 1, "second"));
        assert!(again.contains("`second`") && !again.contains("`first`"));
        assert!(
            again.starts_with("# Title\n\nBefore.\n\n<!--") && again.ends_with("-->\n\nAfter.\n"),
            "{again}"
        );
        assert_eq!(placed(Some(&again), &part(&[], 1, "second")), again);
        assert!(placed(None, &first).starts_with("# Ablations on nano\n\n<!--"));
    }
}
