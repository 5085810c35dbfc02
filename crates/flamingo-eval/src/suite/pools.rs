//! Pictures and clips with texts, read from prepared sets.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use flamingo::data::webdataset::Record;
use flamingo::data::{ConceptSet, ShardReader, Split};
use flamingo::{Medium, Source};
use serde::de::DeserializeOwned;

use super::Sets;
use crate::EvalError;

/// A picture or clip with what is said of it.
#[derive(Debug, Clone)]
pub(super) struct Shown {
    pub medium: Medium,
    pub question: String,
    pub answer: String,
}

/// What a task asks about, and from what its examples are drawn.
#[derive(Debug, Clone, Default)]
pub(super) struct Pool {
    pub queries: Vec<Shown>,
    /// Empty if they are drawn from the other queries.
    pub support: Vec<Shown>,
}

impl Sets {
    /// The archives of a set whose names begin with `prefix`, in the order of their names.
    pub(super) fn shards(&self, set: &'static str, prefix: &str) -> Result<Vec<PathBuf>, EvalError> {
        let folder = self.folder.join(set);
        let missing = || EvalError::MissingSet {
            set,
            folder: self.folder.clone(),
            // Emoji are drawn at a size.
            prepare: set.replacen("-160", " --side 160", 1),
        };
        let entries = folder.read_dir().map_err(|_| missing())?;
        let is_shard = |path: &PathBuf| {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            name.starts_with(prefix) && (name.ends_with(".tar") || name.ends_with(".tar.gz"))
        };
        let mut shards: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).filter(is_shard).collect();
        shards.sort();
        if shards.is_empty() { Err(missing()) } else { Ok(shards) }
    }

    /// The emoji in all their drawing styles.
    pub(super) fn concepts(&self) -> Result<Arc<ConceptSet>, EvalError> {
        if let Some(set) = self.concepts.get() {
            return Ok(set.clone());
        }
        let shards = ["emoji-160", "openmoji-160", "emoji-more-160"].map(|set| self.shards(set, ""));
        let shards = shards.into_iter().collect::<Result<Vec<_>, _>>()?.concat();
        let set = Arc::new(ConceptSet::load(&shards)?);
        Ok(self.concepts.get_or_init(|| set).clone())
    }

    /// What `read` makes of every record of the archives; records of which it makes nothing are left out.
    pub(super) fn records<D: DeserializeOwned>(
        &self,
        set: &'static str,
        prefix: &str,
        mut read: impl FnMut(D, Source) -> Vec<Shown>,
    ) -> Result<Vec<Shown>, EvalError> {
        let mut all = Vec::new();
        for path in self.shards(set, prefix)? {
            for record in ShardReader::open(&path)? {
                let record = record?;
                all.extend(read(described(&path, &record)?, picture(&path, &record)?));
            }
        }
        Ok(all)
    }
}

fn broken(path: &Path, record: &Record, what: String) -> EvalError {
    EvalError::Format { path: path.to_owned(), place: format!("record {}", record.key), what }
}

fn described<D: DeserializeOwned>(path: &Path, record: &Record) -> Result<D, EvalError> {
    serde_json::from_slice(record.field("json")?)
        .map_err(|error| broken(path, record, format!("its description is not as expected: {error}")))
}

/// The only field that is no description.
fn picture(path: &Path, record: &Record) -> Result<Source, EvalError> {
    let mut pictures = record.fields.iter().filter(|(extension, _)| *extension != "json");
    match (pictures.next(), pictures.next()) {
        (Some((_, bytes)), None) => Ok(Source::Bytes(bytes.as_slice().into())),
        (found, _) => {
            let many = if found.is_some() { "several pictures" } else { "no picture" };
            Err(broken(path, record, format!("it has {many}, and should have one")))
        }
    }
}

/// The pictures of one split with their names.
pub(super) fn named(set: &ConceptSet, split: Split) -> Vec<Shown> {
    let shown = |index: usize| {
        let image = &set.images()[index];
        let medium = Medium::Image(Source::Picture(Arc::new(image.image.clone())));
        Shown { medium, question: String::new(), answer: image.name.clone() }
    };
    set.of_split(split).into_iter().map(shown).collect()
}
