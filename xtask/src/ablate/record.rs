//! What came of a run, and the file of all of them: a line of JSON each, written after every run.

use std::fs;
use std::io::Write;
use std::path::Path;

use anyhow::{Context, bail};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::list::Job;

/// What came of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// Name of the ablation.
    pub ablation: String,
    /// The run's seed.
    pub seed: u64,
    /// Updates of the baseline's third stage; an ablation's own number may be a multiple.
    pub updates: u64,
    /// Where it ran.
    pub machine: String,
    /// Threads that it was given.
    pub threads: usize,
    /// Runs beside each other on the machine.
    pub jobs: usize,
    /// Updates of the towers: contrastive stage, language stage.
    pub towers: Option<[u64; 2]>,
    /// The run's `report.json`.
    pub report: Value,
}

impl Record {
    /// Whether it is what `job` would give again.
    pub fn is_of(&self, job: &Job, updates: u64) -> bool {
        self.ablation == job.ablation.name && self.seed == job.seed && self.updates == updates
    }

    /// A number of the report by its path, `"heldout_images.nll_right"`.
    pub fn figure(&self, path: &str) -> Option<f64> {
        path.split('.').try_fold(&self.report, |value, key| value.get(key))?.as_f64()
    }
}

/// All records of a file; none if there is no file.
pub fn read(path: &Path) -> anyhow::Result<Vec<Record>> {
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error).with_context(|| format!("cannot read {}", path.display())),
    };
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    lines
        .map(|(index, line)| {
            serde_json::from_str(line).with_context(|| {
                format!("{}, line {}: not the record of a run; mend or remove it", path.display(), index + 1)
            })
        })
        .collect()
}

/// Writes a file anew: whole, or not at all.
pub fn write(path: &Path, records: &[Record]) -> anyhow::Result<()> {
    let lines: Result<Vec<String>, _> = records.iter().map(serde_json::to_string).collect();
    let text: String = lines?.into_iter().map(|line| line + "\n").collect();
    write_atomic(path, &text)
}

/// Writes `text` beside `path` first, then puts it in its place.
pub fn write_atomic(path: &Path, text: &str) -> anyhow::Result<()> {
    let Some(folder) = path.parent() else { bail!("{} is no file", path.display()) };
    let written = || -> std::io::Result<()> {
        fs::create_dir_all(folder)?;
        let mut file = tempfile::NamedTempFile::new_in(folder)?;
        file.write_all(text.as_bytes())?;
        file.as_file().sync_all()?;
        file.persist(path)?;
        Ok(())
    };
    written().with_context(|| format!("cannot write {}", path.display()))
}

#[cfg(test)]
pub mod tests {
    use serde_json::json;

    use super::*;
    use crate::ablate::list::jobs;

    /// A record with one figure, and what goes with it, set to `value`.
    pub fn record(ablation: &str, seed: u64, value: f64) -> Record {
        Record {
            ablation: ablation.to_owned(),
            seed,
            updates: 300,
            machine: "a machine, 16 cores".to_owned(),
            threads: 2,
            jobs: 8,
            towers: Some([1500, 800]),
            report: json!({
                "params": { "trained": 1_234_567 },
                "stages": { "flamingo": { "seconds": 100.0 + value } },
                "heldout_images": { "nll_right": value, "exact_right": value / 10.0 },
                "heldout_pages": { "prefers_own": 0.5 + value / 10.0 },
            }),
        }
    }

    #[test]
    fn records_are_found_again_by_what_they_are_of() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new/records.jsonl");
        assert!(read(&path).unwrap().is_empty());
        let records = [record("baseline", 1, 2.0), record("mlp", 2, 3.0)];
        write(&path, &records).unwrap();
        assert_eq!(read(&path).unwrap(), records);

        let all = jobs(&[], 2);
        let of = |record: &Record, updates| all.iter().filter(|job| record.is_of(job, updates)).count();
        assert_eq!((of(&records[0], 300), of(&records[1], 300), of(&records[0], 301)), (1, 1, 0));
        assert_eq!(records[1].figure("heldout_images.nll_right"), Some(3.0));
        assert_eq!(records[1].figure("heldout_images.absent"), None);
    }

    #[test]
    fn a_torn_line_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("records.jsonl");
        write(&path, &[record("mlp", 1, 1.0)]).unwrap();
        let whole = fs::read_to_string(&path).unwrap();
        fs::write(&path, whole.clone() + &whole[..40]).unwrap();
        assert!(format!("{:#}", read(&path).unwrap_err()).contains("line 2"));
    }
}
