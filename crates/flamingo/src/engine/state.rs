//! What a model has read: keys and values of every layer, the images, and what it says next.

use std::sync::Arc;

use burn::tensor::Tensor;
use flamingo_lm::DecoderCache;

use super::eyes::Image;
use super::sight::Sight;
use crate::generate::Scores;
use crate::pretrained::Network;

/// Tokens that are read at once: what attention keeps of them grows with their number.
const PIECE: usize = 512;

/// What was read. Cloning copies nothing until one of the two reads on.
#[derive(Debug, Clone)]
pub struct State {
    ids: Vec<u32>,
    /// phi of each token.
    media_index: Vec<u32>,
    images: Vec<Arc<Image>>,
    cache: DecoderCache,
    /// Of the last token, `[1, 1, D]`; `None` if nothing was read, or the end was taken back.
    hidden: Option<Tensor<3>>,
}

impl State {
    pub(super) fn new(network: &Network, capacity: usize) -> Self {
        Self {
            ids: Vec::new(),
            media_index: Vec::new(),
            images: Vec::new(),
            cache: network.lm().cache(1, capacity),
            hidden: None,
        }
    }

    /// Number of tokens that were read.
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// Whether nothing was read.
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    /// The tokens that were read.
    pub fn ids(&self) -> &[u32] {
        &self.ids
    }

    pub(super) fn images(&self) -> &[Arc<Image>] {
        &self.images
    }

    pub(super) fn cache(&self) -> &DecoderCache {
        &self.cache
    }

    /// Of the last token, `[1, 1, D]`.
    ///
    /// # Panics
    ///
    /// If nothing was read since the end was taken back.
    pub(super) fn hidden(&self) -> Tensor<3> {
        self.hidden.clone().expect("something was read")
    }

    /// How many tokens of a prompt stand at the beginning of this one too, seeing the same images.
    pub(super) fn common(&self, ids: &[u32], media_index: &[u32], images: &[Arc<Image>]) -> usize {
        let same_images =
            self.images.iter().zip(images).take_while(|(one, other)| one.key == other.key).count();
        let tokens = self.ids.iter().zip(&self.media_index).zip(ids.iter().zip(media_index));
        tokens.take_while(|(one, other)| *one == *other && *one.1 as usize <= same_images).count()
    }

    /// Forgets all but the first `len` tokens.
    pub(super) fn rewind(&mut self, len: usize) {
        if len >= self.len() {
            return;
        }
        self.ids.truncate(len);
        self.media_index.truncate(len);
        self.images.truncate(self.media_index.iter().copied().max().unwrap_or(0) as usize);
        self.cache.truncate(len);
        self.hidden = None;
    }

    /// Reads the rest of a prompt whose first tokens are these; `images` are all of the prompt's.
    pub(super) fn read(
        &mut self,
        network: &Network,
        ids: &[u32],
        media_index: &[u32],
        images: Vec<Arc<Image>>,
    ) {
        self.images = images;
        let lm = network.lm();
        for from in (self.len()..ids.len()).step_by(PIECE) {
            let piece = from..(from + PIECE).min(ids.len());
            let (ids, phi) = (&ids[piece.clone()], &media_index[piece]);
            let len = ids.len();
            let tensor = network.tokens(ids.iter().copied(), [1, len]);
            let hidden = lm.extend(tensor, &mut self.cache, &Sight::of_text(network, phi, &self.images));
            self.hidden = Some(hidden.narrow(1, len - 1, 1));
            self.ids.extend(ids);
            self.media_index.extend(phi);
        }
    }

    /// What the model says about the next token.
    ///
    /// # Panics
    ///
    /// As [`State::hidden`].
    pub(super) fn scores(&self, network: &Network) -> Scores {
        scores(network, self.hidden())
    }
}

/// Scores of the next token from hidden states `[N, 1, D]`.
pub(super) fn scores(network: &Network, hidden: Tensor<3>) -> Scores {
    let logits = network.lm().logits(hidden);
    let vocab = logits.dims()[2];
    Scores::new(logits.into_data().iter().collect(), vocab)
}
