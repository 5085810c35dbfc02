//! Metric records as TensorBoard event files, which TensorBoard shows and other trackers import.
//!
//! Each stage has a folder of its own, hence a curve of its own in every chart. A session that goes on where another
//! stopped starts a new file whose first event says so; TensorBoard then forgets the steps that are done again. So does one that
//! starts over because the one before was killed ahead of its first checkpoint.

mod event;
mod framing;

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::error::TrainError;
use crate::metrics::{MetricRecord, MetricSink};
use event::{Event, What};

/// Writes `FOLDER/STAGE/events.out.tfevents.*`.
#[derive(Debug)]
pub struct TensorBoardSink {
    folder: PathBuf,
    open: Option<(PathBuf, File)>,
}

impl TensorBoardSink {
    /// A sink for `folder`; a stage's folder and file are made when it begins.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self { folder: folder.into(), open: None }
    }

    fn write(&mut self, events: &[Event<'_>]) -> Result<(), TrainError> {
        let Some((path, file)) = &mut self.open else { return Ok(()) };
        let bytes: Vec<u8> = events.iter().flat_map(|event| framing::frame(&event.encode())).collect();
        file.write_all(&bytes).map_err(TrainError::io("write", path))
    }
}

impl MetricSink for TensorBoardSink {
    fn begin(&mut self, stage: &str, step: u64) -> Result<(), TrainError> {
        let folder = self.folder.join(stage);
        fs::create_dir_all(&folder).map_err(TrainError::io("create the folder", &folder))?;
        let again = step > 0 || fs::read_dir(&folder).is_ok_and(|mut entries| entries.next().is_some());
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        // Files are read in the order of their names: the time goes first, with places enough for two in a second.
        let name = format!("events.out.tfevents.{:010}.{:09}.flamingo", now.as_secs(), now.subsec_nanos());
        let path = folder.join(name);
        let file = OpenOptions::new().create_new(true).append(true).open(&path);
        self.open = Some((path.clone(), file.map_err(TrainError::io("create", &path))?));
        let time = now.as_secs_f64();
        let mut events = vec![Event { time, step: 0, what: What::FileVersion }];
        if again {
            events.push(Event { time, step: step + 1, what: What::SessionStart });
        }
        self.write(&events)
    }

    fn record(&mut self, record: &MetricRecord) -> Result<(), TrainError> {
        if self.open.is_none() {
            self.begin(&record.stage, record.step.saturating_sub(1))?;
        }
        let time = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64();
        let scalars = scalars(record);
        self.write(&[Event { time, step: record.step, what: What::Scalars(&scalars) }])
    }
}

/// What is shown of a record. The part of a name before the first `/` is the section of the page.
fn scalars(record: &MetricRecord) -> Vec<(String, f32)> {
    let section = |section: &'static str, values: &std::collections::BTreeMap<String, f64>| {
        values.iter().map(|(name, value)| (format!("{section}/{name}"), *value as f32)).collect::<Vec<_>>()
    };
    let mut all = section("loss", &record.losses);
    all.extend(section("metrics", &record.extra));
    all.extend(section("model", &record.probes));
    all.extend(section("evaluation", &record.evaluation));
    all.extend([
        ("train/learning_rate".to_owned(), record.lr as f32),
        ("train/gradient_norm".to_owned(), record.grad_norm as f32),
        ("train/units".to_owned(), record.units as f32),
        ("train/images_per_second".to_owned(), record.images_per_s as f32),
    ]);
    all
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn record(stage: &str, step: u64) -> MetricRecord {
        MetricRecord {
            stage: stage.to_owned(),
            step,
            losses: [("pages".to_owned(), 2.5)].into(),
            extra: [("pairs/accuracy".to_owned(), 0.5)].into(),
            lr: 1e-3,
            grad_norm: 0.25,
            probes: [("gate.ff.00".to_owned(), 0.125)].into(),
            evaluation: [("heldout/nll".to_owned(), 3.0)].into(),
            units: 64.0,
            images: 8,
            images_per_s: 4.0,
            elapsed_s: 2.0,
        }
    }

    fn files(folder: &Path) -> Vec<PathBuf> {
        let mut files: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        files.sort();
        files
    }

    #[test]
    fn stages_have_folders_and_sessions_have_files() {
        let root = tempfile::tempdir().unwrap();
        let mut sink = TensorBoardSink::new(root.path());
        sink.begin("language", 0).unwrap();
        sink.record(&record("language", 10)).unwrap();
        drop(sink);
        let mut sink = TensorBoardSink::new(root.path());
        sink.begin("language", 10).unwrap();
        sink.record(&record("language", 20)).unwrap();
        sink.begin("flamingo", 0).unwrap();

        let sessions = files(&root.path().join("language"));
        assert_eq!(sessions.len(), 2);
        assert_eq!(files(&root.path().join("flamingo")).len(), 1);
        let payloads: Vec<Vec<Vec<u8>>> =
            sessions.iter().map(|file| framing::unframe(&fs::read(file).unwrap()).unwrap()).collect();
        assert_eq!(
            payloads.iter().map(Vec::len).collect::<Vec<_>>(),
            [2, 3],
            "the second says that it goes on"
        );
        let has =
            |payload: &[u8], text: &str| payload.windows(text.len()).any(|window| window == text.as_bytes());
        for tag in [
            "loss/pages",
            "metrics/pairs/accuracy",
            "model/gate.ff.00",
            "evaluation/heldout/nll",
            "train/learning_rate",
        ] {
            assert!(has(&payloads[0][1], tag) && has(&payloads[1][2], tag), "{tag}");
        }
    }

    #[test]
    fn a_folder_that_cannot_be_made_is_named() {
        let root = tempfile::tempdir().unwrap();
        let blocked = root.path().join("file");
        fs::write(&blocked, "").unwrap();
        let error = TensorBoardSink::new(&blocked).begin("language", 0).unwrap_err().to_string();
        assert!(error.contains("file"), "{error}");
    }
}
