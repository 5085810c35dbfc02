//! Stage 2: next-token pre-training of the language model on text alone.

use std::collections::BTreeMap;
use std::sync::Arc;

use burn::tensor::{Device, TensorData};
use flamingo_core::HostBatch;
use flamingo_core::seed::derive;
use flamingo_data::{PageComposer, SequenceSpec, TextTokenizer, collate, sequence};
use flamingo_lm::{Decoder, NoHook};
use flamingo_train::{LossOutput, Objective};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use crate::loss::{LossSpec, Targets, split_by_tokens, weighted_nll};
use crate::recompute::recomputed_nll;
use crate::stages::diagnosis;

/// Makes the k-th batch of text, for every k the same on every run.
#[derive(Debug, Clone)]
pub struct TextSampler {
    /// Writes the texts.
    pub composer: Arc<PageComposer>,
    /// Cuts them into tokens.
    pub tokenizer: Arc<TextTokenizer>,
    /// Longest sequence.
    pub spec: SequenceSpec,
    /// Sequences in a batch.
    pub batch: usize,
    /// Of the run.
    pub seed: u64,
}

impl TextSampler {
    /// Batch `index`.
    pub fn batch(&self, index: u64) -> HostBatch {
        let rows: Vec<_> = (0..self.batch as u64)
            .map(|row| {
                let mut rng = ChaCha8Rng::seed_from_u64(derive(self.seed, [index, row]));
                sequence::packed(|| self.composer.text(&mut rng), &self.tokenizer, &self.spec)
            })
            .collect();
        collate(&rows, 1, 0, self.tokenizer.special().pad, |_, _, _| {})
    }
}

/// The objective.
#[derive(Debug, Clone)]
pub struct LanguageObjective {
    /// Where to compute, with a gradient graph.
    pub device: Device,
    /// What becomes of the losses of tokens.
    pub loss: LossSpec,
}

impl Objective for LanguageObjective {
    type Model = Decoder;
    type Batch = HostBatch;

    fn loss(&self, model: &Decoder, _source: usize, batch: HostBatch) -> LossOutput {
        let units = batch.loss_weights.iter().sum::<f32>().into();
        let targets = Targets::new(&batch, &self.device);
        let loss = match self.loss.gradient_checkpointing {
            true => {
                let batch = batch.to_device(&self.device.clone().inner());
                recomputed_nll(model, &batch, &targets, self.loss)
            }
            false => {
                let hidden = model.hidden(batch.to_device(&self.device).ids, &NoHook);
                weighted_nll(model, hidden, &targets, self.loss)
            }
        };
        LossOutput { loss, units, images: 0, extra: Vec::new() }
    }

    fn describe(&self, batch: &HostBatch) -> BTreeMap<String, TensorData> {
        diagnosis::tensors(batch)
    }

    fn diagnose(&self, model: &Decoder, _source: usize, batch: &HostBatch) -> Option<String> {
        diagnosis::of_decoder(model, batch)
    }

    fn split(&self, batch: HostBatch, parts: usize) -> Vec<(HostBatch, f64)> {
        split_by_tokens(&batch, parts, self.loss.reduction)
    }
}
