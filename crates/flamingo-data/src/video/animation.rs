//! Animated GIF, WebP and PNG, read in process.

use std::io::Cursor;

use image::codecs::gif::GifDecoder;
use image::codecs::png::PngDecoder;
use image::codecs::webp::WebPDecoder;
use image::metadata::Orientation;
use image::{
    AnimationDecoder, DynamicImage, Frame, Frames, ImageDecoder, ImageFormat, ImageResult, Limits, RgbaImage,
};

use super::{FrameSampling, check_size};
use crate::DataError;

/// The most pixels that are decoded of one animation, all its frames together: a minute or two of work.
const MAX_ANIMATION_PIXELS: u64 = 16 << 30;

/// The most memory a decoder may take, in bytes.
const MAX_DECODER_BYTES: u64 = 512 << 20;

/// A picture with this delay in milliseconds or less stays for [`USUAL_DELAY`], as in browsers.
const NO_DELAY: f64 = 10.0;

/// In milliseconds.
const USUAL_DELAY: f64 = 100.0;

/// The frames of a picture file that `sampling` asks for.
///
/// An animation is decoded twice, once for its times, so that memory holds only the frames that are wanted.
pub(super) fn frames(
    bytes: &[u8],
    format: ImageFormat,
    name: &str,
    sampling: &FrameSampling,
) -> Result<Vec<RgbaImage>, DataError> {
    let unusable = |reason: String| DataError::NotAnImage { name: name.to_owned(), reason };
    let open = || Animation::open(bytes, format).map_err(|error| unusable(error.to_string()));
    let still = || Ok(vec![crate::image::decode(bytes, name)?]);

    let Some(animation) = open()? else { return still() };
    let (width, height) = animation.size;
    check_size(name, width, height, 1)?;
    let (starts, duration) = animation.times(name)?;
    match starts.len() {
        0 => return Err(unusable("it has no frames".to_owned())),
        // The picture of a PNG may be another one than its only frame.
        1 if format != ImageFormat::Png => return still(),
        _ => {}
    }
    let moments = sampling.moments(duration);
    check_size(name, width, height, moments.count)?;

    let mut wanted = moments.shown(&starts).peekable();
    let mut pictures = Vec::new();
    let Some(animation) = open()? else { return still() };
    for (index, frame) in animation.frames.enumerate() {
        let frame = frame.map_err(|error| unusable(error.to_string()))?;
        let first = pictures.len();
        while wanted.next_if_eq(&index).is_some() {
            pictures.push(frame.buffer().clone());
        }
        turn(&mut pictures[first..], animation.orientation);
        if wanted.peek().is_none() {
            break;
        }
    }
    Ok(pictures)
}

/// An animation whose frames are decoded, and drawn over each other, as they are asked for.
struct Animation<'a> {
    size: (u32, u32),
    orientation: Orientation,
    frames: Frames<'a>,
}

impl<'a> Animation<'a> {
    /// `None` for a picture that does not move.
    fn open(bytes: &'a [u8], format: ImageFormat) -> ImageResult<Option<Self>> {
        let mut limits = Limits::default();
        limits.max_alloc = Some(MAX_DECODER_BYTES);
        match format {
            ImageFormat::Gif => {
                let mut decoder = GifDecoder::new(Cursor::new(bytes))?;
                decoder.set_limits(limits)?;
                Ok(Some(Self::new(decoder, |decoder| Ok(decoder.into_frames()))?))
            }
            ImageFormat::WebP => {
                let decoder = WebPDecoder::new(Cursor::new(bytes))?;
                decoder
                    .has_animation()
                    .then(|| Self::new(decoder, |decoder| Ok(decoder.into_frames())))
                    .transpose()
            }
            ImageFormat::Png => {
                let decoder = PngDecoder::with_limits(Cursor::new(bytes), limits)?;
                decoder
                    .is_apng()?
                    .then(|| Self::new(decoder, |decoder| Ok(decoder.apng()?.into_frames())))
                    .transpose()
            }
            _ => Ok(None),
        }
    }

    fn new<D: ImageDecoder>(
        mut decoder: D,
        frames: impl FnOnce(D) -> ImageResult<Frames<'a>>,
    ) -> ImageResult<Self> {
        let size = decoder.dimensions();
        // An unreadable orientation tag costs the orientation only, as for still pictures.
        let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
        Ok(Self { size, orientation, frames: frames(decoder)? })
    }

    /// When each frame appears, and how long all of them last, in seconds.
    fn times(self, name: &str) -> Result<(Vec<f64>, f64), DataError> {
        let each = u64::from(self.size.0) * u64::from(self.size.1);
        let most = MAX_ANIMATION_PIXELS / each.max(1);
        let mut starts = Vec::new();
        let mut now = 0.0;
        for frame in self.frames {
            let unusable = |reason: String| DataError::NotAnImage { name: name.to_owned(), reason };
            let frame =
                frame.map_err(|error| unusable(format!("frame {} is broken: {error}", starts.len())))?;
            if starts.len() as u64 == most {
                let what = format!("it has more than {most} frames of {}x{}", self.size.0, self.size.1);
                return Err(DataError::ClipTooLarge { name: name.to_owned(), what });
            }
            starts.push(now / 1e3);
            now += delay(&frame);
        }
        Ok((starts, now / 1e3))
    }
}

/// How long a frame stays, in milliseconds.
fn delay(frame: &Frame) -> f64 {
    let (numerator, denominator) = frame.delay().numer_denom_ms();
    let delay = f64::from(numerator) / f64::from(denominator);
    if delay > NO_DELAY { delay } else { USUAL_DELAY }
}

/// Turns pictures upright.
fn turn(pictures: &mut [RgbaImage], orientation: Orientation) {
    if orientation == Orientation::NoTransforms {
        return;
    }
    for picture in pictures {
        let mut turned = DynamicImage::ImageRgba8(std::mem::take(picture));
        turned.apply_orientation(orientation);
        *picture = turned.into_rgba8();
    }
}
