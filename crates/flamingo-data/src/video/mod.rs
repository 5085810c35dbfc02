//! Clips to pictures: the frames that a model reads of a GIF, an animated WebP or PNG, or any video.
//!
//! ```text
//! GIF, WebP, PNG, JPEG ─ in process: delays ─▶ timeline ─┐
//!                                                         ├─ FrameSampling ─▶ moments ─▶ what is shown at each
//! everything else ─ ffprobe: timestamps ─▶ its length ────┘                              (ffmpeg's `fps` filter)
//! ```
//!
//! A moment's frame is the one on the screen then: the last that appeared no later. So clips of variable rate need no
//! rule of their own, and a frame that stays for long is read several times. Time starts with the first picture; loops
//! are not followed. Pictures keep their size (an encoder's transform is applied once, to the original) and are
//! upright.
//!
//! ```no_run
//! use flamingo_data::video::{FrameSampling, frames};
//!
//! let pictures = frames("clip.mp4".as_ref(), &FrameSampling::prompt())?;
//! assert!((1..=30).contains(&pictures.len()));
//! # Ok::<(), flamingo_data::DataError>(())
//! ```

mod animation;
mod delays;
mod ffmpeg;
mod interval;
mod job;
mod sampling;
mod webp;

use std::fs::File;
use std::io::{Read, Write};
use std::path::Path;

use image::{ImageFormat, RgbaImage};

pub use interval::Interval;
pub use sampling::{Coverage, FrameSampling};

use crate::DataError;
use crate::image::{MAX_PIXELS, MAX_SIDE};
use ffmpeg::Programs;

/// The most memory that the frames of one clip may take, in bytes: 30 frames of 3840x2160.
pub const MAX_CLIP_BYTES: u64 = 1 << 30;

/// How much of a file tells its format, in bytes.
const HEAD: u64 = 64;

/// The frames of a clip that `sampling` asks for, in order; at least one. A still picture is a clip of one frame.
///
/// GIF, WebP, PNG and JPEG are read in process. Everything else is read by the programs `ffprobe` and `ffmpeg`, which
/// decode the clip from its start to the last frame that is wanted. The format is told by the contents.
///
/// # Errors
///
/// [`DataError::Io`] if the file cannot be read; [`DataError::NotAVideo`] if there are no pictures in it, as in music;
/// [`DataError::NotAnImage`] if a GIF, WebP, PNG or JPEG is broken, [`DataError::ImageTooLarge`] if a still one is too
/// large; [`DataError::MissingProgram`] if ffmpeg is needed and not installed; [`DataError::VideoProgram`] if it fails; [`DataError::ClipTooLarge`] over [`MAX_CLIP_BYTES`] or
/// [`MAX_PIXELS`]; [`DataError::FrameSampling`] if `sampling` makes no sense.
pub fn frames(path: &Path, sampling: &FrameSampling) -> Result<Vec<RgbaImage>, DataError> {
    frames_within(path, &Interval::WHOLE, sampling)
}

/// [`frames`] of a part of a clip, as if there were no more of it.
///
/// # Errors
///
/// As [`frames`]; [`DataError::IntervalOutside`] if the clip ends before `interval` begins.
pub fn frames_within(
    path: &Path,
    interval: &Interval,
    sampling: &FrameSampling,
) -> Result<Vec<RgbaImage>, DataError> {
    sampling.check()?;
    let io = |source| DataError::Io { path: path.to_owned(), source };
    let name = path.display().to_string();
    let mut file = File::open(path).map_err(io)?;
    let mut bytes = Vec::new();
    (&file).take(HEAD).read_to_end(&mut bytes).map_err(io)?;
    match picture_format(&bytes, &name)? {
        Some(format) => {
            file.read_to_end(&mut bytes).map_err(io)?;
            animation::frames(&bytes, format, &name, interval, sampling)
        }
        None => Programs::default().frames(path, &name, interval, sampling),
    }
}

/// [`frames`] of a clip in memory, which errors call `name`.
///
/// What `ffmpeg` must read goes through a temporary file: many formats have their table of contents at the end.
///
/// # Errors
///
/// As [`frames`]; [`DataError::Io`] if the temporary file cannot be written.
pub fn frames_from_bytes(
    bytes: &[u8],
    name: &str,
    sampling: &FrameSampling,
) -> Result<Vec<RgbaImage>, DataError> {
    frames_from_bytes_within(bytes, name, &Interval::WHOLE, sampling)
}

/// [`frames_within`] of a clip in memory, which errors call `name`.
///
/// # Errors
///
/// As [`frames_from_bytes`]; [`DataError::IntervalOutside`] if the clip ends before `interval` begins.
pub fn frames_from_bytes_within(
    bytes: &[u8],
    name: &str,
    interval: &Interval,
    sampling: &FrameSampling,
) -> Result<Vec<RgbaImage>, DataError> {
    sampling.check()?;
    if let Some(format) = picture_format(bytes, name)? {
        return animation::frames(bytes, format, name, interval, sampling);
    }
    let io = |source| DataError::Io { path: std::env::temp_dir(), source };
    let mut file = tempfile::NamedTempFile::new().map_err(io)?;
    file.write_all(bytes).map_err(io)?;
    Programs::default().frames(file.path(), name, interval, sampling)
}

/// The format, if it is one that is read in process.
fn picture_format(head: &[u8], name: &str) -> Result<Option<ImageFormat>, DataError> {
    if head.is_empty() {
        return Err(DataError::NotAVideo { name: name.to_owned(), reason: "it is empty".to_owned() });
    }
    let ours = [ImageFormat::Gif, ImageFormat::WebP, ImageFormat::Png, ImageFormat::Jpeg];
    Ok(image::guess_format(head).ok().filter(|format| ours.contains(format)))
}

/// Refuses pictures that an image file may not have either, and clips that would take too much memory.
fn check_size(name: &str, width: u32, height: u32, frames: usize) -> Result<(), DataError> {
    let too_large = |what| Err(DataError::ClipTooLarge { name: name.to_owned(), what });
    let pixels = u64::from(width) * u64::from(height);
    if pixels > MAX_PIXELS || width.max(height) > MAX_SIDE {
        return too_large(format!(
            "{width}x{height} is more than {MAX_PIXELS} pixels, or {MAX_SIDE} on a side"
        ));
    }
    let bytes = 4 * pixels as u128 * frames as u128;
    if bytes > u128::from(MAX_CLIP_BYTES) {
        let mib = |bytes: u128| bytes >> 20;
        return too_large(format!(
            "{frames} frames of {width}x{height} take {} MiB, and {} are allowed",
            mib(bytes),
            mib(MAX_CLIP_BYTES.into())
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::png;

    #[test]
    fn a_still_picture_is_a_clip_of_one_frame() {
        let picture = RgbaImage::from_pixel(5, 3, image::Rgba([200, 100, 50, 255]));
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("still");
        std::fs::write(&path, png(&picture)).unwrap();
        assert_eq!(frames(&path, &FrameSampling::prompt()).unwrap(), [picture]);
    }

    #[test]
    fn files_without_pictures_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let absent = folder.path().join("absent.mp4");
        assert!(
            matches!(frames(&absent, &FrameSampling::prompt()), Err(DataError::Io { path, .. }) if path == absent)
        );

        let error = frames_from_bytes(b"", "nothing.mp4", &FrameSampling::prompt()).unwrap_err();
        assert!(matches!(error, DataError::NotAVideo { .. }), "{error}");
        assert!(error.to_string().starts_with("nothing.mp4"), "{error}");
    }

    #[test]
    fn thirty_frames_of_4k_fit_and_more_do_not() {
        assert!(check_size("clip", 3840, 2160, 30).is_ok());
        for (width, height, frames) in
            [(3840, 2160, 33), (20_000, 20_000, 1), (1, 70_000, 1), (7680, 4320, usize::MAX)]
        {
            let error = check_size("clip", width, height, frames).unwrap_err();
            assert!(matches!(error, DataError::ClipTooLarge { .. }));
            assert!(error.to_string().contains("scale"), "{error}");
        }
    }
}
