//! What can go wrong with somebody else's file, and what to do about it.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

/// A checkpoint that cannot be read, or does not fit the module.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum WeightsError {
    /// The operating system refused.
    #[error("cannot {action} {}", path.display())]
    Io {
        /// What was tried, as a verb.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// Not a checkpoint of a known format, or a folder without one.
    #[error("{}: {message}", path.display())]
    UnknownFormat {
        /// The file or folder.
        path: PathBuf,
        /// What was found instead, and what to do.
        message: String,
    },
    /// The file is torn, or says something about itself that is not true.
    #[error("{}: {message}", path.display())]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// Where it breaks, and what to do.
        message: String,
    },
    /// A pickle asks for code that a checkpoint of tensors does not need.
    #[error(
        "{}: the pickle calls `{global}`, which is not part of a plain state dict; nothing was executed. If you trust \
         the file, load it in PyTorch and save its state dict alone",
        path.display()
    )]
    ForbiddenGlobal {
        /// The file.
        path: PathBuf,
        /// The Python name, such as `os.system`.
        global: String,
    },
    /// A tensor is stored in a way that cannot be read.
    #[error("{}: tensor {name:?} is stored as {encoding}, which cannot be read; convert it to f16 or Q8_0", path.display())]
    UnsupportedEncoding {
        /// The checkpoint.
        path: PathBuf,
        /// The tensor.
        name: String,
        /// The encoding's own name.
        encoding: String,
    },
    /// A tensor was asked for that is not there.
    #[error("{}: there is no tensor {name:?}{hint}", path.display())]
    UnknownTensor {
        /// The checkpoint.
        path: PathBuf,
        /// The tensor.
        name: String,
        /// The nearest name, as the end of a sentence.
        hint: String,
    },
    /// Two tensors have one name, in the files or after renaming.
    #[error("{}: two tensors are named {name:?}; drop one of them", path.display())]
    DuplicateTensor {
        /// The checkpoint.
        path: PathBuf,
        /// The name.
        name: String,
    },
    /// The checkpoint and the module are of different models.
    #[error("{} does not fit the model:{}", path.display(), Listing(problems))]
    Mismatch {
        /// The checkpoint.
        path: PathBuf,
        /// Everything that does not fit.
        problems: Vec<Problem>,
    },
}

impl WeightsError {
    /// For `map_err` on file operations.
    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| WeightsError::Io { action, path, source }
    }

    pub(crate) fn corrupt(path: &Path, message: impl Into<String>) -> Self {
        WeightsError::Corrupt { path: path.to_owned(), message: message.into() }
    }

    pub(crate) fn unknown_format(path: &Path, message: impl Into<String>) -> Self {
        WeightsError::UnknownFormat { path: path.to_owned(), message: message.into() }
    }
}

/// One thing that keeps a checkpoint from fitting a module. Names of parameters are the module's, names of tensors the
/// file's.
#[derive(Debug, Clone, PartialEq, Error)]
#[non_exhaustive]
pub enum Problem {
    /// A parameter's tensor is not in the file.
    #[error("parameter {parameter:?} needs tensor {tensor:?}, which is missing{hint}")]
    Missing {
        /// The parameter's path.
        parameter: String,
        /// The tensor's expected name.
        tensor: String,
        /// The nearest unused name of the file, as the end of a sentence.
        hint: String,
    },
    /// The key map says nothing about a parameter.
    #[error("parameter {parameter:?} has no rule in the key map")]
    NoRule {
        /// The parameter's path.
        parameter: String,
    },
    /// No parameter uses a tensor.
    #[error("tensor {tensor:?} has no place in the model{hint}")]
    Unused {
        /// The tensor's name.
        tensor: String,
        /// The nearest name that was looked for, as the end of a sentence.
        hint: String,
    },
    /// A tensor has another shape or kind than its parameter needs.
    #[error("tensor {tensor:?} is {found}, but parameter {parameter:?} needs {expected}")]
    Misfit {
        /// The parameter's path.
        parameter: String,
        /// The tensor's name.
        tensor: String,
        /// What the tensor should be, in the file's layout.
        expected: String,
        /// What it is.
        found: String,
    },
}

/// Most lines of one kind in a message; the rest is counted.
const SHOWN: usize = 20;

/// Problems by kind, a line each.
struct Listing<'a>(&'a [Problem]);

impl fmt::Display for Listing<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for group in self.0.chunk_by(|a, b| std::mem::discriminant(a) == std::mem::discriminant(b)) {
            for problem in group.iter().take(SHOWN) {
                write!(f, "\n  {problem}")?;
            }
            if group.len() > SHOWN {
                write!(f, "\n  … and {} more like this", group.len() - SHOWN)?;
            }
        }
        Ok(())
    }
}
