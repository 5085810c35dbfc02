//! Bad records: what was wrong with each, written down and counted, and a limit to how many a run may have.
//!
//! A record that cannot be used never stops a run and is never passed over in silence: it becomes a [`Reject`], the
//! [`RejectLog`] counts it by [`Reason`] and writes it as one line of JSON, and only when too large a share of all
//! records is bad does the run stop, with the counts as its report.

use std::collections::BTreeMap;
use std::fmt::{self, Display};
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::DataError;

/// Why a record cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Reason {
    /// A shard that is listed cannot be opened or read.
    UnreadableShard,
    /// A shard ends in the middle of a record.
    TruncatedShard,
    /// A shard's structure is broken: a header, a length, a checksum.
    CorruptShard,
    /// A name that is absolute, or leads out of its folder.
    UnsafeName,
    /// A field, record or file is larger than the limit.
    TooLarge,
    /// Two fields of one record have one name.
    DuplicateField,
    /// A field, column or file that must be there is not.
    Missing,
    /// A description is no JSON, or its values have another type or length than they must.
    BadDescription,
    /// Bytes that should be base64 are not.
    BadBase64,
    /// Bytes that should be text are in no known encoding.
    BadText,
    /// HTML that is nested too deeply, or otherwise not usable.
    BadHtml,
    /// Bytes that should be an image are not one.
    BadImage,
    /// An image has more pixels or bytes than the limit.
    ImageTooLarge,
    /// A file that should be a video is not one, or has no picture.
    BadVideo,
    /// A document with neither text nor images.
    Empty,
    /// A good record, or a part of one, that the configuration leaves out: an image that is too small or too far from
    /// the text, a document with too few images. Does not count towards the limit of bad records.
    Filtered,
}

impl Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(f)
    }
}

/// A record that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reject {
    /// The source's name in the configuration; empty until a stream knows it.
    pub source: String,
    /// The shard, table or folder.
    pub shard: String,
    /// The record's key, or its position where no key could be read.
    pub record: String,
    /// The kind of trouble.
    pub reason: Reason,
    /// The trouble in words, with what was expected.
    pub what: String,
}

impl Reject {
    /// A reject of a source that is not named yet.
    pub fn new(
        shard: impl Display,
        record: impl Into<String>,
        reason: Reason,
        what: impl Into<String>,
    ) -> Self {
        Self {
            source: String::new(),
            shard: shard.to_string(),
            record: record.into(),
            reason,
            what: what.into(),
        }
    }
}

impl Display for Reject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, {}: {} ({})", self.shard, self.record, self.what, self.reason)
    }
}

/// The share of bad records is not judged before so many were read.
const FEWEST_TO_JUDGE: u64 = 100;

/// Counts good and bad records, writes the bad ones to a file, and says when there are too many.
#[derive(Debug)]
pub struct RejectLog {
    file: Option<(PathBuf, File)>,
    most: f64,
    good: u64,
    bad: BTreeMap<Reason, u64>,
}

impl RejectLog {
    /// A log that stops a run when more than the share `most` (in `0..=1`) of the records is bad, and that appends
    /// each bad record to `path`, one JSON object a line.
    ///
    /// # Errors
    ///
    /// [`DataError::Io`] if the file cannot be opened.
    pub fn new(path: Option<&Path>, most: f64) -> Result<Self, DataError> {
        let open = |path: &Path| {
            let file = OpenOptions::new().append(true).create(true).open(path);
            file.map(|file| (path.to_owned(), file))
                .map_err(|source| DataError::Io { path: path.to_owned(), source })
        };
        Ok(Self { file: path.map(open).transpose()?, most, good: 0, bad: BTreeMap::new() })
    }

    /// Goes on counting where an earlier log ended.
    pub fn resume(&mut self, good: u64, bad: BTreeMap<Reason, u64>) {
        (self.good, self.bad) = (good, bad);
    }

    /// Counts a record that could be used.
    pub fn accept(&mut self) {
        self.good += 1;
    }

    /// Counts and writes down a record that could not be used.
    ///
    /// # Errors
    ///
    /// [`DataError::TooManyRejects`] when the share of bad records passes the limit; [`DataError::Io`] if the file
    /// cannot be written.
    pub fn reject(&mut self, reject: &Reject) -> Result<(), DataError> {
        *self.bad.entry(reject.reason).or_default() += 1;
        if let Some((path, file)) = &mut self.file {
            let written = serde_json::to_vec(reject).map_err(io::Error::from).and_then(|mut line| {
                line.push(b'\n');
                file.write_all(&line)
            });
            written.map_err(|source| DataError::Io { path: path.clone(), source })?;
        }
        let filtered = self.bad.get(&Reason::Filtered).copied().unwrap_or_default();
        let bad = self.rejected() - filtered;
        let all = bad + self.good;
        if all >= FEWEST_TO_JUDGE && bad as f64 > self.most * all as f64 {
            return Err(DataError::TooManyRejects {
                bad,
                all,
                most: self.most,
                summary: self.summary(),
                last: reject.to_string(),
            });
        }
        Ok(())
    }

    /// Records that could be used.
    pub fn accepted(&self) -> u64 {
        self.good
    }

    /// Records that were not used, filtered ones among them.
    pub fn rejected(&self) -> u64 {
        self.bad.values().sum()
    }

    /// Bad records by reason.
    pub fn by_reason(&self) -> &BTreeMap<Reason, u64> {
        &self.bad
    }

    /// Bad records by reason, in words: `3 bad-image, 1 truncated-shard`; empty if there are none.
    pub fn summary(&self) -> String {
        let counts: Vec<String> =
            self.bad.iter().map(|(reason, count)| format!("{count} {reason}")).collect();
        counts.join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bad(record: &str) -> Reject {
        Reject::new("a.tar", record, Reason::BadImage, "is no image")
    }

    #[test]
    fn rejects_are_counted_and_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rejects.jsonl");
        let mut log = RejectLog::new(Some(&path), 1.0).unwrap();
        log.accept();
        log.reject(&bad("one")).unwrap();
        log.reject(&bad("two")).unwrap();
        assert_eq!((log.accepted(), log.rejected()), (1, 2));
        assert_eq!(log.summary(), "2 bad-image");
        let lines: Vec<Reject> = std::fs::read_to_string(&path)
            .unwrap()
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        assert_eq!(lines, [bad("one"), bad("two")]);
    }

    #[test]
    fn what_is_filtered_is_counted_but_not_judged() {
        let mut log = RejectLog::new(None, 0.1).unwrap();
        for _ in 0..500 {
            log.reject(&Reject::new("a.tar", "one", Reason::Filtered, "has 0 images")).unwrap();
        }
        assert_eq!((log.rejected(), log.summary().as_str()), (500, "500 filtered"));
    }

    #[test]
    fn too_many_stop_the_run_with_a_report() {
        let mut log = RejectLog::new(None, 0.1).unwrap();
        for _ in 0..90 {
            log.accept();
        }
        for _ in 0..10 {
            log.reject(&bad("one")).unwrap();
        }
        let error = log.reject(&bad("last")).unwrap_err().to_string();
        assert!(error.contains("11 of 101") && error.contains("11 bad-image"), "{error}");
        assert!(error.contains("a.tar, last"), "{error}");
    }
}
