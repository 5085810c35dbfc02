//! The rows of a batch as numbers: images and clips decoded and transformed, or their features looked up; rows padded to
//! one length.

use std::sync::{Mutex, MutexGuard, PoisonError};

use flamingo_core::{HostBatch, HostFeatures};
use half::f16;
use image::RgbaImage;
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use sha2::{Digest, Sha256};

use super::draw::{self, Purpose};
use super::row::{Row, RowId, Rows};
use super::spec::{PixelSpec, StreamSpec};
use super::walk::Place;
use crate::collate::{collate, collate_features};
use crate::error::DataError;
use crate::features::{self, FeatureLookup, MediaKey};
use crate::reject::Reject;
use crate::sample::Medium;
use crate::sequence::Sequence;
use crate::transform::ImageTransform;
use crate::video::{Coverage, FrameSampling};

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
        for value in self.host.features.iter().flat_map(|features| &features.values) {
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

/// A picture that turned out to be broken: its row, its number in the row, and what is wrong.
type Broken = (usize, usize, Reject);

/// Makes a batch of `rows`, on all threads of the pool that it is called on.
///
/// # Errors
///
/// If features are there but cannot be read.
pub(super) fn render(
    mut rows: Vec<Row>,
    spec: &StreamSpec,
    features: Option<&dyn FeatureLookup>,
    rules: &Rows<'_>,
) -> Result<Rendered, DataError> {
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
    let painter = Painter { pixels, transforms, rules, frames, rows: &rows, shown: &shown };
    let recalled = features.map(|features| painter.recall(&sequences, features)).transpose()?;
    let (host, mut broken) = recalled.flatten().unwrap_or_else(|| painter.paint_all(&sequences));
    // One reject for each bad record, whatever thread was first.
    broken.sort_by_key(|(row, medium, _)| (*row, *medium));
    broken.dedup_by_key(|(row, ..)| *row);
    let kept: Vec<usize> = (0..rows.len()).filter(|row| broken.iter().all(|(bad, ..)| bad != row)).collect();
    let tokens = kept.iter().map(|row| sequences[*row].ids.len()).sum();
    let media = kept.iter().map(|row| rows[*row].media.len()).sum();
    let host = if broken.is_empty() { host } else { select(&host, &kept) };
    let ids = rows.into_iter().enumerate().filter(|(row, _)| kept.contains(row)).map(|(_, row)| row.id);
    let batch = StreamBatch { host, rows: ids.collect(), tokens, media };
    Ok(Rendered { batch, rejects: broken.into_iter().map(|(.., reject)| reject).collect() })
}

/// Some rows of a batch.
fn select(batch: &HostBatch, rows: &[usize]) -> HostBatch {
    let frames = batch.media * batch.frames;
    let features = batch.features.as_ref().map(|features| {
        let len = frames * features.positions * features.width;
        HostFeatures { values: cut(&features.values, len, rows), ..*features }
    });
    let image_len = if features.is_some() { 0 } else { frames * 3 * batch.size * batch.size };
    HostBatch {
        batch: rows.len(),
        ids: cut(&batch.ids, batch.len, rows),
        media_index: cut(&batch.media_index, batch.len, rows),
        loss_weights: cut(&batch.loss_weights, batch.len, rows),
        pixels: cut(&batch.pixels, image_len, rows),
        features,
        ..*batch
    }
}

fn cut<T: Copy>(values: &[T], width: usize, rows: &[usize]) -> Vec<T> {
    rows.iter().flat_map(|row| &values[row * width..(row + 1) * width]).copied().collect()
}

fn lock(broken: &Mutex<Vec<Broken>>) -> MutexGuard<'_, Vec<Broken>> {
    broken.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Turns media into pixels, or into features that are there.
struct Painter<'a> {
    pixels: &'a PixelSpec,
    /// Of each source.
    transforms: Vec<ImageTransform>,
    rules: &'a Rows<'a>,
    frames: usize,
    rows: &'a [Row],
    /// Of each image of the batch: its row, and its number in it.
    shown: &'a [(usize, usize)],
}

/// Why a batch has no features.
enum Unknown {
    /// A picture that can be decoded has none.
    Absent,
    /// They cannot be read.
    Failed(DataError),
}

impl Painter<'_> {
    /// The batch with pixels, and what is broken.
    fn paint_all(&self, sequences: &[Sequence]) -> (HostBatch, Vec<Broken>) {
        let broken: Mutex<Vec<Broken>> = Mutex::default();
        let size = self.pixels.preprocess.size;
        let host = collate(sequences, self.frames, size, self.pad(), |image, _slot, out| {
            let (row, medium) = self.shown[image];
            if let Err(reject) = self.paint(&self.rows[row], medium, out) {
                lock(&broken).push((row, medium, reject));
            }
        });
        (host, broken.into_inner().unwrap_or_else(PoisonError::into_inner))
    }

    /// The batch with features, and what is broken; `None` if one of the others has no features.
    fn recall(
        &self,
        sequences: &[Sequence],
        features: &dyn FeatureLookup,
    ) -> Result<Option<(HostBatch, Vec<Broken>)>, DataError> {
        let broken: Mutex<Vec<Broken>> = Mutex::default();
        let (size, shape) = (self.pixels.preprocess.size, features.shape());
        let host = collate_features(sequences, self.frames, size, shape, self.pad(), |image, values| {
            let (row, medium) = self.shown[image];
            let found = self.look_up(&self.rows[row], medium, features, values).map_err(Unknown::Failed)?;
            if let Some(frames) = found {
                return Ok(frames);
            }
            // Nobody has features of broken pictures: they are refused as they are without features.
            let reject = self.pictures(&self.rows[row], medium).map_or_else(Ok, |_| Err(Unknown::Absent))?;
            lock(&broken).push((row, medium, reject));
            values.resize(shape[0] * shape[1], f16::ZERO);
            Ok(1)
        });
        match host {
            Ok(host) => Ok(Some((host, broken.into_inner().unwrap_or_else(PoisonError::into_inner)))),
            Err(Unknown::Absent) => Ok(None),
            Err(Unknown::Failed(error)) => Err(error),
        }
    }

    fn pad(&self) -> u32 {
        self.rules.encoder.special().pad
    }

    fn look_up(
        &self,
        row: &Row,
        medium: usize,
        features: &dyn FeatureLookup,
        out: &mut Vec<f16>,
    ) -> Result<Option<usize>, DataError> {
        let sampling = self.sampling(&mut self.rng(row, medium));
        match &row.media[medium] {
            Medium::Image(bytes) => features.read(&MediaKey::image(bytes), out),
            Medium::Video(bytes, part) => features::read_clip(features, bytes, part, &sampling, out),
            // A file that cannot be read is refused where it is decoded.
            Medium::VideoFile(path, part) => match std::fs::read(path) {
                Ok(bytes) => features::read_clip(features, &bytes, part, &sampling, out),
                Err(_) => Ok(None),
            },
        }
    }

    /// Draws the changes of a row's medium.
    fn rng(&self, row: &Row, medium: usize) -> ChaCha8Rng {
        draw::of_record(self.rules.seed, Purpose::Pixels, &row.id.place, medium)
    }

    /// Decodes a row's medium; what is left of its generator draws the changes.
    fn pictures(&self, row: &Row, medium: usize) -> Result<(Vec<RgbaImage>, ChaCha8Rng), Reject> {
        let key = &row.id.key;
        let mut rng = self.rng(row, medium);
        let sampling = match &row.media[medium] {
            // No number is drawn for what has no frames.
            Medium::Image(_) => self.pixels.clip,
            Medium::Video(..) | Medium::VideoFile(..) => self.sampling(&mut rng),
        };
        let pictures = row.media[medium].pictures(key, &sampling);
        Ok((pictures.map_err(|error| self.refuse(row, &error))?, rng))
    }

    fn refuse(&self, row: &Row, error: &DataError) -> Reject {
        self.rules.refuse(row.id.place, &row.id.key, error.reason(), error.to_string())
    }

    /// Writes a row's medium to `out` `[F, 3, I, I]`.
    ///
    /// A clip with fewer than F frames stands still on its last one, so that frame `f` stays at its time.
    fn paint(&self, row: &Row, medium: usize, out: &mut [f32]) -> Result<(), Reject> {
        let transform = &self.transforms[row.id.place.source];
        let frame_len = out.len() / self.frames;
        if let Medium::Image(bytes) = &row.media[medium] {
            let (first, others) = out.split_at_mut(frame_len);
            let read = transform.read(bytes, &row.id.key, &mut self.rng(row, medium), first);
            read.map_err(|error| self.refuse(row, &error))?;
            others.chunks_exact_mut(frame_len).for_each(|frame| frame.copy_from_slice(first));
            return Ok(());
        }
        let (pictures, rng) = self.pictures(row, medium)?;
        for (frame, out) in out.chunks_exact_mut(frame_len).enumerate() {
            let Some(picture) = pictures.get(frame).or(pictures.last()) else { break };
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
