//! Images by their contents: each is decoded, encoded and resampled once, whatever prompts it is in.

use std::collections::HashMap;
use std::sync::Arc;

use burn::tensor::{Tensor, TensorData};
use flamingo_core::PreprocessSpec;

use crate::error::FlamingoError;
use crate::model::{Flamingo, Media};
use crate::pretrained::Network;
use crate::prompt::{Digest, Frames, Medium};

/// Numbers of all images that are kept, 1 GiB in f32; the image that was not seen for longest goes first.
const CAPACITY: usize = 1 << 28;

/// Pictures that the encoder reads at once.
const BATCH: usize = 16;

/// An image as the gated blocks read it.
#[derive(Debug)]
pub(super) struct Image {
    /// Of its contents.
    pub key: Digest,
    /// Keys and values of every block, of one row with one image.
    pub media: Media,
}

/// All images that were seen.
#[derive(Debug, Default)]
pub(super) struct Eyes {
    known: HashMap<Digest, (Arc<Image>, u64)>,
    clock: u64,
}

impl Eyes {
    /// Looks at `media`, and says how many of them were new.
    pub fn see(
        &mut self,
        network: &Network,
        media: &[Medium],
    ) -> Result<(Vec<Arc<Image>>, usize), FlamingoError> {
        let Network::Flamingo { model, preprocess } = network else { return Ok((Vec::new(), 0)) };
        let keys = media.iter().map(Medium::digest).collect::<Result<Vec<Digest>, _>>()?;
        let mut new: Vec<(Digest, Frames)> = Vec::new();
        for (key, medium) in keys.iter().zip(media) {
            if !self.known.contains_key(key) && new.iter().all(|(other, _)| other != key) {
                new.push((*key, medium.frames(preprocess)?));
            }
        }
        let count = new.len();
        self.encode(model, preprocess, new);
        self.clock += 1;
        let images = keys.iter().filter_map(|key| {
            let (image, last_seen) = self.known.get_mut(key)?;
            *last_seen = self.clock;
            Some(image.clone())
        });
        let images = images.collect();
        self.drop_oldest();
        Ok((images, count))
    }

    /// Clips of as many frames go through the encoder together.
    fn encode(&mut self, model: &Flamingo, preprocess: &PreprocessSpec, mut new: Vec<(Digest, Frames)>) {
        new.sort_by_key(|(_, frames)| frames.count);
        for alike in new.chunk_by(|(_, one), (_, other)| one.count == other.count) {
            for batch in alike.chunks(BATCH) {
                let shape = [batch.len(), 1, batch[0].1.count, 3, preprocess.size, preprocess.size];
                let pixels: Vec<f32> = batch.iter().flat_map(|(_, frames)| &frames.pixels).copied().collect();
                let device = model.lm.embedding.device();
                let visual = model.visual_tokens(Tensor::from_data(TensorData::new(pixels, shape), &device));
                for (row, (key, _)) in batch.iter().enumerate() {
                    let media = model.media(visual.clone().narrow(0, row, 1));
                    self.known.insert(*key, (Arc::new(Image { key: *key, media }), self.clock));
                }
            }
        }
    }

    /// What this call saw stays, however much it is.
    fn drop_oldest(&mut self) {
        let mut size: usize = self.known.values().map(|(image, _)| image.media.size()).sum();
        while size > CAPACITY {
            let old = self.known.iter().filter(|(_, (_, last_seen))| *last_seen < self.clock);
            let Some(key) = old.min_by_key(|(_, (_, last_seen))| *last_seen).map(|(key, _)| *key) else {
                return;
            };
            size -= self.known.remove(&key).map_or(0, |(image, _)| image.media.size());
        }
    }
}
