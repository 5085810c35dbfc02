//! `flamingo inspect`: what a model is made of, or what a file is.

use std::fmt::Display;
use std::path::{Path, PathBuf};

use flamingo::{FileSummary, FlamingoConfig, FlamingoError, Preset, Summary};
use serde::Serialize;

use super::output::print;

/// Print a model's parts, sizes and parameter counts, or what a checkpoint file holds, without loading any weights
#[derive(Debug, clap::Args)]
pub struct Args {
    /// One of the named sizes: nano, 3b, 9b, 80b
    #[arg(long, value_name = "NAME", conflicts_with_all = ["model", "path"], required_unless_present_any = ["model", "path"])]
    preset: Option<String>,
    /// A model folder or a finished run's folder
    #[arg(long, value_name = "DIR")]
    model: Option<PathBuf>,
    /// Any checkpoint: safetensors, PyTorch, GGUF, a folder or an index of shards
    #[arg(value_name = "PATH", conflicts_with = "model")]
    path: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub fn run(args: &Args) -> anyhow::Result<()> {
    match &args.path {
        // A run's folder is a model, and more than its weights.
        Some(path) if !path.join("model.json").is_file() => show(&FileSummary::open(path)?, args.json),
        Some(folder) => show(&of_model(folder)?, args.json),
        None => inspect_model(args),
    }
}

fn inspect_model(args: &Args) -> anyhow::Result<()> {
    let summary = match (&args.preset, &args.model) {
        (Some(name), _) => Summary::of_preset(Preset::find(name)?)?,
        (None, Some(folder)) => of_model(folder)?,
        (None, None) => anyhow::bail!("name a --preset, a --model or a file"),
    };
    show(&summary, args.json)
}

fn of_model(folder: &Path) -> Result<Summary, FlamingoError> {
    Summary::new(&folder.display().to_string(), &FlamingoConfig::load(folder)?, None)
}

fn show(summary: &(impl Display + Serialize), json: bool) -> anyhow::Result<()> {
    let text = match json {
        true => serde_json::to_string_pretty(summary)? + "\n",
        false => summary.to_string(),
    };
    Ok(print(&text)?)
}
