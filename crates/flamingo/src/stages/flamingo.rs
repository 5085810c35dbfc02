//! Stage 3: joining the frozen towers (paper, section 2.4).
//!
//! At every update each dataset gives one batch, here interleaved pages and image-text pairs; their negative
//! log-likelihoods, weighted by lambda, add up in the gradients.

use std::collections::BTreeMap;
use std::sync::Arc;

use burn::tensor::{Device, TensorData};
use flamingo_core::seed::derive;
use flamingo_core::{HostBatch, Precision};
use flamingo_data::{
    ConceptImage, ConceptSet, DataError, EpisodeComposer, FeatureLookup, ImageTransform, PageComposer,
    Sequence, SequenceSpec, Split, TextEncoder, collate, collate_features, sequence,
};
use flamingo_train::{
    AdamWSpec, GroupSpec, LossOutput, Mixing, Objective, Schedule, SourceSpec, TrainConfig,
};
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use crate::loss::{LossSpec, Targets, split_by_tokens, weighted_nll};
use crate::model::Flamingo;
use crate::recompute::recomputed_nll;
use crate::stages::diagnosis;

/// The updates of the paper's appendix B.1.2: four datasets in every update, AdamW with a decay that spares the
/// resampler, the gradient clipped to norm 1, and a learning rate that stays at 1e-4 after 5,000 updates of warm-up.
///
/// Batch sizes belong to the streams. AdamW's constants are not in the paper; here they are the usual ones.
pub fn paper() -> TrainConfig {
    let datasets = [("m3w", 1.0), ("align", 0.2), ("ltip", 0.2), ("vtp", 0.03)];
    let source = |(name, weight): (&str, f64)| SourceSpec { name: name.to_owned(), weight };
    TrainConfig {
        steps: 500_000,
        seed: 1,
        optimizer: AdamWSpec::default(),
        schedule: Schedule::Constant { peak: 1e-4, warmup: 5_000 },
        weight_decay: 0.1,
        groups: vec![GroupSpec {
            name: "resampler".to_owned(),
            pattern: "resampler".to_owned(),
            lr: 1.0,
            weight_decay: Some(0.0),
            agc: None,
        }],
        clip_norm: Some(1.0),
        sources: datasets.map(source).into(),
        mixing: Mixing::Accumulate,
        microbatches: 1,
        precision: Precision::default(),
        log_every: 100,
        checkpoint_every: 1_000,
        keep_last: 3,
        evaluate_every: 0,
        keep_best: None,
    }
}

/// What all samplers need.
#[derive(Debug, Clone)]
pub struct Sampling {
    /// The pictures.
    pub set: Arc<ConceptSet>,
    /// Cuts text into tokens.
    pub tokenizer: Arc<dyn TextEncoder>,
    /// Pictures to pixels.
    pub transform: ImageTransform,
    /// The sequences' rules.
    pub spec: SequenceSpec,
    /// Features in the place of pixels: every picture must have some, and `transform` no augmentation.
    pub features: Option<Arc<dyn FeatureLookup>>,
    /// Sequences in a batch.
    pub batch: usize,
    /// Of the run and the source.
    pub seed: u64,
}

impl Sampling {
    fn rng(&self, index: u64, row: usize) -> ChaCha8Rng {
        ChaCha8Rng::seed_from_u64(derive(self.seed, [index, row as u64]))
    }

    fn collate(&self, index: u64, rows: &[Sequence]) -> Result<HostBatch, DataError> {
        let (pad, size) = (self.tokenizer.special().pad, self.transform.spec.size);
        let Some(features) = &self.features else {
            return Ok(collate(rows, 1, size, pad, |image, slot, out| {
                let mut rng = ChaCha8Rng::seed_from_u64(derive(self.seed, [index, u64::MAX, slot]));
                self.transform.apply(&self.set.images()[image].image, &mut rng, out);
            }));
        };
        if self.transform.augment.is_some() {
            return Err(DataError::AugmentedFeatures);
        }
        collate_features(rows, 1, size, features.shape(), pad, |image, values| {
            let ConceptImage { key, concept, style, name, .. } = &self.set.images()[image];
            let absent = || DataError::NoFeatures { name: format!("{name:?} ({concept}, {style})") };
            features.read(key, values)?.ok_or_else(absent)
        })
    }
}

/// Image-text pairs: every training picture once an epoch, captioned by its name.
#[derive(Debug, Clone)]
pub struct CaptionSampler {
    sampling: Sampling,
    images: Vec<usize>,
}

impl CaptionSampler {
    /// Over the training pictures of `sampling.set`.
    pub fn new(sampling: Sampling) -> Self {
        let images = sampling.set.of_split(Split::Train);
        Self { sampling, images }
    }

    /// Over some pictures of `sampling.set`.
    pub fn over(sampling: Sampling, images: Vec<usize>) -> Self {
        Self { sampling, images }
    }

    /// Batch `index`.
    ///
    /// # Errors
    ///
    /// If features are wanted: where a picture has none, where they cannot be read, or where pictures are to be changed.
    pub fn batch(&self, index: u64) -> Result<HostBatch, DataError> {
        let rows: Vec<Sequence> = (0..self.sampling.batch)
            .map(|row| {
                let count = self.images.len() as u64;
                let place = index * self.sampling.batch as u64 + row as u64;
                let image = self.shuffled(place / count)[(place % count) as usize];
                let mut rng = self.sampling.rng(index, row);
                let name = &self.sampling.set.images()[image].name;
                sequence::pair(image, name, &self.sampling.tokenizer, &self.sampling.spec, &mut rng)
            })
            .collect();
        self.sampling.collate(index, &rows)
    }

    fn shuffled(&self, epoch: u64) -> Vec<usize> {
        let mut order = self.images.clone();
        order.shuffle(&mut ChaCha8Rng::seed_from_u64(derive(self.sampling.seed, [u64::MAX, epoch])));
        order
    }
}

/// Interleaved pages.
#[derive(Debug, Clone)]
pub struct PageSampler {
    /// Pictures, tokens, rules.
    pub sampling: Sampling,
    /// Composes the pages.
    pub composer: Arc<PageComposer>,
}

impl PageSampler {
    /// Batch `index`.
    ///
    /// # Errors
    ///
    /// As [`CaptionSampler::batch`].
    pub fn batch(&self, index: u64) -> Result<HostBatch, DataError> {
        let rows: Vec<Sequence> = (0..self.sampling.batch)
            .map(|row| {
                let mut rng = self.sampling.rng(index, row);
                let page = self.composer.page(&mut rng);
                sequence::interleaved(&page, &self.sampling.tokenizer, &self.sampling.spec, &mut rng)
            })
            .collect();
        self.sampling.collate(index, &rows)
    }
}

/// Episodes that bind invented words to pictures.
#[derive(Debug, Clone)]
pub struct EpisodeSampler {
    /// Pictures, tokens, the most tokens of a sequence, the loss rule. How many images there are is the composer's to say.
    pub sampling: Sampling,
    /// Composes the episodes.
    pub composer: Arc<EpisodeComposer>,
}

impl EpisodeSampler {
    /// Batch `index`.
    ///
    /// # Errors
    ///
    /// If no episode fits into the most tokens; as [`CaptionSampler::batch`].
    pub fn batch(&self, index: u64) -> Result<HostBatch, DataError> {
        let Sampling { tokenizer, spec, batch, .. } = &self.sampling;
        let row = |row| self.composer.sequence(tokenizer, spec, &mut self.sampling.rng(index, row));
        let rows = (0..*batch).map(row).collect::<Result<Vec<Sequence>, DataError>>()?;
        self.sampling.collate(index, &rows)
    }
}

/// The objective, the same for every source.
#[derive(Debug, Clone)]
pub struct FlamingoObjective {
    /// Where to compute, with a gradient graph.
    pub device: Device,
    /// What becomes of the losses of tokens.
    pub loss: LossSpec,
}

impl Objective for FlamingoObjective {
    type Model = Flamingo;
    type Batch = HostBatch;

    fn loss(&self, model: &Flamingo, _source: usize, batch: HostBatch) -> LossOutput {
        let units = batch.loss_weights.iter().sum::<f32>().into();
        let images = batch.images();
        let targets = Targets::new(&batch, &self.device);
        let loss = match self.loss.gradient_checkpointing {
            true => {
                let batch = batch.to_device(&self.device.clone().inner());
                recomputed_nll(model, &batch, &targets, self.loss)
            }
            false => {
                let hidden = model.hidden(&batch.to_device(&self.device));
                weighted_nll(&model.lm, hidden, &targets, self.loss)
            }
        };
        LossOutput { loss, units, images, extra: Vec::new() }
    }

    fn split(&self, batch: HostBatch, parts: usize) -> Vec<(HostBatch, f64)> {
        split_by_tokens(&batch, parts, self.loss.reduction)
    }

    fn describe(&self, batch: &HostBatch) -> BTreeMap<String, TensorData> {
        diagnosis::tensors(batch)
    }

    fn diagnose(&self, model: &Flamingo, _source: usize, batch: &HostBatch) -> Option<String> {
        diagnosis::of_flamingo(model, batch)
    }

    /// `tanh` of each block's gates (the paper's figure 6).
    fn probes(&self, model: &Flamingo) -> Vec<(String, f64)> {
        let named = |(layer, attention, ff): (usize, f32, f32)| {
            [
                (format!("gate.attention.{layer:02}"), attention.into()),
                (format!("gate.ff.{layer:02}"), ff.into()),
            ]
        };
        model.gates().into_iter().flat_map(named).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_papers_updates_are_sound_and_spare_the_resampler() {
        let config = paper();
        config.validate().unwrap();
        let decay = |path: &str| config.settings_of(path).weight_decay;
        assert_eq!([decay("resampler.latents"), decay("xattn.0.attention_gate")], [0.0, 0.1]);
        assert_eq!(config.schedule.at(4_999, config.steps), config.schedule.at(400_000, config.steps));
        assert_eq!(config.due(7), [0, 1, 2, 3]);
    }
}
