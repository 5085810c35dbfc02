//! Texts that go on from states, token by token, all at once.

use std::sync::Arc;

use flamingo_lm::DecoderCache;

use super::eyes::Image;
use super::sight::Sight;
use super::state::{State, scores};
use crate::error::FlamingoError;
use crate::generate::{Reader, Scores};
use crate::pretrained::Network;

/// Rows that go on from states, at first one from each.
pub struct Rows<'a> {
    network: &'a Network,
    cache: DecoderCache,
    /// Of each row.
    images: Vec<Arc<[Arc<Image>]>>,
    /// What these rows see: the same at every step, until rows change.
    sight: Option<Sight<'a>>,
    /// Most tokens of a row.
    limit: usize,
}

impl<'a> Rows<'a> {
    /// # Panics
    ///
    /// If there are no states.
    pub(super) fn new(network: &'a Network, states: &[State], limit: usize) -> Self {
        let caches: Vec<&DecoderCache> = states.iter().map(State::cache).collect();
        let cache = match caches.as_slice() {
            [one] => (*one).clone(),
            several => DecoderCache::stack(several),
        };
        let images = states.iter().map(|state| state.images().into()).collect();
        Self { network, cache, images, sight: None, limit }
    }
}

impl Reader for Rows<'_> {
    fn step(&mut self, parents: &[usize], tokens: &[u32]) -> Result<Scores, FlamingoError> {
        let tokens_read = self.cache.len();
        if tokens_read >= self.limit {
            return Err(FlamingoError::TooLong { tokens: tokens_read + 1, context: self.limit });
        }
        if !parents.iter().copied().eq(0..self.cache.batch()) {
            self.cache = self.cache.select(parents);
            self.images = parents.iter().map(|row| self.images[*row].clone()).collect();
            self.sight = None;
        }
        let network = self.network;
        let sight = self.sight.get_or_insert_with(|| {
            let visible: Vec<&[Arc<Image>]> = self.images.iter().map(AsRef::as_ref).collect();
            Sight::of_rows(network, &visible, 1)
        });
        let ids = network.tokens(tokens.iter().copied(), [tokens.len(), 1]);
        let hidden = network.lm().extend(ids, &mut self.cache, sight);
        Ok(scores(network, hidden))
    }
}
