//! Rows of about one length put together, so that little of a batch is padding.
//!
//! A pool is a run of consecutive rows. Within it, stills and clips are kept apart (a batch has one number of frames),
//! rows are sorted by length, cut into batches, and the batches shuffled, lest short ones always come first.

use rand::seq::SliceRandom;

use super::draw::{self, Purpose};
use super::row::Row;

/// Arranges the rows of pool `number` in batches of `batch` rows; the last of stills and of clips may have fewer.
pub(super) fn arrange(
    mut rows: Vec<Row>,
    batch: usize,
    batches: usize,
    seed: u64,
    number: u64,
) -> Vec<Vec<Row>> {
    let grouped = batches > 1;
    // Sorting is stable, hence a function of the rows' order alone.
    match grouped {
        true => rows.sort_by_key(|row| (row.moves(), row.sequence.ids.len(), row.media.len())),
        false => rows.sort_by_key(Row::moves),
    }
    let mut arranged: Vec<Vec<Row>> = Vec::new();
    for row in rows {
        match arranged.last_mut() {
            Some(open) if open.len() < batch && open[0].moves() == row.moves() => open.push(row),
            _ => arranged.push(vec![row]),
        }
    }
    if grouped {
        arranged.shuffle(&mut draw::generator(seed, Purpose::Pool, 0, number));
    }
    arranged
}
