//! Pictures and clips, from wherever they come to the pixels that an encoder reads.

use std::borrow::Cow;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use flamingo_core::PreprocessSpec;
use flamingo_data::video::{self, FrameSampling};
use flamingo_data::{DataError, ImageTransform};
use flamingo_weights::Checkpoint;
use image::RgbaImage;
use sha2::{Digest as _, Sha256};

use crate::error::FlamingoError;
use crate::pixels::no_randomness;

/// The tensor of a file of pixels.
const PIXELS: &str = "pixels";

/// What an image token stands for.
#[derive(Debug, Clone)]
pub enum Medium {
    /// A picture.
    Image(Source),
    /// A clip.
    Video(Source),
}

/// Where a picture or clip comes from.
#[derive(Debug, Clone)]
pub enum Source {
    /// A file: an image or video, or a `.safetensors` file with one tensor `pixels` `[3, I, I]`, already normalised.
    File(PathBuf),
    /// The contents of an image file.
    Bytes(Arc<[u8]>),
    /// A decoded picture.
    Picture(Arc<RgbaImage>),
}

/// Of a picture's or clip's contents (SHA-256).
pub type Digest = [u8; 32];

/// What an encoder reads of a picture or clip.
#[derive(Debug, Clone, PartialEq)]
pub struct Frames {
    /// Number of frames; 1 for a picture.
    pub count: usize,
    /// Normalised, `[F, 3, I, I]`.
    pub pixels: Vec<f32>,
}

impl Source {
    /// From a URL of the kind `data:image/png;base64,…`.
    ///
    /// # Errors
    ///
    /// If it is not of that kind, or not base64.
    pub fn from_data_url(url: &str) -> Result<Self, FlamingoError> {
        let odd = |what: String| FlamingoError::Prompt { what: format!("a data URL {what}") };
        let contents = url.strip_prefix("data:").and_then(|rest| rest.split_once(";base64,"));
        let (_, contents) =
            contents.ok_or_else(|| odd("must look like data:image/png;base64,…".to_owned()))?;
        let bytes =
            STANDARD.decode(contents.trim()).map_err(|error| odd(format!("is no base64 ({error})")))?;
        Ok(Self::Bytes(bytes.into()))
    }

    fn picture(&self) -> Result<Cow<'_, RgbaImage>, DataError> {
        Ok(match self {
            Self::File(path) => Cow::Owned(flamingo_data::image::open(path)?),
            Self::Bytes(bytes) => Cow::Owned(flamingo_data::image::decode(bytes, "a picture in the prompt")?),
            Self::Picture(picture) => Cow::Borrowed(picture),
        })
    }

    fn clip(&self) -> Result<Vec<Cow<'_, RgbaImage>>, DataError> {
        let sampling = FrameSampling::prompt();
        let frames = match self {
            Self::File(path) => video::frames(path, &sampling)?,
            Self::Bytes(bytes) => video::frames_from_bytes(bytes, "a clip in the prompt", &sampling)?,
            Self::Picture(picture) => return Ok(vec![Cow::Borrowed(picture)]),
        };
        Ok(frames.into_iter().map(Cow::Owned).collect())
    }
}

impl Medium {
    /// What tells its contents from others.
    ///
    /// # Errors
    ///
    /// If the file cannot be read.
    pub fn digest(&self) -> Result<Digest, FlamingoError> {
        let (kind, source) = match self {
            Self::Image(source) => ("image", source),
            Self::Video(source) => ("video", source),
        };
        let digest = Sha256::new().chain_update(kind);
        let digest = match source {
            Source::File(path) => {
                let bytes = fs::read(path).map_err(|source| DataError::Io { path: path.clone(), source })?;
                digest.chain_update("file").chain_update(bytes)
            }
            Source::Bytes(bytes) => digest.chain_update("file").chain_update(bytes),
            Source::Picture(picture) => {
                let sides = [picture.width(), picture.height()].map(u32::to_le_bytes).concat();
                digest.chain_update("picture").chain_update(sides).chain_update(picture.as_raw())
            }
        };
        Ok(digest.finalize().into())
    }

    /// Reads, decodes and prepares it as the encoder wants it.
    ///
    /// # Errors
    ///
    /// If the file cannot be read, is no image, or holds pixels of another size.
    pub fn frames(&self, spec: &PreprocessSpec) -> Result<Frames, FlamingoError> {
        match self {
            Self::Image(Source::File(path)) if is_pixels(path) => {
                Ok(Frames { count: 1, pixels: read_pixels(path, spec.size)? })
            }
            Self::Image(source) => Ok(prepared(&[source.picture()?], spec)),
            Self::Video(source) => Ok(prepared(&source.clip()?, spec)),
        }
    }
}

fn prepared(pictures: &[Cow<'_, RgbaImage>], spec: &PreprocessSpec) -> Frames {
    let transform = ImageTransform::eval(spec.clone());
    let each = 3 * spec.size * spec.size;
    let mut pixels = vec![0.0; pictures.len() * each];
    for (picture, out) in pictures.iter().zip(pixels.chunks_mut(each)) {
        transform.apply(picture, &mut no_randomness(), out);
    }
    Frames { count: pictures.len(), pixels }
}

fn is_pixels(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "safetensors")
}

fn read_pixels(path: &Path, size: usize) -> Result<Vec<f32>, FlamingoError> {
    let checkpoint = Checkpoint::open(path)?;
    let shape = checkpoint.info(PIXELS).map(|info| info.shape.clone());
    if shape.as_deref() != Some(&[3, size, size][..]) {
        let found = match shape {
            Some(shape) => format!("{PIXELS:?} has shape {shape:?}"),
            None => format!("there is no tensor {PIXELS:?}"),
        };
        let what = format!("{}: {found}; this model reads {PIXELS:?} [3, {size}, {size}]", path.display());
        return Err(FlamingoError::Prompt { what });
    }
    Ok(checkpoint.read(PIXELS)?.iter::<f32>().collect())
}
