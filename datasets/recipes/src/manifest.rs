//! What a dataset's folder holds, for people and for checks.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, ensure};
use serde::{Deserialize, Serialize};

use crate::package::{PackageRecord, hex};
use crate::shard;

/// `manifest.json`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Manifest {
    /// Where the data comes from.
    pub packages: Vec<PackageRecord>,
    /// The recipe's version; 0 for bundled datasets.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub recipe: u32,
    /// Records by split.
    pub splits: BTreeMap<String, usize>,
    /// Records by style.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub styles: BTreeMap<String, usize>,
    /// Records by group.
    pub groups: BTreeMap<String, usize>,
    /// What was left out, by reason.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub dropped: BTreeMap<String, usize>,
    /// The shards, in the order in which they are read.
    pub shards: Vec<Shard>,
}

/// One file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Shard {
    /// Its name.
    pub file: String,
    /// Records in it.
    pub records: usize,
    /// Its size.
    pub bytes: usize,
    /// Its SHA-256.
    pub sha256: String,
}

fn is_zero(recipe: &u32) -> bool {
    *recipe == 0
}

/// The manifest's name in a dataset's folder.
pub const FILE: &str = "manifest.json";

impl Manifest {
    /// Reads a dataset's manifest.
    ///
    /// # Errors
    ///
    /// If there is none, or it is not valid.
    pub fn read(folder: &Path) -> anyhow::Result<Self> {
        let path = folder.join(FILE);
        let text = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
        serde_json::from_slice(&text).with_context(|| format!("{} is not valid", path.display()))
    }

    /// Checks every shard in `folder`.
    ///
    /// # Errors
    ///
    /// On the first shard that is missing, changed, or holds another number of records.
    pub fn verify(&self, folder: &Path) -> anyhow::Result<()> {
        for expected in &self.shards {
            let path = folder.join(&expected.file);
            let bytes = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
            let found = hex(&bytes);
            ensure!(
                found == expected.sha256,
                "{}: SHA-256 is {found}, expected {}",
                path.display(),
                expected.sha256
            );
            let records = shard::count(&bytes).with_context(|| path.display().to_string())?;
            ensure!(
                records == expected.records,
                "{}: {records} records, expected {}",
                path.display(),
                expected.records
            );
        }
        Ok(())
    }

    /// A few lines for a person.
    pub fn summary(&self) -> String {
        let list = |counts: &BTreeMap<String, usize>| {
            counts.iter().map(|(name, count)| format!("{name} {count}")).collect::<Vec<_>>().join(", ")
        };
        let counts = [
            ("styles", &self.styles),
            ("splits", &self.splits),
            ("groups", &self.groups),
            ("left out", &self.dropped),
        ];
        let mut lines: Vec<String> = counts
            .into_iter()
            .filter(|(_, counts)| !counts.is_empty())
            .map(|(what, counts)| format!("{what}: {}", list(counts)))
            .collect();
        let bytes: usize = self.shards.iter().map(|shard| shard.bytes).sum();
        lines.push(format!("{} shards, {:.2} MB", self.shards.len(), bytes as f64 / 1e6));
        lines.join("\n")
    }
}
