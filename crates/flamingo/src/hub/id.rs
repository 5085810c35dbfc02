//! The id of a model on the hub.

use std::fmt;
use std::str::FromStr;

use crate::error::FlamingoError;

/// The branch of an id that names no revision.
const MAIN: &str = "main";

/// `owner/name`, or `owner/name@revision`.
///
/// It holds nothing that would lead out of the cache folder when it is made a part of a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelId {
    repository: String,
    revision: String,
}

impl ModelId {
    /// `owner/name`.
    pub fn repository(&self) -> &str {
        &self.repository
    }

    /// A branch, a tag or a commit: `main` if the id names none.
    pub fn revision(&self) -> &str {
        &self.revision
    }
}

impl FromStr for ModelId {
    type Err = FlamingoError;

    fn from_str(text: &str) -> Result<Self, FlamingoError> {
        let (repository, revision) = text.split_once('@').unwrap_or((text, MAIN));
        let owner_and_name = repository.split('/').count() == 2;
        match owner_and_name && repository.split('/').all(is_plain) && revision.split('/').all(is_plain) {
            true => Ok(Self { repository: repository.to_owned(), revision: revision.to_owned() }),
            false => Err(FlamingoError::NoSuchModel { name: text.to_owned() }),
        }
    }
}

/// Whether `part` can be a name on the hub, and a folder's or file's own name.
pub(super) fn is_plain(part: &str) -> bool {
    !part.is_empty()
        && !part.starts_with(['.', '-'])
        && part.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c))
}

impl fmt::Display for ModelId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.revision.as_str() {
            MAIN => f.write_str(&self.repository),
            revision => write!(f, "{}@{revision}", self.repository),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_have_an_owner_a_name_and_a_revision() {
        let id: ModelId = "HuggingFaceM4/idefics-9b".parse().unwrap();
        assert_eq!((id.repository(), id.revision()), ("HuggingFaceM4/idefics-9b", "main"));
        let pinned: ModelId = "a/b.c@refs/pr/3".parse().unwrap();
        assert_eq!((pinned.repository(), pinned.revision()), ("a/b.c", "refs/pr/3"));
        assert_eq!([id.to_string(), pinned.to_string()], ["HuggingFaceM4/idefics-9b", "a/b.c@refs/pr/3"]);
    }

    #[test]
    fn other_names_are_refused_and_both_ways_are_said() {
        for name in ["model", "a/b/c", "../b", "a/..", "a/b@../../c", "a/b@", "", "/a/b", "a b/c", "a/-b"] {
            let error = name.parse::<ModelId>().unwrap_err().to_string();
            assert!(error.contains("no path") && error.contains("owner/name"), "{error}");
        }
    }
}
