//! Neighbouring members of an archive to records.

use std::collections::BTreeMap;

use super::archive::{Archive, Break, Flaw, Kind, Member};
use super::name::Name;
use crate::DataError;
use crate::reject::{Reason, Reject};
use crate::store::{ByteStream, Location, Store};

/// Neighbouring files of a shard that share a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Path inside the shard, up to the first dot of the base name.
    pub key: String,
    /// The shard it comes from.
    pub shard: Location,
    /// Contents by extension: all that follows the first dot, without it, in lower case.
    pub fields: BTreeMap<String, Vec<u8>>,
}

impl Record {
    /// The contents of the field `extension`.
    ///
    /// # Errors
    ///
    /// [`DataError::Metadata`] if the record has no such field.
    pub fn field(&self, extension: &str) -> Result<&[u8], DataError> {
        self.fields.get(extension).map(Vec::as_slice).ok_or_else(|| DataError::Metadata {
            path: self.shard.to_string().into(),
            record: self.key.clone(),
            field: extension.to_owned(),
            what: format!("is missing; the record has {:?}", self.fields.keys().collect::<Vec<_>>()),
        })
    }

    /// Memory that the fields take, in bytes.
    pub fn len(&self) -> usize {
        self.fields.values().map(Vec::len).sum()
    }

    /// Whether there is nothing in the fields.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// A note that this record cannot be used.
    pub fn reject(&self, reason: Reason, what: impl Into<String>) -> Reject {
        Reject::new(&self.shard, &self.key, reason, what)
    }
}

/// What a record may be at most. Anything larger is taken for a broken or hostile shard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of one field.
    pub field: u64,
    /// Bytes of a record's fields together.
    pub record: u64,
    /// Fields of a record.
    pub fields: usize,
}

impl Default for Limits {
    /// 64 MiB a field, 256 MiB and 4096 fields a record.
    fn default() -> Self {
        Self { field: 64 << 20, record: 256 << 20, fields: 4096 }
    }
}

/// Iterates over the records of one shard, good and bad.
///
/// A record with a flaw (a field that is too large, a link, a name that leads elsewhere) is one [`Reject`], and the next
/// record follows. Where the archive itself is broken, one last reject says so; it stands for the record in which that
/// happened, because nobody knows what else belonged to it. Memory is bounded by [`Limits::record`].
///
/// [`Iterator::nth`], and with it [`Iterator::skip`], passes over records without reading their contents; they count
/// the same items as reading does.
pub struct ShardRecords {
    shard: Location,
    archive: Archive,
    limits: Limits,
    /// The first file of the next record, whose header told that the last record had ended.
    ahead: Option<Part>,
    /// Members seen so far, to say where the trouble is when no key is known.
    members: usize,
    progress: Progress,
}

#[derive(PartialEq, Eq)]
enum Progress {
    Reading,
    /// The end mark was seen; what is behind it was not looked at yet.
    AtEnd,
    Done,
}

/// A member that is part of a record. Its contents are still in the archive.
struct Part {
    name: Name,
    member: Member,
}

/// Why a field cannot be had.
enum Trouble {
    Flaw(Flaw),
    Break(Break),
}

impl ShardRecords {
    /// Opens a shard, compressed or not.
    ///
    /// # Errors
    ///
    /// [`Reason::UnreadableShard`] if it cannot be opened.
    pub fn open(store: &Store, shard: &Location, limits: Limits) -> Result<Self, Reject> {
        let stream = store.open(shard, 0).and_then(ByteStream::unpacked).map_err(|error| {
            Reject::new(shard, "the shard", Reason::UnreadableShard, format!("cannot open it: {error}"))
        })?;
        Ok(Self::new(shard.clone(), stream, limits))
    }

    /// The records of an archive that is called `shard` in messages.
    pub fn new(shard: Location, archive: ByteStream, limits: Limits) -> Self {
        let archive = Archive::new(archive);
        Self { shard, archive, limits, ahead: None, members: 0, progress: Progress::Reading }
    }

    /// How far the shard was followed, in bytes of its decompressed contents.
    pub fn position(&self) -> u64 {
        self.archive.position()
    }

    /// The next record; its contents are passed over unless `keep`.
    fn gather(&mut self, keep: bool) -> Option<Result<Record, Reject>> {
        let first = match self.ahead.take() {
            Some(part) => part,
            None => match self.next_part() {
                Ok(part) => part?,
                Err(at) => return Some(Err(self.end(None, at))),
            },
        };
        let mut record =
            Record { key: first.name.key.clone(), shard: self.shard.clone(), fields: BTreeMap::new() };
        let (mut part, mut flaw, mut bytes) = (first, None, 0);
        loop {
            if keep && flaw.is_none() {
                match self.field(&part, &record, bytes) {
                    Ok(contents) => {
                        bytes += contents.len() as u64;
                        record.fields.insert(part.name.field, contents);
                    }
                    Err(Trouble::Flaw(found)) => {
                        // What was read of a bad record is of no use.
                        record.fields.clear();
                        flaw = Some((part.name.field, found));
                    }
                    Err(Trouble::Break(mut at)) => {
                        at.what = format!("field {:?}: {}", part.name.field, at.what);
                        return Some(Err(self.end(Some(record.key), at)));
                    }
                }
            }
            match self.next_part() {
                Ok(Some(next)) if next.name.key == record.key => part = next,
                Ok(next) => {
                    self.ahead = next;
                    break;
                }
                Err(at) => return Some(Err(self.end(Some(record.key), at))),
            }
        }
        Some(match flaw {
            None => Ok(record),
            Some((field, flaw)) => Err(record.reject(flaw.reason, format!("field {field:?}: {}", flaw.what))),
        })
    }

    /// The contents of a field of `record`, which has `bytes` bytes so far.
    fn field(&mut self, part: &Part, record: &Record, bytes: u64) -> Result<Vec<u8>, Trouble> {
        let flaw = |reason, what: String| Err(Trouble::Flaw(Flaw { reason, what }));
        let (size, limits) = (part.member.size, self.limits);
        if let Some(found) = &part.member.flaw {
            return Err(Trouble::Flaw(found.clone()));
        }
        if !part.name.is_text {
            return flaw(
                Reason::BadText,
                "its name is not UTF-8; repack the shard with `--format=pax`".to_owned(),
            );
        }
        if !part.name.is_safe() {
            return flaw(Reason::UnsafeName, "its path is absolute or leads out of its folder".to_owned());
        }
        if record.fields.contains_key(&part.name.field) {
            return flaw(Reason::DuplicateField, "two files of the record have this extension".to_owned());
        }
        if size > limits.field {
            return flaw(Reason::TooLarge, format!("{size} bytes, over the limit of {}", limits.field));
        }
        if size > limits.record - bytes.min(limits.record) || record.fields.len() >= limits.fields {
            let Limits { record: most, fields, .. } = limits;
            return flaw(
                Reason::TooLarge,
                format!("the record has more than {most} bytes or {fields} fields"),
            );
        }
        self.archive.contents(size).map_err(Trouble::Break)
    }

    /// The next member that is part of a record; `None` at the end mark.
    fn next_part(&mut self) -> Result<Option<Part>, Break> {
        while self.progress == Progress::Reading {
            let Some(member) = self.archive.next()? else {
                self.progress = Progress::AtEnd;
                break;
            };
            self.members += 1;
            let name = Name::split(&member.name).filter(|_| member.kind == Kind::File);
            if let Some(name) = name {
                return Ok(Some(Part { name, member }));
            }
        }
        Ok(None)
    }

    /// The last reject.
    fn end(&mut self, key: Option<String>, at: Break) -> Reject {
        self.progress = Progress::Done;
        let place = key.unwrap_or_else(|| format!("entry {} (counted from 0)", self.members));
        Reject::new(&self.shard, place, at.reason, at.what)
    }

    fn item(&mut self, keep: bool) -> Option<Result<Record, Reject>> {
        if self.progress == Progress::Done {
            return None;
        }
        if let Some(record) = self.gather(keep) {
            return Some(record);
        }
        self.progress = Progress::Done;
        let at = self.archive.finish().err()?;
        Some(Err(self.end(None, at)))
    }
}

impl Iterator for ShardRecords {
    type Item = Result<Record, Reject>;

    fn next(&mut self) -> Option<Self::Item> {
        self.item(true)
    }

    fn nth(&mut self, count: usize) -> Option<Self::Item> {
        for _ in 0..count {
            drop(self.item(false)?);
        }
        self.next()
    }
}
