//! Does the image matter? Each split's captions with the right image, with another one, and with none; names on pages of
//! several images with the right one before each, and with their neighbours'.

mod pages;

pub use pages::PageScores;

use std::error::Error;
use std::sync::Arc;

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use flamingo_core::HostBatch;
use flamingo_core::media::{TextTie, media_index};
use flamingo_data::{ConceptSet, ImageTransform, Sequence, Split, TextTokenizer, collate};
use flamingo_train::Evaluator;
use flamingo_vision::ContrastiveModel;
use serde::{Deserialize, Serialize};

use super::config::RunConfig;
use super::sample;
use super::setup::Setup;
use crate::caption::Caption;
use crate::engine::Engine;
use crate::error::FlamingoError;
use crate::generate::GenerateOptions;
use crate::loss::token_log_probs;
use crate::model::Flamingo;
use crate::pixels::{no_randomness, to_pixels};
use crate::pretrained::folder::ModelFolder;
use crate::prompt::{Medium, Source};
use crate::stages::contrastive::TextBatch;

/// Images evaluated at once.
const BATCH: usize = 50;

/// The figures of one split.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SplitScores {
    /// Pictures looked at.
    pub n: usize,
    /// Mean negative log-likelihood of a caption token (nats), given the right picture.
    pub nll_right: f64,
    /// The same, given another concept's picture.
    pub nll_shuffled: f64,
    /// The same, given no picture.
    pub nll_no_image: f64,
    /// Share of greedy captions that are exactly the name.
    pub exact_right: f64,
    /// The same, with another concept's picture (and this one's name).
    pub exact_shuffled: f64,
    /// Share of pictures whose own name is the nearest among all `n` in the contrastive space.
    pub retrieval_r1: f64,
    /// That of guessing.
    pub retrieval_chance: f64,
}

/// Scores and captions of the three splits.
#[derive(Debug, Clone)]
pub struct Evaluation {
    /// Training images, held-out images, held-out concepts.
    pub splits: Vec<SplitEvaluation>,
    /// Held-out images, several to a page; nothing if there are fewer than a page has.
    pub pages: Option<PageScores>,
}

/// One split's.
#[derive(Debug, Clone)]
pub struct SplitEvaluation {
    /// As in `report.json`.
    pub name: &'static str,
    /// The figures.
    pub scores: SplitScores,
    /// The pictures, as indices into the set.
    pub images: Vec<usize>,
    /// Their greedy captions.
    pub captions: Vec<Caption>,
}

/// The splits and their names in `report.json`.
const SPLITS: [(Split, &str); 3] = [
    (Split::Train, "train_images"),
    (Split::HeldoutImages, "heldout_images"),
    (Split::HeldoutConcepts, "heldout_concepts"),
];

impl Evaluation {
    pub(super) fn run(
        config: &RunConfig,
        set: &ConceptSet,
        contrastive: &ContrastiveModel,
        pretrained: &ModelFolder,
        device: &Device,
    ) -> Result<Self, FlamingoError> {
        let engine = Engine::new(pretrained.clone().into());
        let mut evaluator = Evaluations { config, set, contrastive, pretrained, engine, device };
        let splits = SPLITS.into_iter().map(|(split, name)| evaluator.split(split, name));
        let splits = splits.collect::<Result<_, _>>()?;
        let images = sample(set, Split::HeldoutImages, config.evaluation.samples);
        let pages = evaluator.measure().pages(&pretrained.model, &images);
        Ok(Self { splits, pages })
    }
}

struct Evaluations<'a> {
    config: &'a RunConfig,
    set: &'a ConceptSet,
    contrastive: &'a ContrastiveModel,
    pretrained: &'a ModelFolder,
    engine: Engine,
    device: &'a Device,
}

impl Evaluations<'_> {
    fn split(&mut self, split: Split, name: &'static str) -> Result<SplitEvaluation, FlamingoError> {
        let images = sample(self.set, split, self.config.evaluation.samples);
        let shuffled = shuffled(&images);
        let captions = self.captions(&images)?;
        let shuffled_captions = self.captions(&shuffled)?;
        let exact = |captions: &[Caption]| {
            let right =
                captions.iter().zip(&images).filter(|(caption, image)| caption.text == self.name(**image));
            right.count() as f64 / images.len().max(1) as f64
        };
        let model = &self.pretrained.model;
        let measure = self.measure();
        let scores = SplitScores {
            n: images.len(),
            nll_right: measure.nll(model, &images, Some(&images)),
            nll_shuffled: measure.nll(model, &images, Some(&shuffled)),
            nll_no_image: measure.nll(model, &images, None),
            exact_right: exact(&captions),
            exact_shuffled: exact(&shuffled_captions),
            retrieval_r1: measure.retrieval(self.contrastive, &images),
            retrieval_chance: 1.0 / images.len().max(1) as f64,
        };
        Ok(SplitEvaluation { name, scores, images, captions })
    }

    fn measure(&self) -> Measure<'_> {
        let tokenizer = &self.pretrained.tokenizer;
        Measure { config: self.config, set: self.set, tokenizer, device: self.device }
    }

    fn captions(&mut self, images: &[usize]) -> Result<Vec<Caption>, FlamingoError> {
        let picture = |image: &usize| Arc::new(self.set.images()[*image].image.clone());
        let media = images.iter().map(|image| Medium::Image(Source::Picture(picture(image))));
        let max_new_tokens = self.config.evaluation.max_tokens;
        let options = GenerateOptions { max_new_tokens, ..GenerateOptions::default() };
        self.engine.captions(&media.collect::<Vec<_>>(), &[], &options)
    }

    fn name(&self, image: usize) -> &str {
        &self.set.images()[image].name
    }
}

/// Half-way round: each picture's place is taken by another concept's, as no concept has so many pictures.
fn shuffled(images: &[usize]) -> Vec<usize> {
    let half = images.len() / 2;
    (0..images.len()).map(|index| images[(index + half) % images.len()]).collect()
}

/// While the parts between the towers are trained: captions of pictures in a style in which they were never seen.
pub(super) struct HeldoutCaptions<'a>(pub(super) &'a Setup);

impl Evaluator<Flamingo> for HeldoutCaptions<'_> {
    fn evaluate(&mut self, model: &Flamingo) -> Result<Vec<(String, f64)>, Box<dyn Error + Send + Sync>> {
        let (measure, images) = (Measure::of(self.0), heldout(self.0));
        let model = model.valid();
        let of = |seen: Option<&[usize]>| measure.nll(&model, &images, seen);
        let figures = [
            ("nll_right", of(Some(&images))),
            ("nll_shuffled", of(Some(&shuffled(&images)))),
            ("nll_no_image", of(None)),
        ];
        Ok(figures.map(|(name, value)| (format!("heldout_images/{name}"), value)).into())
    }
}

/// While the vision encoder is trained: how often the name of such a picture is not the nearest.
pub(super) struct HeldoutRetrieval<'a>(pub(super) &'a Setup);

impl Evaluator<ContrastiveModel> for HeldoutRetrieval<'_> {
    fn evaluate(
        &mut self,
        model: &ContrastiveModel,
    ) -> Result<Vec<(String, f64)>, Box<dyn Error + Send + Sync>> {
        let right = Measure::of(self.0).retrieval(&model.valid(), &heldout(self.0));
        Ok(vec![("heldout_images/retrieval_error".to_owned(), 1.0 - right)])
    }
}

fn heldout(setup: &Setup) -> Vec<usize> {
    sample(&setup.set, Split::HeldoutImages, setup.config.evaluation.samples)
}

/// What figures are computed from, beside a model.
struct Measure<'a> {
    config: &'a RunConfig,
    set: &'a ConceptSet,
    tokenizer: &'a TextTokenizer,
    device: &'a Device,
}

impl<'a> Measure<'a> {
    fn of(setup: &'a Setup) -> Self {
        Self { config: &setup.config, set: &setup.set, tokenizer: &setup.tokenizer, device: setup.device() }
    }

    /// Mean over all tokens of the captions of `named`, `<EOC>` included, while seeing `seen`.
    fn nll(&self, model: &Flamingo, named: &[usize], seen: Option<&[usize]>) -> f64 {
        let row = |index: usize| {
            caption_row(&[(self.name(named[index]), seen.map(|seen| seen[index]))], self.tokenizer)
        };
        let rows: Vec<Sequence> = (0..named.len()).map(row).collect();
        let (mut total, mut tokens) = (0.0, 0.0);
        for (row, losses) in rows.iter().zip(self.token_losses(model, &rows)) {
            for (weight, loss) in row.loss_weights[1..].iter().zip(losses) {
                total += loss * f64::from(*weight);
                tokens += f64::from(*weight);
            }
        }
        total / f64::max(tokens, 1.0)
    }

    /// Of each row: the negative log-likelihood (nats) of each token but the first, and of padding.
    fn token_losses(&self, model: &Flamingo, rows: &[Sequence]) -> Vec<Vec<f64>> {
        let of_chunk = |chunk: &[Sequence]| token_losses(model, &self.collate(chunk), self.device);
        rows.chunks(BATCH).flat_map(of_chunk).collect()
    }

    /// Share of pictures whose own name is the nearest.
    fn retrieval(&self, contrastive: &ContrastiveModel, images: &[usize]) -> f64 {
        let names: Vec<Vec<u32>> =
            images.iter().map(|image| self.tokenizer.encode(self.name(*image))).collect();
        let max_len = self.config.contrastive.towers.text.max_len;
        let (ids, present) = TextBatch::new(&names, max_len).to_device(self.device);
        let texts = contrastive.embed_texts(ids, present);
        let embed = |chunk: &[usize]| {
            let pixels = self.pixels(chunk);
            let [n, _, _, channels, height, width] = pixels.dims();
            contrastive.embed_images(pixels.reshape([n, channels, height, width]))
        };
        let embedded = Tensor::cat(images.chunks(BATCH).map(embed).collect(), 0);
        let nearest: Vec<i64> =
            embedded.matmul(texts.transpose()).argmax(1).into_data().iter::<i64>().collect();
        let right = nearest.iter().enumerate().filter(|(index, found)| *index as i64 == **found).count();
        right as f64 / images.len().max(1) as f64
    }

    /// `[N, 1, 1, 3, I, I]`.
    fn pixels(&self, images: &[usize]) -> Tensor<6> {
        let pictures = images.iter().map(|image| &self.set.images()[*image].image);
        to_pixels(pictures, &self.config.model.preprocess, self.device)
    }

    fn collate(&self, rows: &[Sequence]) -> HostBatch {
        let transform = ImageTransform::eval(self.config.model.preprocess.clone());
        let pad = self.tokenizer.special().pad;
        collate(rows, 1, transform.spec.size, pad, |image, _, out| {
            transform.apply(&self.set.images()[image].image, &mut no_randomness(), out);
        })
    }

    fn name(&self, image: usize) -> &str {
        &self.set.images()[image].name
    }
}

/// `<BOS>` and, of each item, `<image>name<EOC>`, or that without the image; names and their `<EOC>` count.
fn caption_row(items: &[(&str, Option<usize>)], tokenizer: &TextTokenizer) -> Sequence {
    let special = tokenizer.special();
    let mut ids = vec![special.bos];
    let mut loss_weights = vec![0.0];
    for (name, seen) in items {
        ids.extend(seen.map(|_| special.image));
        loss_weights.resize(ids.len(), 0.0);
        ids.extend(tokenizer.encode(name));
        ids.push(special.eoc);
        loss_weights.resize(ids.len(), 1.0);
    }
    Sequence {
        media_index: media_index(&ids, special.image, TextTie::Previous),
        loss_weights,
        images: items.iter().filter_map(|(_, seen)| *seen).collect(),
        ids,
    }
}

/// Of each row: the negative log-likelihood (nats) of each token but the first, and of padding.
pub(crate) fn token_losses(model: &Flamingo, host: &HostBatch, device: &Device) -> Vec<Vec<f64>> {
    let batch = host.to_device(device);
    let hidden = model.hidden(&batch);
    let log_probs: Vec<f32> = token_log_probs(&model.lm, hidden, batch.ids).into_data().iter().collect();
    let losses = |row: &[f32]| row.iter().map(|log_prob| -f64::from(*log_prob)).collect();
    log_probs.chunks((host.len - 1).max(1)).map(losses).collect()
}
