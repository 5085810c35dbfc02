//! What is found out when training diverges: where numbers first went wrong, and on which batch.
//!
//! Nothing of this costs an update that goes well. Streams can be put back, so the batch is drawn a second time, and the
//! objective looks through its model once more; gradients are still there.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use burn::tensor::TensorData;

use crate::error::TrainError;
use crate::files::write_tensors;

/// How many names a message lists.
const LISTED: usize = 4;

/// Where a divergence shows, and on what.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Evidence {
    /// The first part of the model whose output is not finite; `None` if all are, or the objective cannot say.
    pub layer: Option<String>,
    /// Paths of the parameters whose gradient is not finite, in the model's order.
    pub parameters: Vec<String>,
    /// How many parameters have a gradient.
    pub trained: usize,
    /// Where the batches are that it happened on.
    pub batches: Vec<PathBuf>,
    /// Why a batch could not be kept.
    pub lost: Option<String>,
}

impl Evidence {
    /// Keeps a batch, or notes why it could not be kept: whatever is wrong there, the divergence is what to report.
    pub(crate) fn keep(&mut self, path: PathBuf, batch: &BTreeMap<String, TensorData>) {
        match save(&path, batch) {
            _ if batch.is_empty() => {}
            Ok(()) => self.batches.push(path),
            Err(error) => self.lost = Some(chain(&error)),
        }
    }
}

impl fmt::Display for Evidence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(layer) = &self.layer {
            write!(f, "; the first output that is not finite is that of {layer}")?;
        }
        let bad = self.parameters.len();
        if bad > 0 {
            let listed = self.parameters[..bad.min(LISTED)].join(", ");
            let more = if bad > LISTED { ", …" } else { "" };
            write!(
                f,
                "; the gradient is not finite of {bad} of {} parameters: {listed}{more}",
                self.trained
            )?;
        }
        for batch in &self.batches {
            write!(f, "; the batch is in {}", batch.display())?;
        }
        match &self.lost {
            Some(reason) => write!(f, "; the batch could not be saved: {reason}"),
            None => Ok(()),
        }
    }
}

/// The file of a batch in the folder of a stage's checkpoints.
pub(crate) fn batch_file(folder: &Path, step: u64, source: &str) -> PathBuf {
    let plain = |c: char| if c.is_ascii_alphanumeric() { c } else { '-' };
    folder.join(format!("diverged-{step:06}-{}.safetensors", source.chars().map(plain).collect::<String>()))
}

fn save(path: &Path, batch: &BTreeMap<String, TensorData>) -> Result<(), TrainError> {
    if let Some(folder) = path.parent().filter(|_| !batch.is_empty()) {
        fs::create_dir_all(folder).map_err(TrainError::io("create the folder", folder))?;
        write_tensors(path, batch)?;
    }
    Ok(())
}

fn chain(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(source) => format!("{error}: {}", chain(source)),
        None => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn evidence_reads_as_the_end_of_a_sentence() {
        assert_eq!(Evidence::default().to_string(), "");
        let evidence = Evidence {
            layer: Some("lm.blocks.3".into()),
            parameters: ["a", "b", "c", "d", "e"].map(String::from).into(),
            trained: 9,
            ..Evidence::default()
        };
        let expected = "; the first output that is not finite is that of lm.blocks.3; the gradient is not finite of \
                        5 of 9 parameters: a, b, c, d, …";
        assert_eq!(evidence.to_string(), expected);
    }

    #[test]
    fn a_batch_that_cannot_be_kept_is_no_error_of_its_own() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("file"), "").unwrap();
        let batch = BTreeMap::from([("ids".to_owned(), TensorData::from([1i64]))]);
        let mut evidence = Evidence::default();
        evidence.keep(batch_file(&folder.path().join("file"), 3, "a b"), &batch);
        assert!(evidence.to_string().contains("could not be saved: cannot create the folder"), "{evidence}");

        let path = batch_file(&folder.path().join("stage"), 3, "a/b");
        evidence.keep(path.clone(), &batch);
        assert!(path.ends_with("stage/diverged-000003-a-b.safetensors") && path.is_file());
    }
}
