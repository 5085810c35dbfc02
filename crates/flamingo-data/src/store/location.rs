//! Where a file is: a path or a URL.

use std::fmt::{self, Display};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// A file, as a path or a URL.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Location(String);

impl Location {
    /// The path, unless the location is a URL.
    pub fn path(&self) -> Option<&Path> {
        self.scheme().is_none().then(|| Path::new(&self.0))
    }

    /// The path or URL as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What stands before `://` in a URL.
    pub fn scheme(&self) -> Option<&str> {
        self.0.split_once("://").map(|(scheme, _)| scheme)
    }
}

impl From<String> for Location {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl From<&str> for Location {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

/// A path that is not Unicode cannot be named in a configuration; its other characters are kept.
impl From<&Path> for Location {
    fn from(path: &Path) -> Self {
        Self(path.to_string_lossy().into_owned())
    }
}

impl From<&Location> for PathBuf {
    fn from(location: &Location) -> Self {
        PathBuf::from(&location.0)
    }
}

impl Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
