//! WebP files as chunks, and whether these agree with each other (RFC 9649).

/// A chunk, and what follows it.
pub(crate) struct Chunk<'a> {
    pub kind: [u8; 4],
    pub contents: &'a [u8],
    pub rest: &'a [u8],
}

impl<'a> Chunk<'a> {
    /// The first chunk of `bytes`.
    ///
    /// # Errors
    ///
    /// If there are fewer bytes than the chunk says that it has.
    pub fn first(bytes: &'a [u8]) -> Result<Self, String> {
        let (head, body) = bytes.split_at_checked(8).ok_or("it is cut")?;
        let kind = [head[0], head[1], head[2], head[3]];
        let length = u32::from_le_bytes([head[4], head[5], head[6], head[7]]) as usize;
        let (contents, rest) = body.split_at_checked(length).ok_or("it is cut")?;
        // Chunks begin at even positions.
        Ok(Self { kind, contents, rest: rest.get(length % 2..).unwrap_or_default() })
    }

    /// Width and height, in pixels, as the picture data in the chunk have it; `None` if it has none.
    fn size(&self) -> Option<(u32, u32)> {
        match (&self.kind, self.contents) {
            (b"VP8 ", [_, _, _, 0x9d, 0x01, 0x2a, w0, w1, h0, h1, ..]) => {
                let side = |low: u8, high: u8| u32::from(u16::from_le_bytes([low, high]) & 0x3fff);
                Some((side(*w0, *w1), side(*h0, *h1)))
            }
            (b"VP8L", [0x2f, a, b, c, d, ..]) => {
                let bits = u32::from_le_bytes([*a, *b, *c, *d]);
                Some(((bits & 0x3fff) + 1, (bits >> 14 & 0x3fff) + 1))
            }
            _ => None,
        }
    }
}

/// A number of three bytes.
pub(crate) fn three(bytes: &[u8]) -> u32 {
    u32::from_le_bytes([bytes[0], bytes[1], bytes[2], 0])
}

/// Refuses a file whose picture data have another size than its headers say, or whose metadata claim more bytes than
/// there are.
///
/// The decoder behind `image` (image-webp 0.2.4) decodes a lossy picture before it compares sizes, and takes memory for
/// metadata before it reads them: a file of a few bytes could ask for gigabytes. What else is wrong is left to it.
///
/// # Errors
///
/// What does not agree.
pub(crate) fn check(bytes: &[u8]) -> Result<(), String> {
    if !bytes.starts_with(b"RIFF") {
        return Ok(());
    }
    let Ok(header) = Chunk::first(bytes.get(12..).unwrap_or_default()) else { return Ok(()) };
    if &header.kind != b"VP8X" || header.contents.len() < 10 {
        return Ok(());
    }
    let is_animated = header.contents[0] & 0b10 != 0;
    let canvas = (three(&header.contents[4..]) + 1, three(&header.contents[7..]) + 1);
    let mut rest = header.rest;
    while let Ok(chunk) = Chunk::first(rest) {
        match (is_animated, &chunk.kind, chunk.contents) {
            (false, ..) => agrees(&chunk, canvas)?,
            (true, b"ANMF", contents) if contents.len() > 16 => {
                all_agree(&contents[16..], (three(&contents[6..]) + 1, three(&contents[9..]) + 1))?;
            }
            _ => {}
        }
        rest = chunk.rest;
    }
    match rest.get(..4) {
        Some(kind @ (b"EXIF" | b"XMP " | b"ICCP" | b"ANIM")) => {
            Err(format!("its chunk {:?} is cut", String::from_utf8_lossy(kind).trim_end()))
        }
        _ => Ok(()),
    }
}

/// Refuses picture data of another size than `expected` in any of these chunks.
///
/// # Errors
///
/// The two sizes.
pub(crate) fn all_agree(mut chunks: &[u8], expected: (u32, u32)) -> Result<(), String> {
    while let Ok(chunk) = Chunk::first(chunks) {
        agrees(&chunk, expected)?;
        chunks = chunk.rest;
    }
    Ok(())
}

fn agrees(chunk: &Chunk<'_>, (width, height): (u32, u32)) -> Result<(), String> {
    match chunk.size() {
        Some((w, h)) if (w, h) != (width, height) => {
            Err(format!("its header says {width}x{height}, its picture data {w}x{h}"))
        }
        _ => Ok(()),
    }
}
