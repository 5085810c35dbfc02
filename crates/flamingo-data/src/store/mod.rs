//! Bytes by path or URL.

use std::fmt::{self, Display};
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::DataError;

/// A file, as a path or a URL.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Location(String);

impl Location {
    /// The path, unless the location is a URL.
    pub fn path(&self) -> Option<&Path> {
        (!self.0.contains("://")).then(|| Path::new(&self.0))
    }

    /// The path or URL as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<String> for Location {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Opens and lists files, here or elsewhere. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Store {}

impl Store {
    /// The locations that `patterns` stand for, in the order of the patterns and sorted within each.
    ///
    /// # Errors
    ///
    /// [`DataError::MissingShard`] if a pattern stands for nothing.
    pub fn list(&self, patterns: &[String]) -> Result<Vec<Location>, DataError> {
        for pattern in patterns {
            if !Path::new(pattern).exists() {
                let hint = "no such file; check the path".to_owned();
                return Err(DataError::MissingShard { path: pattern.into(), hint });
            }
        }
        Ok(patterns.iter().cloned().map(Location).collect())
    }

    /// The contents of a file from byte `offset` on.
    ///
    /// # Errors
    ///
    /// What the system or the server says.
    pub fn open(&self, location: &Location, offset: u64) -> io::Result<Box<dyn Read + Send>> {
        let mut file = File::open(location.as_str())?;
        file.seek(SeekFrom::Start(offset))?;
        Ok(Box::new(file))
    }
}
