//! Interleaved documents in WebDataset shards: what `flamingo data interleave` and the recipes write.
//!
//! ```text
//! page-1.json    {"url": …, "title": …, "chunks": [{"text": "A cow."}, {"image": "0.png", "alt": "cow"}]}
//! page-1.0.png   the image
//! ```
//!
//! A chunk names its image by the extension of the file beside it. Keys that are not listed in [`DocumentRecord`] are
//! kept, and mean nothing here.

use std::collections::BTreeMap;

use flamingo_core::TextTie;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::document::{Chunk, Document};

/// The description of a document, `KEY.json`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct DocumentRecord {
    /// Where the page was found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// The page's title; no part of its text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// The language of the text, as an ISO 639 code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub language: Option<String>,
    /// Which image a text belongs to, if the page's author is known to have put it before or after.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tie: Option<TextTie>,
    /// Text and images in reading order.
    pub chunks: Vec<ChunkRecord>,
    /// Everything else.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

/// A piece of a document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged, try_from = "AnyChunk")]
pub enum ChunkRecord {
    /// Text, with its own spaces and newlines.
    Text {
        /// The text.
        text: String,
    },
    /// An image.
    Image(ImageRecord),
}

/// An image of a document.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageRecord {
    /// The field of the record that holds the image: `0.png` for the file `KEY.0.png`.
    pub image: String,
    /// Width in pixels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub width: Option<u32>,
    /// Height in pixels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub height: Option<u32>,
    /// What the page says in the image's place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alt: Option<String>,
}

/// A chunk before it is known which kind it is; told apart by hand, because the message of an untagged enum would not
/// say what was expected.
#[derive(Deserialize)]
struct AnyChunk {
    text: Option<String>,
    image: Option<String>,
    width: Option<u32>,
    height: Option<u32>,
    alt: Option<String>,
}

impl TryFrom<AnyChunk> for ChunkRecord {
    type Error = &'static str;

    fn try_from(chunk: AnyChunk) -> Result<Self, Self::Error> {
        let AnyChunk { text, image, width, height, alt } = chunk;
        match (text, image) {
            (Some(text), None) => Ok(Self::Text { text }),
            (None, Some(image)) => Ok(Self::Image(ImageRecord { image, width, height, alt })),
            _ => Err("a chunk has either `text` or `image`"),
        }
    }
}

impl DocumentRecord {
    /// Parses a description.
    ///
    /// # Errors
    ///
    /// If the bytes are not such a JSON object; in words.
    pub fn parse(json: &[u8]) -> Result<Self, String> {
        serde_json::from_slice(json).map_err(|error| format!("the description is no document: {error}"))
    }

    /// The description as JSON, on one line.
    pub fn to_json(&self) -> Vec<u8> {
        // Strings, numbers and maps with string keys: nothing in here that JSON could not say.
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// The document, its image files in the order in which it first names them, and which named files are not there.
    /// An image that is not there is left out; one that is named twice is two chunks with one file.
    fn resolve(self, fields: &mut BTreeMap<String, Vec<u8>>) -> (Document, Vec<Vec<u8>>, Vec<String>) {
        let mut places: BTreeMap<String, Option<usize>> = BTreeMap::new();
        let mut document = Document { chunks: Vec::with_capacity(self.chunks.len()), tie: self.tie };
        let (mut images, mut missing) = (Vec::new(), Vec::new());
        for chunk in self.chunks {
            match chunk {
                ChunkRecord::Text { text } => document.chunks.push(Chunk::Text(text)),
                ChunkRecord::Image(ImageRecord { image, .. }) => {
                    let place = *places.entry(image).or_insert_with_key(|name| {
                        let Some(bytes) = fields.remove(&name.to_lowercase()) else {
                            missing.push(name.clone());
                            return None;
                        };
                        images.push(bytes);
                        Some(images.len() - 1)
                    });
                    document.chunks.extend(place.map(Chunk::Image));
                }
            }
        }
        (document, images, missing)
    }
}
