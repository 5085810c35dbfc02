//! PNG files as chunks (ISO/IEC 15948, section 5).

use std::borrow::Cow;
use std::ops::Range;

const SIGNATURE: &[u8] = b"\x89PNG\r\n\x1a\n";

/// Colour profiles and texts. They may be compressed, and no pixel here depends on them.
const METADATA: [&[u8; 4]; 4] = [b"iCCP", b"iTXt", b"tEXt", b"zTXt"];

/// A chunk.
pub(crate) struct Chunk<'a> {
    pub kind: [u8; 4],
    pub contents: &'a [u8],
    /// All of it within the file, from its length to its checksum.
    pub place: Range<usize>,
}

/// The whole chunks of a file, up to the first that is cut; none if it is no PNG.
pub(crate) fn chunks(bytes: &[u8]) -> impl Iterator<Item = Chunk<'_>> {
    let mut at = if bytes.starts_with(SIGNATURE) { SIGNATURE.len() } else { bytes.len() };
    std::iter::from_fn(move || {
        let (head, body) = bytes[at..].split_at_checked(8)?;
        let length = u32::from_be_bytes([head[0], head[1], head[2], head[3]]) as usize;
        let contents = body.get(..length)?;
        let place = at..at + length + 12;
        at = place.end;
        (at <= bytes.len()).then_some(Chunk { kind: [head[4], head[5], head[6], head[7]], contents, place })
    })
}

/// The file without its colour profile and texts. Anything else is given back as it is.
///
/// The decoder decompresses a profile of up to the limit of memory, and passes over one that is larger: a file of half a
/// megabyte took half a gigabyte, for nothing.
pub(crate) fn without_metadata(bytes: &[u8]) -> Cow<'_, [u8]> {
    let mut kept = Vec::new();
    let mut from = 0;
    for chunk in chunks(bytes).filter(|chunk| METADATA.contains(&&chunk.kind)) {
        kept.extend_from_slice(&bytes[from..chunk.place.start]);
        from = chunk.place.end;
    }
    match from {
        0 => Cow::Borrowed(bytes),
        _ => {
            kept.extend_from_slice(&bytes[from..]);
            Cow::Owned(kept)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chunk(kind: &[u8; 4], contents: &[u8]) -> Vec<u8> {
        [&(contents.len() as u32).to_be_bytes(), &kind[..], contents, b"CRC4"].concat()
    }

    #[test]
    fn metadata_are_left_out() {
        let keep = [chunk(b"IHDR", b"1"), chunk(b"eXIf", b"22"), chunk(b"IDAT", b"333")];
        let file = |chunks: &[Vec<u8>]| [SIGNATURE, &chunks.concat()].concat();
        let clean = file(&keep);
        let [ihdr, exif, idat] = keep;
        let full = [chunk(b"tEXt", b"x"), ihdr, chunk(b"iCCP", b""), exif, chunk(b"zTXt", b"y"), idat];
        let tail = [&full[..], &[chunk(b"iTXt", b"z")]].concat();
        assert_eq!(without_metadata(&file(&full)), clean);
        assert_eq!(without_metadata(&file(&tail)), clean);
        assert!(matches!(without_metadata(&clean), Cow::Borrowed(_)));
        // A chunk that says more than there is stays what it is: the decoder tells that the file is cut.
        for cut in [clean.len() - 1, clean.len() - 5, 20, 9, 3, 0] {
            assert_eq!(&*without_metadata(&clean[..cut]), &clean[..cut]);
        }
        assert_eq!(&*without_metadata(b"GIF89a tEXt"), b"GIF89a tEXt");
        assert_eq!(chunks(&clean).map(|chunk| chunk.contents.len()).collect::<Vec<_>>(), [1, 2, 3]);
    }
}
