//! A prompt in the making.

use super::{Medium, Part};
use crate::dialect::Dialect;

/// Texts beside each other become one; ends of chunks are left out for a model that has no token for them.
pub(crate) struct Writer {
    has_eoc: bool,
    parts: Vec<Part>,
}

impl Writer {
    /// An empty prompt for a model.
    pub fn new(dialect: &Dialect) -> Self {
        Self { has_eoc: dialect.eoc().is_some(), parts: Vec::new() }
    }

    pub fn text(&mut self, text: &str) {
        match self.parts.last_mut() {
            Some(Part::Text(last)) => last.push_str(text),
            _ if text.is_empty() => {}
            _ => self.parts.push(Part::Text(text.to_owned())),
        }
    }

    pub fn media(&mut self, media: &[Medium]) {
        self.parts.extend(media.iter().cloned().map(Part::Medium));
    }

    pub fn end_of_chunk(&mut self) {
        if self.has_eoc {
            self.parts.push(Part::EndOfChunk);
        }
    }

    pub fn finish(self) -> Vec<Part> {
        self.parts
    }
}
