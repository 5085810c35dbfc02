//! The directory of a zip archive whose members are not compressed, as PyTorch writes them.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::error::WeightsError;
use crate::input::SourceFile;

/// Longest end record: 22 bytes and a comment.
const MAX_END: u64 = 22 + 0xffff;
const END: &[u8; 4] = b"PK\x05\x06";
const END_64: &[u8; 4] = b"PK\x06\x06";
const LOCATOR_64: &[u8; 4] = b"PK\x06\x07";
const MEMBER: &[u8; 4] = b"PK\x01\x02";
const LOCAL: &[u8; 4] = b"PK\x03\x04";

/// The members of an archive, by name.
pub(crate) struct Archive {
    file: Arc<SourceFile>,
    members: BTreeMap<String, Member>,
}

#[derive(Debug, Clone, Copy)]
struct Member {
    stored: bool,
    len: u64,
    /// Of the local header.
    offset: u64,
}

impl Archive {
    pub(crate) fn open(file: &Arc<SourceFile>) -> Result<Self, WeightsError> {
        let damaged = || {
            WeightsError::corrupt(
                file.path(),
                "not a whole zip archive: its directory is missing or damaged; copy or download it again",
            )
        };
        let (start, len) = directory(file)?.ok_or_else(damaged)?;
        let bytes = file.read(start, len)?;
        let members = members(&bytes).ok_or_else(damaged)?;
        Ok(Self { file: file.clone(), members })
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.members.keys().map(String::as_str)
    }

    /// First byte and number of bytes of a member's content.
    pub(crate) fn locate(&self, name: &str) -> Result<(u64, u64), WeightsError> {
        let corrupt = |message: String| WeightsError::corrupt(self.file.path(), message);
        let member = self.members.get(name).ok_or_else(|| corrupt(format!("the archive lacks {name:?}")))?;
        if !member.stored {
            return Err(corrupt(format!(
                "{name:?} is compressed, which torch.save never does: save it again with PyTorch"
            )));
        }
        // The local header has a name and extra field of its own, which may be longer than the directory's.
        let local = self.file.read(member.offset, 30)?;
        if !local.starts_with(LOCAL) {
            return Err(corrupt(format!("{name:?} is not where the archive's directory says")));
        }
        let lengths = field(&local, 26, 2).zip(field(&local, 28, 2)).map(|(name, extra)| 30 + name + extra);
        let start = lengths.and_then(|lengths| member.offset.checked_add(lengths));
        let inside = |start: &u64| start.checked_add(member.len).is_some_and(|end| end <= self.file.len());
        let start = start
            .filter(inside)
            .ok_or_else(|| corrupt(format!("{name:?} ends behind the end of the file")))?;
        Ok((start, member.len))
    }
}

/// First byte and number of bytes of the directory; `None` if there is none.
fn directory(file: &SourceFile) -> Result<Option<(u64, u64)>, WeightsError> {
    let start = file.len().saturating_sub(MAX_END);
    let tail = file.read(start, file.len() - start)?;
    let Some(end) = tail.windows(4).rposition(|window| window == END) else {
        return Ok(None);
    };
    let (len, offset) = (field(&tail[end..], 12, 4), field(&tail[end..], 16, 4));
    let locator =
        end.checked_sub(20).map(|at| &tail[at..end]).filter(|locator| locator.starts_with(LOCATOR_64));
    let Some(end_64) = locator.and_then(|locator| field(locator, 8, 8)) else {
        return Ok(offset.zip(len));
    };
    let end_64 = file.read(end_64, 56)?;
    Ok(end_64.starts_with(END_64).then(|| field(&end_64, 48, 8).zip(field(&end_64, 40, 8))).flatten())
}

/// Reads the directory; `None` if it is damaged.
fn members(mut bytes: &[u8]) -> Option<BTreeMap<String, Member>> {
    let mut members = BTreeMap::new();
    while bytes.starts_with(MEMBER) {
        let length = |at| field(bytes, at, 2).map(|length| length as usize);
        let (name, extra, comment) = (length(28)?, length(30)?, length(32)?);
        let name_end = 46 + name;
        let extra_end = name_end + extra;
        let mut sizes = [field(bytes, 24, 4)?, field(bytes, 20, 4)?, field(bytes, 42, 4)?];
        widen(&mut sizes, bytes.get(name_end..extra_end)?)?;
        let [len, _compressed, offset] = sizes;
        let name = String::from_utf8_lossy(bytes.get(46..name_end)?).into_owned();
        members.insert(name, Member { stored: field(bytes, 10, 2)? == 0, len, offset });
        bytes = bytes.get(extra_end + comment..)?;
    }
    Some(members)
}

/// Replaces the numbers that did not fit 4 bytes by those of the zip64 extra field, which has them in this order.
fn widen(sizes: &mut [u64; 3], mut extra: &[u8]) -> Option<()> {
    if sizes.iter().all(|size| *size != 0xffff_ffff) {
        return Some(());
    }
    while let (Some(id), Some(len)) = (field(extra, 0, 2), field(extra, 2, 2)) {
        let content = extra.get(4..4 + len as usize)?;
        if id == 1 {
            let wide = sizes.iter_mut().filter(|size| **size == 0xffff_ffff);
            for (index, size) in wide.enumerate() {
                *size = field(content, 8 * index, 8)?;
            }
            return Some(());
        }
        extra = &extra[4 + len as usize..];
    }
    None
}

/// A little-endian number of `width` bytes.
fn field(bytes: &[u8], at: usize, width: usize) -> Option<u64> {
    let bytes = bytes.get(at..at.checked_add(width)?)?;
    Some(bytes.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An archive with one member, whose sizes and places are in zip64 fields.
    fn zip_64(content: &[u8]) -> Vec<u8> {
        let len = content.len() as u64;
        let mut bytes =
            [LOCAL.as_slice(), &[0; 22], &1u16.to_le_bytes(), &3u16.to_le_bytes(), b"aXXX", content].concat();
        let directory = bytes.len() as u64;
        let extra = [
            &[9, 0, 2, 0, 7, 7, 1, 0, 24, 0][..],
            &len.to_le_bytes(),
            &len.to_le_bytes(),
            &0u64.to_le_bytes(),
        ]
        .concat();
        let lengths = [1u16, extra.len() as u16, 0].map(u16::to_le_bytes).concat();
        bytes.extend(
            [MEMBER.as_slice(), &[0; 16], &[0xff; 8], &lengths, &[0; 8], &[0xff; 4], b"a", &extra].concat(),
        );
        let (end, directory_len) = (bytes.len() as u64, bytes.len() as u64 - directory);
        bytes.extend(
            [END_64.as_slice(), &[0; 36], &directory_len.to_le_bytes(), &directory.to_le_bytes()].concat(),
        );
        bytes.extend([LOCATOR_64.as_slice(), &[0; 4], &end.to_le_bytes(), &[0; 4]].concat());
        bytes.extend([END.as_slice(), &[0xff; 16], &[0; 2]].concat());
        bytes
    }

    fn locate(bytes: &[u8]) -> Result<(u64, u64), WeightsError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("archive");
        std::fs::write(&path, bytes).unwrap();
        Archive::open(&Arc::new(SourceFile::open(&path)?))?.locate("a")
    }

    #[test]
    fn archives_beyond_4_gib_are_understood() {
        assert_eq!(locate(&zip_64(b"hello")).unwrap(), (34, 5));
    }

    #[test]
    fn damaged_directories_are_errors() {
        let bytes = zip_64(b"hello");
        for (at, byte, message) in [
            (bytes.len() - 1, 0, "ok"),
            (bytes.len() - 22, 0, "its directory is missing"),
            (bytes.len() - 22 - 20 - 8, 0xff, "ends at byte"),
            (0, 0, "is not where the archive's directory says"),
        ] {
            let mut changed = bytes.clone();
            changed[at] = byte;
            let text = locate(&changed).map_or_else(|error| error.to_string(), |_| "ok".to_owned());
            assert!(text.contains(message), "{at}: {text}");
        }
    }
}
