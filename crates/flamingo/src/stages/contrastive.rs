//! Stage 1: contrastive pre-training of the vision encoder (paper, appendix B.1.3).

use std::sync::Arc;

use burn::tensor::{Device, Int, Tensor, TensorData};
use flamingo_core::seed::derive;
use flamingo_data::{ConceptSet, ImageTransform, Split, TextTokenizer, contrastive_text};
use flamingo_train::{LossOutput, Objective};
use flamingo_vision::{ContrastiveModel, contrastive_loss};
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use super::pictures_by_concept;

/// Images and their texts, on the host.
#[derive(Debug, Clone, PartialEq)]
pub struct PairBatch {
    /// Pairs (N).
    pub pairs: usize,
    /// Image side (I).
    pub size: usize,
    /// Normalised pixels `[N, 3, I, I]`.
    pub pixels: Vec<f32>,
    /// Their texts.
    pub texts: TextBatch,
}

/// Texts padded on the right to one length, on the host.
#[derive(Debug, Clone, PartialEq)]
pub struct TextBatch {
    len: usize,
    ids: Vec<i32>,
    present: Vec<f32>,
}

impl TextBatch {
    /// Tokens of each text, padding included.
    pub fn tokens(&self) -> usize {
        self.len
    }

    /// Of token sequences, each cut at `max_len`.
    pub fn new(rows: &[Vec<u32>], max_len: usize) -> Self {
        let len = rows.iter().map(Vec::len).max().unwrap_or(0).clamp(1, max_len);
        let mut batch =
            TextBatch { len, ids: vec![0; rows.len() * len], present: vec![0.0; rows.len() * len] };
        for (row, tokens) in rows.iter().enumerate() {
            for (column, token) in tokens.iter().take(len).enumerate() {
                batch.ids[row * len + column] = *token as i32;
                batch.present[row * len + column] = 1.0;
            }
        }
        batch
    }

    /// Token ids and presence, `[N, T]` each.
    pub fn to_device(&self, device: &Device) -> (Tensor<2, Int>, Tensor<2>) {
        let shape = [self.ids.len() / self.len, self.len];
        (
            Tensor::from_data(TensorData::new(self.ids.clone(), shape), device),
            Tensor::from_data(TensorData::new(self.present.clone(), shape), device),
        )
    }
}

/// Makes the k-th batch, for every k the same on every run.
#[derive(Debug, Clone)]
pub struct PairSampler {
    set: Arc<ConceptSet>,
    tokenizer: Arc<TextTokenizer>,
    transform: ImageTransform,
    /// Training images of each concept: its drawing styles.
    concepts: Vec<Vec<usize>>,
    batch: usize,
    max_len: usize,
    seed: u64,
}

impl PairSampler {
    /// Batches of `batch` pairs of different concepts (fewer if there are not as many), texts of at most `max_len`
    /// tokens; of pictures in these drawing styles, or in all if none is named.
    pub fn new(
        set: Arc<ConceptSet>,
        styles: &[String],
        tokenizer: Arc<TextTokenizer>,
        transform: ImageTransform,
        [batch, max_len]: [usize; 2],
        seed: u64,
    ) -> Self {
        let mut concepts: Vec<Vec<usize>> = pictures_by_concept(&set, Split::Train);
        if !styles.is_empty() {
            for pictures in &mut concepts {
                pictures.retain(|picture| styles.contains(&set.images()[*picture].style));
            }
            concepts.retain(|pictures| !pictures.is_empty());
        }
        let batch = batch.min(concepts.len());
        Self { set, tokenizer, transform, concepts, batch, max_len, seed }
    }

    /// Batch `index`: a slice of its epoch's shuffled concepts, each in a random style, with a random half of its
    /// keywords. No concept comes twice in a batch: it would be its own false negative.
    pub fn batch(&self, index: u64) -> PairBatch {
        let per_epoch = (self.concepts.len() / self.batch) as u64;
        let mut order: Vec<usize> = (0..self.concepts.len()).collect();
        order.shuffle(&mut ChaCha8Rng::seed_from_u64(derive(self.seed, [0, index / per_epoch])));
        let start = (index % per_epoch) as usize * self.batch;

        let size = self.transform.spec.size;
        let mut pixels = vec![0.0; self.batch * 3 * size * size];
        let texts: Vec<Vec<u32>> = order[start..start + self.batch]
            .par_iter()
            .zip(pixels.par_chunks_mut(3 * size * size))
            .enumerate()
            .map(|(slot, (concept, out))| {
                let mut rng = ChaCha8Rng::seed_from_u64(derive(self.seed, [1, index, slot as u64]));
                let styles = &self.concepts[*concept];
                let image = &self.set.images()[styles[rand::Rng::random_range(&mut rng, 0..styles.len())]];
                self.transform.apply(&image.image, &mut rng, out);
                self.tokenizer.encode(&contrastive_text(image, &mut rng))
            })
            .collect();
        PairBatch { pairs: self.batch, size, pixels, texts: TextBatch::new(&texts, self.max_len) }
    }
}

/// The objective.
#[derive(Debug, Clone)]
pub struct ContrastiveObjective {
    /// Where to compute, with a gradient graph.
    pub device: Device,
    /// Share of the label spread over the batch.
    pub label_smoothing: f64,
}

impl Objective for ContrastiveObjective {
    type Model = ContrastiveModel;
    type Batch = PairBatch;

    fn loss(&self, model: &ContrastiveModel, _source: usize, batch: PairBatch) -> LossOutput {
        let shape = [batch.pairs, 3, batch.size, batch.size];
        let pixels = Tensor::from_data(TensorData::new(batch.pixels, shape), &self.device);
        let (ids, present) = batch.texts.to_device(&self.device);
        let loss = contrastive_loss(
            model.embed_images(pixels),
            model.embed_texts(ids, present),
            model.inverse_temperature(),
            self.label_smoothing,
        );
        LossOutput { loss, units: batch.pairs as f64, images: batch.pairs, extra: Vec::new() }
    }

    fn probes(&self, model: &ContrastiveModel) -> Vec<(String, f64)> {
        vec![("inverse_temperature".to_owned(), model.inverse_temperature().into_scalar::<f32>().into())]
    }
}

#[cfg(test)]
mod tests {
    use flamingo_core::PreprocessSpec;
    use flamingo_data::Augment;
    use flamingo_data::{ConceptImage, MediaKey, RgbaImage};

    use super::*;

    fn set() -> Arc<ConceptSet> {
        let image = |index: u8, style: &str| ConceptImage {
            concept: format!("c{index}"),
            style: style.to_owned(),
            name: format!("{style} {index}"),
            keywords: Vec::new(),
            group: "things".to_owned(),
            subgroup: "all".to_owned(),
            split: Split::Train,
            image: RgbaImage::new(4, 4),
            key: MediaKey([index; 32]),
        };
        let images =
            (0..6).map(|index| image(index, "flat")).chain((0..3).map(|index| image(index, "round")));
        Arc::new(ConceptSet::new(images.collect()))
    }

    #[test]
    fn a_source_takes_its_styles_alone() {
        let tokenizer = Arc::new(TextTokenizer::train(["flat 1", "round 2"], 280).unwrap());
        let sampler = |styles: &[&str]| {
            let styles: Vec<String> = styles.iter().map(|style| (*style).to_owned()).collect();
            let transform = ImageTransform::train(PreprocessSpec::imagenet(4), Augment::light());
            PairSampler::new(set(), &styles, tokenizer.clone(), transform, [6, 8], 1)
        };
        assert_eq!(sampler(&[]).batch(0).pairs, 6);
        let round = sampler(&["round"]);
        assert_eq!(round.batch(0).pairs, 3, "there are no more in this style");
        let styles = |sampler: &PairSampler| -> Vec<String> {
            let pictures = sampler.concepts.iter().flatten();
            pictures.map(|picture| sampler.set.images()[*picture].style.clone()).collect()
        };
        assert!(styles(&round).iter().all(|style| style == "round"));
        assert_eq!(styles(&sampler(&["round", "flat"])).len(), 9);
    }
}
