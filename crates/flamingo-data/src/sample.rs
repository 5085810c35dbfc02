//! What every source gives: a text with its images or clips, not yet decoded.

use std::path::PathBuf;

use image::RgbaImage;

use crate::DataError;
use crate::document::Document;
use crate::image::decode;
use crate::reject::Reject;
use crate::video::{self, FrameSampling, Interval};

/// One record of a source. Images and clips are still as they lie on disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sample {
    /// The record's name within its shard.
    pub key: String,
    /// The text, and where its media belong.
    pub content: Content,
    /// The images and clips; a [`crate::Chunk::Image`] of a page is an index into this list.
    pub media: Vec<Medium>,
    /// What of the record could not be used, although the rest can: to be counted and written down like whole records.
    pub losses: Vec<Reject>,
}

impl Sample {
    /// A sample of a record that could be used as a whole.
    pub fn new(key: impl Into<String>, content: Content, media: Vec<Medium>) -> Self {
        Self { key: key.into(), content, media, losses: Vec::new() }
    }
}

/// The text of a sample; each kind becomes a sequence by rules of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// A page of text and images in reading order.
    Page(Document),
    /// One image or clip (`media[0]`) and the texts that describe it, each of them whole; training draws one.
    Pair(Vec<String>),
    /// Text alone.
    Text(String),
}

/// An image or clip as it lies on disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Medium {
    /// An encoded still image.
    Image(Vec<u8>),
    /// An encoded clip, and the part of it that is meant.
    Video(Vec<u8>, Interval),
    /// A clip in a local file, which is opened when its frames are wanted, and the part of it that is meant.
    VideoFile(PathBuf, Interval),
}

impl Medium {
    /// Memory that the medium takes, in bytes.
    pub fn len(&self) -> usize {
        match self {
            Medium::Image(bytes) | Medium::Video(bytes, _) => bytes.len(),
            Medium::VideoFile(..) => 0,
        }
    }

    /// The pictures: one of an image, those of a clip that `sampling` asks for. Errors call what is not a file `name`.
    ///
    /// # Errors
    ///
    /// As [`decode`], [`video::frames_within`] and [`video::frames_from_bytes_within`].
    pub fn pictures(&self, name: &str, sampling: &FrameSampling) -> Result<Vec<RgbaImage>, DataError> {
        match self {
            Medium::Image(bytes) => decode(bytes, name).map(|picture| vec![picture]),
            Medium::Video(bytes, interval) => {
                video::frames_from_bytes_within(bytes, name, interval, sampling)
            }
            Medium::VideoFile(path, interval) => video::frames_within(path, interval, sampling),
        }
    }

    /// Whether it takes no memory.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
