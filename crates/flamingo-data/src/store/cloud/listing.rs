//! The files of a bucket that match a pattern.

use std::io;

use futures_util::{StreamExt, TryStreamExt};
use glob::{MatchOptions, Pattern};
use object_store::path::Path;
use tokio::time::sleep;

use super::super::{Location, local};
use super::Cloud;
use super::remote::{Address, Bucket, object_failure};
use crate::DataError;

/// As a file system matches: `*` stays within a folder.
const MATCHING: MatchOptions = MatchOptions {
    case_sensitive: true,
    require_literal_separator: true,
    require_literal_leading_dot: false,
};

impl Cloud {
    /// What `pattern` (without braces) stands for, sorted. Only buckets can be listed: in other URLs, `?` and `*` mean
    /// themselves.
    pub fn list(&self, pattern: &str) -> Result<Vec<Location>, DataError> {
        let missing =
            |hint: String| DataError::MissingShard { path: Location::from(pattern).to_string().into(), hint };
        let is_bucket = pattern.starts_with("s3://") || pattern.starts_with("gs://");
        if !is_bucket || !local::is_glob(pattern) {
            Address::parse(pattern).map_err(|error| missing(error.to_string()))?;
            return Ok(vec![Location::from(pattern)]);
        }
        let glob = Pattern::new(pattern).map_err(|error| missing(format!("{error}; check the pattern")))?;
        let fixed = pattern.split(['*', '?', '[']).next().unwrap_or_default();
        let folder = &fixed[..=fixed.rfind('/').unwrap_or_default()];
        let all = self.below(folder).map_err(|error| missing(format!("cannot list {folder}: {error}")))?;
        let found: Vec<_> =
            all.iter().filter(|it| glob.matches_with(it.as_str(), MATCHING)).cloned().collect();
        match found.is_empty() {
            true => Err(missing(format!("no file matches; {}", some_of(folder, &all)))),
            false => Ok(found),
        }
    }

    /// The files directly in `folder`, a URL that ends in `/`, whose names end in one of `endings`, sorted.
    pub fn in_folder(&self, folder: &Location, endings: &[&str]) -> Result<Vec<Location>, DataError> {
        let missing = |hint: String| DataError::MissingShard { path: folder.to_string().into(), hint };
        let all = self.below(folder.as_str()).map_err(|error| missing(format!("cannot list it: {error}")))?;
        let is_wanted = |location: &Location| {
            let name = location.as_str().strip_prefix(folder.as_str()).unwrap_or_default();
            !name.contains('/') && endings.iter().any(|ending| name.ends_with(ending))
        };
        let found: Vec<_> = all.iter().filter(|it| is_wanted(it)).cloned().collect();
        match found.is_empty() {
            true => {
                let expected = endings.join(" or ");
                Err(missing(format!("expected {expected} files; {}", some_of(folder.as_str(), &all))))
            }
            false => Ok(found),
        }
    }

    /// All files whose URLs begin with `folder`, sorted.
    fn below(&self, folder: &str) -> io::Result<Vec<Location>> {
        let Address::Object { scheme, bucket: name, key } = Address::parse(folder)? else {
            return Err(io::Error::new(
                io::ErrorKind::Unsupported,
                "web servers cannot be listed; name the files, for example with braces: {000..127}.tar",
            ));
        };
        let (bucket, patience) = (self.bucket(scheme, name)?, self.0.patience);
        let keys = self.wait(async move {
            let mut attempt = 1;
            loop {
                match keys(&bucket, &key).await {
                    Ok(keys) => return Ok(keys),
                    Err(error) => {
                        let failure = object_failure(&error);
                        if failure.is_final || attempt >= patience.attempts {
                            return Err(failure.error);
                        }
                        sleep(patience.pause * attempt).await;
                        attempt += 1;
                    }
                }
            }
        })?;
        let mut found: Vec<_> =
            keys.iter().map(|key| Location::from(format!("{scheme}://{name}/{key}"))).collect();
        found.sort();
        Ok(found)
    }
}

async fn keys(bucket: &Bucket, prefix: &Path) -> object_store::Result<Vec<String>> {
    bucket.list(Some(prefix)).map(|item| item.map(|it| it.location.to_string())).try_collect().await
}

fn some_of(folder: &str, all: &[Location]) -> String {
    match all {
        [] => format!("{folder} is empty"),
        [first, ..] => format!("{folder} has {} files, the first of them {first}", all.len()),
    }
}
