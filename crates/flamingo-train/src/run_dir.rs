//! The folder of a run: everything a run leaves behind, and nothing of another run.

use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::error::TrainError;
use crate::files;

/// The file whose lock says that a process works in the folder. The system drops the lock when the process ends, however.
const LOCK: &str = ".lock";

/// What to do with a folder that already holds something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Existing {
    /// Leave it alone and fail.
    Refuse,
    /// Continue the run in it.
    Resume,
}

/// A run's folder: `metrics.jsonl`, reports, `checkpoints/{stage}/step-{step}/`.
///
/// While one (or a clone of it) lives, no other can be made of the same folder.
#[derive(Debug, Clone)]
pub struct RunDir {
    path: PathBuf,
    _lock: Arc<File>,
}

impl RunDir {
    /// Makes the folder, or opens it to resume. An empty folder counts as new, and so does a missing one to resume.
    /// Files that a killed process was writing are deleted.
    ///
    /// # Errors
    ///
    /// [`TrainError::RunExists`] if the folder holds something and `existing` is [`Existing::Refuse`];
    /// [`TrainError::RunBusy`] if another `RunDir` of it lives, in whichever process;
    /// [`TrainError::Io`] if it cannot be made, read or written.
    pub fn create(path: impl Into<PathBuf>, existing: Existing) -> Result<Self, TrainError> {
        let path = path.into();
        files::create_folder(&path)?;
        let entries = fs::read_dir(&path).map_err(TrainError::io("list", &path))?;
        let mut others = entries.filter(|entry| !entry.as_ref().is_ok_and(|one| one.file_name() == LOCK));
        if existing == Existing::Refuse && others.next().is_some() {
            return Err(TrainError::RunExists { path });
        }
        let lock_path = path.join(LOCK);
        let lock = File::create(&lock_path).map_err(TrainError::io("write", &lock_path))?;
        // A file system that knows no locks is no reason not to train.
        if let Err(TryLockError::WouldBlock) = lock.try_lock() {
            return Err(TrainError::RunBusy { path });
        }
        files::sweep(&path)?;
        Ok(Self { path, _lock: Arc::new(lock) })
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
        drop(run);
        let run = RunDir::create(&path, Existing::Refuse).expect("still empty");
        run.write_atomic("report.json", "{}").unwrap();
        drop(run);

        let error = RunDir::create(&path, Existing::Refuse).unwrap_err().to_string();
        assert!(error.contains("--resume") && error.contains("runs/one"), "{error}");
        assert!(RunDir::create(&path, Existing::Resume).unwrap().join("report.json").exists());
    }

    #[test]
    fn a_folder_has_one_run_at_a_time_and_what_a_killed_one_left_is_swept() {
        let root = tempfile::tempdir().unwrap();
        fs::write(root.path().join(".metrics.jsonl.12.tmp"), "half").unwrap();
        let run = RunDir::create(root.path(), Existing::Resume).unwrap();
        assert!(!run.join(".metrics.jsonl.12.tmp").exists());
        let clone = run.clone();
        drop(run);
        let error = RunDir::create(root.path(), Existing::Resume).unwrap_err();
        assert!(matches!(&error, TrainError::RunBusy { path } if path == root.path()), "{error}");
        drop(clone);
        RunDir::create(root.path(), Existing::Resume).unwrap();
    }
}
