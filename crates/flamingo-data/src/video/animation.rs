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
    AnimationDecoder, DynamicImage, Frame, Frames, ImageDecoder, ImageError, ImageFormat, Limits, RgbaImage,
};

use super::webp::WebP;
use super::{FrameSampling, Interval, check_size, delays};
use crate::image::MAX_DECODER_BYTES;
use crate::{DataError, png, webp};

/// The most pixels that are drawn of one animation, all its frames together: some seconds of work.
const MAX_ANIMATION_PIXELS: u64 = 4 << 30;

/// A picture with this delay in milliseconds or less stays for [`USUAL_DELAY`], as in browsers.
const NO_DELAY: f64 = 10.0;

/// In milliseconds.
const USUAL_DELAY: f64 = 100.0;

/// The frames of a part of a picture file that `sampling` asks for. What does not move has no parts.
///
/// The times of an animation are read first, without decoding, so that memory holds only the frames that are wanted.
pub(super) fn frames(
    bytes: &[u8],
    format: ImageFormat,
    name: &str,
    interval: &Interval,
    sampling: &FrameSampling,
) -> Result<Vec<RgbaImage>, DataError> {
    let unusable = |reason: String| DataError::NotAnImage { name: name.to_owned(), reason };
    let still = || {
        interval.length_in(0.0, name)?;
        Ok(vec![crate::image::decode(bytes, name)?])
    };

    let lean = png::without_metadata(bytes);
    let Some(animation) = Animation::open(&lean, format).map_err(unusable)? else { return still() };
    let (width, height) = animation.size;
    check_size(name, width, height, 1)?;
    match animation.delays.len() {
        0 => return Err(unusable("it has no frames".to_owned())),
        // The picture of a PNG may be another one than its only frame.
        1 if format != ImageFormat::Png => return still(),
        _ => {}
    }
    let (starts, duration) = times(&animation.delays);
    let moments = sampling.moments(interval.length_in(duration, name)?).after(interval.start());
    check_size(name, width, height, moments.count)?;

    let mut wanted = moments.shown(&starts).peekable();
    // Frames are drawn over each other, so each one needs those before it.
    let drawn = 1 + moments.shown(&starts).max().unwrap_or(0) as u64;
    if drawn * u64::from(width) * u64::from(height) > MAX_ANIMATION_PIXELS {
        let what = format!(
            "its frames up to number {drawn}, of {width}x{height}, have more than {MAX_ANIMATION_PIXELS} pixels together"
        );
        return Err(DataError::ClipTooLarge { name: name.to_owned(), what });
    }
    let mut pictures = Vec::new();
    for (index, frame) in animation.frames.enumerate() {
        let frame = frame.map_err(|error| unusable(format!("frame {index} is broken: {error}")))?;
        let first = pictures.len();
        while wanted.next_if_eq(&index).is_some() {
            pictures.push(frame.buffer().clone());
        }
        turn(&mut pictures[first..], animation.orientation);
        if wanted.peek().is_none() {
            return Ok(pictures);
        }
    }
    Err(unusable(format!("it has fewer frames than {drawn}")))
}

/// An animation whose frames are decoded, and drawn over each other, as they are asked for.
struct Animation<'a> {
    size: (u32, u32),
    orientation: Orientation,
    /// How long each frame stays, in milliseconds.
    delays: Vec<f64>,
    /// Or what is wrong.
    frames: Box<dyn Iterator<Item = Result<Frame, String>> + 'a>,
}

impl<'a> Animation<'a> {
    /// `None` for a picture that does not move; what is wrong, for one that is broken.
    fn open(bytes: &'a [u8], format: ImageFormat) -> Result<Option<Self>, String> {
        match format {
            ImageFormat::Gif => gif(bytes).map(Some),
            ImageFormat::Png => png(bytes),
            ImageFormat::WebP => webp(bytes),
            _ => Ok(None),
        }
    }
}

/// When each frame appears, and how long all of them last, in seconds.
fn times(delays: &[f64]) -> (Vec<f64>, f64) {
    let mut now = 0.0;
    let starts = delays.iter().map(|delay| {
        let start = now / 1e3;
        now += if *delay > NO_DELAY { *delay } else { USUAL_DELAY };
        start
    });
    (starts.collect(), now / 1e3)
}

fn gif(bytes: &[u8]) -> Result<Animation<'_>, String> {
    let text = |error: ImageError| error.to_string();
    let mut decoder = GifDecoder::new(Cursor::new(bytes)).map_err(text)?;
    decoder.set_limits(limits()).map_err(text)?;
    Ok(Animation {
        size: decoder.dimensions(),
        orientation: Orientation::NoTransforms,
        delays: delays::gif(bytes)?,
        frames: decoded(decoder.into_frames()),
    })
}

fn png(bytes: &[u8]) -> Result<Option<Animation<'_>>, String> {
    let text = |error: ImageError| error.to_string();
    let mut decoder = PngDecoder::with_limits(Cursor::new(bytes), limits()).map_err(text)?;
    if !decoder.is_apng().map_err(text)? {
        return Ok(None);
    }
    Ok(Some(Animation {
        size: decoder.dimensions(),
        orientation: orientation(&mut decoder),
        delays: delays::png(bytes)?,
        frames: decoded(decoder.apng().map_err(text)?.into_frames()),
    }))
}

fn webp(bytes: &[u8]) -> Result<Option<Animation<'_>>, String> {
    let Some(webp) = WebP::parse(bytes)? else { return Ok(None) };
    webp::check(bytes)?;
    let mut decoder = WebPDecoder::new(Cursor::new(bytes)).map_err(|error| error.to_string())?;
    Ok(Some(Animation {
        size: webp.size,
        orientation: orientation(&mut decoder),
        delays: webp.delays(),
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
