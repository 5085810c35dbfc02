//! The files that a task was given.

use std::path::Path;

use flamingo_core::nearest;

use super::super::{Files, Task};
use crate::EvalError;

/// A task's files, by the names that it has for them.
pub(in super::super) struct Given<'a> {
    task: &'a dyn Task,
    files: &'a Files,
}

impl<'a> Given<'a> {
    /// Refuses a file that the task does not read, and misses one that it needs.
    pub fn to(task: &'a dyn Task, files: &'a Files) -> Result<Self, EvalError> {
        let names = || task.files().iter().map(|spec| spec.name);
        if let Some(name) = files.keys().find(|name| names().all(|known| known != name.as_str())) {
            return Err(EvalError::UnknownFile {
                task: task.name(),
                name: name.clone(),
                known: names().collect::<Vec<_>>().join(", "),
                hint: nearest::hint(name, names()),
            });
        }
        match task.files().iter().find(|spec| !spec.optional && !files.contains_key(spec.name)) {
            None => Ok(Self { task, files }),
            Some(spec) => Err(EvalError::MissingFile {
                task: task.name(),
                name: spec.name,
                official: spec.official,
                about: spec.about,
            }),
        }
    }

    /// A file that the task cannot do without.
    ///
    /// # Panics
    ///
    /// If the task says that it can.
    pub fn path(&self, name: &str) -> &'a Path {
        self.optional(name).unwrap_or_else(|| panic!("{}: {name} is not required", self.task.name()))
    }

    /// A file that may be missing.
    pub fn optional(&self, name: &str) -> Option<&'a Path> {
        self.files.get(name).map(AsRef::as_ref)
    }
}
