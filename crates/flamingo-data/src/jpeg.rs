//! JPEG files, decoded bit for bit as libjpeg-turbo does it.
//!
//! PIL reads with libjpeg-turbo, so these are the pixels that published encoders were trained on. The decoder of `image`
//! rounds differently in the inverse cosine transform, where colours are stored at half size and between colour
//! spaces: by up to 4 of 255 on smooth pictures, and up to 50 at the border of a picture with sharp edges.
//!
//! The decoder's vector instructions are unsafe code, behind functions that check the lengths of what they are given. 1.2
//! million mutated files (baseline, progressive, grey, CMYK; whole and at 1/2, 1/4, 1/8) under AddressSanitizer gave no
//! report. `JSIMD_FORCENONE=1` in the environment does without them: the same pixels, in about three times the time.

use image::RgbImage;
use image::metadata::Orientation;
use libjpeg_turbo_rs::{DecodeLimits, Decoder, JpegError, PixelFormat, ScalingFactor};

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
        if header.width == 0 || header.height == 0 {
            // Zero lines may mean that their number follows the picture, which nobody writes and this decoder cannot read.
            return Err(Trouble::Broken(format!("it is {}x{}", header.width, header.height)));
        }
        let sampling = header.components.iter().map(|c| [c.horizontal_sampling, c.vertical_sampling]);
        let is_cmyk = match sampling.collect::<Vec<[u8; 2]>>()[..] {
            // The second and third ink, which are colours in YCCK, may be at less than full size.
            [full, a, b, black] if full == black && a == b && a[0] <= full[0] && a[1] <= full[1] => true,
            // Programs rarely write others, and this decoder goes wrong.
            [_, _, _, _] => return Ok(None),
            _ => false,
        };
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

    /// Decodes at 1/8, 1/4 or 1/2 from now on: the smallest of them whose width and height are `enough`. Returns how many
    /// pixels of a side become one, 1 if no fraction is enough.
    ///
    /// A decoder drops the high frequencies of each block of 8 x 8 pixels, which a resize would take out anyway. Sides are
    /// rounded up, so the last pixel may be of less than its share.
    pub fn shrink(&mut self, enough: impl Fn([u32; 2]) -> bool) -> u32 {
        let (width, height) = self.dimensions();
        let share =
            [8, 4, 2].into_iter().find(|share| enough([width, height].map(|side| side.div_ceil(*share))));
        let share = share.unwrap_or(1);
        if let Ok(scale) = ScalingFactor::try_new(1, share) {
            self.decoder.set_scale(scale);
        }
        share
    }

    /// The pixels.
    pub fn decode(&mut self) -> Result<RgbImage, Trouble> {
        self.decoder.set_output_format(if self.is_cmyk { PixelFormat::Cmyk } else { PixelFormat::Rgb });
        let decoded = self.decoder.decode_image()?;
        let pixels = match self.is_cmyk {
            true => decoded.data.as_chunks::<4>().0.iter().flat_map(|inks| rgb(*inks)).collect(),
            false => decoded.data,
        };
        // No side of a JPEG has more than 65,535 pixels.
        RgbImage::from_raw(decoded.width as u32, decoded.height as u32, pixels)
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
fn rgb([cyan, magenta, yellow, black]: [u8; 4]) -> [u8; 3] {
    let channel = |white: u8| black - product(255 - white, black);
    [channel(cyan), channel(magenta), channel(yellow)]
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
        assert_eq!(rgb([255; 4]), [255; 3]);
        assert_eq!(rgb([255, 255, 255, 0]), [0; 3]);
        assert_eq!(rgb([0, 255, 128, 255]), [0, 255, 128]);
    }

    #[test]
    fn products_are_rounded() {
        for (a, b) in (0..=255).flat_map(|a| (0..=255).map(move |b| (a, b))) {
            assert_eq!(product(a, b), (f64::from(a) * f64::from(b) / 255.0).round() as u8, "{a} * {b}");
        }
    }
}
