//! The members of a tar archive, one header at a time.
//!
//! The `tar` crate takes headers apart; following the archive is done here, because its iterator borrows the archive,
//! takes as much memory for a long name as the archive says, and ends at the first entry that it does not like. A
//! member with a flaw (a link, a sparse file, a name that is too long) is given with its [`Flaw`], and the next one
//! follows; a [`Break`] is where no next one can be found.

use std::io::{self, ErrorKind, Read};

use tar::{EntryType, GnuExtSparseHeader, Header};

use super::pax;
use crate::reject::Reason;
use crate::store::ByteStream;

const BLOCK: u64 = 512;

/// The longest name, in bytes. Systems allow 4096.
const MAX_NAME: u64 = 64 << 10;
/// The most bytes of extended attributes of one member.
const MAX_EXTENSION: u64 = 1 << 20;
/// The most headers that describe one member.
const MAX_EXTENSIONS: usize = 16;
/// The most bytes of zeros behind the end of an archive; writers pad to their block size.
const MAX_PADDING: u64 = 64 << 20;
/// The largest piece of memory that is taken before its contents were seen, in bytes.
const MAX_TRUST: u64 = 8 << 20;

/// A member of an archive. Its contents are still in the stream.
pub(super) struct Member {
    pub name: Vec<u8>,
    /// Bytes of contents.
    pub size: u64,
    pub kind: Kind,
    /// Why its contents cannot be used.
    pub flaw: Option<Flaw>,
}

/// What a member is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    File,
    /// A folder, or something that describes the archive.
    Other,
}

/// What is wrong with one member.
#[derive(Debug, Clone)]
pub(super) struct Flaw {
    pub reason: Reason,
    pub what: String,
}

/// Why an archive cannot be followed any further.
#[derive(Debug)]
pub(super) struct Break {
    pub reason: Reason,
    pub what: String,
}

/// Follows an archive from its front to its end.
pub(super) struct Archive {
    stream: ByteStream,
    /// Bytes read or passed over so far.
    at: u64,
    /// Bytes of the last member, and of the padding behind it, that are still ahead.
    left: u64,
}

impl Archive {
    pub fn new(stream: ByteStream) -> Self {
        Self { stream, at: 0, left: 0 }
    }

    /// The next member; `None` at the end mark. What was not read of the last one is passed over.
    pub fn next(&mut self) -> Result<Option<Member>, Break> {
        let (mut long_name, mut attributes, mut flaw) = (None, pax::Attributes::default(), None);
        for _ in 0..=MAX_EXTENSIONS {
            self.pass()?;
            let Some(header) = self.header()? else {
                return match long_name {
                    None => Ok(None),
                    Some(_) => Err(self.corrupt("the archive ends behind a long name, without its member")),
                };
            };
            let mut size = header.entry_size().map_err(|error| self.corrupt(error))?;
            let kind = header.entry_type();
            match kind {
                EntryType::GNULongName => match self.extension(size, MAX_NAME)? {
                    Some(name) => {
                        long_name = Some(name.split(|byte| *byte == 0).next().unwrap_or(&[]).to_vec())
                    }
                    None => flaw = Some(too_long("name", size)),
                },
                EntryType::XHeader => match self.extension(size, MAX_EXTENSION)? {
                    Some(bytes) => match pax::Attributes::parse(&bytes) {
                        Some(parsed) => attributes = parsed,
                        None => {
                            let what = "its extended header (pax) is not a list of `LENGTH KEY=VALUE` lines";
                            flaw = Some(Flaw { reason: Reason::CorruptShard, what: what.to_owned() });
                        }
                    },
                    None => flaw = Some(too_long("extended header", size)),
                },
                EntryType::GNULongLink | EntryType::XGlobalHeader => self.ahead(size)?,
                _ => {
                    size = attributes.size.unwrap_or(size);
                    // Where a hard link leads to is its contents; its size is that file's.
                    self.ahead(if kind == EntryType::Link { 0 } else { size })?;
                    if kind == EntryType::GNUSparse {
                        self.sparse_headers(&header)?;
                    }
                    let name =
                        attributes.path.or(long_name).unwrap_or_else(|| header.path_bytes().into_owned());
                    let is_folder = kind == EntryType::Directory || name.ends_with(b"/");
                    let flaw = flaw.or_else(|| unusable(kind, attributes.sparse));
                    let kind = if is_folder { Kind::Other } else { Kind::File };
                    return Ok(Some(Member { name, size, kind, flaw }));
                }
            }
        }
        Err(self.corrupt(format!("more than {MAX_EXTENSIONS} headers describe one member")))
    }

    /// The contents of the member that [`Archive::next`] just gave.
    pub fn contents(&mut self, size: u64) -> Result<Vec<u8>, Break> {
        let mut bytes = Vec::with_capacity(size.min(MAX_TRUST) as usize);
        let read = self.stream.by_ref().take(size).read_to_end(&mut bytes);
        self.at += bytes.len() as u64;
        self.left = self.left.saturating_sub(bytes.len() as u64);
        read.map_err(|error| self.broken(&error))?;
        if (bytes.len() as u64) < size {
            let what = format!("the shard ends after {} of its {size} bytes", bytes.len());
            return Err(Break { reason: Reason::TruncatedShard, what });
        }
        Ok(bytes)
    }

    /// Reads what follows the end mark, which must be nothing but zeros. This also makes a decompressor check its sum.
    pub fn finish(&mut self) -> Result<(), Break> {
        let mut buffer = [0; 16 << 10];
        let mut passed = 0;
        loop {
            let count = match self.stream.read(&mut buffer) {
                Ok(0) => return Ok(()),
                Ok(count) => count,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(self.broken(&error)),
            };
            passed += count as u64;
            if buffer[..count].iter().any(|byte| *byte != 0) {
                let what = "something follows the end of the archive; are these two archives in one file?";
                return Err(self.corrupt(what));
            }
            if passed > MAX_PADDING {
                return Err(
                    self.corrupt(format!("more than {MAX_PADDING} zeros follow the end of the archive"))
                );
            }
        }
    }

    /// How far the archive was followed, in bytes of its decompressed contents.
    pub fn position(&self) -> u64 {
        self.at
    }

    /// The next header; `None` if it is all zeros, which marks the end.
    fn header(&mut self) -> Result<Option<Header>, Break> {
        let mut header = Header::new_old();
        let count = self.block(header.as_mut_bytes())?;
        if count < BLOCK {
            let what = match count {
                0 => "the shard ends without an end mark: it was cut off, or its writer was not closed"
                    .to_owned(),
                _ => format!("the shard ends after {count} of a header's {BLOCK} bytes"),
            };
            return Err(Break { reason: Reason::TruncatedShard, what });
        }
        let bytes = header.as_bytes();
        if bytes.iter().all(|byte| *byte == 0) {
            return Ok(None);
        }
        let outside_sum =
            |(at, byte): (usize, &u8)| if (148..156).contains(&at) { 32 } else { u32::from(*byte) };
        let sum: u32 = bytes.iter().enumerate().map(outside_sum).sum();
        if header.cksum().ok() != Some(sum) {
            return Err(self.corrupt("no tar header is where one must be: its sum is wrong"));
        }
        Ok(Some(header))
    }

    /// A sparse file's map may go on behind its header. It is passed over.
    fn sparse_headers(&mut self, header: &Header) -> Result<(), Break> {
        let mut more = header.as_gnu().is_some_and(tar::GnuHeader::is_extended);
        while more {
            let mut extended = GnuExtSparseHeader::new();
            if self.block(extended.as_mut_bytes())? < BLOCK {
                let what = "the shard ends within the map of a sparse file".to_owned();
                return Err(Break { reason: Reason::TruncatedShard, what });
            }
            more = extended.is_extended();
        }
        Ok(())
    }

    /// Fills a block as far as the stream goes, and says how far.
    fn block(&mut self, block: &mut [u8; BLOCK as usize]) -> Result<u64, Break> {
        let mut count = 0;
        while count < block.len() {
            match self.stream.read(&mut block[count..]) {
                Ok(0) => break,
                Ok(more) => count += more,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(self.broken(&error)),
            }
        }
        self.at += count as u64;
        Ok(count as u64)
    }

    /// The contents of a header that describes the next one, unless they are longer than `most`.
    fn extension(&mut self, size: u64, most: u64) -> Result<Option<Vec<u8>>, Break> {
        self.ahead(size)?;
        if size > most { Ok(None) } else { self.contents(size).map(Some) }
    }

    /// Notes that `size` bytes of contents, and their padding, are ahead.
    fn ahead(&mut self, size: u64) -> Result<(), Break> {
        let padded = size.checked_next_multiple_of(BLOCK).filter(|size| *size <= i64::MAX as u64);
        self.left = padded.ok_or_else(|| self.corrupt(format!("a member of {size} bytes")))?;
        Ok(())
    }

    /// Passes over what is left of a member.
    fn pass(&mut self) -> Result<(), Break> {
        let left = std::mem::take(&mut self.left);
        self.stream.skip(left).map_err(|error| match error.kind() {
            ErrorKind::UnexpectedEof => {
                let what = format!("a member of the shard {error}");
                Break { reason: Reason::TruncatedShard, what }
            }
            _ => self.broken(&error),
        })?;
        self.at += left;
        Ok(())
    }

    fn corrupt(&self, what: impl ToString) -> Break {
        Break { reason: Reason::CorruptShard, what: format!("byte {}: {}", self.at, what.to_string()) }
    }

    /// The stream cannot be read, or not be decompressed.
    fn broken(&self, error: &io::Error) -> Break {
        let reason = match error.kind() {
            ErrorKind::UnexpectedEof => Reason::TruncatedShard,
            ErrorKind::InvalidData | ErrorKind::InvalidInput => Reason::CorruptShard,
            _ => Reason::UnreadableShard,
        };
        Break { reason, what: format!("byte {}: {error}", self.at) }
    }
}

fn too_long(what: &str, size: u64) -> Flaw {
    Flaw { reason: Reason::TooLarge, what: format!("its {what} has {size} bytes") }
}

/// Why the contents of a member of this type are not there.
fn unusable(kind: EntryType, sparse: bool) -> Option<Flaw> {
    let missing = |what: &str| Some(Flaw { reason: Reason::Missing, what: what.to_owned() });
    match kind {
        EntryType::GNUSparse => {
            missing("is a sparse file, of which only parts are there; pack it without --sparse")
        }
        _ if sparse => missing("is a sparse file, of which only parts are there; pack it without --sparse"),
        EntryType::Link | EntryType::Symlink => {
            missing("is a link, not contents; pack it with --dereference --hard-dereference")
        }
        EntryType::Char | EntryType::Block | EntryType::Fifo => missing("is a device or pipe, not a file"),
        _ => None,
    }
}
