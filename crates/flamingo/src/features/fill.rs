//! Filling a cache: media are decoded on all cores while the encoder looks at those before.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use burn::module::Module;
use burn::tensor::{Tensor, TensorData};
use flamingo_data::features::MediaItem;
use flamingo_data::{FeatureLookup, ImageTransform, MediaKey, Reason, Reject, RejectLog};
use flamingo_train::Progress;
use flamingo_vision::VisionEncoder;
use half::f16;
use rayon::prelude::*;

use super::FeatureCache;
use super::progress::View;
use super::shards::Pending;
use crate::error::FlamingoError;

/// How a cache is filled.
#[derive(Debug, Clone)]
pub struct FillOptions {
    /// Images that the encoder looks at together.
    pub images: usize,
    /// A shard is written when it has so many bytes.
    pub shard_bytes: usize,
    /// And when so much time has gone by: the most work that an interruption can lose.
    pub shard_time: Duration,
    /// The share of bad media that ends it.
    pub max_reject_rate: f64,
    /// The number of media, if it is known: for the bar.
    pub total: Option<u64>,
    /// What is shown meanwhile.
    pub progress: Progress,
}

impl Default for FillOptions {
    fn default() -> Self {
        Self {
            images: 32,
            shard_bytes: 256 << 20,
            shard_time: Duration::from_secs(60),
            max_reject_rate: 0.1,
            total: None,
            progress: Progress::Auto,
        }
    }
}

/// What was done.
#[derive(Debug, Default)]
pub struct Filled {
    /// Media that are new in the cache.
    pub added: u64,
    /// Their frames.
    pub frames: u64,
    /// Media that were in the cache already, or came twice.
    pub known: u64,
    /// Media that cannot be used, with the reason of each.
    pub rejects: Vec<Reject>,
    /// All in all.
    pub seconds: f64,
    /// In the encoder.
    pub encoder_seconds: f64,
    /// Whether all media were looked at; else it was asked to stop.
    pub finished: bool,
}

impl FeatureCache {
    /// Adds the features of those of `media` that are not there yet, and writes shards as it goes. What was written before an
    /// interruption of any kind stays.
    ///
    /// `encoder` is the one that the cache was opened with, on the device that is to compute. `stop` is looked at after
    /// every call of the encoder.
    ///
    /// # Errors
    ///
    /// If a shard cannot be written or read, or too many media are bad; what is finished is kept first.
    ///
    /// # Panics
    ///
    /// If the encoder gives features of another shape than the cache's: it is another one.
    pub fn fill<'a>(
        &self,
        encoder: &VisionEncoder,
        media: impl Iterator<Item = Result<MediaItem<'a>, Reject>> + Send,
        options: &FillOptions,
        stop: &AtomicBool,
    ) -> Result<Filled, FlamingoError> {
        self.write_shards().refresh()?;
        self.read_shards().tidy()?;
        let mut work = Work {
            cache: self,
            encoder,
            images: options.images.max(1),
            pending: Pending::default(),
            view: View::start(options.progress, options.total),
            log: RejectLog::new(None, options.max_reject_rate)?,
            filled: Filled::default(),
        };
        let start = Instant::now();
        let outcome: Result<bool, FlamingoError> = thread::scope(|scope| {
            let (sender, decoded) = sync_channel(1);
            let decoder = Decoder { cache: self, transform: ImageTransform::eval(self.preprocess.clone()) };
            scope.spawn(move || decoder.run(media, options.images.max(1), &sender));
            let mut written = Instant::now();
            for chunk in decoded {
                if stop.load(Ordering::Relaxed) {
                    return Ok(false);
                }
                work.add(chunk)?;
                if work.pending.bytes >= options.shard_bytes || written.elapsed() >= options.shard_time {
                    work.write()?;
                    written = Instant::now();
                }
            }
            Ok(!stop.load(Ordering::Relaxed))
        });
        work.write()?;
        let finished = outcome?;
        Ok(Filled { finished, seconds: start.elapsed().as_secs_f64(), ..work.filled })
    }
}

/// Media as the encoder wants them.
#[derive(Default)]
struct Chunk {
    known: u64,
    rejects: Vec<Reject>,
    media: Vec<Decoded>,
}

/// A medium as the encoder wants it, and its name for errors.
struct Decoded {
    key: MediaKey,
    shard: String,
    record: String,
    frames: usize,
    /// `[F, 3, I, I]`.
    pixels: Vec<f32>,
}

/// Decodes ahead of the encoder.
struct Decoder<'c> {
    cache: &'c FeatureCache,
    transform: ImageTransform,
}

impl Decoder<'_> {
    /// Until there are no more media, or nobody wants them.
    fn run<'a>(
        &self,
        media: impl Iterator<Item = Result<MediaItem<'a>, Reject>>,
        images: usize,
        out: &SyncSender<Chunk>,
    ) {
        let mut seen = HashSet::new();
        let mut chunk = Chunk::default();
        let (mut wanted, mut frames) = (Vec::new(), 0);
        for item in media {
            match item {
                Err(reject) => chunk.rejects.push(reject),
                Ok(item) if self.cache.contains(&item.key) || !seen.insert(item.key) => chunk.known += 1,
                Ok(item) => {
                    frames += item.max_frames();
                    wanted.push(item);
                }
            }
            // What is known or bad is told from time to time too.
            if frames >= images || chunk.known + chunk.rejects.len() as u64 >= 1000 {
                self.decode(std::mem::take(&mut wanted), &mut chunk);
                frames = 0;
                if out.send(std::mem::take(&mut chunk)).is_err() {
                    return;
                }
            }
        }
        self.decode(wanted, &mut chunk);
        // Nobody may be waiting any more.
        let _gone = out.send(chunk);
    }

    fn decode(&self, items: Vec<MediaItem<'_>>, chunk: &mut Chunk) {
        let decoded: Vec<Result<Decoded, Reject>> = items.par_iter().map(|item| self.pixels(item)).collect();
        for medium in decoded {
            match medium {
                Ok(medium) => chunk.media.push(medium),
                Err(reject) => chunk.rejects.push(reject),
            }
        }
    }

    fn pixels(&self, item: &MediaItem<'_>) -> Result<Decoded, Reject> {
        let size = self.transform.spec.size;
        let pixels = item.pixels(&self.transform)?;
        let (shard, record) = (item.shard.clone(), item.record.clone());
        Ok(Decoded { key: item.key, shard, record, frames: pixels.len() / (3 * size * size), pixels })
    }
}

/// The encoder's side.
struct Work<'c> {
    cache: &'c FeatureCache,
    encoder: &'c VisionEncoder,
    images: usize,
    pending: Pending,
    view: View,
    log: RejectLog,
    filled: Filled,
}

impl Work<'_> {
    fn add(&mut self, chunk: Chunk) -> Result<(), FlamingoError> {
        let features = self.encode(&chunk.media);
        let mut rest = features.as_slice();
        let [positions, width] = self.cache.shape();
        let mut rejects = chunk.rejects;
        for Decoded { key, shard, record, frames, .. } in chunk.media {
            let values;
            (values, rest) = rest.split_at(frames * positions * width);
            if values.iter().all(|value| value.is_finite()) {
                self.pending.add(key, values.to_vec());
                self.filled.added += 1;
                self.filled.frames += frames as u64;
                self.log.accept();
            } else {
                let what = "the encoder makes numbers of it that half precision cannot hold";
                rejects.push(Reject::new(shard, record, Reason::BadImage, what));
            }
        }
        self.filled.known += chunk.known;
        for _ in 0..chunk.known {
            self.log.accept();
        }
        for reject in rejects {
            let verdict = self.log.reject(&reject);
            self.filled.rejects.push(reject);
            verdict?;
        }
        let Filled { added, known, rejects, .. } = &self.filled;
        self.view.update(added + known + rejects.len() as u64, *added);
        Ok(())
    }

    /// The features of all frames in order, `[N, P, E]`.
    fn encode(&mut self, media: &[Decoded]) -> Vec<f16> {
        let size = self.cache.preprocess.size;
        let device = self.encoder.devices().first().filter(|_| !media.is_empty()).cloned();
        let Some(device) = device else { return Vec::new() };
        let start = Instant::now();
        let frames: Vec<&[f32]> =
            media.iter().flat_map(|medium| medium.pixels.chunks_exact(3 * size * size)).collect();
        let mut values = Vec::new();
        for images in frames.chunks(self.images) {
            let data = TensorData::new(images.concat(), [images.len(), 3, size, size]);
            let features = self.encoder.features(Tensor::from_data(data, &device));
            let [_, positions, width] = features.dims();
            assert_eq!([positions, width], self.cache.shape(), "the encoder is not the cache's");
            values.extend(features.into_data().iter::<f32>().map(f16::from_f32));
        }
        self.filled.encoder_seconds += start.elapsed().as_secs_f64();
        values
    }

    fn write(&mut self) -> Result<(), FlamingoError> {
        self.cache.write_shards().write(std::mem::take(&mut self.pending))
    }
}
