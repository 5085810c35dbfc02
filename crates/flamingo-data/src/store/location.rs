//! Where a file is: a path or a URL.

use std::fmt::{self, Debug, Display};
use std::path::Path;

use serde::{Deserialize, Serialize};

/// What stands in the place of what is not shown.
const HIDDEN: &str = "…";

/// Parts of a query that say which object is meant, and in which version. The values of all others may let their reader
/// in: signatures, tokens, keys.
const TELLING: [&str; 9] =
    ["file", "filename", "generation", "id", "name", "path", "rev", "revision", "versionid"];

/// A file, as a path or a URL.
///
/// What is shown of a URL, by `Display` and `Debug`, has no password in it and no value of its query that may be a
/// signature: `https://host/a.tar?X-Amz-Expires=…&X-Amz-Signature=…`. [`Location::as_str`] has all of it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Location(String);

impl Location {
    /// The path, unless the location is a URL.
    pub fn path(&self) -> Option<&Path> {
        self.scheme().is_none().then(|| Path::new(&self.0))
    }

    /// The path or URL as text, secrets included.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What stands before `://` in a URL.
    pub fn scheme(&self) -> Option<&str> {
        self.0.split_once("://").map(|(scheme, _)| scheme)
    }

    /// The path or URL without a query and what follows it: its end tells the format of a file.
    pub fn without_query(&self) -> &str {
        match self.has_query() {
            true => self.0.split(['?', '#']).next().unwrap_or_default(),
            false => &self.0,
        }
    }

    /// Whether `?` and `#` mean something: in the names of files and of objects in buckets they are characters.
    fn has_query(&self) -> bool {
        self.scheme().is_some_and(|scheme| !["s3", "gs", "file"].contains(&scheme))
    }

    /// The location as it may be shown to everyone.
    fn shown(&self) -> String {
        let (Some((scheme, rest)), true) = (self.0.split_once("://"), self.has_query()) else {
            return self.0.clone();
        };
        let (rest, fragment) = rest.split_once('#').map_or((rest, None), |(rest, it)| (rest, Some(it)));
        let (rest, query) = rest.split_once('?').map_or((rest, None), |(rest, it)| (rest, Some(it)));
        let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let mut shown = match host.rsplit_once('@') {
            Some((_, host)) => format!("{scheme}://{HIDDEN}@{host}{path}"),
            None => format!("{scheme}://{host}{path}"),
        };
        if let Some(query) = query {
            let parts: Vec<String> = query.split('&').map(shown_part).collect();
            shown = format!("{shown}?{}", parts.join("&"));
        }
        match fragment {
            Some(_) => format!("{shown}#{HIDDEN}"),
            None => shown,
        }
    }
}

/// A part of a query: its name, and its value if that is telling.
fn shown_part(part: &str) -> String {
    match part.split_once('=') {
        Some((name, _)) if TELLING.contains(&name.to_lowercase().as_str()) => part.to_owned(),
        Some((name, _)) => format!("{name}={HIDDEN}"),
        None => HIDDEN.to_owned(),
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

impl Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown())
    }
}

impl Debug for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Debug::fmt(&self.shown(), f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_not_shown() {
        for (url, shown) in [
            ("data/what?.tar#1", "data/what?.tar#1"),
            ("s3://bucket/odd?key=1#x", "s3://bucket/odd?key=1#x"),
            ("https://host/a.tar", "https://host/a.tar"),
            (
                "https://host/a.tar?X-Amz-Expires=9&X-Amz-Signature=5ec2e7&versionId=V1",
                "https://host/a.tar?X-Amz-Expires=…&X-Amz-Signature=…&versionId=V1",
            ),
            ("https://host/get?id=7&token=5ec2e7", "https://host/get?id=7&token=…"),
            ("https://host/a.tar?5ec2e7", "https://host/a.tar?…"),
            ("https://me:5ec2e7@host/a.tar", "https://…@host/a.tar"),
            ("https://me:5e@c2e7@host?x=1", "https://…@host?x=…"),
            ("https://host/a.tar#access_token=5ec2e7", "https://host/a.tar#…"),
            ("https://host/user@home/a.tar?", "https://host/user@home/a.tar?…"),
        ] {
            let location = Location::from(url);
            assert_eq!((location.to_string(), location.as_str()), (shown.to_owned(), url));
            assert_eq!(format!("{location:?}"), format!("{shown:?}"));
        }
    }

    #[test]
    fn the_query_is_no_part_of_the_name() {
        for (url, name) in [
            ("https://host/t.csv?sig=a/b.tar", "https://host/t.csv"),
            ("https://host/t.csv#x", "https://host/t.csv"),
            ("s3://bucket/t?.csv", "s3://bucket/t?.csv"),
            ("dir/t#1.csv", "dir/t#1.csv"),
        ] {
            assert_eq!(Location::from(url).without_query(), name);
        }
    }
}
