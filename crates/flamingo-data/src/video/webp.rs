//! Animated WebP: its frames, and how they are laid over each other.
//!
//! `image` decodes the frames. It could also lay them over each other, but (with `image-webp` 0.2.4) wrongly where a frame
//! is disposed of: next to one without transparency, or under one of full size. And reading the container here gives
//! the delays without decoding anything. The format: RFC 9649, section 2.7.

use image::{Delay, Frame, Rgba, RgbaImage};

use crate::webp::{self, Chunk, three};

/// A frame as it is stored.
struct Part<'a> {
    /// Where it lies, in pixels.
    x: u32,
    y: u32,
    width: u32,
    height: u32,
    /// How long it stays, in milliseconds.
    delay: u32,
    /// Whether what is below shines through; otherwise it is replaced.
    blend: bool,
    /// Whether its place is transparent again when the next frame comes.
    dispose: bool,
    /// Its chunks: `VP8 `, `VP8L`, or `ALPH` and `VP8 `.
    chunks: &'a [u8],
}

/// An animation, not yet decoded.
pub(super) struct WebP<'a> {
    /// Width and height.
    pub size: (u32, u32),
    parts: Vec<Part<'a>>,
}

impl<'a> WebP<'a> {
    /// Finds the frames of a WebP file; `None` if it is a still picture.
    ///
    /// # Errors
    ///
    /// What is wrong, if the file is cut or a frame lies outside the picture.
    pub fn parse(bytes: &'a [u8]) -> Result<Option<Self>, String> {
        let Chunk { kind, contents: header, mut rest } = Chunk::first(bytes.get(12..).ok_or("it is cut")?)?;
        let animated = &kind == b"VP8X" && header.first().is_some_and(|flags| flags & 0b10 != 0);
        if !animated {
            return Ok(None);
        }
        let header = header.get(4..10).ok_or("its VP8X chunk is too short")?;
        let size = (three(header) + 1, three(&header[3..]) + 1);
        let mut parts = Vec::new();
        while !rest.is_empty() {
            let chunk = Chunk::first(rest)?;
            rest = chunk.rest;
            if &chunk.kind == b"ANMF" {
                let part = Part::parse(chunk.contents, size);
                parts.push(part.map_err(|what| format!("frame {} {what}", parts.len()))?);
            }
        }
        Ok(Some(Self { size, parts }))
    }

    /// How long each frame stays, in milliseconds.
    pub fn delays(&self) -> Vec<f64> {
        self.parts.iter().map(|part| f64::from(part.delay)).collect()
    }

    /// The pictures that are seen, drawn as they are asked for.
    pub fn frames(self) -> impl Iterator<Item = Result<Frame, String>> + 'a {
        let (width, height) = self.size;
        // Takes its memory when the first frame is asked for: the size is the file's word, to be checked before.
        let mut canvas = RgbaImage::new(0, 0);
        let mut disposed: Option<Part<'a>> = None;
        self.parts.into_iter().map(move |part| {
            let pixels = part.decode()?;
            if canvas.is_empty() {
                canvas = RgbaImage::new(width, height);
            }
            if let Some(old) = disposed.take() {
                old.draw(&mut canvas, |_, _, _| Rgba([0; 4]));
            }
            part.draw(
                &mut canvas,
                |x, y, below| {
                    if part.blend { over(pixels[(x, y)], below) } else { pixels[(x, y)] }
                },
            );
            let delay = Delay::from_numer_denom_ms(part.delay, 1);
            disposed = part.dispose.then_some(part);
            Ok(Frame::from_parts(canvas.clone(), 0, 0, delay))
        })
    }
}

impl<'a> Part<'a> {
    /// Reads the contents of an `ANMF` chunk.
    fn parse(contents: &'a [u8], size: (u32, u32)) -> Result<Self, &'static str> {
        let (header, chunks) = contents.split_at_checked(16).ok_or("has a header that is too short")?;
        let field = |index: usize| three(&header[3 * index..]);
        let part = Self {
            x: 2 * field(0),
            y: 2 * field(1),
            width: field(2) + 1,
            height: field(3) + 1,
            delay: field(4),
            blend: header[15] & 0b10 == 0,
            dispose: header[15] & 0b01 != 0,
            chunks,
        };
        if part.x + part.width > size.0 || part.y + part.height > size.1 {
            return Err("lies outside the picture");
        }
        Ok(part)
    }

    /// Its own pixels: those of a still picture with the same chunks.
    fn decode(&self) -> Result<RgbaImage, String> {
        webp::all_agree(self.chunks, (self.width, self.height))?;
        let mut file = b"RIFF\0\0\0\0WEBP".to_vec();
        if self.chunks.starts_with(b"ALPH") {
            // Only the long header says that there is transparency.
            file.extend(b"VP8X\x0a\0\0\0\x10\0\0\0");
            for side in [self.width, self.height] {
                file.extend(&(side - 1).to_le_bytes()[..3]);
            }
        }
        file.extend(self.chunks);
        let length = u32::try_from(file.len() - 8).map_err(|_| "a frame is too large".to_owned())?;
        file[4..8].copy_from_slice(&length.to_le_bytes());
        let pixels = crate::image::decode(&file, "a frame").map_err(|error| error.to_string())?;
        if pixels.dimensions() != (self.width, self.height) {
            return Err("a frame has another size than it says".to_owned());
        }
        Ok(pixels)
    }

    /// Sets every pixel of its place, by the pixel's position in the frame and what was there.
    fn draw(&self, canvas: &mut RgbaImage, pixel: impl Fn(u32, u32, Rgba<u8>) -> Rgba<u8>) {
        for y in 0..self.height {
            for x in 0..self.width {
                let place = canvas.get_pixel_mut(self.x + x, self.y + y);
                *place = pixel(x, y, *place);
            }
        }
    }
}

/// Lays a pixel over another; colours are not multiplied by their opacity.
fn over(top: Rgba<u8>, below: Rgba<u8>) -> Rgba<u8> {
    let opacity = |pixel: Rgba<u8>| u32::from(pixel[3]);
    if opacity(top) == 0 {
        return below;
    }
    // Of 255 * 255.
    let of_top = opacity(top) * 255;
    let of_below = opacity(below) * (255 - opacity(top));
    let whole = of_top + of_below;
    let mut mixed = [0, 0, 0, ((whole + 127) / 255) as u8];
    for (channel, value) in mixed[..3].iter_mut().enumerate() {
        let sum = u32::from(top[channel]) * of_top + u32::from(below[channel]) * of_below;
        *value = ((sum + whole / 2) / whole) as u8;
    }
    Rgba(mixed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn opaque_covers_and_transparent_does_not() {
        let (red, blue) = (Rgba([200, 10, 0, 255]), Rgba([0, 10, 100, 255]));
        assert_eq!(over(red, blue), red);
        assert_eq!(over(Rgba([9, 9, 9, 0]), blue), blue);
        assert_eq!(over(Rgba([200, 10, 0, 51]), Rgba([7, 7, 7, 0])), Rgba([200, 10, 0, 51]));
        assert_eq!(over(Rgba([200, 10, 0, 51]), blue), Rgba([40, 10, 80, 255]));
    }

    #[test]
    fn hostile_containers_are_refused() {
        let chunk = |name: &[u8; 4], contents: &[u8]| {
            [&name[..], &(contents.len() as u32).to_le_bytes(), contents].concat()
        };
        let header = chunk(b"VP8X", b"\x02\0\0\0\x03\0\0\x03\0\0");
        let file = |rest: &[u8]| [b"RIFF\0\0\0\0WEBP", &header[..], rest].concat();
        let error = |bytes: &[u8]| WebP::parse(bytes).err().unwrap();

        assert_eq!(error(b"RIFF"), "it is cut");
        assert_eq!(error(&file(b"ANMF\xff\xff\xff\xff")), "it is cut");
        assert_eq!(error(&file(&chunk(b"ANMF", b"short"))), "frame 0 has a header that is too short");
        let outside = [b"\x01\0\0\0\0\0\x03\0\0\x03\0\0", &[0; 4][..]].concat();
        assert_eq!(error(&file(&chunk(b"ANMF", &outside))), "frame 0 lies outside the picture");
        let inside = [b"\0\0\0\0\0\0\x03\0\0\x03\0\0", &[0; 4][..]].concat();
        let empty = file(&chunk(b"ANMF", &inside));
        let mut frames = WebP::parse(&empty).unwrap().unwrap().frames();
        assert!(frames.next().unwrap().is_err(), "a frame without contents");
    }
}
