//! What stands in for the cloud where the feature `cloud` is off: an error that says so.

use std::io::{self, ErrorKind};

use super::{ByteStream, Location, Patience, Settings};
use crate::DataError;

const OFF: &str = "URLs are read by the feature `cloud`, which this program was built without: \
                   build it with `--features cloud`, or copy the files to this machine";

#[derive(Debug, Clone, Default)]
pub(super) struct Cloud {}

impl Cloud {
    pub fn new(_patience: Patience, _settings: Settings) -> Self {
        Self {}
    }

    pub fn open(&self, _location: &Location, _offset: u64) -> io::Result<ByteStream> {
        Err(io::Error::new(ErrorKind::Unsupported, OFF))
    }

    pub fn list(&self, pattern: &str) -> Result<Vec<Location>, DataError> {
        Err(DataError::MissingShard {
            path: Location::from(pattern).to_string().into(),
            hint: OFF.to_owned(),
        })
    }

    pub fn in_folder(&self, folder: &Location, _endings: &[&str]) -> Result<Vec<Location>, DataError> {
        self.list(folder.as_str())
    }
}
