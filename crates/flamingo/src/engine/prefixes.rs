//! Prompts that were read, so that one that begins alike need not be read from its beginning.

use std::sync::Arc;

use super::eyes::Image;
use super::state::State;

/// Prompts that are kept; the one that was not used for longest goes first.
const CAPACITY: usize = 4;

/// The last prompts, the latest last.
#[derive(Debug, Default)]
pub(super) struct Prefixes(Vec<State>);

impl Prefixes {
    /// The longest beginning of a prompt that was read, but for its last token, which has yet to say what comes next.
    pub fn longest(&mut self, ids: &[u32], media_index: &[u32], images: &[Arc<Image>]) -> Option<State> {
        let lengths = self.0.iter().map(|state| state.common(ids, media_index, images).min(ids.len() - 1));
        let (place, len) = lengths.enumerate().max_by_key(|(_, len)| *len).filter(|(_, len)| *len > 0)?;
        let found = self.0.remove(place);
        let mut state = found.clone();
        self.0.push(found);
        state.rewind(len);
        Some(state)
    }

    /// Keeps what was read. One that it goes on from is not needed any more.
    pub fn keep(&mut self, state: State) {
        self.0.retain(|old| !state.ids().starts_with(old.ids()));
        self.0.push(state);
        if self.0.len() > CAPACITY {
            self.0.remove(0);
        }
    }
}
