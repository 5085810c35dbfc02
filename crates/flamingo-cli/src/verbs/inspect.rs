//! `flamingo inspect`: what a model is made of.

use std::path::PathBuf;

use flamingo::{FlamingoConfig, Preset, Summary};

/// Print a model's parts, sizes and parameter counts, without loading any weights
#[derive(Debug, clap::Args)]
pub struct Args {
    /// One of the named sizes: nano, 3b, 9b, 80b
    #[arg(long, value_name = "NAME", conflicts_with = "model", required_unless_present = "model")]
    preset: Option<String>,
    /// A model folder or a finished run's folder
    #[arg(long, value_name = "DIR")]
    model: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub fn run(args: &Args) -> anyhow::Result<()> {
    let summary = match (&args.preset, &args.model) {
        (Some(name), _) => Summary::of_preset(Preset::find(name)?)?,
        (None, Some(folder)) => {
            Summary::new(&folder.display().to_string(), &FlamingoConfig::load(folder)?, None)?
        }
        (None, None) => anyhow::bail!("name a --preset or a --model"),
    };
    match args.json {
        true => println!("{}", serde_json::to_string_pretty(&summary)?),
        false => print!("{summary}"),
    }
    Ok(())
}
