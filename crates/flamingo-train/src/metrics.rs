//! What a run tells about itself: one record every few updates.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::error::TrainError;
use crate::files::write_atomic;
use crate::objective::LossOutput;

/// One line of `metrics.jsonl`: what happened since the record before.
///
/// All fields but `images_per_s` and `elapsed_s` are the same in every run with the same seed on the same machine.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MetricRecord {
    /// The stage of training.
    pub stage: String,
    /// Updates done.
    pub step: u64,
    /// Mean loss of each source that was seen, before lambda_m.
    pub losses: BTreeMap<String, f64>,
    /// Means of the objective's further numbers, as `"{source}/{name}"`.
    pub extra: BTreeMap<String, f64>,
    /// Learning rate of the last update, before group factors.
    pub lr: f64,
    /// Mean L2 norm of the gradient, after adaptive and before global clipping.
    pub grad_norm: f64,
    /// The model's own numbers after the last update.
    pub probes: BTreeMap<String, f64>,
    /// What was measured after the last update; empty if it was not due.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub evaluation: BTreeMap<String, f64>,
    /// Tokens or pairs that counted.
    pub units: f64,
    /// Images seen.
    pub images: u64,
    /// Images a second.
    pub images_per_s: f64,
    /// Seconds of training since the start of the stage, over all sessions.
    pub elapsed_s: f64,
}

/// Receives metric records.
pub trait MetricSink {
    /// A stage begins, or goes on after `step` updates: records of later steps are void.
    ///
    /// # Errors
    ///
    /// If the sink cannot take records.
    fn begin(&mut self, stage: &str, step: u64) -> Result<(), TrainError>;

    /// Takes a record.
    ///
    /// # Errors
    ///
    /// If it cannot be kept.
    fn record(&mut self, record: &MetricRecord) -> Result<(), TrainError>;

    /// Sees to it that records outlive a power failure: asked before a checkpoint is written, which comes after them.
    ///
    /// # Errors
    ///
    /// If they cannot be kept.
    fn sync(&mut self) -> Result<(), TrainError> {
        Ok(())
    }
}

/// Keeps records in memory, for reports and tests.
#[derive(Debug, Clone, Default)]
pub struct MemorySink {
    /// The records, in order.
    pub records: Vec<MetricRecord>,
}

impl MetricSink for MemorySink {
    fn begin(&mut self, stage: &str, step: u64) -> Result<(), TrainError> {
        self.records.retain(|record| survives(record, stage, step));
        Ok(())
    }

    fn record(&mut self, record: &MetricRecord) -> Result<(), TrainError> {
        self.records.push(record.clone());
        Ok(())
    }
}

/// Appends records to a file, one JSON object a line. Several stages may share the file.
#[derive(Debug)]
pub struct JsonlSink {
    path: PathBuf,
    file: Option<File>,
}

impl JsonlSink {
    /// A sink for the file at `path`, which is opened by the first `begin`.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), file: None }
    }

    /// All records of the file at `path`. A last line that a crash cut short is left out.
    ///
    /// # Errors
    ///
    /// If the file does not read, or if another line is no record; the message has its number.
    pub fn read(path: &Path) -> Result<Vec<MetricRecord>, TrainError> {
        let text = fs::read_to_string(path).map_err(TrainError::io("read", path))?;
        let whole = text.rfind('\n').map_or("", |end| &text[..=end]);
        let parse = |(index, line)| {
            serde_json::from_str(line).map_err(|error| {
                TrainError::corrupt(path, format!("line {} is no metric record: {error}", index + 1))
            })
        };
        whole.lines().enumerate().map(parse).collect()
    }
}

impl MetricSink for JsonlSink {
    fn begin(&mut self, stage: &str, step: u64) -> Result<(), TrainError> {
        self.file = None;
        let records = if self.path.exists() { Self::read(&self.path)? } else { Vec::new() };
        let kept: Vec<MetricRecord> =
            records.into_iter().filter(|record| survives(record, stage, step)).collect();
        let lines = kept.iter().map(|record| line(&self.path, record)).collect::<Result<String, _>>()?;
        write_atomic(&self.path, lines.as_bytes())?;
        let file = OpenOptions::new().append(true).open(&self.path);
        self.file = Some(file.map_err(TrainError::io("open", &self.path))?);
        Ok(())
    }

    fn record(&mut self, record: &MetricRecord) -> Result<(), TrainError> {
        if self.file.is_none() {
            self.begin(&record.stage, record.step.saturating_sub(1))?;
        }
        let line = line(&self.path, record)?;
        let written = self.file.as_mut().map_or(Ok(()), |file| file.write_all(line.as_bytes()));
        written.map_err(TrainError::io("write", &self.path))
    }

    fn sync(&mut self) -> Result<(), TrainError> {
        let synced = self.file.as_ref().map_or(Ok(()), File::sync_data);
        synced.map_err(TrainError::io("sync", &self.path))
    }
}

/// Every sink gets every record, in order.
impl MetricSink for Vec<Box<dyn MetricSink>> {
    fn begin(&mut self, stage: &str, step: u64) -> Result<(), TrainError> {
        self.iter_mut().try_for_each(|sink| sink.begin(stage, step))
    }

    fn record(&mut self, record: &MetricRecord) -> Result<(), TrainError> {
        self.iter_mut().try_for_each(|sink| sink.record(record))
    }

    fn sync(&mut self) -> Result<(), TrainError> {
        self.iter_mut().try_for_each(|sink| sink.sync())
    }
}

fn survives(record: &MetricRecord, stage: &str, step: u64) -> bool {
    record.stage != stage || record.step <= step
}

fn line(path: &Path, record: &MetricRecord) -> Result<String, TrainError> {
    let json = serde_json::to_string(record).map_err(|error| TrainError::corrupt(path, error.to_string()))?;
    Ok(json + "\n")
}

/// Sums over the updates since the last record. Part of a checkpoint, so that a resumed run's records are the same.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Window {
    updates: u64,
    /// Sum and number of batches.
    losses: BTreeMap<String, (f64, u64)>,
    extra: BTreeMap<String, (f64, u64)>,
    grad_norm: f64,
    units: f64,
    images: u64,
    seconds: f64,
}

impl Window {
    /// Adds one source's batch; `loss` is its value on the host.
    pub(crate) fn add_batch(&mut self, source: &str, output: &LossOutput, loss: f64) {
        let (sum, count) = self.losses.entry(source.to_owned()).or_default();
        *sum += loss;
        *count += 1;
        for (name, value) in &output.extra {
            let (sum, count) = self.extra.entry(format!("{source}/{name}")).or_default();
            *sum += value;
            *count += 1;
        }
        self.units += output.units;
        self.images += output.images as u64;
    }

    /// Closes an update.
    pub(crate) fn add_update(&mut self, grad_norm: f64, seconds: f64) {
        self.updates += 1;
        self.grad_norm += grad_norm;
        self.seconds += seconds;
    }

    /// Turns the sums into a record and starts over.
    pub(crate) fn take_record(
        &mut self,
        stage: &str,
        step: u64,
        lr: f64,
        elapsed_s: f64,
        probes: Vec<(String, f64)>,
    ) -> MetricRecord {
        let window = std::mem::take(self);
        let updates = window.updates.max(1) as f64;
        let means = |sums: BTreeMap<String, (f64, u64)>| {
            sums.into_iter().map(|(name, (sum, count))| (name, sum / count as f64)).collect()
        };
        MetricRecord {
            stage: stage.to_owned(),
            step,
            losses: means(window.losses),
            extra: means(window.extra),
            lr,
            grad_norm: window.grad_norm / updates,
            probes: probes.into_iter().collect(),
            evaluation: BTreeMap::new(),
            units: window.units,
            images: window.images,
            images_per_s: if window.seconds > 0.0 { window.images as f64 / window.seconds } else { 0.0 },
            elapsed_s,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(stage: &str, step: u64) -> MetricRecord {
        let mut window = Window::default();
        window.losses.insert("pairs".into(), (0.1 + 0.2, 1));
        window.add_update(1.0, 0.5);
        window.take_record(stage, step, 1e-3, 1.0, vec![("gate".into(), 0.25)])
    }

    #[test]
    fn resuming_drops_what_came_after_and_keeps_other_stages() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("metrics.jsonl");
        let mut sink = JsonlSink::new(&path);
        sink.begin("one", 0).unwrap();
        for (stage, step) in [("one", 10), ("one", 20), ("two", 10), ("two", 20), ("two", 30)] {
            sink.record(&record(stage, step)).unwrap();
        }
        // A crash in the middle of a line.
        OpenOptions::new().append(true).open(&path).unwrap().write_all(b"{\"stage\":\"tw").unwrap();

        let mut sink = JsonlSink::new(&path);
        sink.begin("two", 15).unwrap();
        sink.record(&record("two", 20)).unwrap();
        let steps: Vec<(String, u64)> =
            JsonlSink::read(&path).unwrap().into_iter().map(|record| (record.stage, record.step)).collect();
        let expected = [("one", 10), ("one", 20), ("two", 10), ("two", 20)];
        assert_eq!(steps, expected.map(|(stage, step)| (stage.to_owned(), step)));
    }

    #[test]
    fn records_survive_the_file_bit_for_bit() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("metrics.jsonl");
        let mut sink = JsonlSink::new(&path);
        sink.record(&record("one", 1)).unwrap();
        let measured =
            MetricRecord { evaluation: [("nll".to_owned(), 1.0 / 3.0)].into(), ..record("one", 2) };
        sink.record(&measured).unwrap();
        sink.sync().unwrap();
        assert_eq!(JsonlSink::read(&path).unwrap(), [record("one", 1), measured]);
        let first = fs::read_to_string(&path).unwrap().lines().next().unwrap().to_owned();
        assert!(!first.contains("evaluation"), "as in files from before there were evaluations: {first}");
        fs::write(&path, "{}\n").unwrap();
        let error = JsonlSink::read(&path).unwrap_err().to_string();
        assert!(error.contains("metrics.jsonl") && error.contains("line 1"), "{error}");
    }

    #[test]
    fn a_record_holds_means_over_its_updates() {
        let mut window = Window::default();
        window.losses.insert("pairs".into(), (6.0, 2));
        window.extra.insert("pairs/accuracy".into(), (1.5, 3));
        window.add_update(1.0, 0.5);
        window.add_update(2.0, 0.5);
        window.images = 40;
        let record = window.take_record("one", 2, 1e-3, 1.0, Vec::new());
        assert_eq!((record.losses["pairs"], record.extra["pairs/accuracy"]), (3.0, 0.5));
        assert_eq!((record.grad_norm, record.images_per_s), (1.5, 40.0));
        assert_eq!(window, Window::default());
    }
}
