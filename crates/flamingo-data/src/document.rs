//! A page of text and pictures, in reading order.

use flamingo_core::TextTie;

/// A piece of a page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Chunk {
    /// Text as it is, with its own spaces.
    Text(String),
    /// A picture, as an index into the data set that the page was made from.
    Image(usize),
}

/// A page of text and pictures.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Document {
    /// The pieces, in reading order.
    pub chunks: Vec<Chunk>,
    /// Which picture a text belongs to, where the page's author is known to have put it before or after; `None`
    /// (any page found on the web) leaves it to placement augmentation.
    pub tie: Option<TextTie>,
}

impl Document {
    /// The pictures, in reading order.
    pub fn images(&self) -> impl Iterator<Item = usize> {
        self.chunks.iter().filter_map(|chunk| match chunk {
            Chunk::Image(image) => Some(*image),
            Chunk::Text(_) => None,
        })
    }

    /// The text without the pictures: what a language model reads.
    pub fn text(&self) -> String {
        let texts = self.chunks.iter().filter_map(|chunk| match chunk {
            Chunk::Text(text) => Some(text.trim()),
            Chunk::Image(_) => None,
        });
        texts.filter(|text| !text.is_empty()).collect::<Vec<_>>().join("\n")
    }
}
