//! Image bytes to pixels, with limits that keep a hostile file from taking all memory.

use std::io::Cursor;
use std::path::Path;

use image::metadata::Orientation;
use image::{DynamicImage, ImageBuffer, ImageDecoder, ImageError, ImageReader, Limits, Pixel, RgbaImage};
use serde::{Deserialize, Serialize};

use crate::DataError;
use crate::jpeg::{self, Jpeg};
use crate::resample::Raster;
use crate::{png, webp};

/// The most pixels an image may have (64 megapixels: 256 MiB when decoded).
pub const MAX_PIXELS: u64 = 64 << 20;

/// The longest side an image may have: that of JPEG.
pub const MAX_SIDE: u32 = 65_535;

/// The most memory a decoder of anything but JPEG may take, in bytes.
pub(crate) const MAX_DECODER_BYTES: u64 = 512 << 20;

/// How large an image may be. What is larger is refused by its header, before memory is taken for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ImageLimits {
    /// The most pixels.
    pub pixels: u64,
    /// The longest side, in pixels.
    pub side: u32,
    /// The most memory that a decoder may take, in bytes. A JPEG's may take twice that: a progressive one keeps all its
    /// coefficients.
    pub bytes: u64,
}

impl Default for ImageLimits {
    fn default() -> Self {
        Self { pixels: MAX_PIXELS, side: MAX_SIDE, bytes: MAX_DECODER_BYTES }
    }
}

/// Why bytes are no usable image.
#[derive(Debug)]
pub(crate) enum Trouble {
    /// They are not an image, or a broken one.
    Broken(String),
    /// It is over a limit.
    TooLarge(String),
}

/// Decodes a JPEG, PNG, WebP or GIF (its first frame) and turns it upright as its EXIF data says.
///
/// `name` is what errors call the image. The format is told by the contents, never by the name. JPEG is decoded bit for
/// bit as by libjpeg-turbo, except CMYK with cyan or black at less than full size.
///
/// # Errors
///
/// [`DataError::ImageTooLarge`] on images over the default [`ImageLimits`]; [`DataError::NotAnImage`] on any other bytes.
pub fn decode(bytes: &[u8], name: &str) -> Result<RgbaImage, DataError> {
    decode_within(bytes, name, &ImageLimits::default())
}

/// [`decode`] with other limits.
///
/// # Errors
///
/// As [`decode`].
pub fn decode_within(bytes: &[u8], name: &str, limits: &ImageLimits) -> Result<RgbaImage, DataError> {
    named(name, upright(bytes, limits, |_| false)).map(|(picture, ..)| picture.into_rgba8())
}

/// A decoded picture, upright.
pub(crate) enum Picture {
    /// One that may have transparent pixels.
    Any(RgbaImage),
    /// One of a kind that cannot.
    Opaque(Opaque),
}

/// An opaque picture, perhaps decoded at a fraction of its size.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Opaque {
    /// The pixels, interleaved RGB.
    pub(crate) raster: Raster,
    /// Width and height of the whole picture, in its own pixels.
    pub(crate) size: [usize; 2],
    /// How many of its own pixels one pixel of `raster` stands for, in each direction.
    pub(crate) share: u32,
}

impl Opaque {
    /// A picture at its own size.
    pub(crate) fn whole(raster: Raster) -> Self {
        Self { size: [raster.width, raster.height], raster, share: 1 }
    }
}

/// Decodes as [`decode`], and for good without an alpha channel where there is none. A JPEG is decoded at the smallest
/// of 1/8, 1/4 and 1/2 whose width and height are `enough`, if one is.
///
/// # Errors
///
/// As [`decode`].
pub(crate) fn read(
    bytes: &[u8],
    name: &str,
    enough: impl Fn([u32; 2]) -> bool,
) -> Result<Picture, DataError> {
    let (picture, size, share) = named(name, upright(bytes, &ImageLimits::default(), enough))?;
    if picture.color().has_alpha() {
        return Ok(Picture::Any(picture.into_rgba8()));
    }
    let rgb = picture.into_rgb8();
    let raster = Raster { width: rgb.width() as usize, height: rgb.height() as usize, bytes: rgb.into_raw() };
    Ok(Picture::Opaque(Opaque { raster, size: size.map(|side| side as usize), share }))
}

fn named<T>(name: &str, decoded: Result<T, Trouble>) -> Result<T, DataError> {
    decoded.map_err(|trouble| match trouble {
        Trouble::Broken(reason) => DataError::NotAnImage { name: name.to_owned(), reason },
        Trouble::TooLarge(what) => DataError::ImageTooLarge { name: name.to_owned(), what },
    })
}

/// The picture with eight bits a channel, the size of the whole of it, and how many pixels of a side became one.
fn upright(
    bytes: &[u8],
    limits: &ImageLimits,
    enough: impl Fn([u32; 2]) -> bool,
) -> Result<(DynamicImage, [u32; 2], u32), Trouble> {
    if bytes.is_empty() {
        return Err(Trouble::Broken("it is empty".to_owned()));
    }
    let jpeg = if jpeg::is_jpeg(bytes) { Jpeg::open(bytes, limits)? } else { None };
    let Some(mut jpeg) = jpeg else {
        let (mut picture, orientation) = other_formats(bytes, limits)?;
        picture.apply_orientation(orientation);
        let size = [picture.width(), picture.height()];
        return Ok((eight_bits(picture), size, 1));
    };
    let (width, height) = jpeg.dimensions();
    limits.check((width, height))?;
    let share = jpeg.shrink(enough);
    let mut picture = DynamicImage::ImageRgb8(jpeg.decode()?);
    picture.apply_orientation(jpeg.orientation());
    // The last pixel of a side may be of less than its share. In a turned picture it may come first, and counts whole.
    let size = match jpeg.orientation() {
        Orientation::NoTransforms => [width, height],
        _ => [picture.width(), picture.height()].map(|side| side * share),
    };
    Ok((picture, size, share))
}

/// The picture as stored, and how it must be turned.
fn other_formats(bytes: &[u8], limits: &ImageLimits) -> Result<(DynamicImage, Orientation), Trouble> {
    webp::check(bytes).map_err(Trouble::Broken)?;
    let bytes = png::without_metadata(bytes);
    let reader = ImageReader::new(Cursor::new(&bytes[..])).with_guessed_format();
    let mut reader = reader.map_err(|error| Trouble::Broken(error.to_string()))?;
    let mut memory = Limits::default();
    memory.max_alloc = Some(limits.bytes);
    reader.limits(memory);
    let mut decoder = reader.into_decoder()?;
    limits.check(decoder.dimensions())?;
    // An unreadable orientation tag costs the orientation only, as in every viewer.
    let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    Ok((DynamicImage::from_decoder(decoder)?, orientation))
}

impl From<ImageError> for Trouble {
    fn from(error: ImageError) -> Self {
        match error {
            ImageError::Limits(_) => Self::TooLarge(error.to_string()),
            _ => Self::Broken(error.to_string()),
        }
    }
}

impl ImageLimits {
    fn check(&self, (width, height): (u32, u32)) -> Result<(), Trouble> {
        if u64::from(width) * u64::from(height) > self.pixels {
            return Err(Trouble::TooLarge(format!("{width}x{height} is more than {} pixels", self.pixels)));
        }
        match width.max(height) > self.side {
            true => {
                let what = format!("{width}x{height} has a side of more than {} pixels", self.side);
                Err(Trouble::TooLarge(what))
            }
            false => Ok(()),
        }
    }
}

/// Keeps the upper eight of sixteen bits a channel, as PIL does; the conversions of `image` would round.
fn eight_bits(picture: DynamicImage) -> DynamicImage {
    fn upper<P, Q>(from: &ImageBuffer<P, Vec<u16>>) -> ImageBuffer<Q, Vec<u8>>
    where
        P: Pixel<Subpixel = u16>,
        Q: Pixel<Subpixel = u8>,
    {
        let bytes = from.as_raw().iter().map(|value| (value >> 8) as u8).collect();
        ImageBuffer::from_raw(from.width(), from.height(), bytes).expect("as many channels as before")
    }
    match &picture {
        DynamicImage::ImageLuma16(grey) => DynamicImage::ImageLuma8(upper(grey)),
        DynamicImage::ImageLumaA16(grey) => DynamicImage::ImageLumaA8(upper(grey)),
        DynamicImage::ImageRgb16(colour) => DynamicImage::ImageRgb8(upper(colour)),
        DynamicImage::ImageRgba16(colour) => DynamicImage::ImageRgba8(upper(colour)),
        _ => picture,
    }
}

/// Reads and decodes an image file.
///
/// # Errors
///
/// [`DataError::Io`] if the file cannot be read; otherwise as [`decode`].
pub fn open(path: impl AsRef<Path>) -> Result<RgbaImage, DataError> {
    let path = path.as_ref();
    let bytes = std::fs::read(path).map_err(|source| DataError::Io { path: path.to_owned(), source })?;
    decode(&bytes, &path.display().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::png;
    use image::{ImageFormat, Rgba};

    #[test]
    fn every_promised_format_decodes() {
        let picture = RgbaImage::from_pixel(5, 3, Rgba([200, 100, 50, 255]));
        for format in [ImageFormat::Png, ImageFormat::WebP, ImageFormat::Gif, ImageFormat::Jpeg] {
            let mut bytes = Cursor::new(Vec::new());
            DynamicImage::from(picture.clone()).into_rgb8().write_to(&mut bytes, format).unwrap();
            let decoded = decode(bytes.get_ref(), "picture").unwrap();
            assert_eq!(decoded.dimensions(), (5, 3), "{format:?}");
            let drift = decoded[(2, 1)].0.iter().zip([200, 100, 50, 255]).map(|(a, b)| a.abs_diff(b)).max();
            assert!(drift.unwrap() <= 6, "{format:?}: {drift:?}");
        }
    }

    #[test]
    fn what_is_no_image_is_named() {
        let whole = png(&RgbaImage::new(8, 8));
        for bytes in [&b""[..], b"hello, I am text", &whole[..whole.len() / 2]] {
            let error = decode(bytes, "cat.png").unwrap_err();
            assert!(matches!(error, DataError::NotAnImage { .. }));
            assert!(error.to_string().contains("cat.png"), "{error}");
        }
    }

    /// `png` with another size in its header.
    fn resized(mut png: Vec<u8>, width: u32, height: u32) -> Vec<u8> {
        // IHDR: width and height follow the 8-byte signature, the chunk's length and its name; then a CRC.
        png[16..20].copy_from_slice(&width.to_be_bytes());
        png[20..24].copy_from_slice(&height.to_be_bytes());
        let mut crc = flate2::Crc::new();
        crc.update(&png[12..29]);
        png[29..33].copy_from_slice(&crc.sum().to_be_bytes());
        png
    }

    fn encoded(format: ImageFormat) -> Vec<u8> {
        let mut bytes = Cursor::new(Vec::new());
        image::RgbImage::new(8, 8).write_to(&mut bytes, format).unwrap();
        bytes.into_inner()
    }

    #[test]
    fn a_bomb_is_refused_by_its_header() {
        let mut jpeg = encoded(ImageFormat::Jpeg);
        let frame = jpeg.windows(2).position(|pair| pair == [0xff, 0xc0]).unwrap();
        jpeg[frame + 5..frame + 9].copy_from_slice(&[0xc3, 0x50, 0xc3, 0x50]);
        let mut gif = encoded(ImageFormat::Gif);
        gif[6..10].copy_from_slice(&[0x50, 0xc3, 0x50, 0xc3]);
        let png = encoded(ImageFormat::Png);
        let bombs = [resized(png.clone(), 50_000, 50_000), resized(png, 1_000_000, 1), jpeg, gif];
        for (index, bomb) in bombs.iter().enumerate() {
            let start = std::time::Instant::now();
            let error = decode(bomb, "bomb").unwrap_err();
            assert!(matches!(error, DataError::ImageTooLarge { .. }), "{index}: {error}");
            assert_eq!(error.reason(), crate::Reason::ImageTooLarge);
            // Ten gigabytes of pixels would take longer to be filled with zeros.
            assert!(start.elapsed().as_secs_f64() < 1.0, "{index}: {:?}", start.elapsed());
        }
    }

    #[test]
    fn limits_can_be_chosen() {
        let picture = png(&RgbaImage::new(20, 10));
        let limits = ImageLimits { pixels: 200, side: 20, ..ImageLimits::default() };
        assert!(decode_within(&picture, "picture", &limits).is_ok());
        let tighter = [
            ImageLimits { pixels: 199, ..limits },
            ImageLimits { side: 19, ..limits },
            ImageLimits { bytes: 10, ..limits },
        ];
        for limits in tighter {
            let error = decode_within(&picture, "picture", &limits).unwrap_err();
            assert!(matches!(error, DataError::ImageTooLarge { .. }), "{limits:?}: {error}");
        }
    }

    /// Half a file of any format but JPEG, whose first half can be seen, is an error and not a panic.
    #[test]
    fn cut_files_are_broken() {
        for format in [ImageFormat::Png, ImageFormat::WebP, ImageFormat::Gif] {
            let whole = encoded(format);
            for length in [12, whole.len() / 2] {
                let error = decode(&whole[..length], "cut").unwrap_err();
                assert_eq!(error.reason(), crate::Reason::BadImage, "{format:?}, {length} bytes: {error}");
            }
        }
    }

    #[test]
    fn an_absent_file_is_named() {
        let error = open("nowhere/cat.png").unwrap_err().to_string();
        assert!(error.contains("cat.png"), "{error}");
    }

    /// A JPEG whose EXIF says "turn by 90 degrees": width and height change places.
    #[test]
    fn exif_orientation_is_applied() {
        let mut jpeg = Cursor::new(Vec::new());
        image::RgbImage::new(16, 8).write_to(&mut jpeg, ImageFormat::Jpeg).unwrap();
        let mut tiff = b"Exif\0\0MM\0\x2a\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0".to_vec();
        let mut segment = vec![0xff, 0xe1];
        segment.extend(((tiff.len() + 2) as u16).to_be_bytes());
        segment.append(&mut tiff);
        let mut bytes = jpeg.into_inner();
        bytes.splice(2..2, segment);
        assert_eq!(decode(&bytes, "turned.jpg").unwrap().dimensions(), (8, 16));
    }
}
