//! `cargo xtask data fetch|prepare|verify|inspect NAME`: builds the data recipes and runs one.

use std::ffi::OsString;
use std::process::ExitCode;

use anyhow::Context;
use clap::{Subcommand, ValueEnum};

use crate::workspace;

/// What to do with datasets and weights.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Make a dataset's shards and manifest from the packages that publish it, unless they are there; print its folder
    Prepare(Target<Dataset>),
    /// Check a dataset's shards against its manifest
    Verify(Target<Dataset>),
    /// Print a dataset's counts and histograms, and write a page that shows it
    Inspect(Target<Dataset>),
    /// Fetch a dataset's packages or small published weights into your cache folder, check them, and print the paths
    Fetch(Target<Fetched>),
}

#[derive(Debug, clap::Args)]
struct Target<T: ValueEnum + Send + Sync + 'static> {
    /// Which one
    name: T,
    /// More flags for the recipe
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "ARGS")]
    args: Vec<OsString>,
}

/// The datasets that have a recipe.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Dataset {
    Emoji,
    Openmoji,
    Stamps,
    EasyVqa,
    EmojiVideo,
    Photos,
    Clipart,
    GimpHelp,
}

/// What can be fetched: weights, and the packages of datasets.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Fetched {
    Smollm2,
    EfficientnetLite2,
    Emoji,
    Openmoji,
    Stamps,
    EasyVqa,
    EmojiVideo,
    Photos,
    Clipart,
    GimpHelp,
}

pub fn run(Args { action }: Args) -> anyhow::Result<ExitCode> {
    match action {
        Action::Prepare(target) => recipes("prepare", target),
        Action::Verify(target) => recipes("verify", target),
        Action::Inspect(target) => recipes("inspect", target),
        Action::Fetch(target) => recipes("fetch", target),
    }
}

/// Builds the program of the recipes, which knows the same names, and becomes it.
fn recipes<T: ValueEnum + Send + Sync>(
    verb: &str,
    Target { name, args }: Target<T>,
) -> anyhow::Result<ExitCode> {
    let name = name.to_possible_value().context("a name that is not shown")?;
    let root = workspace::root()?;
    let program = workspace::build(&root, "flamingo-recipes", &[])?;
    workspace::replace_self(workspace::command(&root, program).args([verb, name.get_name()]).args(args))
}
