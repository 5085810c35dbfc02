//! The records of one source in their order: epochs, shards of this rank, several of them in turns.
//!
//! In each epoch the shards are permuted. With at least as many shards as ranks, shard `i` of the permutation belongs to
//! rank `i % world`; with fewer, every rank reads all shards and keeps the records whose number plus their shard's is
//! `rank` modulo `world`. Either way the ranks' records together are all records, each once.

use std::sync::Arc;

use rand::seq::SliceRandom;
use serde::{Deserialize, Serialize};

use super::draw::{self, Purpose};
use crate::error::DataError;
use crate::reject::Reject;
use crate::source::{Records, Source, Unread};

/// A record's place in a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Place {
    /// The source, by its position in the specification.
    pub source: usize,
    /// How often its source was read to the end before.
    pub epoch: u64,
    /// The shard, by its position in [`Source::shards`].
    pub shard: usize,
    /// The record's number in the shard.
    pub record: usize,
}

/// A record or what is wrong with it, and its place.
#[derive(Debug)]
pub(super) struct Item {
    pub place: Place,
    pub content: Result<Unread, Reject>,
}

/// What a walk depends on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Rules {
    pub seed: u64,
    pub epochs: Option<u64>,
    pub open_shards: usize,
    pub rank: usize,
    pub world: usize,
}

/// Where a walk stands.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct WalkState {
    pub epoch: u64,
    /// How many of the epoch's shards were opened.
    pub opened: usize,
    /// The open shards and the number of the next record of each.
    pub open: Vec<(usize, usize)>,
    /// Which of them is next.
    pub turn: usize,
    /// Records that this epoch gave.
    pub given: u64,
}

/// One source, record after record.
pub(super) struct Walk {
    source: Arc<dyn Source>,
    number: usize,
    name: String,
    rules: Rules,
    state: WalkState,
    /// This rank's shards of the epoch, in order.
    order: Vec<usize>,
    /// The open shards' readers, beside `state.open`; `None` until the next record is wanted.
    readers: Vec<Option<Records>>,
}

impl Walk {
    /// Continues from `state`.
    pub fn new(source: Arc<dyn Source>, number: usize, name: &str, rules: Rules, state: WalkState) -> Self {
        let readers = state.open.iter().map(|_| None).collect();
        let name = name.to_owned();
        let mut walk = Self { source, number, name, rules, state, order: Vec::new(), readers };
        walk.order = walk.shards_of_epoch();
        walk
    }

    pub fn state(&self) -> &WalkState {
        &self.state
    }

    pub fn source(&self) -> &dyn Source {
        &*self.source
    }

    /// The next record; `None` after the last epoch.
    ///
    /// # Errors
    ///
    /// [`DataError::NothingToRead`] if an epoch has no record for this rank.
    pub fn next(&mut self) -> Result<Option<Item>, DataError> {
        loop {
            if self.rules.epochs.is_some_and(|epochs| self.state.epoch >= epochs) {
                return Ok(None);
            }
            while self.state.open.len() < self.rules.open_shards && self.state.opened < self.order.len() {
                self.state.open.push((self.order[self.state.opened], 0));
                self.readers.push(None);
                self.state.opened += 1;
            }
            if self.state.open.is_empty() {
                self.end_epoch()?;
            } else if let Some(item) = self.step() {
                self.state.given += 1;
                return Ok(Some(item));
            }
        }
    }

    /// One record of the shard whose turn it is; `None` if the shard is at its end or the record another rank's.
    fn step(&mut self) -> Option<Item> {
        let turn = self.state.turn % self.state.open.len();
        let (shard, record) = self.state.open[turn];
        let next = match &mut self.readers[turn] {
            Some(reader) => Ok(reader.next()),
            closed => self.source.open(shard, record).map(|reader| closed.insert(reader).next()),
        };
        let content = match next {
            Ok(Some(content)) => {
                self.state.open[turn].1 += 1;
                self.state.turn = (turn + 1) % self.state.open.len();
                content
            }
            Ok(None) => {
                self.close(turn);
                return None;
            }
            // A shard that cannot be opened is one bad record.
            Err(reject) => {
                self.close(turn);
                Err(reject)
            }
        };
        let mine = !self.by_record() || (shard + record) % self.rules.world == self.rules.rank;
        let place = Place { source: self.number, epoch: self.state.epoch, shard, record };
        mine.then_some(Item { place, content })
    }

    /// The next shard takes the place of one that is at its end.
    fn close(&mut self, turn: usize) {
        match self.order.get(self.state.opened) {
            Some(shard) => {
                self.state.open[turn] = (*shard, 0);
                self.readers[turn] = None;
                self.state.opened += 1;
            }
            None => {
                self.state.open.remove(turn);
                self.readers.remove(turn);
            }
        }
        self.state.turn = turn;
    }

    fn end_epoch(&mut self) -> Result<(), DataError> {
        if self.state.given == 0 {
            return Err(DataError::NothingToRead {
                source_name: self.name.clone(),
                rank: self.rules.rank,
                world: self.rules.world,
            });
        }
        self.state = WalkState { epoch: self.state.epoch + 1, ..WalkState::default() };
        self.order = self.shards_of_epoch();
        Ok(())
    }

    fn by_record(&self) -> bool {
        self.source.shards().len() < self.rules.world
    }

    fn shards_of_epoch(&self) -> Vec<usize> {
        let mut shards: Vec<usize> = (0..self.source.shards().len()).collect();
        let epoch = self.state.epoch;
        shards.shuffle(&mut draw::generator(self.rules.seed, Purpose::Shards, self.number, epoch));
        match self.by_record() {
            true => shards,
            false => shards.into_iter().skip(self.rules.rank).step_by(self.rules.world).collect(),
        }
    }
}
