//! A record as a row: taken apart and tokenised, its images not decoded yet.

use serde::{Deserialize, Serialize};

use super::draw::{self, Purpose};
use super::walk::{Item, Place};
use crate::document::Document;
use crate::encoder::TextEncoder;
use crate::reject::{Reason, Reject};
use crate::sample::{Content, Medium, Sample};
use crate::sequence::{self, Sequence, SequenceSpec};
use rand::Rng;

/// Which record a row came from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RowId {
    /// The record's place.
    pub place: Place,
    /// The record's name within its shard.
    pub key: String,
}

/// A row that waits for its batch.
#[derive(Debug)]
pub(super) struct Row {
    pub id: RowId,
    /// Its images are indices into `media`.
    pub sequence: Sequence,
    /// The media that the row's window shows.
    pub media: Vec<Medium>,
    /// What of the record could not be used.
    pub losses: Vec<Reject>,
}

impl Row {
    /// Memory that the row takes, in bytes.
    pub fn bytes(&self) -> usize {
        let media: usize = self.media.iter().map(Medium::len).sum();
        media + 12 * self.sequence.ids.len()
    }

    /// Whether it shows a clip.
    pub fn moves(&self) -> bool {
        self.media.iter().any(|medium| !matches!(medium, Medium::Image(_)))
    }
}

/// How records become rows.
pub(super) struct Rows<'a> {
    pub encoder: &'a dyn TextEncoder,
    pub sequence: &'a SequenceSpec,
    pub seed: u64,
    /// The sources' names, and those of their shards: where bad records come from.
    pub names: &'a [(String, Vec<String>)],
}

impl Rows<'_> {
    /// Takes a record apart and draws what its row shows.
    pub fn make(&self, item: Item) -> Result<Row, Reject> {
        let place = item.place;
        let row = item.content.and_then(|unread| {
            let key = unread.key.clone();
            self.row(place, key, unread.read()?)
        });
        row.map_err(|reject| self.signed(reject, place))
    }

    /// `reject` with the source's name.
    pub fn signed(&self, reject: Reject, place: Place) -> Reject {
        let source = self.names.get(place.source).map_or_else(String::new, |(name, _)| name.clone());
        Reject { source, ..reject }
    }

    /// A reject of the record at `place`.
    pub fn refuse(&self, place: Place, key: &str, reason: Reason, what: String) -> Reject {
        let source = self.names.get(place.source);
        let shard = source.and_then(|(_, shards)| shards.get(place.shard)).map_or("", String::as_str);
        self.signed(Reject::new(shard, key, reason, what), place)
    }

    fn row(&self, place: Place, key: String, sample: Sample) -> Result<Row, Reject> {
        let refuse = |reason, what: String| Err(self.refuse(place, &key, reason, what));
        let Sample { content, media, losses, .. } = sample;
        let losses = losses.into_iter().map(|reject| self.signed(reject, place)).collect();
        let (spec, encoder) = (self.sequence, self.encoder);
        let mut rng = draw::of_record(self.seed, Purpose::Row, &place, 0);
        let mut sequence = match content {
            Content::Page(page) if page.chunks.is_empty() => {
                return refuse(Reason::Empty, "the page has neither text nor images".to_owned());
            }
            Content::Page(page) => {
                if let Some(image) = absent(&page, media.len()) {
                    let what = format!("the page shows image {image} of {}", media.len());
                    return refuse(Reason::BadDescription, what);
                }
                sequence::interleaved(&page, encoder, spec, &mut rng)
            }
            Content::Pair(texts) => {
                if texts.is_empty() || media.is_empty() {
                    return refuse(
                        Reason::Missing,
                        "a pair must have a caption and an image or clip".to_owned(),
                    );
                }
                let caption = &texts[rng.random_range(0..texts.len())];
                sequence::pair(0, caption, encoder, spec, &mut rng)
            }
            Content::Text(text) if text.is_empty() => {
                return refuse(Reason::Empty, "the text is empty".to_owned());
            }
            Content::Text(text) => sequence::text(&text, encoder, spec, &mut rng),
        };
        let mut media: Vec<Option<Medium>> = media.into_iter().map(Some).collect();
        // An image that a page shows twice is kept twice: its second place has a number of its own.
        let shown: Vec<Medium> = (0..sequence.images.len())
            .filter_map(|at| {
                let again = sequence.images[at + 1..].contains(&sequence.images[at]);
                let medium = media.get_mut(sequence.images[at])?;
                if again { medium.clone() } else { medium.take() }
            })
            .collect();
        sequence.images = (0..shown.len()).collect();
        Ok(Row { id: RowId { place, key }, sequence, media: shown, losses })
    }
}

/// An image that a page shows but does not have.
fn absent(page: &Document, media: usize) -> Option<usize> {
    page.images().find(|image| *image >= media)
}
