//! `flamingo classify`: which of some labels suits an image.

use std::path::{Path, PathBuf};

use anyhow::Context;
use flamingo::engine::CandidateScore;
use flamingo::prompt::{Example, Task, Template};
use serde_json::json;

use super::decoding::LimitsArg;
use super::device::DeviceArg;
use super::input;
use super::model::ModelArgs;
use super::output::print;
use super::shots::ShotsArg;
use crate::exit::Usage;

/// Print the likeliest of some labels for each image, and its share of their probability
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    model: ModelArgs,
    /// The labels
    #[arg(long, value_name = "A,B,…", value_delimiter = ',', required_unless_present = "labels_file")]
    labels: Vec<String>,
    /// A file of labels, one a line
    #[arg(long, value_name = "FILE", conflicts_with = "labels")]
    labels_file: Option<PathBuf>,
    #[command(flatten)]
    shots: ShotsArg,
    /// Another wording than the model's family has for captions, with {image}, {answer} and {eoc} in it
    #[arg(long, value_name = "TEXT")]
    template: Option<String>,
    /// Rank by the mean over a label's tokens instead of the sum, for labels of very different lengths
    #[arg(long)]
    mean: bool,
    #[command(flatten)]
    limits: LimitsArg,
    #[command(flatten)]
    device: DeviceArg,
    /// Print a list of {"image", "label", "scores": {LABEL: LOGPROB}}
    #[arg(long)]
    json: bool,
    /// Image files, - for standard input
    #[arg(required = true)]
    images: Vec<PathBuf>,
}

pub fn run(args: &Args) -> anyhow::Result<()> {
    let (labels, shots) = (args.labels()?, args.shots.read()?);
    let mut engine = args.limits.engine(args.model.open(&args.device.resolve()?)?);
    let style = engine.pretrained().dialect.style();
    let template = match &args.template {
        Some(text) => Template::parse(text)?,
        None => Template::of(style, Task::Caption),
    };
    let candidates: Vec<String> = labels.iter().map(|label| format!("{}{label}", template.lead())).collect();
    let score = |candidate: &CandidateScore| if args.mean { candidate.mean() } else { candidate.sum() };
    let mut list = Vec::new();
    for image in &args.images {
        let media = vec![input::image(image)?];
        let query = Example { media, ..Example::default() };
        let prompt = template.prompt(&engine.pretrained().dialect, &shots, &query);
        let scores: Vec<f64> = engine.candidates(&prompt, &candidates)?.iter().map(score).collect();
        let best = (0..scores.len()).max_by(|a, b| scores[*a].total_cmp(&scores[*b])).unwrap_or(0);
        if args.json {
            let by_label: serde_json::Map<String, serde_json::Value> =
                labels.iter().zip(&scores).map(|(label, score)| (label.clone(), json!(score))).collect();
            list.push(json!({ "image": image, "label": labels[best], "scores": by_label }));
        } else {
            let all: f64 = scores.iter().map(|score| (score - scores[best]).exp()).sum();
            print(&format!("{}\t{}\t{:.1} %\n", image.display(), labels[best], 100.0 / all))?;
        }
    }
    if args.json {
        print(&format!("{}\n", serde_json::to_string_pretty(&list)?))?;
    }
    Ok(())
}

impl Args {
    fn labels(&self) -> anyhow::Result<Vec<String>> {
        let labels: Vec<String> = match &self.labels_file {
            Some(path) => read_lines(path)?,
            None => self.labels.iter().map(|label| label.trim().to_owned()).collect(),
        };
        if labels.len() < 2 || labels.iter().any(String::is_empty) {
            return Err(Usage("there must be two labels at least, none of them empty".to_owned()).into());
        }
        Ok(labels)
    }
}

fn read_lines(path: &Path) -> anyhow::Result<Vec<String>> {
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    Ok(text.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned).collect())
}
