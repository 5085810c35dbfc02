//! Reading files that may lie: every length is checked against what is left of the file before memory is taken.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use crate::error::WeightsError;

/// An open file that is read in pieces, at any position, for as long as a checkpoint lives.
///
/// A map into memory would need `unsafe`: somebody else may change the file meanwhile.
#[derive(Debug)]
pub(crate) struct SourceFile {
    path: PathBuf,
    len: u64,
    file: Mutex<File>,
}

impl SourceFile {
    pub(crate) fn open(path: &Path) -> Result<Self, WeightsError> {
        let io = || WeightsError::io("read", path);
        let file = File::open(path).map_err(io())?;
        let len = file.metadata().map_err(io())?.len();
        Ok(Self { path: path.to_owned(), len, file: Mutex::new(file) })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Bytes of the file.
    pub(crate) fn len(&self) -> u64 {
        self.len
    }

    /// The bytes `start..start + len`.
    pub(crate) fn read(&self, start: u64, len: u64) -> Result<Vec<u8>, WeightsError> {
        let inside = start.checked_add(len).is_some_and(|end| end <= self.len);
        let size = usize::try_from(len).ok().filter(|_| inside).ok_or_else(|| {
            let message =
                format!("ends at byte {}, but bytes {start} to {start} + {len} are needed", self.len);
            WeightsError::corrupt(&self.path, message)
        })?;
        let mut bytes = vec![0; size];
        // A panic elsewhere while reading leaves nothing but a position, which is set anew.
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        file.seek(SeekFrom::Start(start))
            .and_then(|_| file.read_exact(&mut bytes))
            .map_err(WeightsError::io("read", &self.path))?;
        Ok(bytes)
    }

    /// Parses the bytes `start..start + len` from front to back, through a handle of its own.
    pub(crate) fn parse(&self, start: u64, len: u64) -> Result<Input<BufReader<File>>, WeightsError> {
        let io = || WeightsError::io("read", &self.path);
        let mut file = File::open(&self.path).map_err(io())?;
        file.seek(SeekFrom::Start(start)).map_err(io())?;
        Ok(Input {
            reader: BufReader::new(file),
            position: start,
            end: start.saturating_add(len).min(self.len),
        })
    }
}

/// A stretch of a file that is parsed from front to back.
#[derive(Debug)]
pub(crate) struct Input<R> {
    reader: R,
    position: u64,
    end: u64,
}

/// Why parsing stopped: the path is added where it is known.
pub(crate) type ParseResult<T> = Result<T, String>;

impl<R: BufRead + Seek> Input<R> {
    /// Where the next byte lies in the file.
    pub(crate) fn position(&self) -> u64 {
        self.position
    }

    /// Bytes until the end.
    pub(crate) fn remaining(&self) -> u64 {
        self.end - self.position
    }

    /// The next `len` bytes.
    pub(crate) fn bytes(&mut self, len: u64) -> ParseResult<Vec<u8>> {
        let size = usize::try_from(self.take(len)?).map_err(|error| error.to_string())?;
        let mut bytes = vec![0; size];
        self.reader.read_exact(&mut bytes).map_err(unreadable)?;
        Ok(bytes)
    }

    /// The next `N` bytes.
    pub(crate) fn array<const N: usize>(&mut self) -> ParseResult<[u8; N]> {
        self.take(N as u64)?;
        let mut bytes = [0; N];
        self.reader.read_exact(&mut bytes).map_err(unreadable)?;
        Ok(bytes)
    }

    pub(crate) fn u8(&mut self) -> ParseResult<u8> {
        Ok(u8::from_le_bytes(self.array()?))
    }

    pub(crate) fn u16(&mut self) -> ParseResult<u16> {
        Ok(u16::from_le_bytes(self.array()?))
    }

    pub(crate) fn u32(&mut self) -> ParseResult<u32> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    pub(crate) fn u64(&mut self) -> ParseResult<u64> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    /// The next `len` bytes as text.
    pub(crate) fn text(&mut self, len: u64) -> ParseResult<String> {
        let at = self.position;
        String::from_utf8(self.bytes(len)?).map_err(|_| format!("the text at byte {at} is not UTF-8"))
    }

    /// Text up to a line feed, which is dropped.
    pub(crate) fn line(&mut self) -> ParseResult<String> {
        let mut line = Vec::new();
        let remaining = self.remaining();
        let read = (&mut self.reader).take(remaining).read_until(b'\n', &mut line).map_err(unreadable)?;
        self.position += read as u64;
        if line.pop() != Some(b'\n') {
            return Err("ends inside a line".to_owned());
        }
        String::from_utf8(line).map_err(|_| "a name is not UTF-8".to_owned())
    }

    /// Passes over `len` bytes.
    pub(crate) fn skip(&mut self, len: u64) -> ParseResult<()> {
        let len = i64::try_from(self.take(len)?).map_err(|error| error.to_string())?;
        self.reader.seek_relative(len).map_err(unreadable)
    }

    fn take(&mut self, len: u64) -> ParseResult<u64> {
        if len > self.remaining() {
            let (at, left) = (self.position, self.remaining());
            return Err(format!(
                "{len} bytes are announced at byte {at}, but only {left} follow; the file is cut short or damaged"
            ));
        }
        self.position += len;
        Ok(len)
    }
}

#[cfg(test)]
impl<'a> Input<io::Cursor<&'a [u8]>> {
    pub(crate) fn of(bytes: &'a [u8]) -> Self {
        Self { reader: io::Cursor::new(bytes), position: 0, end: bytes.len() as u64 }
    }
}

fn unreadable(error: io::Error) -> String {
    format!("cannot be read: {error}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_read_or_allocated_beyond_the_end() {
        let mut input = Input::of(b"\x01\x02\x00name\nrest");
        assert_eq!((input.u8().unwrap(), input.u16().unwrap()), (1, 2));
        assert_eq!(input.line().unwrap(), "name");
        let error = input.bytes(u64::MAX).unwrap_err();
        assert!(error.contains("only 4 follow"), "{error}");
        assert!(input.line().unwrap_err().contains("inside a line"));

        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        std::fs::write(&path, b"0123456789").unwrap();
        let file = SourceFile::open(&path).unwrap();
        assert_eq!(file.read(3, 4).unwrap(), b"3456");
        assert_eq!(file.parse(8, 100).unwrap().remaining(), 2);
        for (start, len) in [(3, 8), (11, 0), (u64::MAX, 2), (0, u64::MAX)] {
            assert!(file.read(start, len).unwrap_err().to_string().contains("ends at byte 10"));
        }
    }
}
