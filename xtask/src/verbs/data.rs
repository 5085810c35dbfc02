//! `cargo xtask data prepare|verify NAME`: builds the data recipes and runs one.

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{Subcommand, ValueEnum};

use crate::workspace;

/// What to do with a dataset.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Rebuild a dataset's shards and manifest from the packages that publish the pictures
    Prepare(Target),
    /// Check a dataset's shards against its manifest
    Verify(Target),
}

#[derive(Debug, clap::Args)]
struct Target {
    /// Which dataset
    name: Dataset,
    /// More flags for the recipe
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "ARGS")]
    args: Vec<OsString>,
}

/// The datasets that have a recipe.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Dataset {
    Emoji,
    Openmoji,
}

pub fn run(Args { action }: Args) -> anyhow::Result<ExitCode> {
    let (verb, target) = match action {
        Action::Prepare(target) => ("prepare", target),
        Action::Verify(target) => ("verify", target),
    };
    let name = match target.name {
        Dataset::Emoji => "emoji",
        Dataset::Openmoji => "openmoji",
    };
    let root = workspace::root()?;
    let program = workspace::build(&root, "flamingo-recipes", &[])?;
    workspace::replace_self(workspace::command(&root, program).args([verb, name]).args(target.args))
}
