//! Animated GIF, WebP and PNG, read in process.
//!
//! One kind of PNG comes out wrong with `image` 0.25.10: where a frame is to leave the picture as it was before, and the
//! frame before it a transparent hole, there is no hole.

use std::io::Cursor;

use image::codecs::gif::GifDecoder;
use image::codecs::png::PngDecoder;
use image::codecs::webp::WebPDecoder;
use image::metadata::Orientation;
use image::{
    AnimationDecoder, Delay, DynamicImage, Frame, Frames, ImageDecoder, ImageFormat, ImageResult, Limits,
    RgbaImage,
};

use super::webp::WebP;
use super::{FrameSampling, check_size};
use crate::DataError;
use crate::image::MAX_DECODER_BYTES;

/// The most pixels that are decoded of one animation, all its frames together: a minute or two of work.
const MAX_ANIMATION_PIXELS: u64 = 16 << 30;

/// A picture with this delay in milliseconds or less stays for [`USUAL_DELAY`], as in browsers.
const NO_DELAY: f64 = 10.0;

/// In milliseconds.
const USUAL_DELAY: f64 = 100.0;

/// The frames of a picture file that `sampling` asks for.
///
/// An animation is gone through twice, once for its times, so that memory holds only the frames that are wanted.
pub(super) fn frames(
    bytes: &[u8],
    format: ImageFormat,
    name: &str,
    sampling: &FrameSampling,
) -> Result<Vec<RgbaImage>, DataError> {
    let unusable = |reason: String| DataError::NotAnImage { name: name.to_owned(), reason };
    let still = || Ok(vec![crate::image::decode(bytes, name)?]);

    let Some(animation) = Animation::open(bytes, format).map_err(unusable)? else { return still() };
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
    let Some(animation) = Animation::open(bytes, format).map_err(unusable)? else { return still() };
    for (index, frame) in animation.frames.enumerate() {
        let frame = frame.map_err(unusable)?;
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
    /// How long each frame stays, in milliseconds, where that is known without decoding it.
    delays: Option<Vec<f64>>,
    /// Or what is wrong.
    frames: Box<dyn Iterator<Item = Result<Frame, String>> + 'a>,
}

impl<'a> Animation<'a> {
    /// `None` for a picture that does not move; what is wrong, for one that is broken.
    fn open(bytes: &'a [u8], format: ImageFormat) -> Result<Option<Self>, String> {
        match format {
            ImageFormat::Gif => gif(bytes).map(Some).map_err(|error| error.to_string()),
            ImageFormat::Png => png(bytes).map_err(|error| error.to_string()),
            ImageFormat::WebP => webp(bytes),
            _ => Ok(None),
        }
    }

    /// When each frame appears, and how long all of them last, in seconds.
    fn times(self, name: &str) -> Result<(Vec<f64>, f64), DataError> {
        let (width, height) = self.size;
        let most = MAX_ANIMATION_PIXELS / (u64::from(width) * u64::from(height)).max(1);
        let delays: Box<dyn Iterator<Item = Result<f64, String>>> = match self.delays {
            Some(delays) => Box::new(delays.into_iter().map(Ok)),
            None => Box::new(self.frames.map(|frame| Ok(milliseconds(frame?.delay())))),
        };
        let mut starts = Vec::new();
        let mut now = 0.0;
        for delay in delays {
            let delay = delay.map_err(|error| DataError::NotAnImage {
                name: name.to_owned(),
                reason: format!("frame {} is broken: {error}", starts.len()),
            })?;
            if starts.len() as u64 == most {
                let what = format!("it has more than {most} frames of {width}x{height}");
                return Err(DataError::ClipTooLarge { name: name.to_owned(), what });
            }
            starts.push(now / 1e3);
            now += if delay > NO_DELAY { delay } else { USUAL_DELAY };
        }
        Ok((starts, now / 1e3))
    }
}

fn gif(bytes: &[u8]) -> ImageResult<Animation<'_>> {
    let mut decoder = GifDecoder::new(Cursor::new(bytes))?;
    decoder.set_limits(limits())?;
    Ok(Animation {
        size: decoder.dimensions(),
        orientation: Orientation::NoTransforms,
        delays: None,
        frames: decoded(decoder.into_frames()),
    })
}

fn png(bytes: &[u8]) -> ImageResult<Option<Animation<'_>>> {
    let mut decoder = PngDecoder::with_limits(Cursor::new(bytes), limits())?;
    if !decoder.is_apng()? {
        return Ok(None);
    }
    let (size, orientation) = (decoder.dimensions(), orientation(&mut decoder));
    Ok(Some(Animation { size, orientation, delays: None, frames: decoded(decoder.apng()?.into_frames()) }))
}

fn webp(bytes: &[u8]) -> Result<Option<Animation<'_>>, String> {
    let Some(webp) = WebP::parse(bytes)? else { return Ok(None) };
    let mut decoder = WebPDecoder::new(Cursor::new(bytes)).map_err(|error| error.to_string())?;
    let (size, delays) = (webp.size, Some(webp.delays()));
    Ok(Some(Animation {
        size,
        orientation: orientation(&mut decoder),
        delays,
        frames: Box::new(webp.frames()),
    }))
}

fn limits() -> Limits {
    let mut limits = Limits::default();
    limits.max_alloc = Some(MAX_DECODER_BYTES);
    limits
}

/// An unreadable orientation tag costs the orientation only, as for still pictures.
fn orientation(decoder: &mut impl ImageDecoder) -> Orientation {
    decoder.orientation().unwrap_or(Orientation::NoTransforms)
}

fn decoded(frames: Frames<'_>) -> Box<dyn Iterator<Item = Result<Frame, String>> + '_> {
    Box::new(frames.map(|frame| frame.map_err(|error| error.to_string())))
}

fn milliseconds(delay: Delay) -> f64 {
    let (numerator, denominator) = delay.numer_denom_ms();
    f64::from(numerator) / f64::from(denominator)
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
