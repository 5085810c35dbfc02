//! The folder of a run: everything a run leaves behind, and nothing of another run.

use std::fs;
use std::path::{Path, PathBuf};

use crate::error::TrainError;
use crate::files;

/// What to do with a folder that already holds something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Existing {
    /// Leave it alone and fail.
    Refuse,
    /// Continue the run in it.
    Resume,
}

/// A run's folder: `metrics.jsonl`, reports, `checkpoints/{stage}/step-{step}/`.
#[derive(Debug, Clone)]
pub struct RunDir {
    path: PathBuf,
}

impl RunDir {
    /// Makes the folder, or opens it to resume. An empty folder counts as new, and so does a missing one to resume.
    ///
    /// # Errors
    ///
    /// [`TrainError::RunExists`] if the folder holds something and `existing` is [`Existing::Refuse`];
    /// [`TrainError::Io`] if it cannot be made or read.
    pub fn create(path: impl Into<PathBuf>, existing: Existing) -> Result<Self, TrainError> {
        let path = path.into();
        fs::create_dir_all(&path).map_err(TrainError::io("create the folder", &path))?;
        let mut entries = fs::read_dir(&path).map_err(TrainError::io("list", &path))?;
        if existing == Existing::Refuse && entries.next().is_some() {
            return Err(TrainError::RunExists { path });
        }
        Ok(Self { path })
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A file or folder in it.
    pub fn join(&self, name: impl AsRef<Path>) -> PathBuf {
        self.path.join(name)
    }

    /// The folder of a stage's checkpoints, which may not exist yet.
    pub fn checkpoints(&self, stage: &str) -> PathBuf {
        self.join("checkpoints").join(stage)
    }

    /// Writes a file of the folder, whole or not at all, and returns its path.
    ///
    /// # Errors
    ///
    /// [`TrainError::Io`] if it cannot be written.
    pub fn write_atomic(
        &self,
        name: impl AsRef<Path>,
        bytes: impl AsRef<[u8]>,
    ) -> Result<PathBuf, TrainError> {
        let path = self.join(name);
        files::write_atomic(&path, bytes.as_ref())?;
        Ok(path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_used_folder_is_refused_with_the_way_out() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("runs/one");
        let run = RunDir::create(&path, Existing::Refuse).unwrap();
        RunDir::create(&path, Existing::Refuse).expect("still empty");
        run.write_atomic("report.json", "{}").unwrap();

        let error = RunDir::create(&path, Existing::Refuse).unwrap_err().to_string();
        assert!(error.contains("--resume") && error.contains("runs/one"), "{error}");
        assert!(RunDir::create(&path, Existing::Resume).unwrap().join("report.json").exists());
    }
}
