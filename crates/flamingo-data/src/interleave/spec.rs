//! What is made of which pages, and by which rules.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// A folder of pages, and how documents are made of it. All of it decides about the output, down to its bytes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct InterleaveSpec {
    /// The folder of pages and images. Pages are the files that end in `.html`, `.htm` or `.xhtml`, also in folders
    /// below; hidden files and folders are passed over.
    pub html: PathBuf,
    /// The URL that the folder stands for, so that absolute links are found in it and documents tell their URL.
    pub base_url: Option<String>,
    /// How many leading folders of a page's path name its site: 0 if all pages are of one site, 1 for a mirror with a
    /// folder for each host.
    pub site_depth: usize,
    /// The largest page that is read, in bytes.
    pub max_page_bytes: u64,
    /// Rules for images.
    pub images: ImageRules,
    /// Rules for documents.
    pub documents: DocumentRules,
    /// The shards.
    pub shards: ShardRules,
}

/// Which images are kept. The defaults of sides and aspect are the paper's.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ImageRules {
    /// The shortest side, in pixels.
    pub min_side: u32,
    /// The longest side over the shortest.
    pub max_aspect: f64,
    /// The largest image file, in bytes.
    pub max_bytes: u64,
    /// An image on more pages than this is part of a site's layout. The default is OBELICS': a URL that occurs more than 10
    /// times in all documents (Laurençon et al. 2023; `build_obelics/06_02_merge_sets_image_urls_in_webdocs.py` of
    /// huggingface/OBELICS, `THRESHOLD_TOO_DUPLICATED`). Here pages are counted, and equal pictures by fingerprint.
    pub max_pages: usize,
    /// So is one on more than this share of its site's pages, where that is less, though never one on 3 pages or fewer:
    /// a rule of this project, for sites that are too small for the other one.
    pub max_site_share: f64,
    /// Bits in which the fingerprints of one image's copies, in several sizes, within a document differ, at most.
    pub duplicate_radius: u32,
    /// Folders of images, or shards, that no image may be like: evaluation sets.
    pub exclude_like: Vec<PathBuf>,
    /// Bits in which fingerprints may differ for an image to be like an excluded one.
    pub exclude_radius: u32,
}

/// Which documents are kept.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DocumentRules {
    /// Languages to keep, as ISO 639 codes of two or three letters; all of them if empty.
    pub languages: Vec<String>,
    /// The fewest words.
    pub min_words: usize,
    /// The most words.
    pub max_words: usize,
    /// Whether Gopher's rules of quality and repetition must hold, as in the paper; they are made for English prose.
    pub gopher: bool,
    /// Whether the alternative text of an image follows it as text of the document.
    pub alt_as_text: bool,
}

/// How documents are written.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ShardRules {
    /// Documents in a shard.
    pub size: usize,
    /// Compression.
    pub compression: Compression,
}

/// How a shard is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Compression {
    /// `.tar`: images are compressed already.
    #[default]
    None,
    /// `.tar.gz`.
    Gzip,
    /// `.tar.zst`.
    Zstd,
}

impl InterleaveSpec {
    /// The pages of a folder, by the usual rules.
    pub fn new(html: impl Into<PathBuf>) -> Self {
        Self {
            html: html.into(),
            base_url: None,
            site_depth: 0,
            max_page_bytes: 4 << 20,
            images: ImageRules::default(),
            documents: DocumentRules::default(),
            shards: ShardRules { size: 1_000, compression: Compression::None },
        }
    }
}

impl Default for ImageRules {
    fn default() -> Self {
        Self {
            min_side: 64,
            max_aspect: 3.0,
            max_bytes: 32 << 20,
            max_pages: 10,
            max_site_share: 0.05,
            duplicate_radius: 2,
            exclude_like: Vec::new(),
            exclude_radius: 4,
        }
    }
}

impl Default for DocumentRules {
    fn default() -> Self {
        Self { languages: Vec::new(), min_words: 1, max_words: 100_000, gopher: false, alt_as_text: false }
    }
}
