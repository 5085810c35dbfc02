//! `flamingo data inspect`: what a data set holds.

use std::fs;
use std::path::PathBuf;

use anyhow::Context;
use flamingo::FlamingoError;
use flamingo::data::inspect::{self, InspectSpec};
use flamingo::data::{DataError, PretrainedEncoder, Source, Store, TextEncoder};

use super::sources::Sources;
use crate::verbs::output::print;

/// Count what is in data sets, and show some of it as a web page
///
/// Each source's records, texts and images are counted. The page shows records, and training sequences decoded back to
/// text with the images that each text sees.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    sources: Sources,
    /// Write the page to this file; with several sources, their numbers are put before its ending
    #[arg(long, value_name = "FILE")]
    sheet: Option<PathBuf>,
    /// A tokenizer.json, a folder with one, or a GGUF file; without it, one is learnt from the texts
    #[arg(long, value_name = "PATH")]
    tokenizer: Option<PathBuf>,
    /// Records on the page
    #[arg(long, value_name = "N", default_value_t = InspectSpec::default().shown)]
    shown: usize,
    /// Show random records, the same for the same seed, instead of the first ones
    #[arg(long, value_name = "SEED")]
    seed: Option<u64>,
    /// Read no more records than this of each source
    #[arg(long, value_name = "N")]
    limit: Option<u64>,
}

pub fn run(args: &Args) -> anyhow::Result<()> {
    let spec =
        InspectSpec { shown: args.shown, seed: args.seed, limit: args.limit, ..InspectSpec::default() };
    let sources = args.sources.spec()?.sources;
    for (number, mixed) in sources.iter().enumerate() {
        let source = mixed.spec().open(&Store::default()).map_err(FlamingoError::from)?;
        let tokenizer = tokenizer(args, source.as_ref()).map_err(FlamingoError::from)?;
        let tokenizer = Some(tokenizer.as_ref());
        let found = inspect::inspect(source.as_ref(), &spec, tokenizer).map_err(FlamingoError::from)?;
        print(&format!("{}\n\n{}\n", mixed.name, found.summary))?;
        if let Some(sheet) = &args.sheet {
            let sheet = match sources.len() {
                1 => sheet.clone(),
                _ => sheet.with_extension(format!("{number}.html")),
            };
            fs::write(&sheet, found.sheet(&mixed.name, tokenizer))
                .with_context(|| format!("cannot write {}", sheet.display()))?;
            print(&format!("{}\n", sheet.display()))?;
        }
    }
    Ok(())
}

fn tokenizer(args: &Args, source: &dyn Source) -> Result<Box<dyn TextEncoder>, DataError> {
    Ok(match &args.tokenizer {
        Some(path) => Box::new(PretrainedEncoder::open(path)?),
        None => Box::new(inspect::learn_tokenizer(source)?),
    })
}
