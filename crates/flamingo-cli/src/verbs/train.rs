//! `flamingo train`: all three stages from scratch, or some of them, or two published models joined; and the report.

mod configuration;
mod join;

use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use anyhow::bail;
use flamingo::Replica;
use flamingo::core::device::Device;
use flamingo::join::JoinRequest;
use flamingo::run::{RunEnd, RunRequest, plan, train};
use flamingo::stages::Stage;
use flamingo::train::progress::terminal;
use flamingo::train::{Existing, Progress};

use super::device::DevicesArg;
use super::stop;
use crate::exit::Usage;
use configuration::Configuration;

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
    /// Where features of published encoders are kept, instead of your cache folder
    #[arg(long, value_name = "DIR")]
    features: Option<PathBuf>,
    #[command(flatten)]
    devices: DevicesArg,
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
    let config = Configuration::read(args.config.as_deref(), &args.set, args.seed)?;
    if args.print_config {
        print!("{}", config.to_toml()?);
        return Ok(());
    }
    if let (Progress::Dashboard, Some(reason)) = (args.progress, Progress::no_dashboard()) {
        return Err(Usage(format!("--progress dashboard: {reason}")).into());
    }
    let folder = PathBuf::from("runs").join(&args.name);
    let existing = if args.resume { Existing::Resume } else { Existing::Refuse };
    let replicas = args.devices.resolve()?;
    if args.dry_run {
        return dry_run(&config, args, &replicas[0].device);
    }
    let told = || {
        if !terminal::is_taken() {
            eprintln!("\nstopping after this update, with a checkpoint; once more to stop at once");
        }
    };
    let stop = stop::listen(told, terminal::restore)?;
    let devices: Vec<String> = replicas.iter().map(|replica| format!("{:?}", replica.device)).collect();
    eprintln!("run {} on {}", folder.display(), devices.join(", "));
    match config {
        Configuration::Scratch(config) => {
            let (until, towers_from) = (args.until, args.towers_from.clone());
            let progress = args.progress;
            let request = RunRequest { folder, config: *config, existing, until, towers_from, progress };
            scratch(&request, &replicas, &stop)
        }
        Configuration::Join(config) => {
            if args.towers_from.is_some() || args.until != Stage::Flamingo {
                bail!("--towers-from and --until are for runs from scratch; this one joins published towers");
            }
            let (features, progress) = (args.features.clone(), args.progress);
            let request = JoinRequest { folder, config: *config, existing, features, progress };
            join::run(&request, &replicas, &stop)
        }
    }
}

/// The configuration on standard output, and what it takes.
fn dry_run(config: &Configuration, args: &Args, device: &Device) -> anyhow::Result<()> {
    println!("{}", config.to_toml()?);
    match config {
        Configuration::Scratch(config) => {
            eprintln!("trying {TRIED} updates of each stage on {device:?}");
            print!("{}", plan(config, args.until, device, TRIED)?);
        }
        Configuration::Join(config) => {
            eprintln!("trying {TRIED} updates on {device:?}");
            print!("{}", flamingo::join::plan(config, device, TRIED)?);
        }
    }
    Ok(())
}

fn scratch(request: &RunRequest, replicas: &[Replica], stop: &AtomicBool) -> anyhow::Result<()> {
    let folder = &request.folder;
    match train(request, replicas, stop)? {
        RunEnd::Finished(report) => {
            println!("\n{report}");
            println!("report:  {}", folder.join("report.html").display());
            println!("next:    cargo xtask caption --model {} IMAGE.png", folder.display());
        }
        RunEnd::Paused { stage } => {
            println!("paused before the end of stage {stage}; go on with:");
            println!("  cargo xtask train --name {} --resume", run_name(folder));
        }
    }
    Ok(())
}

/// The name of a run's folder, as `--name` has it.
fn run_name(folder: &Path) -> String {
    folder.file_name().unwrap_or_default().to_string_lossy().into_owned()
}
