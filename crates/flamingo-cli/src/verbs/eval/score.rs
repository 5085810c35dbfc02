//! `flamingo eval score`: predictions that were made elsewhere, by the official metrics.

use std::path::PathBuf;

use flamingo_eval::metrics::Bootstrap;
use flamingo_eval::score::{Metric, Report, Request, score};

use crate::exit::Usage;
use crate::verbs::output::print;

/// Score a file of predictions against its references
///
/// Captions (cider, bleu-1 to bleu-4, rouge-l): COCO annotations and COCO results. Answers (vqa): VQA annotations and VQA
/// results. Both, and exact, ivqa and wups: {id: [references]} and {id: prediction}, too. roc-auc: {id: 0 or 1} and
/// {id: score}. top-1, top-5, top-1-and-5: {id: class} and {id: [scores]}. ndcg: {id: [relevance]} and {id: [scores]}. mwap:
/// rareact.csv and {id: [scores]}.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// cider, bleu-1 to bleu-4, rouge-l, vqa, exact, ivqa, wups, roc-auc, top-1, top-5, top-1-and-5, ndcg, mwap
    #[arg(long, value_name = "NAME")]
    metric: String,
    /// The file of references
    #[arg(long, value_name = "FILE")]
    refs: PathBuf,
    /// The file of predictions
    #[arg(long, value_name = "FILE")]
    preds: PathBuf,
    /// Leave references without a prediction out
    #[arg(long)]
    subset: bool,
    /// A folder with WordNet's files, for wups: dict/ of WordNet 3.0
    #[arg(long, value_name = "FOLDER")]
    wordnet: Option<PathBuf>,
    /// Write the score of every example to this file, a line of JSON each: {"id", "score"}
    #[arg(long, value_name = "FILE")]
    per_example: Option<PathBuf>,
    /// Random selections of the examples for the interval, 0 for none
    #[arg(long, value_name = "N", default_value_t = Bootstrap::default().resamples)]
    resamples: usize,
    /// The share of them that is inside of it
    #[arg(long, value_name = "SHARE", default_value_t = Bootstrap::default().confidence)]
    confidence: f64,
    /// Of the selections
    #[arg(long, default_value_t = Bootstrap::default().seed)]
    seed: u64,
    /// Print {"metric", "score", "interval": {"low", "high", "deviation"}, "examples", …}
    #[arg(long)]
    json: bool,
}

pub fn run(args: &Args) -> anyhow::Result<()> {
    if !(args.confidence > 0.0 && args.confidence < 1.0) {
        return Err(
            Usage(format!("--confidence {}: it is between 0 and 1, such as 0.95", args.confidence)).into()
        );
    }
    let metric: Metric = args.metric.parse()?;
    let (resamples, confidence, seed) = (args.resamples, args.confidence, args.seed);
    let report = score(&Request {
        metric,
        references: args.refs.clone(),
        predictions: args.preds.clone(),
        subset: args.subset,
        bootstrap: Bootstrap { resamples, confidence, seed },
        wordnet: args.wordnet.clone(),
    })?;
    if let Some(path) = &args.per_example {
        report.write_each(path)?;
    }
    let text = match args.json {
        true => serde_json::to_string(&report)? + "\n",
        false => line(&report),
    };
    Ok(print(&text)?)
}

/// The score in hundredths, as it is published.
fn line(report: &Report) -> String {
    let Report { metric, score, interval, bootstrap, examples, left_out, .. } = report;
    let mut text = format!("{metric} {:.2}", 100.0 * score);
    if let Some(interval) = interval {
        let (low, high, share) = (100.0 * interval.low, 100.0 * interval.high, 100.0 * bootstrap.confidence);
        text += &format!(", {share} % between {low:.2} and {high:.2}");
    }
    let kind = if metric == &"mwap" { "actions" } else { "examples" };
    text += &format!(", {examples} {kind}");
    if *left_out > 0 {
        text += &format!(", {left_out} references left out");
    }
    text + "\n"
}
