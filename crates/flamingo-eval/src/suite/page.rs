//! The suite's page: a curve for each task, and the table.

use flamingo::train::report::{ChartSpec, ReportPage, Series};

use super::{Control, Figure, Summary, summaries};

const HEADERS: [&str; 8] = ["task", "shots", "control", "score", "low", "high", "chance", "n"];

/// The figures as a page of its own; `facts` say whose they are.
pub fn page(figures: &[Figure], facts: &[(&str, String)]) -> String {
    let summaries = summaries(figures);
    let mut page = ReportPage::new("What a Flamingo learns from its prompt");
    page.section(
        "Curves",
        "Shares of right answers (captions: CIDEr-D) by the number of examples in the prompt, mean over the seeds; with the \
         right images, and under controls that take away what is needed to know.",
    );
    let mut tasks: Vec<&str> = summaries.iter().map(|summary| summary.task.as_str()).collect();
    tasks.dedup();
    for task in tasks {
        page.line_chart(chart(task, &summaries));
    }
    page.section("Table", "Mean over the seeds, and the 95 % interval over the questions.");
    page.table(HEADERS, summaries.iter().map(row));
    page.section("How it was made", "");
    page.key_values(facts);
    page.finish()
}

fn chart(task: &str, summaries: &[Summary]) -> ChartSpec {
    let own = |control: Control| -> Vec<&Summary> {
        summaries.iter().filter(|summary| summary.task == task && summary.control == control).collect()
    };
    let line = |name: &str, points: Vec<(f64, f64)>| Series { name: name.to_owned(), points };
    let score = |summary: &&Summary| (summary.shots as f64, summary.score);
    let mut series: Vec<Series> = Control::ALL
        .into_iter()
        .map(|control| line(control.name(), own(control).iter().map(score).collect()))
        .filter(|series| !series.points.is_empty())
        .collect();
    let chance = own(Control::Images).iter().map(|it| (it.shots as f64, it.chance)).collect();
    series.push(line("chance", chance));
    ChartSpec {
        title: task.to_owned(),
        x_label: "examples".to_owned(),
        y_label: if task.starts_with("captions") { "CIDEr-D" } else { "right" }.to_owned(),
        series,
        log_y: false,
    }
}

pub(super) fn row(summary: &Summary) -> Vec<String> {
    let number = |value: f64| format!("{value:.3}");
    vec![
        summary.task.clone(),
        summary.shots.to_string(),
        summary.control.name().to_owned(),
        number(summary.score),
        number(summary.interval.0),
        number(summary.interval.1),
        number(summary.chance),
        summary.n.to_string(),
    ]
}
