//! Qt's resource archives (`.rcc`): a tree of names over a heap of files.
//!
//! All numbers are big-endian. The header is `qres`, the version (1 to 3) and the offsets of the tree, the data and the
//! names. A node of the tree is the offset of its name, flags and, for a folder, the number of children and the first
//! of them; for a file, a locale and the offset of its data (a length, then the bytes, perhaps compressed by zlib).

use std::collections::BTreeMap;
use std::io::Read;

use anyhow::{Context, bail, ensure};
use flate2::read::ZlibDecoder;

const COMPRESSED: u16 = 1;
const FOLDER: u16 = 2;
const ZSTD: u16 = 4;

/// Deepest folder that is believed.
const MAX_DEPTH: usize = 64;
/// Largest file that is unpacked, in bytes.
const MAX_FILE_BYTES: u64 = 256 << 20;

/// The files of an archive, by path.
///
/// # Errors
///
/// If the archive is broken, or compressed in another way than by zlib.
pub fn files(archive: &[u8]) -> anyhow::Result<BTreeMap<String, Vec<u8>>> {
    ensure!(archive.starts_with(b"qres"), "not a Qt resource archive");
    let reader = Reader {
        archive,
        node_bytes: if number(archive, 4)? >= 2 { 22 } else { 14 },
        tree: number(archive, 8)? as usize,
        data: number(archive, 12)? as usize,
        names: number(archive, 16)? as usize,
    };
    let mut files = BTreeMap::new();
    reader.walk(0, "", 0, &mut files)?;
    Ok(files)
}

struct Reader<'a> {
    archive: &'a [u8],
    node_bytes: usize,
    tree: usize,
    data: usize,
    names: usize,
}

impl Reader<'_> {
    fn walk(
        &self,
        node: usize,
        folder: &str,
        depth: usize,
        files: &mut BTreeMap<String, Vec<u8>>,
    ) -> anyhow::Result<()> {
        ensure!(depth < MAX_DEPTH, "folders are nested more than {MAX_DEPTH} deep");
        let at = self.tree + node * self.node_bytes;
        let flags = short(self.archive, at + 4)?;
        let path = match (node, folder) {
            (0, _) => String::new(),
            (_, "") => self.name(number(self.archive, at)? as usize)?,
            _ => format!("{folder}/{}", self.name(number(self.archive, at)? as usize)?),
        };
        if flags & FOLDER == 0 {
            let bytes = self.content(number(self.archive, at + 10)? as usize, flags);
            files.insert(path.clone(), bytes.with_context(|| path)?);
            return Ok(());
        }
        let (count, first) =
            (number(self.archive, at + 6)? as usize, number(self.archive, at + 10)? as usize);
        // Children come behind their folder, so that no walk goes round in a circle.
        ensure!(first > node || count == 0, "{path:?} is inside itself");
        (first..first + count).try_for_each(|child| self.walk(child, &path, depth + 1, files))
    }

    fn name(&self, offset: usize) -> anyhow::Result<String> {
        let at = self.names + offset;
        let units = usize::from(short(self.archive, at)?);
        let text = slice(self.archive, at + 6, 2 * units)?;
        let units = text.chunks_exact(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]]));
        char::decode_utf16(units).collect::<Result<_, _>>().context("a name is not UTF-16")
    }

    fn content(&self, offset: usize, flags: u16) -> anyhow::Result<Vec<u8>> {
        let at = self.data + offset;
        let stored = slice(self.archive, at + 4, number(self.archive, at)? as usize)?;
        match flags & (COMPRESSED | ZSTD) {
            0 => Ok(stored.to_vec()),
            COMPRESSED => {
                // The size comes first, as QByteArray's compression writes it; the limit holds whatever it says.
                let packed = stored.get(4..).context("shorter than its size")?;
                let mut bytes = Vec::new();
                ZlibDecoder::new(packed).take(MAX_FILE_BYTES).read_to_end(&mut bytes)?;
                Ok(bytes)
            }
            _ => bail!("compressed by Zstandard, which the packaged archives were not when this was written"),
        }
    }
}

fn slice(bytes: &[u8], at: usize, len: usize) -> anyhow::Result<&[u8]> {
    at.checked_add(len).and_then(|end| bytes.get(at..end)).context("the archive ends early")
}

fn number(bytes: &[u8], at: usize) -> anyhow::Result<u32> {
    let four = slice(bytes, at, 4)?;
    Ok(four.iter().fold(0, |number, byte| number << 8 | u32::from(*byte)))
}

fn short(bytes: &[u8], at: usize) -> anyhow::Result<u16> {
    let two = slice(bytes, at, 2)?;
    Ok(u16::from_be_bytes([two[0], two[1]]))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::ZlibEncoder;

    use super::*;

    /// `a/plain` and `a/packed`, in version 1.
    fn archive() -> Vec<u8> {
        let mut zlib = ZlibEncoder::new(vec![0, 0, 0, 5], Compression::default());
        zlib.write_all(b"hello").unwrap();
        let packed = zlib.finish().unwrap();
        let mut data = b"\x00\x00\x00\x02hi".to_vec();
        data.extend((packed.len() as u32).to_be_bytes());
        data.extend(&packed);
        let mut names = Vec::new();
        let offsets = ["a", "plain", "packed"].map(|name| {
            let offset = names.len() as u32;
            names.extend((name.len() as u16).to_be_bytes());
            names.extend([0; 4]);
            names.extend(name.encode_utf16().flat_map(u16::to_be_bytes));
            offset
        });
        let node = |name: u32, flags: u16, first: u32, second: u32| {
            let mut node = name.to_be_bytes().to_vec();
            node.extend(flags.to_be_bytes());
            node.extend(first.to_be_bytes());
            node.extend(second.to_be_bytes());
            node
        };
        let tree = [
            node(0, FOLDER, 1, 1),
            node(offsets[0], FOLDER, 2, 2),
            node(offsets[1], 0, 0, 0),
            node(offsets[2], COMPRESSED, 0, 6),
        ]
        .concat();
        let mut archive = b"qres".to_vec();
        let (tree_at, data_at) = (20, 20 + tree.len());
        for number in [1, tree_at, data_at, data_at + data.len()] {
            archive.extend((number as u32).to_be_bytes());
        }
        [archive, tree, data, names].concat()
    }

    #[test]
    fn files_are_found_by_path_and_unpacked() {
        let files = files(&archive()).unwrap();
        assert_eq!(files["a/plain"], b"hi");
        assert_eq!(files["a/packed"], b"hello");
        assert_eq!(files.len(), 2);
    }

    #[test]
    fn broken_archives_are_errors() {
        let whole = archive();
        for len in 0..whole.len() {
            assert!(files(&whole[..len]).is_err(), "{len}");
        }
        let mut circle = whole.clone();
        circle[20 + 14 + 10..20 + 14 + 14].copy_from_slice(&[0; 4]);
        assert!(files(&circle).unwrap_err().to_string().contains("inside itself"));
    }
}
