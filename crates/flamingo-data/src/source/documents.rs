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

use super::page::Page;
use super::sharded::Sharded;
use super::{Format, Source, SourceSpec};
use crate::DataError;
use crate::reject::{Reason, Reject};
use crate::sample::Sample;
use crate::store::Store;
use crate::webdataset::{Limits, Record};

/// The format `documents`.
pub const FORMAT: Format = Format {
    name: "documents",
    summary: "WebDataset shards of interleaved documents, as `flamingo data interleave` writes them",
    open,
};

/// Options of the format.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Options {
    /// Documents with fewer images are left out.
    pub min_images: usize,
}
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
}

fn open(spec: &SourceSpec, store: &Store) -> Result<Box<dyn Source>, DataError> {
    let options: Options = spec.options()?;
    Sharded::open(spec, store, options, Limits::default(), sample)
}

/// A record of a shard as a document.
///
/// An image that is named twice is two chunks with one image. One that is not there is left out and noted in
/// [`Sample::losses`].
///
/// # Errors
///
/// [`Reason::Missing`] without a description, [`Reason::BadDescription`] if it is not a [`DocumentRecord`];
/// [`Reason::Missing`] or [`Reason::Filtered`] with too few images; [`Reason::Empty`].
pub fn sample(mut record: Record, options: &Options) -> Result<Sample, Reject> {
    let mut page = Page::new(&record.shard, &record.key);
    let Some(json) = record.fields.remove("json") else {
        return Err(record.reject(Reason::Missing, "has no field \"json\" with the document's description"));
    };
    let described =
        DocumentRecord::parse(&json).map_err(|what| record.reject(Reason::BadDescription, what))?;
    page.document().tie = described.tie;
    let mut places: BTreeMap<String, Option<usize>> = BTreeMap::new();
    for chunk in described.chunks {
        match chunk {
            ChunkRecord::Text { text } => page.text(text),
            ChunkRecord::Image(ImageRecord { image, .. }) => {
                // Fields of records are in lower case.
                let field = image.to_lowercase();
                let place = *places.entry(field).or_insert_with_key(|field| {
                    let bytes = record.fields.remove(field);
                    if bytes.is_none() {
                        page.lose(Reason::Missing, format!("image {image:?} is not beside the description"));
                    }
                    bytes.map(|bytes| page.image(bytes))
                });
                if let Some(place) = place {
                    page.show(place);
                }
            }
        }
    }
    page.finish(options.min_images)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::fixtures::write_shard;
    use crate::source::testing::{outcomes, spec};

    fn read(files: &[(&str, &[u8])], options: Value) -> Vec<String> {
        let folder = tempfile::tempdir().unwrap();
        let shard = write_shard(folder.path(), "s.tar", files);
        outcomes(&spec("documents", &shard, options))
    }

    #[test]
    fn chunks_keep_their_order_and_images_their_names() {
        let described = DocumentRecord {
            title: Some("Farm".to_owned()),
            tie: Some(TextTie::Next),
            chunks: vec![
                ChunkRecord::Text { text: "A cow. ".to_owned() },
                ChunkRecord::Image(ImageRecord { image: "1.PNG".to_owned(), ..ImageRecord::default() }),
                ChunkRecord::Text { text: "A pig.".to_owned() },
                ChunkRecord::Image(ImageRecord {
                    image: "0.jpg".to_owned(),
                    alt: Some("pig".to_owned()),
                    ..ImageRecord::default()
                }),
                ChunkRecord::Image(ImageRecord { image: "1.PNG".to_owned(), ..ImageRecord::default() }),
            ],
            ..DocumentRecord::default()
        };
        let json = described.to_json();
        assert_eq!(DocumentRecord::parse(&json), Ok(described));
        let files: [(&str, &[u8]); 3] = [("p/1.0.jpg", b"1"), ("p/1.1.PNG", b"22"), ("p/1.json", &json)];
        assert_eq!(read(&files, json!({})), ["p/1: A cow. [2]A pig.[1][2] tie=next"]);
    }

    #[test]
    fn unknown_keys_are_kept() {
        let parsed = DocumentRecord::parse(br#"{"chunks": [], "licence": "GFDL"}"#).unwrap();
        assert_eq!(parsed.other["licence"], "GFDL");
        assert_eq!(DocumentRecord::parse(&parsed.to_json()), Ok(parsed));
    }

    #[test]
    fn bad_documents_are_rejected_one_by_one() {
        let files: [(&str, &[u8]); 9] = [
            ("a.json", b"{"),
            ("b.json", br#"{"chunks": [{"text": "x", "image": "0.png"}]}"#),
            ("c.json", br#"{"chunks": [{"text": ""}]}"#),
            ("d.0.png", b"1"),
            ("e.json", br#"{"chunks": [{"text": "seen"}, {"image": "0.png"}, {"image": "0.png"}]}"#),
            ("f.json", br#"{"chunks": [{"text": "plain"}]}"#),
            ("g.json", br#"{"text": "no chunks"}"#),
            ("h.0.png", b"1"),
            ("h.json", br#"{"chunks": [{"image": "0.png", "width": 64, "more": 1}], "tie": null}"#),
        ];
        let good = ["e: seen (missing)", "f: plain", "g: bad-description", "h: [1]"];
        let all =
            [&["a: bad-description", "b: bad-description", "c: empty", "d: missing"][..], &good].concat();
        assert_eq!(read(&files, json!({})), all);
        let few = read(&files, json!({"min_images": 1}));
        assert_eq!(few[4..], ["e: missing", "f: filtered", "g: bad-description", "h: [1]"]);
    }

    #[test]
    fn an_unknown_option_names_the_nearest() {
        let error = spec("documents", "x".as_ref(), json!({"min_image": 1})).open(&Store::default());
        let error = error.err().unwrap().to_string();
        assert!(error.contains("\"test\"") && error.contains("did you mean \"min_images\""), "{error}");
    }
}
