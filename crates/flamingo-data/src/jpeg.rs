//! JPEG files, decoded bit for bit as libjpeg-turbo does it.
//!
//! PIL reads with libjpeg-turbo, so these are the pixels that published encoders were trained on. The decoder of `image`
//! rounds differently in the inverse cosine transform, where colours are stored at half size and between colour
//! spaces: by up to 4 of 255 on smooth pictures, and up to 50 at the border of a picture with sharp edges.

use image::RgbaImage;
use image::metadata::Orientation;
use libjpeg_turbo_rs::{DecodeLimits, Decoder, JpegError, PixelFormat};

use crate::image::{ImageLimits, Trouble};

/// Whether `bytes` begin as a JPEG does.
pub(crate) fn is_jpeg(bytes: &[u8]) -> bool {
    bytes.starts_with(&[0xff, 0xd8, 0xff])
}

/// A JPEG whose header was read, and which this decoder can decode.
pub(crate) struct Jpeg<'a> {
    decoder: Decoder<'a>,
    is_cmyk: bool,
}

impl<'a> Jpeg<'a> {
    /// Reads the header; none if only the decoder of `image` can read on.
    pub fn open(bytes: &'a [u8], limits: &ImageLimits) -> Result<Option<Self>, Trouble> {
        let limits = DecodeLimits {
            max_width: limits.side as usize,
            max_height: limits.side as usize,
            max_pixels: limits.pixels,
            max_memory: Some(limits.bytes.saturating_mul(2)),
            ..DecodeLimits::default()
        };
        let mut decoder = Decoder::new_with_limits(bytes, limits)?;
        let header = decoder.header();
        if header.precision != 8 {
            let what = format!("it has {} bits a channel; 8 can be read", header.precision);
            return Err(Trouble::Broken(what));
        }
        let sampling = header.components.iter().map(|c| [c.horizontal_sampling, c.vertical_sampling]);
        let is_cmyk = match sampling.collect::<Vec<[u8; 2]>>()[..] {
            // The second and third ink, which are colours in YCCK, may be at less than full size.
            [full, a, b, black] if full == black && a == b && a[0] <= full[0] && a[1] <= full[1] => true,
            // Programs rarely write others, and this decoder goes wrong.
            [_, _, _, _] => return Ok(None),
            _ => false,
        };
        decoder.set_output_format(if is_cmyk { PixelFormat::Cmyk } else { PixelFormat::Rgba });
        // What can be read of a damaged file is used, as libjpeg-turbo does.
        decoder.set_lenient(true);
        Ok(Some(Self { decoder, is_cmyk }))
    }

    /// Width and height, in pixels.
    pub fn dimensions(&self) -> (u32, u32) {
        let header = self.decoder.header();
        (u32::from(header.width), u32::from(header.height))
    }

    /// How the picture must be turned to stand upright.
    pub fn orientation(&self) -> Orientation {
        let exif = self.decoder.exif_orientation();
        exif.and_then(Orientation::from_exif).unwrap_or(Orientation::NoTransforms)
    }

    /// The pixels.
    pub fn decode(&self) -> Result<RgbaImage, Trouble> {
        let decoded = self.decoder.decode_image()?;
        let mut pixels = decoded.data;
        if self.is_cmyk {
            pixels.as_chunks_mut().0.iter_mut().for_each(|pixel| *pixel = rgba(*pixel));
        }
        let (width, height) = self.dimensions();
        RgbaImage::from_raw(width, height, pixels)
            .ok_or_else(|| Trouble::Broken("it has fewer pixels than it says".to_owned()))
    }
}

impl From<JpegError> for Trouble {
    fn from(error: JpegError) -> Self {
        match error {
            JpegError::LimitExceeded { .. } | JpegError::AllocationFailed { .. } => {
                Self::TooLarge(error.to_string())
            }
            _ => Self::Broken(error.to_string()),
        }
    }
}

/// The colour of what is left white of each ink, cyan, magenta, yellow and black: how files hold inks, after Adobe.
///
/// PIL's arithmetic: it turns the values round, and rounds the ink on what black leaves.
fn rgba([cyan, magenta, yellow, black]: [u8; 4]) -> [u8; 4] {
    let channel = |white: u8| black - product(255 - white, black);
    [channel(cyan), channel(magenta), channel(yellow), 255]
}

/// The rounded product of two parts of 255.
fn product(a: u8, b: u8) -> u8 {
    let product = u32::from(a) * u32::from(b) + 128;
    (((product >> 8) + product) >> 8) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_ink_is_white_and_full_black_is_black() {
        assert_eq!(rgba([255; 4]), [255; 4]);
        assert_eq!(rgba([255, 255, 255, 0]), [0, 0, 0, 255]);
        assert_eq!(rgba([0, 255, 128, 255]), [0, 255, 128, 255]);
    }

    #[test]
    fn products_are_rounded() {
        for (a, b) in (0..=255).flat_map(|a| (0..=255).map(move |b| (a, b))) {
            assert_eq!(product(a, b), (f64::from(a) * f64::from(b) / 255.0).round() as u8, "{a} * {b}");
        }
    }
}
