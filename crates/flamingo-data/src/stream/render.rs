//! The rows of a batch as numbers: images and clips decoded and transformed, rows padded to one length.

use std::sync::{Mutex, PoisonError};

use flamingo_core::HostBatch;
use rand::Rng;
use sha2::{Digest, Sha256};

use super::draw::{self, Purpose};
use super::row::{Row, RowId, Rows};
use super::spec::{PixelSpec, StreamSpec};
use super::walk::Place;
use crate::collate::collate;
use crate::error::DataError;
use crate::reject::Reject;
use crate::sample::Medium;
use crate::transform::ImageTransform;
use crate::video::{self, Coverage, FrameSampling};

/// A batch and where its rows came from.
#[derive(Debug, Clone, PartialEq)]
pub struct StreamBatch {
    /// The numbers.
    pub host: HostBatch,
    /// The record of each row `[B]`.
    pub rows: Vec<RowId>,
    /// Tokens that are no padding.
    pub tokens: usize,
    /// Images and clips that are no padding.
    pub media: usize,
}

impl StreamBatch {
    /// The share of padding among the tokens, in `0..1`.
    pub fn pad_share(&self) -> f64 {
        1.0 - self.tokens as f64 / (self.host.batch * self.host.len).max(1) as f64
    }

    /// A hash of the records' names and of every number, as 16 hexadecimal digits: batches with one digest are equal.
    pub fn digest(&self) -> String {
        let mut hash = Sha256::new();
        for row in &self.rows {
            let Place { source, epoch, shard, record } = row.place;
            hash.update(format!("{source} {epoch} {shard} {record} {}\n", row.key));
        }
        for id in self.host.ids.iter().chain(&self.host.media_index) {
            hash.update(id.to_le_bytes());
        }
        for value in self.host.loss_weights.iter().chain(&self.host.pixels) {
            hash.update(value.to_le_bytes());
        }
        hash.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect()
    }
}

/// A batch without the rows whose images turned out to be broken, and what was wrong with those.
#[derive(Debug)]
pub(super) struct Rendered {
    pub batch: StreamBatch,
    pub rejects: Vec<Reject>,
}

/// Makes a batch of `rows`, on all threads of the pool that it is called on.
pub(super) fn render(mut rows: Vec<Row>, spec: &StreamSpec, rules: &Rows<'_>) -> Rendered {
    let pixels = &spec.pixels;
    let frames = if rows.iter().any(Row::moves) { pixels.clip.max_frames } else { 1 };
    let mut shown: Vec<(usize, usize)> = Vec::new();
    let mut sequences = Vec::with_capacity(rows.len());
    for (number, row) in rows.iter_mut().enumerate() {
        let mut sequence = std::mem::take(&mut row.sequence);
        sequence.images = (shown.len()..shown.len() + row.media.len()).collect();
        shown.extend((0..row.media.len()).map(|medium| (number, medium)));
        sequences.push(sequence);
    }

    let transforms = spec.sources.iter().map(|source| pixels.transform(source.flips)).collect();
    let painter = Painter { pixels, transforms, rules, frames };
    let broken: Mutex<Vec<(usize, usize, Reject)>> = Mutex::default();
    let size = pixels.preprocess.size;
    let pad = rules.encoder.special().pad;
    let host = collate(&sequences, frames, size, pad, |image, _slot, out| {
        let (row, medium) = shown[image];
        if let Err(reject) = painter.paint(&rows[row], medium, out) {
            broken.lock().unwrap_or_else(PoisonError::into_inner).push((row, medium, reject));
        }
    });

    let mut broken = broken.into_inner().unwrap_or_else(PoisonError::into_inner);
    // One reject for each bad record, whatever thread was first.
    broken.sort_by_key(|(row, medium, _)| (*row, *medium));
    broken.dedup_by_key(|(row, ..)| *row);
    let kept: Vec<usize> = (0..rows.len()).filter(|row| broken.iter().all(|(bad, ..)| bad != row)).collect();
    let tokens = kept.iter().map(|row| sequences[*row].ids.len()).sum();
    let media = kept.iter().map(|row| rows[*row].media.len()).sum();
    let host = if broken.is_empty() { host } else { select(&host, &kept) };
    let ids = rows.into_iter().enumerate().filter(|(row, _)| kept.contains(row)).map(|(_, row)| row.id);
    let batch = StreamBatch { host, rows: ids.collect(), tokens, media };
    Rendered { batch, rejects: broken.into_iter().map(|(.., reject)| reject).collect() }
}

/// Some rows of a batch.
fn select(batch: &HostBatch, rows: &[usize]) -> HostBatch {
    let image_len = batch.media * batch.frames * 3 * batch.size * batch.size;
    HostBatch {
        batch: rows.len(),
        ids: cut(&batch.ids, batch.len, rows),
        media_index: cut(&batch.media_index, batch.len, rows),
        loss_weights: cut(&batch.loss_weights, batch.len, rows),
        pixels: cut(&batch.pixels, image_len, rows),
        ..*batch
    }
}

fn cut<T: Copy>(values: &[T], width: usize, rows: &[usize]) -> Vec<T> {
    rows.iter().flat_map(|row| &values[row * width..(row + 1) * width]).copied().collect()
}

/// Turns media into pixels.
struct Painter<'a> {
    pixels: &'a PixelSpec,
    /// Of each source.
    transforms: Vec<ImageTransform>,
    rules: &'a Rows<'a>,
    frames: usize,
}

impl Painter<'_> {
    /// Writes a row's medium to `out` `[F, 3, I, I]`.
    ///
    /// A clip with fewer than F frames stands still on its last one, so that frame `f` stays at its time.
    fn paint(&self, row: &Row, medium: usize, out: &mut [f32]) -> Result<(), Reject> {
        let RowId { place, key } = &row.id;
        let mut rng = draw::of_record(self.rules.seed, Purpose::Pixels, place, medium);
        let transform = &self.transforms[place.source];
        let refuse = |error: DataError| self.rules.refuse(*place, key, error.reason(), error.to_string());
        let frame_len = out.len() / self.frames;
        let clip = match &row.media[medium] {
            Medium::Image(bytes) => {
                let (first, others) = out.split_at_mut(frame_len);
                transform.read(bytes, key, &mut rng, first).map_err(refuse)?;
                others.chunks_exact_mut(frame_len).for_each(|frame| frame.copy_from_slice(first));
                return Ok(());
            }
            Medium::Video(bytes) => video::frames_from_bytes(bytes, key, &self.sampling(&mut rng)),
            Medium::VideoFile(path) => video::frames(path, &self.sampling(&mut rng)),
        };
        let clip = clip.map_err(refuse)?;
        for (frame, out) in out.chunks_exact_mut(frame_len).enumerate() {
            let Some(picture) = clip.get(frame).or(clip.last()) else { break };
            // Each frame draws the same changes.
            transform.apply(picture, &mut rng.clone(), out);
        }
        Ok(())
    }

    /// The frames of one clip: where they are a window, it lies anywhere.
    fn sampling(&self, rng: &mut impl Rng) -> FrameSampling {
        let clip = self.pixels.clip;
        let place = rng.random::<f64>();
        match clip.coverage {
            Coverage::Whole => clip,
            Coverage::Window(_) => FrameSampling { coverage: Coverage::Window(place), ..clip },
        }
    }
}
