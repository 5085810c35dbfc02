//! `flamingo train`: all three stages, or some of them, and the report.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Context;
use flamingo::run::{RunConfig, RunEnd, RunRequest, plan, train};
use flamingo::stages::Stage;
use flamingo::train::progress::terminal;
use flamingo::train::{Existing, Progress};
use flamingo::{FlamingoError, overlay};

use super::device::DeviceArg;
use crate::exit::Usage;

/// Updates of each stage that a dry run makes to measure them.
const TRIED: u64 = 4;

/// Train a Flamingo: vision encoder, language model, then the parts between them
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Name of the run; its folder is runs/NAME
    #[arg(long, default_value = "first-light")]
    name: String,
    /// A TOML file laid over the preset; it needs to hold only what differs
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// One setting, as in the TOML file: --set flamingo.train.steps=100
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// The run's seed
    #[arg(long)]
    seed: Option<u64>,
    /// Go on with the run of that name from its last checkpoint
    #[arg(long)]
    resume: bool,
    /// Stop after this stage: contrastive, language or flamingo
    #[arg(long, value_name = "STAGE", default_value = "flamingo")]
    until: Stage,
    /// Skip the first two stages by taking their results from another run
    #[arg(long, value_name = "DIR")]
    towers_from: Option<PathBuf>,
    #[command(flatten)]
    device: DeviceArg,
    /// auto, dashboard (curves over the whole terminal), plain (a bar, or lines where stderr is no terminal) or none
    #[arg(long, value_name = "HOW", default_value = "auto")]
    progress: Progress,
    /// Print the complete configuration, and of each stage the parameters, memory and time it takes; write nothing
    #[arg(long)]
    dry_run: bool,
    /// Print the complete configuration as TOML and do nothing
    #[arg(long)]
    print_config: bool,
}

pub fn run(args: &Args) -> anyhow::Result<()> {
    let config = configuration(args)?;
    if args.print_config {
        print!("{}", toml::to_string_pretty(&config)?);
        return Ok(());
    }
    if let (Progress::Dashboard, Some(reason)) = (args.progress, Progress::no_dashboard()) {
        return Err(Usage(format!("--progress dashboard: {reason}")).into());
    }
    let device = args.device.resolve()?;
    if args.dry_run {
        println!("{}", toml::to_string_pretty(&config)?);
        eprintln!("trying {TRIED} updates of each stage on {device:?}");
        print!("{}", plan(&config, args.until, &device, TRIED)?);
        return Ok(());
    }
    let folder = PathBuf::from("runs").join(&args.name);
    let request = RunRequest {
        folder: folder.clone(),
        config,
        existing: if args.resume { Existing::Resume } else { Existing::Refuse },
        until: args.until,
        towers_from: args.towers_from.clone(),
        progress: args.progress,
    };
    let stop = Arc::new(AtomicBool::new(false));
    listen(&stop)?;
    eprintln!("run {} on {device:?}", folder.display());
    match train(&request, &device, &stop)? {
        RunEnd::Finished(report) => {
            println!("\n{report}");
            println!("report:  {}", folder.join("report.html").display());
            println!("next:    cargo xtask caption --model {} IMAGE.png", folder.display());
        }
        RunEnd::Paused { stage } => {
            println!("paused before the end of stage {stage}; go on with:");
            println!("  cargo xtask train --name {} --resume", args.name);
        }
    }
    Ok(())
}

/// The preset, under the file, under the flags.
fn configuration(args: &Args) -> anyhow::Result<RunConfig> {
    let mut config = RunConfig::default();
    if let Some(file) = &args.config {
        let text =
            std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
        config = overlay(&config, &text, file.display()).map_err(FlamingoError::from)?;
    }
    for setting in &args.set {
        config = overlay(&config, setting, format!("--set {setting}")).map_err(FlamingoError::from)?;
    }
    config.seed = args.seed.unwrap_or(config.seed);
    Ok(config)
}

/// The first Ctrl-C or SIGTERM asks for a checkpoint and a clean end, the second ends at once.
fn listen(stop: &Arc<AtomicBool>) -> anyhow::Result<()> {
    let stop = stop.clone();
    ctrlc::set_handler(move || {
        if stop.swap(true, Ordering::Relaxed) {
            terminal::restore();
            std::process::exit(130);
        }
        if !terminal::is_taken() {
            eprintln!("\nstopping after this update, with a checkpoint; once more to stop at once");
        }
    })
    .context("cannot listen for Ctrl-C")
}
