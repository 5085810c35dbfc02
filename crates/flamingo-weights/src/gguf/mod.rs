//! GGUF.
use std::fmt;

use crate::error::WeightsError;
use crate::input::SourceFile;
use crate::open::Contents;

/// A quantised format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum BlockFormat {
    /// 32 8-bit integers and a scale.
    Q8_0,
}

impl BlockFormat {
    pub(crate) fn dequantise(self, _bytes: &[u8]) -> Vec<f32> {
        Vec::new()
    }
}

impl fmt::Display for BlockFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:?}")
    }
}

pub(crate) fn open(file: SourceFile) -> Result<Contents, WeightsError> {
    Err(WeightsError::unknown_format(file.path(), "GGUF"))
}
