//! Random numbers that are functions of what they are for, not of what was drawn before.
//!
//! The key of each generator holds the seed and the thing's own coordinates, so that no thread, no order of work and
//! no resumption changes what is drawn.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::walk::Place;

/// What a random number is for; each has numbers of its own.
#[derive(Debug, Clone, Copy)]
#[repr(u64)]
pub(super) enum Purpose {
    /// The order of a source's shards in an epoch.
    Shards = 1,
    /// Which record leaves the shuffle buffer.
    Shuffle = 2,
    /// Which source gives the next record.
    Mixture = 3,
    /// The order of a pool's batches.
    Pool = 4,
    /// A record's window, caption, space.
    Row = 5,
    /// The changes of a record's images.
    Pixels = 6,
}

/// A generator for number `count` of `purpose` in source `source`.
pub(super) fn generator(seed: u64, purpose: Purpose, source: usize, count: u64) -> ChaCha8Rng {
    keyed([seed, tag(purpose, source), count, 0], 0)
}

/// A generator for a record.
pub(super) fn of_record(seed: u64, purpose: Purpose, place: &Place, medium: usize) -> ChaCha8Rng {
    // Epochs and shards are counted in far less than 32 bits each.
    let where_to = place.epoch << 32 | place.shard as u64 & 0xffff_ffff;
    keyed([seed, tag(purpose, place.source), where_to, place.record as u64], medium as u64)
}

/// A number below `end`.
pub(super) fn below(end: usize, seed: u64, purpose: Purpose, source: usize, count: u64) -> usize {
    generator(seed, purpose, source, count).random_range(0..end)
}

fn tag(purpose: Purpose, source: usize) -> u64 {
    (purpose as u64) << 32 | source as u64
}

fn keyed(words: [u64; 4], stream: u64) -> ChaCha8Rng {
    let mut key = [0; 32];
    for (bytes, word) in key.chunks_exact_mut(8).zip(words) {
        bytes.copy_from_slice(&word.to_le_bytes());
    }
    let mut rng = ChaCha8Rng::from_seed(key);
    rng.set_stream(stream);
    rng
}
