//! Features in the place of pixels: what a frozen encoder made of a picture is the same every time.
//!
//! A medium is known by its bytes ([`MediaKey`]), wherever it lies and whatever it is called. Whoever has features of
//! media ([`FeatureLookup`]) is asked before anything is decoded; [`MediaItem`]s are what there may be features of.

mod media;

use std::fmt;

use half::f16;
use sha2::{Digest, Sha256};

pub use media::{MediaItem, SourceMedia, of_concepts, of_source};

use crate::DataError;
use crate::video::{Coverage, FrameSampling, Interval};

/// What a picture, or the frames of a clip, are known by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MediaKey(pub [u8; 32]);

impl MediaKey {
    /// Of a still picture: the SHA-256 of its encoded bytes.
    pub fn image(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// Of a clip, or a part of one: the SHA-256 of its encoded bytes, of the part, and of which frames are read.
    pub fn clip(bytes: &[u8], part: &Interval, sampling: &FrameSampling) -> Self {
        Self::frames(&Self::part(bytes, part), sampling)
    }

    /// Of a part of a clip, whatever frames of it are read; of all of it, that of its bytes.
    fn part(bytes: &[u8], part: &Interval) -> [u8; 32] {
        let Self(file) = Self::image(bytes);
        if *part == Interval::WHOLE {
            return file;
        }
        let hash = Sha256::new()
            .chain_update(b"part")
            .chain_update(file)
            .chain_update(part.start().to_bits().to_le_bytes())
            .chain_update([u8::from(part.end().is_some())])
            .chain_update(part.end().unwrap_or(0.0).to_bits().to_le_bytes());
        hash.finalize().into()
    }

    fn frames(file: &[u8; 32], sampling: &FrameSampling) -> Self {
        let FrameSampling { fps, max_frames, coverage } = sampling;
        let window = match coverage {
            Coverage::Whole => None,
            Coverage::Window(at) => Some(at.to_bits()),
        };
        let hash = Sha256::new()
            .chain_update(b"clip")
            .chain_update(file)
            .chain_update(fps.to_bits().to_le_bytes())
            .chain_update((*max_frames as u64).to_le_bytes())
            .chain_update([u8::from(window.is_some())])
            .chain_update(window.unwrap_or(0).to_le_bytes());
        Self(hash.finalize().into())
    }

    /// Reads what [`fmt::Display`] writes: 64 hexadecimal digits, of which letters are small.
    pub fn parse(text: &str) -> Option<Self> {
        let digit = |byte: u8| match byte {
            b'0'..=b'9' => Some(byte - b'0'),
            b'a'..=b'f' => Some(byte - b'a' + 10),
            _ => None,
        };
        let digits = text.as_bytes();
        let mut key = [0; 32];
        if digits.len() != 2 * key.len() {
            return None;
        }
        for (byte, pair) in key.iter_mut().zip(digits.chunks_exact(2)) {
            *byte = digit(pair[0])? << 4 | digit(pair[1])?;
        }
        Some(Self(key))
    }
}

impl fmt::Display for MediaKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// Has features of media: a cache.
pub trait FeatureLookup: Send + Sync {
    /// Positions of a frame and width `[P, E]`.
    fn shape(&self) -> [usize; 2];

    /// Appends the features `[F, P, E]` of the medium to `out` and gives the number F of its frames, which is at least 1.
    /// `None`, and nothing appended, if they are not there.
    ///
    /// # Errors
    ///
    /// If they are there but cannot be read.
    fn read(&self, key: &MediaKey, out: &mut Vec<f16>) -> Result<Option<usize>, DataError>;
}

impl fmt::Debug for dyn FeatureLookup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FeatureLookup").field("shape", &self.shape()).finish_non_exhaustive()
    }
}

/// [`FeatureLookup::read`] of a clip, or of a part of one.
///
/// A window shows all of a clip that is short enough. Where the features of the window itself are not there, those of the
/// whole clip are therefore taken, if they have fewer frames than the most: then nothing was left out.
///
/// # Errors
///
/// As [`FeatureLookup::read`].
pub fn read_clip(
    features: &dyn FeatureLookup,
    bytes: &[u8],
    part: &Interval,
    sampling: &FrameSampling,
    out: &mut Vec<f16>,
) -> Result<Option<usize>, DataError> {
    let file = MediaKey::part(bytes, part);
    let found = features.read(&MediaKey::frames(&file, sampling), out)?;
    if found.is_some() || sampling.coverage == Coverage::Whole {
        return Ok(found);
    }
    let whole = FrameSampling { coverage: Coverage::Whole, ..*sampling };
    let start = out.len();
    let found = features.read(&MediaKey::frames(&file, &whole), out)?;
    let short = found.filter(|frames| *frames < sampling.max_frames);
    if short.is_none() {
        out.truncate(start);
    }
    Ok(short)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    /// One position of width 1; the values are the frames' numbers.
    struct Known(BTreeMap<MediaKey, usize>);

    impl FeatureLookup for Known {
        fn shape(&self) -> [usize; 2] {
            [1, 1]
        }

        fn read(&self, key: &MediaKey, out: &mut Vec<f16>) -> Result<Option<usize>, DataError> {
            let frames = self.0.get(key).copied();
            out.extend((0..frames.unwrap_or(0)).map(|frame| f16::from_f32(frame as f32)));
            Ok(frames)
        }
    }

    #[test]
    fn keys_are_sha_256_and_read_back() {
        let key = MediaKey::image(b"abc");
        // FIPS 180-2, appendix B.1.
        let digits = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(key.to_string(), digits);
        assert_eq!(MediaKey::parse(digits), Some(key));
        for wrong in [&digits[1..], &digits.to_uppercase(), &digits.replace('a', "g"), ""] {
            assert_eq!(MediaKey::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn clips_are_known_by_their_frames_too() {
        let sampling = FrameSampling::training();
        let window = |at| FrameSampling { coverage: Coverage::Window(at), ..sampling };
        let keys = [
            MediaKey::image(b"clip"),
            MediaKey::clip(b"clip", &Interval::WHOLE, &sampling),
            MediaKey::clip(b"clip", &Interval::WHOLE, &window(0.5)),
            MediaKey::clip(
                b"clip",
                &Interval::WHOLE,
                &FrameSampling { coverage: Coverage::Whole, ..sampling },
            ),
            MediaKey::clip(b"clip", &Interval::WHOLE, &FrameSampling { fps: 2.0, ..sampling }),
            MediaKey::clip(b"clip", &Interval::WHOLE, &FrameSampling { max_frames: 7, ..sampling }),
            MediaKey::clip(b"other", &Interval::WHOLE, &sampling),
            MediaKey::clip(b"clip", &Interval::new(1.0, None).unwrap(), &sampling),
            MediaKey::clip(b"clip", &Interval::new(1.0, Some(2.0)).unwrap(), &sampling),
        ];
        let different: std::collections::BTreeSet<MediaKey> = keys.into_iter().collect();
        assert_eq!(different.len(), keys.len());
        assert_eq!(MediaKey::clip(b"clip", &Interval::WHOLE, &window(0.0)), keys[1]);
    }

    #[test]
    fn a_window_shows_all_of_a_short_clip() {
        let whole = FrameSampling { coverage: Coverage::Whole, max_frames: 4, ..FrameSampling::training() };
        let known =
            |frames| Known(BTreeMap::from([(MediaKey::clip(b"clip", &Interval::WHOLE, &whole), frames)]));
        let window = FrameSampling { coverage: Coverage::Window(0.7), ..whole };
        let read = |frames, sampling: &FrameSampling| {
            let mut out = vec![f16::ONE];
            let found = read_clip(&known(frames), b"clip", &Interval::WHOLE, sampling, &mut out).unwrap();
            assert_eq!(out.len(), 1 + found.unwrap_or(0));
            found
        };
        assert_eq!(read(3, &window), Some(3));
        assert_eq!(read(4, &window), None, "it may have been longer");
        assert_eq!(read(4, &whole), Some(4));
        assert_eq!(read(3, &FrameSampling { max_frames: 5, ..window }), None);
    }
}
