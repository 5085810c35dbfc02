//! A prepared dataset as a source of samples, to be looked at.

use std::path::{Path, PathBuf};

use anyhow::Context;
use flamingo_data::inspect::{self, InspectSpec, Inspection};
use flamingo_data::{PretrainedEncoder, SourceSpec, Store, TextEncoder};
use serde_json::{Map, Value};

use crate::recipe::Dataset;

impl Dataset {
    /// The dataset in `folder` as a source: all its splits, in the format in which it is written.
    pub fn source(self, folder: &Path) -> SourceSpec {
        let (format, shards) = match self {
            Dataset::EasyVqa => ("documents", "train-*.tar"),
            Dataset::GimpHelp => ("documents", "*.tar"),
            Dataset::Emoji | Dataset::Openmoji | Dataset::EmojiMore => ("pairs", "*.tar.gz"),
            Dataset::Stamps | Dataset::EmojiVideo | Dataset::Photos | Dataset::Clipart => ("pairs", "*.tar"),
        };
        let mut options = Map::new();
        match self {
            Dataset::EmojiVideo => drop(options.insert("animated".to_owned(), Value::Bool(true))),
            Dataset::Emoji | Dataset::Openmoji | Dataset::EmojiMore => {
                drop(options.insert("captions".to_owned(), vec!["name"].into()))
            }
            _ => {}
        }
        SourceSpec {
            name: self.name().to_owned(),
            format: format.to_owned(),
            paths: vec![folder.join(shards).display().to_string()],
            options,
        }
    }
}

/// Counts everything in the dataset in `folder` and writes a page with pictures to `sheet`.
///
/// Without a tokenizer, one is learnt from the dataset's own texts.
///
/// # Errors
///
/// If the dataset is not there, the tokenizer cannot be read, or the page cannot be written.
pub fn look(
    dataset: Dataset,
    folder: &Path,
    spec: &InspectSpec,
    tokenizer: Option<&Path>,
    sheet: &Path,
) -> anyhow::Result<Inspection> {
    let source = dataset
        .source(folder)
        .open(&Store::default())
        .with_context(|| format!("`prepare {}` makes it", dataset.name()))?;
    let tokenizer: Box<dyn TextEncoder> = match tokenizer {
        Some(path) => Box::new(PretrainedEncoder::open(path)?),
        None => Box::new(inspect::learn_tokenizer(source.as_ref())?),
    };
    let found = inspect::inspect(source.as_ref(), spec, Some(tokenizer.as_ref()))?;
    let page = found.sheet(dataset.name(), Some(tokenizer.as_ref()));
    std::fs::write(sheet, page).with_context(|| format!("cannot write {}", sheet.display()))?;
    Ok(found)
}

/// The page of the dataset in `folder`: beside it, so that the folder has only what its manifest says.
pub fn default_sheet(folder: &Path) -> PathBuf {
    let mut name = folder.as_os_str().to_owned();
    name.push("-sheet.html");
    PathBuf::from(name)
}
