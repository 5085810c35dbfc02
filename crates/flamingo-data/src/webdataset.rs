//! WebDataset shards: `.tar` and `.tar.gz` archives whose neighbouring files form records.
//!
//! Files whose paths agree up to the first dot of the base name belong to one record: `a/1F600.png` and
//! `a/1F600.json` are the fields `png` and `json` of the record `a/1F600`. Reading is streaming: one record is in
//! memory at a time, whatever the size of the shard. As in the reference implementation, entries that are no
//! files, or whose base name has no dot or starts with one, are passed over.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};

use flate2::read::MultiGzDecoder;

use crate::DataError;

/// The largest field that is read, in bytes. Anything larger is taken for a broken or hostile shard.
pub const MAX_FIELD_BYTES: u64 = 64 << 20;

const TAR_BLOCK: u64 = 512;

/// Neighbouring files of a shard that share a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Path inside the shard, up to the first dot of the base name.
    pub key: String,
    /// The shard it comes from.
    pub shard: PathBuf,
    /// Contents by extension: all that follows the first dot, without it.
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
            path: self.shard.clone(),
            record: self.key.clone(),
            field: extension.to_owned(),
            what: format!("is missing; the record has {:?}", self.fields.keys().collect::<Vec<_>>()),
        })
    }
}

/// The shards of a folder (`.tar`, `.tar.gz`, `.tgz`), sorted by name.
///
/// # Errors
///
/// [`DataError::MissingShard`] if the folder cannot be read or holds none.
pub fn list_shards(folder: impl AsRef<Path>) -> Result<Vec<PathBuf>, DataError> {
    let folder = folder.as_ref();
    let missing = |hint: String| DataError::MissingShard { path: folder.to_owned(), hint };
    let entries = folder.read_dir().map_err(|error| missing(format!("cannot read the folder ({error})")))?;
    let mut shards = Vec::new();
    for entry in entries {
        let path = entry.map_err(|error| missing(format!("cannot list the folder ({error})")))?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if [".tar", ".tar.gz", ".tgz"].iter().any(|ending| name.ends_with(ending)) {
            shards.push(path);
        }
    }
    if shards.is_empty() {
        return Err(missing("expected .tar or .tar.gz files in this folder".to_owned()));
    }
    shards.sort();
    Ok(shards)
}

/// Iterates over the records of one shard; ends after the first error.
///
/// ```no_run
/// use flamingo_data::ShardReader;
///
/// for record in ShardReader::open("pictures-000.tar.gz")? {
///     let record = record?;
///     println!("{}: {:?}", record.key, record.fields.keys());
/// }
/// # Ok::<(), flamingo_data::DataError>(())
/// ```
pub struct ShardReader {
    path: PathBuf,
    stream: Box<dyn Read + Send>,
    /// The first file of the next record, read to see that the current one has ended.
    ahead: Option<Entry>,
    /// Entries read so far, to say where the trouble is when a header is unreadable.
    position: usize,
    done: bool,
}

struct Entry {
    key: String,
    extension: String,
    bytes: Vec<u8>,
}

impl ShardReader {
    /// Opens a shard; a name that ends in `gz` is decompressed.
    ///
    /// # Errors
    ///
    /// [`DataError::MissingShard`] if the file cannot be opened.
    pub fn open(path: impl Into<PathBuf>) -> Result<Self, DataError> {
        let path = path.into();
        let file = File::open(&path).map_err(|error| DataError::MissingShard {
            path: path.clone(),
            hint: format!("cannot open it ({error}); check the path, or rebuild the data set"),
        })?;
        let file = BufReader::new(file);
        let gzipped = path.extension().is_some_and(|extension| extension == "gz" || extension == "tgz");
        let stream: Box<dyn Read + Send> =
            if gzipped { Box::new(BufReader::new(MultiGzDecoder::new(file))) } else { Box::new(file) };
        Ok(Self { path, stream, ahead: None, position: 0, done: false })
    }

    fn next_record(&mut self) -> Result<Option<Record>, DataError> {
        let first = match self.ahead.take() {
            Some(entry) => entry,
            None => match self.next_entry()? {
                Some(entry) => entry,
                None => return Ok(None),
            },
        };
        let mut fields = BTreeMap::from([(first.extension, first.bytes)]);
        let key = first.key;
        while let Some(entry) = self.next_entry()? {
            if entry.key != key {
                self.ahead = Some(entry);
                break;
            }
            if fields.contains_key(&entry.extension) {
                return Err(self.corrupt(&key, format!("two files with the extension {:?}", entry.extension)));
            }
            fields.insert(entry.extension, entry.bytes);
        }
        Ok(Some(Record { key, shard: self.path.clone(), fields }))
    }

    /// The next file that can be part of a record.
    fn next_entry(&mut self) -> Result<Option<Entry>, DataError> {
        loop {
            match read_entry(&mut self.stream) {
                Ok(None) => return Ok(None),
                Ok(Some(raw)) => {
                    self.position += 1;
                    if let Some((key, extension)) = raw.is_file.then(|| split_name(&raw.name)).flatten() {
                        return Ok(Some(Entry { key, extension, bytes: raw.bytes }));
                    }
                }
                Err(EntryError { name, error }) => {
                    let place = name.unwrap_or_else(|| format!("entry {} (counted from 0)", self.position));
                    return Err(self.corrupt(&place, error.to_string()));
                }
            }
        }
    }

    fn corrupt(&self, record: &str, what: String) -> DataError {
        DataError::CorruptShard { path: self.path.clone(), record: record.to_owned(), what }
    }
}

impl Iterator for ShardReader {
    type Item = Result<Record, DataError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.done {
            return None;
        }
        let record = self.next_record();
        self.done = !matches!(record, Ok(Some(_)));
        record.transpose()
    }
}

struct RawEntry {
    name: String,
    is_file: bool,
    bytes: Vec<u8>,
}

struct EntryError {
    name: Option<String>,
    error: io::Error,
}

/// Reads one archive entry and leaves `stream` at the next header.
///
/// `tar`'s own iterator borrows its archive, which an iterator that owns the archive cannot express; so each entry
/// is read through an `Archive` of its own, and the padding to whole blocks is skipped here.
fn read_entry(stream: &mut impl Read) -> Result<Option<RawEntry>, EntryError> {
    let unnamed = |error| EntryError { name: None, error };
    let mut archive = tar::Archive::new(&mut *stream);
    let Some(entry) = archive.entries().map_err(unnamed)?.next() else {
        // Reading on to the end is what makes a gzip stream check its sum.
        io::copy(stream, &mut io::sink()).map_err(unnamed)?;
        return Ok(None);
    };
    let mut entry = entry.map_err(unnamed)?;
    let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
    let named = |error| EntryError { name: Some(name.clone()), error };
    let invalid = |what: String| named(io::Error::new(io::ErrorKind::InvalidData, what));

    let kind = entry.header().entry_type();
    let size = entry.size();
    if size > MAX_FIELD_BYTES {
        return Err(invalid(format!(
            "{size} bytes are more than the {MAX_FIELD_BYTES} that a file may have"
        )));
    }
    if kind.is_gnu_sparse() {
        return Err(invalid("sparse files are not supported".to_owned()));
    }
    let mut bytes = Vec::with_capacity(size as usize);
    entry.read_to_end(&mut bytes).map_err(named)?;
    if bytes.len() as u64 != size {
        return Err(invalid(format!("the shard ends after {} of the file's {size} bytes", bytes.len())));
    }
    let padding = size.next_multiple_of(TAR_BLOCK) - size;
    io::copy(&mut stream.take(padding), &mut io::sink()).map_err(named)?;
    Ok(Some(RawEntry { name, is_file: kind.is_file(), bytes }))
}

/// `a/b.seg.png` is the field `seg.png` of `a/b`; `None` for names that belong to no record.
fn split_name(path: &str) -> Option<(String, String)> {
    let path = path.strip_prefix("./").unwrap_or(path);
    let base = path.rfind('/').map_or(0, |slash| slash + 1);
    let dot = base + path[base..].find('.')?;
    (dot > base).then(|| (path[..dot].to_owned(), path[dot + 1..].to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{tar_bytes, write_shard};

    fn read_all(path: &Path) -> Result<Vec<Record>, DataError> {
        ShardReader::open(path)?.collect()
    }

    #[test]
    fn neighbours_with_one_key_form_a_record() {
        let files: [(&str, &[u8]); 6] = [
            ("./a/1.png", b"P"),
            ("./a/1.json", b"J"),
            ("README", b"no dot"),
            (".hidden", b"no key"),
            ("a/2.seg.png", &[7; 1000]),
            ("b/1.png", b""),
        ];
        let folder = tempfile::tempdir().unwrap();
        for name in ["s.tar", "s.tar.gz"] {
            let path = write_shard(folder.path(), name, &files);
            let records = read_all(&path).unwrap();
            let keys: Vec<&str> = records.iter().map(|record| record.key.as_str()).collect();
            assert_eq!(keys, ["a/1", "a/2", "b/1"], "{name}");
            assert_eq!(records[0].field("json").unwrap(), b"J");
            assert_eq!(records[1].field("seg.png").unwrap(), [7; 1000]);
            let error = records[2].field("json").unwrap_err().to_string();
            assert!(error.contains("b/1") && error.contains("json"), "{error}");
        }
    }

    #[test]
    fn shards_are_listed_in_order_and_their_absence_is_told() {
        let folder = tempfile::tempdir().unwrap();
        assert!(matches!(list_shards(folder.path()), Err(DataError::MissingShard { .. })));
        assert!(matches!(list_shards(folder.path().join("none")), Err(DataError::MissingShard { .. })));
        for name in ["b.tar", "a.tar.gz", "notes.txt"] {
            std::fs::write(folder.path().join(name), "").unwrap();
        }
        let shards = list_shards(folder.path()).unwrap();
        assert_eq!(shards, ["a.tar.gz", "b.tar"].map(|name| folder.path().join(name)));
        let error = ShardReader::open(folder.path().join("c.tar")).err().unwrap().to_string();
        assert!(error.contains("c.tar"), "{error}");
    }

    #[test]
    fn a_duplicate_field_is_corrupt() {
        let folder = tempfile::tempdir().unwrap();
        let path = write_shard(folder.path(), "s.tar", &[("a.png", b"1"), ("a.png", b"2")]);
        let error = read_all(&path).unwrap_err().to_string();
        assert!(error.contains("s.tar") && error.contains("a:") && error.contains("png"), "{error}");
    }

    #[test]
    fn truncated_shards_name_the_file_and_the_entry() {
        let folder = tempfile::tempdir().unwrap();
        let files: [(&str, &[u8]); 2] = [("a.png", &[1; 600]), ("b.png", &[2; 600])];
        let bytes = tar_bytes(&files);
        // Header and contents of `a.png` take 512 + 1024 bytes.
        for (length, place) in [(1536 + 512 + 100, "b.png"), (1536 + 100, "entry 1")] {
            let path = folder.path().join("cut.tar");
            std::fs::write(&path, &bytes[..length]).unwrap();
            let error = read_all(&path).unwrap_err().to_string();
            assert!(error.contains("cut.tar") && error.contains(place), "{length}: {error}");
        }
        let whole = std::fs::read(write_shard(folder.path(), "cut.tar.gz", &files)).unwrap();
        let path = folder.path().join("cut.tar.gz");
        std::fs::write(&path, &whole[..whole.len() - 12]).unwrap();
        let mut reader = ShardReader::open(&path).unwrap();
        assert!(reader.any(|record| matches!(record, Err(DataError::CorruptShard { .. }))));
        assert!(reader.next().is_none(), "nothing follows an error");
    }

    #[test]
    fn a_flipped_bit_in_a_compressed_shard_is_found() {
        let folder = tempfile::tempdir().unwrap();
        let path = write_shard(folder.path(), "s.tar.gz", &[("a.txt", b"some text that is long enough")]);
        let mut bytes = std::fs::read(&path).unwrap();
        let checksum = bytes.len() - 6;
        bytes[checksum] ^= 1;
        std::fs::write(&path, bytes).unwrap();
        assert!(matches!(read_all(&path), Err(DataError::CorruptShard { .. })));
    }

    #[test]
    fn what_is_no_archive_is_an_error_not_an_empty_shard() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["s.tar", "s.tar.gz"] {
            let path = folder.path().join(name);
            std::fs::write(&path, "no archive at all ".repeat(100)).unwrap();
            assert!(matches!(read_all(&path), Err(DataError::CorruptShard { .. })), "{name}");
        }
    }

    #[test]
    fn a_huge_field_is_refused_before_it_is_read() {
        let mut header = tar::Header::new_gnu();
        header.set_path("a.bin").unwrap();
        header.set_size(MAX_FIELD_BYTES + 1);
        header.set_cksum();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s.tar");
        std::fs::write(&path, header.as_bytes()).unwrap();
        let error = read_all(&path).unwrap_err().to_string();
        assert!(error.contains("a.bin"), "{error}");
    }
}
