//! What a model is asked: texts, pictures and clips in any order.

mod file;
mod medium;
pub mod template;
mod writer;

pub use medium::{Digest, Frames, Medium, Source};
pub use template::{Example, Task, Template};
pub(crate) use writer::Writer;

/// A prompt; [`Dialect::encode`](crate::dialect::Dialect::encode) writes it for a model.
#[derive(Debug, Clone)]
pub enum Prompt {
    /// In the order in which they are read.
    Parts(Vec<Part>),
    /// Already tokenized, so that a check need not depend on a tokenizer.
    Tokens {
        /// The ids, image tokens included.
        ids: Vec<u32>,
        /// What the image tokens stand for.
        media: Vec<Medium>,
    },
}

/// A part of a prompt.
#[derive(Debug, Clone)]
pub enum Part {
    /// As it is: no space is added on either side.
    Text(String),
    /// A picture or a clip.
    Medium(Medium),
    /// The end of a chunk: of what belongs to one image.
    EndOfChunk,
}

impl Default for Prompt {
    fn default() -> Self {
        Self::Parts(Vec::new())
    }
}

impl Prompt {
    /// A text alone.
    pub fn text(text: impl Into<String>) -> Self {
        Self::Parts(vec![Part::Text(text.into())])
    }

    /// All pictures and clips, in order.
    pub fn media<'a>(&'a self) -> impl Iterator<Item = &'a Medium> {
        let (parts, media) = match self {
            Self::Parts(parts) => (parts.as_slice(), &[][..]),
            Self::Tokens { media, .. } => (&[][..], media.as_slice()),
        };
        let medium = |part: &'a Part| match part {
            Part::Medium(medium) => Some(medium),
            Part::Text(_) | Part::EndOfChunk => None,
        };
        parts.iter().filter_map(medium).chain(media)
    }
}

impl FromIterator<Part> for Prompt {
    fn from_iter<I: IntoIterator<Item = Part>>(parts: I) -> Self {
        Self::Parts(parts.into_iter().collect())
    }
}
