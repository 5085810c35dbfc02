//! What became of the pages and images: counts, by reason.

use std::collections::BTreeMap;
use std::fmt::{self, Display};

use serde::{Deserialize, Serialize};

use crate::reject::Reason;

/// Why an image that is on a page is not in its document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum ImageFilter {
    /// The file is not in the folder.
    Missing,
    /// The address leads to another site, which is not in the folder.
    External,
    /// A drawing in SVG, which is not rasterised here.
    Svg,
    /// The file is broken or too large; the file of rejects says more.
    Unusable,
    /// A side is too short.
    Small,
    /// It is too long or too wide.
    Aspect,
    /// It has one colour, or nearly.
    SingleColour,
    /// It is like an image of an evaluation set.
    Excluded,
    /// It is on so many pages that it belongs to the site's layout.
    Repeated,
    /// It, or a near-duplicate, is in the document already.
    Duplicate,
}

/// Why a page that can be read is no document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum PageFilter {
    /// It is in another language.
    Language,
    /// It has too few words.
    TooShort,
    /// It has too many words.
    TooLong,
    /// Gopher's rules of quality: word lengths, symbols, bullets, stop words.
    Quality,
    /// Gopher's rules of repetition: lines, paragraphs, n-grams.
    Repetition,
    /// It has no image, or none that is kept.
    NoImages,
    /// Another page with the same text and images came before.
    Duplicate,
}

/// The outcome of a run; `report.json` beside the shards.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Report {
    /// Pages found.
    pub pages: u64,
    /// Documents written.
    pub documents: u64,
    /// Pages that were no documents, by reason.
    pub pages_filtered: BTreeMap<PageFilter, u64>,
    /// Pages and images that could not be used, each file once, by reason.
    pub rejects: BTreeMap<Reason, u64>,
    /// Images on the pages that can be read, boilerplate aside; an image on two pages counts twice.
    pub images_seen: u64,
    /// Images in the documents.
    pub images: u64,
    /// Images that no document has, by reason; `images_seen` is their sum and `images` and `images_on_dropped_pages`.
    pub images_filtered: BTreeMap<ImageFilter, u64>,
    /// Images that were good, on pages that were not.
    pub images_on_dropped_pages: u64,
    /// Words in the documents: what spaces separate.
    pub words: u64,
    /// Characters in the documents.
    pub characters: u64,
    /// Shards written.
    pub shards: u64,
}

impl Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "pages      {:>9}{}", self.pages, reasons(&self.pages_filtered))?;
        writeln!(f, "documents  {:>9} in {} shards", self.documents, self.shards)?;
        writeln!(
            f,
            "images     {:>9} of {}{}",
            self.images,
            self.images_seen,
            reasons(&self.images_filtered)
        )?;
        if self.images_on_dropped_pages > 0 {
            writeln!(f, "           {:>9} more on pages that were dropped", self.images_on_dropped_pages)?;
        }
        writeln!(f, "words      {:>9}", self.words)?;
        write!(f, "rejects    {:>9}{}", self.rejects.values().sum::<u64>(), reasons(&self.rejects))
    }
}

/// `; 3 small, 1 svg`; empty if there is nothing to tell.
fn reasons<R: Serialize>(counts: &BTreeMap<R, u64>) -> String {
    let name =
        |reason: &R| serde_json::to_value(reason).ok().and_then(|name| name.as_str().map(str::to_owned));
    let parts: Vec<String> = counts
        .iter()
        .map(|(reason, count)| format!("{count} {}", name(reason).unwrap_or_default()))
        .collect();
    if parts.is_empty() { String::new() } else { format!("; dropped: {}", parts.join(", ")) }
}
