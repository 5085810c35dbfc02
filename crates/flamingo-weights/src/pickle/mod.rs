//! PyTorch's files, read without executing anything.
//!
//! A pickle is a program for a stack machine that may call any Python function. `machine` interprets the operations
//! that a state dict needs, on values of its own; the only functions that it knows are those that rebuild
//! tensors and dictionaries, and each is a few lines of Rust. Any other name ends the reading with
//! [`WeightsError::ForbiddenGlobal`].

mod legacy;
mod machine;
mod opcode;
mod state_dict;
mod value;
mod zip;

use std::sync::Arc;

use crate::error::WeightsError;
use crate::input::SourceFile;
use crate::open::Contents;
use machine::{Machine, Stop};
use zip::Archive;

/// Opens a zip archive as `torch.save` writes it since PyTorch 1.6: a pickle, and a member for every storage.
pub(crate) fn open_zip(file: SourceFile) -> Result<Contents, WeightsError> {
    let file = Arc::new(file);
    let archive = Archive::open(&file)?;
    let Some(prefix) = archive.names().find_map(|name| name.strip_suffix("data.pkl")) else {
        let message = "is a zip archive, but not one of torch.save: it has no data.pkl";
        return Err(WeightsError::unknown_format(file.path(), message));
    };
    if archive.names().any(|name| name.strip_prefix(prefix) == Some("constants.pkl")) {
        let message = "is a TorchScript program, not a state dict; convert it with PyTorch: \
                       torch.save(torch.jit.load(FILE, \"cpu\").state_dict(), \"weights.pt\")";
        return Err(WeightsError::unknown_format(file.path(), message));
    }
    if archive.names().any(|name| name.strip_prefix(prefix) == Some("byteorder")) {
        let (start, len) = archive.locate(&format!("{prefix}byteorder"))?;
        if len != 6 || file.read(start, len)? != b"little" {
            return Err(WeightsError::corrupt(
                file.path(),
                "was written on a big-endian machine: convert it there",
            ));
        }
    }
    let (start, len) = archive.locate(&format!("{prefix}data.pkl"))?;
    let mut machine = Machine::new(file.parse(start, len)?);
    let root = machine.run().map_err(|stop| stop.into_error(file.path()))?;
    state_dict::read(&file, &machine.into_values(), root, |storage| {
        archive.locate(&format!("{prefix}data/{}", storage.key))
    })
}

/// Opens a file of `torch.save` before PyTorch 1.6: pickles in a row, then the storages.
pub(crate) fn open_legacy(file: SourceFile) -> Result<Contents, WeightsError> {
    let file = Arc::new(file);
    let mut machine = Machine::new(file.parse(0, file.len())?);
    let parsed = legacy::parse(&mut machine).map_err(|stop| stop.into_error(file.path()))?;
    state_dict::read(&file, &machine.into_values(), parsed.root, |storage| {
        parsed
            .storages
            .get(&storage.key)
            .copied()
            .ok_or_else(|| WeightsError::corrupt(file.path(), format!("lacks the storage {:?}", storage.key)))
    })
}

impl Stop {
    fn into_error(self, path: &std::path::Path) -> WeightsError {
        match self {
            Stop::Forbidden(global) => WeightsError::ForbiddenGlobal { path: path.to_owned(), global },
            Stop::Damaged(message) => {
                WeightsError::corrupt(path, format!("not a whole PyTorch file: {message}"))
            }
        }
    }
}
