//! All sources as one sequence of records: a shuffle buffer for each, and the draw among them.

use std::collections::BTreeMap;
use std::sync::Arc;

use rand::Rng;
use serde::{Deserialize, Serialize};

use super::draw::{self, Purpose};
use super::spec::{Shuffling, StreamSpec};
use super::walk::{Item, Place, Rules, Walk, WalkState};
use crate::error::DataError;
use crate::source::{Source, Unread};

/// Where one source stands.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct LaneState {
    walk: WalkState,
    /// Records that left the buffer.
    drawn: u64,
    /// The buffer's records, as epoch, shard and number.
    buffer: Vec<(u64, usize, usize)>,
    /// Whether nothing is left.
    ended: bool,
}

/// Where all sources stand.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct MixState {
    lanes: Vec<LaneState>,
    /// Draws among the sources.
    drawn: u64,
}

/// A source behind its shuffle buffer.
struct Lane {
    walk: Walk,
    number: usize,
    weight: f64,
    seed: u64,
    limits: Shuffling,
    drawn: u64,
    buffer: Vec<(Place, Unread)>,
    bytes: usize,
    ended: bool,
}

impl Lane {
    /// The next record of this source; `None` when all are given. Bad records do not wait in the buffer.
    fn next(&mut self) -> Result<Option<Item>, DataError> {
        // A single record may be larger than the limit.
        while self.buffer.len() < self.limits.records
            && (self.bytes < self.limits.bytes || self.buffer.is_empty())
        {
            let Some(Item { place, content }) = self.walk.next()? else { break };
            match content {
                Ok(unread) => {
                    self.bytes += unread.bytes;
                    self.buffer.push((place, unread));
                }
                Err(reject) => return Ok(Some(Item { place, content: Err(reject) })),
            }
        }
        if self.buffer.is_empty() {
            self.ended = true;
            return Ok(None);
        }
        let index = draw::below(self.buffer.len(), self.seed, Purpose::Shuffle, self.number, self.drawn);
        self.drawn += 1;
        let (place, unread) = self.buffer.swap_remove(index);
        self.bytes -= unread.bytes;
        Ok(Some(Item { place, content: Ok(unread) }))
    }

    fn state(&self) -> LaneState {
        let buffer = self.buffer.iter().map(|(place, _)| (place.epoch, place.shard, place.record)).collect();
        LaneState { walk: self.walk.state().clone(), drawn: self.drawn, buffer, ended: self.ended }
    }

    /// Reads the buffer's records again: each shard once, from the first wanted record on.
    fn refill(&mut self, buffer: &[(u64, usize, usize)]) -> Result<(), DataError> {
        let mut wanted: BTreeMap<usize, BTreeMap<usize, Vec<usize>>> = BTreeMap::new();
        for (slot, (_, shard, record)) in buffer.iter().enumerate() {
            wanted.entry(*shard).or_default().entry(*record).or_default().push(slot);
        }
        let mut slots: Vec<Option<(Place, Unread)>> = buffer.iter().map(|_| None).collect();
        for (shard, records) in wanted {
            // A record that waits twice, from two epochs, is read twice.
            let turns = records.values().map(Vec::len).max().unwrap_or(0);
            for turn in 0..turns {
                let slot_of: BTreeMap<usize, usize> =
                    records.iter().filter_map(|(record, slots)| Some((*record, *slots.get(turn)?))).collect();
                self.reread(shard, &slot_of, buffer, &mut slots)?;
            }
        }
        self.buffer = slots.into_iter().flatten().collect();
        self.bytes = self.buffer.iter().map(|(_, unread)| unread.bytes).sum();
        Ok(())
    }

    fn reread(
        &self,
        shard: usize,
        slot_of: &BTreeMap<usize, usize>,
        buffer: &[(u64, usize, usize)],
        slots: &mut [Option<(Place, Unread)>],
    ) -> Result<(), DataError> {
        let source = self.walk.source();
        let changed = |what: String| DataError::ShardChanged {
            shard: source.shards().get(shard).map_or_else(|| shard.to_string(), ToString::to_string),
            what,
        };
        let (Some(first), Some(last)) = (slot_of.keys().next(), slot_of.keys().last()) else { return Ok(()) };
        let records = source.open(shard, *first).map_err(|reject| changed(reject.what))?;
        let mut found = 0;
        for (record, content) in (*first..=*last).zip(records) {
            let Some(slot) = slot_of.get(&record) else { continue };
            let unread = content.map_err(|reject| changed(format!("record {record}: {}", reject.what)))?;
            let place = Place { source: self.number, epoch: buffer[*slot].0, shard, record };
            slots[*slot] = Some((place, unread));
            found += 1;
        }
        match found == slot_of.len() {
            true => Ok(()),
            false => Err(changed(format!("it has fewer than {} records now", last + 1))),
        }
    }
}

/// Records of all sources.
pub(super) struct Mix {
    lanes: Vec<Lane>,
    seed: u64,
    drawn: u64,
}

impl Mix {
    /// From the start, or from `state`, for which the buffers' records are read again.
    pub fn new(
        spec: &StreamSpec,
        sources: &[Arc<dyn Source>],
        state: Option<&MixState>,
    ) -> Result<Self, DataError> {
        let rules = Rules {
            seed: spec.seed,
            epochs: spec.epochs,
            open_shards: spec.open_shards,
            rank: spec.rank,
            world: spec.world,
        };
        let mut lanes = Vec::with_capacity(sources.len());
        for (number, (source, mixed)) in sources.iter().zip(&spec.sources).enumerate() {
            let start = LaneState::default();
            let lane = state.and_then(|state| state.lanes.get(number)).unwrap_or(&start);
            let walk = Walk::new(Arc::clone(source), number, &mixed.name, rules, lane.walk.clone());
            let mut fresh = Lane {
                walk,
                number,
                weight: mixed.weight,
                seed: spec.seed,
                limits: spec.shuffle,
                drawn: lane.drawn,
                buffer: Vec::new(),
                bytes: 0,
                ended: lane.ended,
            };
            fresh.refill(&lane.buffer)?;
            lanes.push(fresh);
        }
        Ok(Self { lanes, seed: spec.seed, drawn: state.map_or(0, |state| state.drawn) })
    }

    pub fn state(&self) -> MixState {
        MixState { lanes: self.lanes.iter().map(Lane::state).collect(), drawn: self.drawn }
    }

    /// The next record; `None` when all sources have ended, which they do only if their epochs are limited.
    pub fn next(&mut self) -> Result<Option<Item>, DataError> {
        loop {
            let total: f64 = self.live().map(|lane| lane.weight).sum();
            if total == 0.0 {
                return Ok(None);
            }
            let share: f64 = draw::generator(self.seed, Purpose::Mixture, 0, self.drawn).random();
            self.drawn += 1;
            let mut left = share * total;
            let chosen = self.live().find(|lane| {
                left -= lane.weight;
                left < 0.0
            });
            // Rounding may leave a tiny rest after the last one.
            let number = chosen.or_else(|| self.live().last()).map_or(0, |lane| lane.number);
            if let Some(item) = self.lanes[number].next()? {
                return Ok(Some(item));
            }
        }
    }

    fn live(&self) -> impl Iterator<Item = &Lane> {
        self.lanes.iter().filter(|lane| !lane.ended)
    }
}
