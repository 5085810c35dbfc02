//! A prepared dataset in the user's cache: WebDataset shards and a manifest, whole or not there.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};

use crate::manifest::{FILE, Manifest, Shard};
use crate::package::{PackageRecord, hex};
use crate::shard::append;

/// A shard is closed when it has so many bytes: few files, each small enough to be read at once.
const SHARD_BYTES: usize = 64 << 20;

/// One record: files that share a key.
#[derive(Debug, Clone)]
pub struct Record {
    /// The series of shards that it goes to: `train` for `train-000000.tar`.
    pub part: &'static str,
    /// Unique in the dataset; no dots.
    pub key: String,
    /// Extension and contents.
    pub fields: Vec<(String, Vec<u8>)>,
    /// For the counts in the manifest, such as "animals".
    pub group: String,
}

/// All that a recipe makes.
#[derive(Debug, Default)]
pub struct Corpus {
    /// The recipe's version: it is counted up when the recipe makes something else of the same packages.
    pub recipe: u32,
    /// What it was made from.
    pub packages: Vec<PackageRecord>,
    /// The records, in the order in which they are written.
    pub records: Vec<Record>,
    /// What was left out, by reason.
    pub dropped: BTreeMap<String, usize>,
}

impl Corpus {
    /// Counts something that is left out.
    pub fn drop(&mut self, reason: &str) {
        *self.dropped.entry(reason.to_owned()).or_default() += 1;
    }

    /// Adds a record with a picture or clip and its description, whose field `split` becomes `part`.
    ///
    /// # Errors
    ///
    /// If the description cannot be written as JSON.
    pub fn push(
        &mut self,
        part: &'static str,
        path: &str,
        group: &str,
        (extension, media): (&str, Vec<u8>),
        mut description: serde_json::Value,
    ) -> anyhow::Result<()> {
        description["split"] = part.into();
        let fields =
            vec![(extension.to_owned(), media), ("json".to_owned(), serde_json::to_vec(&description)?)];
        self.records.push(Record { part, key: key(path), fields, group: group.to_owned() });
        Ok(())
    }

    /// Writes the shards and the manifest: beside `folder` first, which is replaced at the end.
    ///
    /// # Errors
    ///
    /// If there are no records, a file cannot be written, or `folder` has something in it that is no dataset.
    pub fn write(&self, folder: &Path) -> anyhow::Result<Manifest> {
        ensure!(!self.records.is_empty(), "nothing was left of {:?}", self.packages);
        let mut keys = BTreeSet::new();
        for record in &self.records {
            ensure!(keys.insert(&record.key), "two records have the key {:?}", record.key);
        }
        let unfinished = beside(folder);
        if unfinished.exists() {
            fs::remove_dir_all(&unfinished)?;
        }
        fs::create_dir_all(&unfinished).with_context(|| format!("cannot create {}", unfinished.display()))?;
        let mut manifest = self.manifest();
        for part in manifest.splits.keys().cloned().collect::<Vec<_>>() {
            manifest.shards.extend(self.write_part(&part, &unfinished)?);
        }
        let mut json = serde_json::to_vec_pretty(&manifest)?;
        json.push(b'\n');
        fs::write(unfinished.join(FILE), json)?;
        replace(&unfinished, folder)?;
        Ok(manifest)
    }

    fn manifest(&self) -> Manifest {
        let mut manifest = Manifest {
            packages: self.packages.clone(),
            recipe: self.recipe,
            dropped: self.dropped.clone(),
            ..Manifest::default()
        };
        for record in &self.records {
            *manifest.splits.entry(record.part.to_owned()).or_default() += 1;
            *manifest.groups.entry(record.group.clone()).or_default() += 1;
        }
        manifest
    }

    fn write_part(&self, part: &str, folder: &Path) -> anyhow::Result<Vec<Shard>> {
        let mut shards = Vec::new();
        let mut records = self.records.iter().filter(|record| record.part == part).peekable();
        while records.peek().is_some() {
            let file = format!("{part}-{:06}.tar", shards.len());
            let mut tar = tar::Builder::new(Vec::new());
            let mut count = 0;
            while tar.get_ref().len() < SHARD_BYTES
                && let Some(record) = records.next()
            {
                for (extension, bytes) in &record.fields {
                    append(&mut tar, &format!("{}.{extension}", record.key), bytes)?;
                }
                count += 1;
            }
            let bytes = tar.into_inner()?;
            let path = folder.join(&file);
            let write = || {
                let mut writer = BufWriter::new(File::create(&path)?);
                writer.write_all(&bytes)?;
                writer.flush()
            };
            write().with_context(|| format!("cannot write {}", path.display()))?;
            shards.push(Shard { file, records: count, bytes: bytes.len(), sha256: hex(&bytes) });
        }
        Ok(shards)
    }
}

/// The dataset in `folder`, if this recipe made it from these packages and it is whole.
pub fn ready(folder: &Path, recipe: u32, packages: &[PackageRecord]) -> Option<Manifest> {
    let manifest = Manifest::read(folder).ok()?;
    let same = manifest.recipe == recipe && manifest.packages == packages;
    (same && manifest.verify(folder).is_ok()).then_some(manifest)
}

/// A path in a package as a record's key: no folders, no dots.
fn key(path: &str) -> String {
    path.chars().map(|c| if c.is_alphanumeric() || c == '_' || c == '-' { c } else { '-' }).collect()
}

fn beside(folder: &Path) -> PathBuf {
    let mut name = folder.as_os_str().to_owned();
    name.push(".partial");
    PathBuf::from(name)
}

fn replace(new: &Path, old: &Path) -> anyhow::Result<()> {
    if old.exists() {
        let empty = fs::read_dir(old)?.next().is_none();
        ensure!(
            empty || old.join(FILE).is_file(),
            "{} has files of something else in it: choose another folder with --out",
            old.display()
        );
        fs::remove_dir_all(old).with_context(|| format!("cannot replace {}", old.display()))?;
    }
    fs::rename(new, old).with_context(|| format!("cannot write {}", old.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn corpus() -> Corpus {
        let mut corpus = Corpus { recipe: 2, ..Corpus::default() };
        for (part, path) in [("train", "a/one.two"), ("heldout", "b"), ("train", "c")] {
            let description = serde_json::json!({ "captions": [path] });
            corpus.push(part, path, "group", ("png", vec![1; 700]), description).unwrap();
        }
        corpus.drop("no-title");
        corpus
    }

    #[test]
    fn what_was_written_is_ready_and_counted() {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("set");
        let manifest = corpus().write(&out).unwrap();
        assert_eq!(manifest.splits["train"], 2);
        assert_eq!(manifest.dropped["no-title"], 1);
        let files: Vec<&str> = manifest.shards.iter().map(|shard| shard.file.as_str()).collect();
        assert_eq!(files, ["heldout-000000.tar", "train-000000.tar"]);
        assert_eq!(ready(&out, 2, &[]).unwrap(), manifest);
        assert!(ready(&out, 3, &[]).is_none());
        assert_eq!(corpus().write(&out).unwrap(), manifest, "the same bytes again");

        fs::write(out.join("train-000000.tar"), "short").unwrap();
        assert!(ready(&out, 2, &[]).is_none());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing unfinished is left");
    }

    #[test]
    fn a_folder_of_something_else_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("letter.txt"), "dear").unwrap();
        let error = corpus().write(folder.path()).unwrap_err().to_string();
        assert!(error.contains("--out"), "{error}");
        assert!(folder.path().join("letter.txt").is_file());
    }

    #[test]
    fn keys_have_no_folders_and_no_dots() {
        assert_eq!(key("a/b.c d_e-1é"), "a-b-c-d_e-1é");
    }
}
