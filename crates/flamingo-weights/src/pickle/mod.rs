//! PyTorch's files.

use crate::error::WeightsError;
use crate::input::SourceFile;
use crate::open::Contents;

pub(crate) fn open_zip(file: SourceFile) -> Result<Contents, WeightsError> {
    Err(WeightsError::unknown_format(file.path(), "PyTorch"))
}
pub(crate) fn open_legacy(file: SourceFile) -> Result<Contents, WeightsError> {
    Err(WeightsError::unknown_format(file.path(), "PyTorch"))
}
