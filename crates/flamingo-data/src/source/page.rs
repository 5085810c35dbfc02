//! What the sources of documents share: from a description and its images to a sample.

use crate::document::{Chunk, Document};
use crate::reject::{Reason, Reject};
use crate::sample::{Content, Medium, Sample};

/// A document on its way to a sample. An image that cannot be had leaves a note instead of a chunk.
pub(super) struct Page {
    key: String,
    shard: String,
    document: Document,
    media: Vec<Medium>,
    losses: Vec<Reject>,
}

impl Page {
    /// An empty page of the record `key` of `shard`.
    pub fn new(shard: impl ToString, key: impl Into<String>) -> Self {
        Self {
            key: key.into(),
            shard: shard.to_string(),
            document: Document::default(),
            media: Vec::new(),
            losses: Vec::new(),
        }
    }

    /// The document, to be filled.
    pub fn document(&mut self) -> &mut Document {
        &mut self.document
    }

    /// Appends text, unless there is none.
    pub fn text(&mut self, text: impl Into<String>) {
        let text = text.into();
        if !text.is_empty() {
            self.document.chunks.push(Chunk::Text(text));
        }
    }

    /// Adds an encoded image, and gives its number for [`Page::show`].
    pub fn image(&mut self, bytes: Vec<u8>) -> usize {
        self.media.push(Medium::Image(bytes));
        self.media.len() - 1
    }

    /// Appends an image of [`Page::image`].
    pub fn show(&mut self, image: usize) {
        self.document.chunks.push(Chunk::Image(image));
    }

    /// Notes that a part of the record is not used.
    pub fn lose(&mut self, reason: Reason, what: impl Into<String>) {
        let reject = self.reject(reason, what);
        self.losses.push(reject);
    }

    /// A note that the record is not used.
    pub fn reject(&self, reason: Reason, what: impl Into<String>) -> Reject {
        Reject::new(&self.shard, &self.key, reason, what)
    }

    /// The sample.
    ///
    /// # Errors
    ///
    /// [`Reason::Empty`] if there is nothing in it; if it has less than `min_images` images, the reason why the first
    /// image was lost, or [`Reason::Filtered`] if none was.
    pub fn finish(self, min_images: usize) -> Result<Sample, Reject> {
        let images = self.document.images().count();
        if images < min_images {
            // What the configuration left out is named only if nothing else was wrong.
            let worst = self.losses.iter().find(|loss| loss.reason != Reason::Filtered);
            let (reason, why) = match worst.or(self.losses.first()) {
                Some(loss) => (loss.reason, format!(": {}", loss.what)),
                None => (Reason::Filtered, String::new()),
            };
            let what = format!("{images} images, of at least {min_images} that are wanted{why}");
            return Err(self.reject(reason, what));
        }
        if images == 0 && self.document.text().is_empty() {
            return Err(self.reject(Reason::Empty, "neither text nor images"));
        }
        let content = Content::Page(self.document);
        Ok(Sample { key: self.key, content, media: self.media, losses: self.losses })
    }
}
