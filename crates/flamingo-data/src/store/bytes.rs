//! Bytes in order, with a cheap way over what is not wanted, and decompression.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Cursor, ErrorKind, Read, Seek, SeekFrom};
use std::path::Path;

use flate2::bufread::MultiGzDecoder;

/// What a small read fetches at once, in bytes.
const BUFFER: usize = 128 << 10;

const GZIP: [u8; 2] = [0x1f, 0x8b];
const ZSTD: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
/// A frame that zstd passes over; its first byte is `0x50` to `0x5f`. Parallel compressors begin with one.
const ZSTD_SKIPPABLE: [u8; 3] = [0x2a, 0x4d, 0x18];

/// The contents of a file, read from the front to the end.
pub struct ByteStream(Inner);

enum Inner {
    /// A file on this machine, and how much of it is left.
    File { file: BufReader<File>, left: u64 },
    /// Anything else.
    Flow(BufReader<Box<dyn Read + Send>>),
}

impl ByteStream {
    /// A stream over any bytes.
    pub fn new(bytes: impl Read + Send + 'static) -> Self {
        Self(Inner::Flow(BufReader::with_capacity(BUFFER, Box::new(bytes))))
    }

    /// The file at `path` from byte `offset` on.
    pub(crate) fn file(path: &Path, offset: u64) -> io::Result<Self> {
        let mut file = File::open(path)?;
        let metadata = file.metadata()?;
        if metadata.is_dir() {
            return Err(io::Error::new(ErrorKind::IsADirectory, "it is a folder"));
        }
        if !metadata.is_file() {
            // A pipe knows neither its length nor how to seek.
            let mut stream = Self::new(file);
            stream.skip(offset)?;
            return Ok(stream);
        }
        file.seek(SeekFrom::Start(offset))?;
        let left = metadata.len().saturating_sub(offset);
        Ok(Self(Inner::File { file: BufReader::with_capacity(BUFFER, file), left }))
    }

    /// Passes over `bytes` bytes: a local file seeks, everything else reads.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::UnexpectedEof`] if fewer are left; and as reading.
    pub fn skip(&mut self, bytes: u64) -> io::Result<()> {
        if let Inner::File { file, left } = &mut self.0
            && bytes <= *left
            && let Ok(distance) = i64::try_from(bytes)
        {
            *left -= bytes;
            return file.seek_relative(distance);
        }
        let passed = io::copy(&mut self.by_ref().take(bytes), &mut io::sink())?;
        if passed < bytes {
            let what = format!("ends {} bytes early", bytes - passed);
            return Err(io::Error::new(ErrorKind::UnexpectedEof, what));
        }
        Ok(())
    }

    /// What the stream holds when it is decompressed; the stream itself if it is not compressed.
    ///
    /// Gzip (also of several members) and Zstandard (also of several frames) are told by their first bytes, not by
    /// the file's name, because servers may decompress on the way. Broken data read as [`ErrorKind::InvalidData`],
    /// data that stop too early as [`ErrorKind::UnexpectedEof`].
    ///
    /// # Errors
    ///
    /// If the first bytes cannot be read.
    pub fn unpacked(mut self) -> io::Result<Self> {
        let mut head = Vec::new();
        self.by_ref().take(4).read_to_end(&mut head)?;
        let zstd = head.starts_with(&ZSTD)
            || (head.ends_with(&ZSTD_SKIPPABLE) && head.first().is_some_and(|first| first >> 4 == 5));
        let gzip = head.starts_with(&GZIP);
        let whole = self.with_head(head)?;
        if gzip {
            Ok(Self::new(Unpacker { name: "gzip", inner: MultiGzDecoder::new(whole) }))
        } else if zstd {
            // The decoder refuses frames that need a window over 128 MiB, so memory is bounded.
            Ok(Self::new(Unpacker { name: "zstd", inner: zstd::Decoder::with_buffer(whole)? }))
        } else {
            Ok(whole)
        }
    }

    /// The stream with `head`, which was just read from it, put back.
    fn with_head(self, head: Vec<u8>) -> io::Result<Self> {
        match self.0 {
            Inner::File { mut file, left } => {
                file.seek_relative(-(head.len() as i64))?;
                Ok(Self(Inner::File { file, left: left + head.len() as u64 }))
            }
            Inner::Flow(rest) => Ok(Self::new(Cursor::new(head).chain(rest))),
        }
    }
}

impl Read for ByteStream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match &mut self.0 {
            Inner::File { file, left } => {
                let count = file.read(buffer)?;
                *left = left.saturating_sub(count as u64);
                Ok(count)
            }
            Inner::Flow(flow) => flow.read(buffer),
        }
    }
}

impl BufRead for ByteStream {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        match &mut self.0 {
            Inner::File { file, .. } => file.fill_buf(),
            Inner::Flow(flow) => flow.fill_buf(),
        }
    }

    fn consume(&mut self, count: usize) {
        match &mut self.0 {
            Inner::File { file, left } => {
                file.consume(count);
                *left = left.saturating_sub(count as u64);
            }
            Inner::Flow(flow) => flow.consume(count),
        }
    }
}

/// A decoder whose complaints about its input are told from failures to read it.
struct Unpacker<R> {
    name: &'static str,
    inner: R,
}

impl<R: Read> Read for Unpacker<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.inner.read(buffer).map_err(|error| match error.kind() {
            ErrorKind::Other | ErrorKind::InvalidInput if error.raw_os_error().is_none() => {
                io::Error::new(ErrorKind::InvalidData, format!("{}: {error}", self.name))
            }
            _ => error,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::{Compression, write::GzEncoder};

    use super::*;

    const TEXT: &[u8] = b"the quick brown fox, and the lazy dog, and the quick brown fox again";

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn zstd(bytes: &[u8]) -> Vec<u8> {
        zstd::encode_all(bytes, 1).unwrap()
    }

    /// Reads as a file and as a flow that gives one byte at a time.
    fn unpack(bytes: &[u8]) -> io::Result<Vec<u8>> {
        struct Drip(Cursor<Vec<u8>>);
        impl Read for Drip {
            fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
                let end = buffer.len().min(1);
                self.0.read(&mut buffer[..end])
            }
        }
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        std::fs::write(&path, bytes).unwrap();
        let read = |stream: ByteStream| -> io::Result<Vec<u8>> {
            let mut all = Vec::new();
            stream.unpacked()?.read_to_end(&mut all)?;
            Ok(all)
        };
        let from_file = read(ByteStream::file(&path, 0)?);
        let from_flow = read(ByteStream::new(Drip(Cursor::new(bytes.to_vec()))));
        assert_eq!(from_file.as_ref().ok(), from_flow.as_ref().ok());
        from_file
    }

    #[test]
    fn compression_is_told_by_content() {
        let skippable = [&[0x5a][..], &ZSTD_SKIPPABLE, &[2, 0, 0, 0, 7, 7], &zstd(TEXT)].concat();
        for bytes in [TEXT.to_vec(), gzip(TEXT), zstd(TEXT), skippable] {
            assert_eq!(unpack(&bytes).unwrap(), TEXT);
        }
        let twice = [TEXT, TEXT].concat();
        assert_eq!(unpack(&[gzip(TEXT), gzip(TEXT)].concat()).unwrap(), twice);
        assert_eq!(unpack(&[zstd(TEXT), zstd(TEXT)].concat()).unwrap(), twice);
        for short in [&b""[..], b"a", b"abc"] {
            assert_eq!(unpack(short).unwrap(), short);
        }
    }

    #[test]
    fn cut_and_broken_data_are_told_apart() {
        for bytes in [gzip(TEXT), zstd(TEXT)] {
            let cut = unpack(&bytes[..bytes.len() - 5]).unwrap_err();
            assert_eq!(cut.kind(), ErrorKind::UnexpectedEof, "{cut}");
            let mut garbled = bytes.clone();
            garbled.truncate(bytes.len() / 2);
            garbled.extend([0xff; 40]);
            let broken = unpack(&garbled).unwrap_err();
            assert_eq!(broken.kind(), ErrorKind::InvalidData, "{broken}");
        }
    }

    #[test]
    fn skipping_seeks_and_sees_the_end() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        let bytes: Vec<u8> = (0..300_000u32).map(|it| it as u8).collect();
        std::fs::write(&path, &bytes).unwrap();
        let flow = || ByteStream::new(Cursor::new(bytes[100..].to_vec()));
        for mut stream in [ByteStream::file(&path, 100).unwrap(), flow()] {
            let mut four = [0; 4];
            stream.skip(10).unwrap();
            stream.read_exact(&mut four).unwrap();
            assert_eq!(four, bytes[110..114]);
            stream.skip(250_000).unwrap();
            stream.read_exact(&mut four).unwrap();
            assert_eq!(four, bytes[250_114..250_118]);
            let error = stream.skip(60_000).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::UnexpectedEof);
        }
    }
}
