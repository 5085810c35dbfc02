//! Pictures and animations made byte by byte, so that they can say what is not so.

use flate2::{Compress, Compression, FlushCompress};

use crate::fixtures::png as encoded;

/// A zlib stream of so many MiB of zeros: a thousandth of that.
pub fn zeros(mebibytes: usize) -> Vec<u8> {
    let mut piece = Vec::with_capacity(1 << 16);
    let mut deflate = Compress::new(Compression::best(), false);
    // What is flushed in full stands for itself wherever it is.
    deflate.compress_vec(&vec![0; 1 << 20], &mut piece, FlushCompress::Full).unwrap();
    assert!(deflate.total_in() == 1 << 20 && piece.len() < 1 << 15);
    let length = (mebibytes as u64) << 20;
    let checksum = ((length % 65_521) as u32) << 16 | 1;
    let end = b"\x01\0\0\xff\xff";
    [&b"\x78\x9c"[..], &piece.repeat(mebibytes), end, &checksum.to_be_bytes()].concat()
}

/// The data of a black PNG with one byte a pixel.
pub fn idat(width: usize, height: usize) -> Vec<u8> {
    use std::io::Write;
    let mut zlib = flate2::write::ZlibEncoder::new(Vec::new(), Compression::fast());
    zlib.write_all(&vec![0; (width + 1) * height]).unwrap();
    zlib.finish().unwrap()
}

pub fn png_chunk(kind: [u8; 4], contents: &[u8]) -> Vec<u8> {
    let mut crc = flate2::Crc::new();
    crc.update(&kind);
    crc.update(contents);
    [&(contents.len() as u32).to_be_bytes(), &kind[..], contents, &crc.sum().to_be_bytes()].concat()
}

fn png_head(width: u32, height: u32) -> Vec<u8> {
    let header = [&width.to_be_bytes()[..], &height.to_be_bytes(), &[8, 0, 0, 0, 0]].concat();
    [b"\x89PNG\r\n\x1a\n", &png_chunk(*b"IHDR", &header)[..]].concat()
}

/// A grey PNG with more chunks before its data.
pub fn png(width: u32, height: u32, more: &[([u8; 4], &[u8])], idat: &[u8]) -> Vec<u8> {
    let more: Vec<u8> = more.iter().flat_map(|(kind, contents)| png_chunk(*kind, contents)).collect();
    [png_head(width, height), more, png_chunk(*b"IDAT", idat), png_chunk(*b"IEND", b"")].concat()
}

pub fn plain_png(width: u32, height: u32) -> Vec<u8> {
    png(width, height, &[], &idat(width as usize, height as usize))
}

pub fn good_png() -> Vec<u8> {
    encoded(&image::RgbaImage::new(8, 8))
}

/// An animation that says that it has `said` frames, and has `frames`, a tenth of a second each.
pub fn apng(width: u32, height: u32, said: u32, frames: u32, more: &[([u8; 4], &[u8])]) -> Vec<u8> {
    let data = idat(8, 8);
    let more: Vec<u8> = more.iter().flat_map(|(kind, contents)| png_chunk(*kind, contents)).collect();
    apng_of((width, height), said, frames, &more, &data)
}

/// An animation each frame of which has these data.
pub fn apng_with(width: u32, height: u32, frames: u32, data: &[u8]) -> Vec<u8> {
    apng_of((width, height), frames, frames, &[], data)
}

fn apng_of((width, height): (u32, u32), said: u32, frames: u32, more: &[u8], data: &[u8]) -> Vec<u8> {
    let mut file = png_head(width, height);
    file.extend(more);
    file.extend(png_chunk(*b"acTL", &[said.to_be_bytes(), [0; 4]].concat()));
    let mut sequence = 0u32;
    for frame in 0..frames {
        let place = [sequence, width, height, 0, 0].map(u32::to_be_bytes).concat();
        file.extend(png_chunk(*b"fcTL", &[&place[..], &[0, 1, 0, 10, 0, 0]].concat()));
        sequence += 1;
        match frame {
            0 => file.extend(png_chunk(*b"IDAT", data)),
            _ => {
                file.extend(png_chunk(*b"fdAT", &[&sequence.to_be_bytes()[..], data].concat()));
                sequence += 1;
            }
        }
    }
    file.extend(png_chunk(*b"IEND", b""));
    file
}

/// A file of these chunks.
pub fn webp(chunks: &[u8]) -> Vec<u8> {
    [b"RIFF", &(chunks.len() as u32 + 4).to_le_bytes()[..], b"WEBP", chunks].concat()
}

fn webp_chunk(kind: &[u8; 4], contents: &[u8]) -> Vec<u8> {
    let padding = &[0][..contents.len() % 2];
    [&kind[..], &(contents.len() as u32).to_le_bytes(), contents, padding].concat()
}

fn three(number: u32) -> [u8; 3] {
    let [a, b, c, _] = number.to_le_bytes();
    [a, b, c]
}

/// A file with the long header, which says this size.
pub fn webp_extended(width: u32, height: u32, flags: u8, chunks: &[u8]) -> Vec<u8> {
    let header = [&[flags, 0, 0, 0][..], &three(width - 1), &three(height - 1)].concat();
    webp(&[&webp_chunk(b"VP8X", &header)[..], chunks].concat())
}

pub fn webp_animated(width: u32, height: u32, frames: &[u8]) -> Vec<u8> {
    webp_extended(width, height, 0b10, &[&webp_chunk(b"ANIM", &[0; 6])[..], frames].concat())
}

/// A frame in the corner, for a tenth of a second.
pub fn anmf((width, height): (u32, u32), chunks: &[u8]) -> Vec<u8> {
    let head = [[0; 3], [0; 3], three(width - 1), three(height - 1), three(100)].concat();
    webp_chunk(b"ANMF", &[&head[..], &[0], chunks].concat())
}

/// Lossless data that say this size, and have next to nothing.
pub fn vp8l_chunk(width: u32, height: u32) -> Vec<u8> {
    let size = (width - 1) | (height - 1) << 14;
    webp_chunk(b"VP8L", &[&[0x2f][..], &size.to_le_bytes(), &[0; 8]].concat())
}

/// Lossy data that say this size, and whose every block is the default one.
pub fn vp8_chunk(width: u16, height: u16, length: usize) -> Vec<u8> {
    // A key frame that is shown; its first part, with the modes of the blocks, has the largest size there is.
    let first = (1u32 << 19) - 1;
    let tag = first << 5 | 1 << 4;
    let head = [&three(tag)[..], &[0x9d, 0x01, 0x2a], &width.to_le_bytes(), &height.to_le_bytes()].concat();
    webp_chunk(b"VP8 ", &[head, vec![0; length]].concat())
}

/// The picture of a good file of 8x8.
pub fn good_webp_chunk() -> Vec<u8> {
    let mut file = std::io::Cursor::new(Vec::new());
    image::RgbaImage::from_pixel(8, 8, image::Rgba([200, 100, 50, 255]))
        .write_to(&mut file, image::ImageFormat::WebP)
        .unwrap();
    file.into_inner()[12..].to_vec()
}

/// An animation of `count` frames in the corner, each with the data of one pixel, a tenth of a second each.
pub fn gif(canvas: (u16, u16), frame: (u16, u16), count: usize) -> Vec<u8> {
    let size = |(width, height): (u16, u16)| [width.to_le_bytes(), height.to_le_bytes()].concat();
    let head = [b"GIF89a", &size(canvas)[..], b"\x80\0\0RGBrgb"].concat();
    let control = b"\x21\xf9\x04\0\x0a\0\0\0";
    let image = [&b"\x2c\0\0\0\0"[..], &size(frame), b"\0\x02\x02\x44\x01\0"].concat();
    [head, [&control[..], &image].concat().repeat(count), b"\x3b".to_vec()].concat()
}
