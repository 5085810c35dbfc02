//! Image bytes to RGBA pixels, with limits that keep a hostile file from taking all memory.

use std::fmt::Display;
use std::io::Cursor;
use std::path::Path;

use image::metadata::Orientation;
use image::{DynamicImage, ImageBuffer, ImageDecoder, ImageReader, Limits, Pixel, RgbaImage};

use crate::DataError;
use crate::jpeg::{self, Jpeg};

/// The most pixels an image may have (64 megapixels: 256 MiB when decoded).
pub const MAX_PIXELS: u64 = 64 << 20;

/// The longest side an image may have: that of JPEG.
pub const MAX_SIDE: u32 = 65_535;

/// The most memory a decoder may take, in bytes.
pub(crate) const MAX_DECODER_BYTES: u64 = 512 << 20;

/// Decodes a JPEG, PNG, WebP or GIF (its first frame) and turns it upright as its EXIF data says.
///
/// `name` is what errors call the image. The format is told by the contents, never by the name. JPEG is decoded bit for
/// bit as by libjpeg-turbo, except CMYK with cyan or black at less than full size.
///
/// # Errors
///
/// [`DataError::NotAnImage`] on any other bytes, and on images over [`MAX_PIXELS`] or [`MAX_SIDE`].
pub fn decode(bytes: &[u8], name: &str) -> Result<RgbaImage, DataError> {
    let decoded = match bytes.is_empty() {
        true => Err("it is empty".to_owned()),
        false => upright(bytes),
    };
    decoded.map_err(|reason| DataError::NotAnImage { name: name.to_owned(), reason })
}

fn upright(bytes: &[u8]) -> Result<RgbaImage, String> {
    let jpeg = if jpeg::is_jpeg(bytes) { Jpeg::open(bytes)? } else { None };
    let (mut picture, orientation) = match jpeg {
        Some(jpeg) => {
            check_size(jpeg.dimensions())?;
            (DynamicImage::ImageRgba8(jpeg.decode()?), jpeg.orientation())
        }
        None => other_formats(bytes)?,
    };
    picture.apply_orientation(orientation);
    Ok(eight_bits(picture).into_rgba8())
}

/// The picture as stored, and how it must be turned.
fn other_formats(bytes: &[u8]) -> Result<(DynamicImage, Orientation), String> {
    let mut reader = ImageReader::new(Cursor::new(bytes)).with_guessed_format().map_err(text)?;
    let mut limits = Limits::default();
    limits.max_alloc = Some(MAX_DECODER_BYTES);
    reader.limits(limits);
    let mut decoder = reader.into_decoder().map_err(text)?;
    check_size(decoder.dimensions())?;
    // An unreadable orientation tag costs the orientation only, as in every viewer.
    let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    Ok((DynamicImage::from_decoder(decoder).map_err(text)?, orientation))
}

fn text(error: impl Display) -> String {
    error.to_string()
}

fn check_size((width, height): (u32, u32)) -> Result<(), String> {
    if u64::from(width) * u64::from(height) > MAX_PIXELS {
        return Err(format!("{width}x{height} is more than {MAX_PIXELS} pixels"));
    }
    match width.max(height) > MAX_SIDE {
        true => Err(format!("{width}x{height} has a side of more than {MAX_SIDE} pixels")),
        false => Ok(()),
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
/// [`DataError::Io`] if the file cannot be read, [`DataError::NotAnImage`] if it is not an image.
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

    #[test]
    fn a_bomb_is_refused_by_its_header() {
        let mut bytes = png(&RgbaImage::new(1, 1));
        // IHDR: width and height follow the 8-byte signature, the chunk's length and its name; then a CRC.
        for (width, height) in [(60_000u32, 60_000u32), (1_000_000, 1)] {
            bytes[16..20].copy_from_slice(&width.to_be_bytes());
            bytes[20..24].copy_from_slice(&height.to_be_bytes());
            let mut crc = flate2::Crc::new();
            crc.update(&bytes[12..29]);
            bytes[29..33].copy_from_slice(&crc.sum().to_be_bytes());
            let error = decode(&bytes, "bomb.png").unwrap_err().to_string();
            assert!(error.contains("is more than") || error.contains("has a side"), "{error}");
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
