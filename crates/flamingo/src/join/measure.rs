//! Training itself, and what is measured behind it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use burn::module::Module;
use burn::tensor::Device;
use flamingo_core::HostBatch;
use flamingo_core::device::concurrency;
use flamingo_core::seed::{derive, word};
use flamingo_data::sample::{Content, Medium as Recorded};
use flamingo_data::stream::MixedSource;
use flamingo_data::{Split, Store, TextEncoder};
use flamingo_nn::count_parameters;
use flamingo_train::{
    BoxStream, JsonlSink, MetricSink, Outcome, Progress, RunDir, TensorBoardSink, TrainConfig, Trainer,
};
use image::{RgbaImage, imageops};

use super::STAGE;
use super::binding::BindingScores;
use super::config::JoinConfig;
use super::heldout::HeldoutScores;
use super::profile::TimeSplit;
use super::report::{JoinReport, ShownCaption};
use super::streams::{Mixture, resolved};
use crate::engine::Engine;
use crate::error::FlamingoError;
use crate::generate::GenerateOptions;
use crate::inspect::Summary;
use crate::model::Flamingo;
use crate::pretrained::joined::JoinedFolder;
use crate::prompt::{Medium, Source};
use crate::replica::{self, Replica};
use crate::run::{png, sample};
use crate::stages::flamingo::FlamingoObjective;

/// What the first replica has after the last update.
pub(super) struct Trained {
    /// Without a gradient graph.
    pub model: Flamingo,
    /// Where they stand.
    pub streams: Streams,
    /// That training took.
    pub seconds: f64,
}

type Streams = Vec<BoxStream<HostBatch>>;

/// A run whose model and data are ready.
pub(super) struct Run<'a> {
    pub dir: RunDir,
    pub config: &'a JoinConfig,
    pub device: &'a Device,
    pub progress: Progress,
    pub stop: &'a AtomicBool,
}

impl Run<'_> {
    /// `None` if it was stopped.
    pub fn train(
        &self,
        replicas: &[Replica],
        model: Flamingo,
        mixture: &Mixture<'_>,
    ) -> Result<Option<Trained>, FlamingoError> {
        let seed = derive(self.config.seed, [word(STAGE)]);
        let part = |replica: &Replica| {
            let model = model.clone().to_device(&replica.device);
            Ok((replica.clone(), model, mixture.streams(replica)?))
        };
        let parts = replicas.iter().map(part).collect::<Result<Vec<_>, FlamingoError>>()?;
        let train = |(Replica { device, sync }, model, mut streams): (Replica, Flamingo, Streams)| {
            let trainer = Trainer {
                stage: STAGE.to_owned(),
                config: TrainConfig { seed, ..self.config.updates() },
                checkpoints: self.dir.checkpoints(STAGE),
                progress: self.progress,
                threads: concurrency(&device),
                sync,
            };
            let objective = FlamingoObjective { device: device.autodiff(), loss: self.config.loss };
            let mut sinks: Vec<Box<dyn MetricSink>> = vec![
                Box::new(JsonlSink::new(self.metrics())),
                Box::new(TensorBoardSink::new(self.dir.join("tensorboard"))),
            ];
            let model = super::ready(model, self.config);
            let outcome = trainer.fit(&objective, model, &mut streams, &mut sinks, self.stop)?;
            let Outcome { model, finished, seconds, .. } = outcome;
            Ok(finished.then(|| Trained { model: model.valid(), streams, seconds }))
        };
        Ok(replica::together(replicas, parts, train)?)
    }

    /// Measures the model on everything that was held out, and writes the report.
    pub fn report(
        &self,
        folder: &JoinedFolder,
        mixture: &Mixture<'_>,
        split: TimeSplit,
        seconds: f64,
    ) -> Result<JoinReport, FlamingoError> {
        let model = &folder.model;
        let Summary { mut trained, mut frozen, .. } = Summary::new("run", &folder.config, None)?;
        if self.config.train_vision {
            let vision = count_parameters(&model.vision);
            (trained, frozen) = (trained + vision, frozen - vision);
        }
        let report = JoinReport {
            seed: self.config.seed,
            steps: self.config.train.steps,
            seconds,
            split,
            trained,
            frozen,
            gates: model.gates(),
            heldout: self.heldout(folder, mixture)?,
            binding: self.binding(folder, mixture)?,
            captions: self.captions(folder, mixture)?,
        };
        report.write(&self.dir, &JsonlSink::read(&self.metrics())?)?;
        Ok(report)
    }

    fn heldout(
        &self,
        folder: &JoinedFolder,
        mixture: &Mixture<'_>,
    ) -> Result<BTreeMap<String, HeldoutScores>, FlamingoError> {
        let evaluation = &self.config.evaluation;
        let mut scores = BTreeMap::new();
        let mut measure = |name: String, batches: Vec<HostBatch>| {
            let image = folder.tokenizer.special().image;
            scores.insert(name, HeldoutScores::measure(&folder.model, &batches, image, self.device));
        };
        for split in [Split::HeldoutImages, Split::HeldoutConcepts] {
            let images = sample(mixture.set, split, evaluation.sequences);
            measure(format!("captions: {}", split.name()), mixture.named(&images, evaluation.batch)?);
        }
        for source in &self.config.sources {
            let Some(origin) = source.stream() else { continue };
            if !origin.heldout.is_empty() {
                let batches = mixture.heldout(source, origin, evaluation.sequences, evaluation.batch)?;
                measure(source.name.clone(), batches);
            }
        }
        Ok(scores)
    }

    fn binding(
        &self,
        folder: &JoinedFolder,
        mixture: &Mixture<'_>,
    ) -> Result<Vec<BindingScores>, FlamingoError> {
        let mut engine = Engine::new(folder.clone().into());
        let seed = derive(self.config.seed, [word("binding")]);
        let specs = self.config.evaluation.binding.iter();
        let measure = |spec| BindingScores::measure(&mut engine, mixture.set, &folder.tokenizer, spec, seed);
        specs.map(measure).collect()
    }

    /// Captions of held-out pictures and of photographs.
    fn captions(
        &self,
        folder: &JoinedFolder,
        mixture: &Mixture<'_>,
    ) -> Result<Vec<ShownCaption>, FlamingoError> {
        let evaluation = &self.config.evaluation;
        let mut shown = Vec::new();
        let mut media = Vec::new();
        let splits = [Split::HeldoutImages, Split::HeldoutConcepts];
        for split in splits {
            for index in sample(mixture.set, split, evaluation.captions / splits.len()) {
                let picture = &mixture.set.images()[index];
                media.push(Medium::Image(Source::Picture(Arc::new(picture.image.clone()))));
                shown.push(ShownCaption {
                    set: split.name().to_owned(),
                    title: picture.name.clone(),
                    says: String::new(),
                    png: png(&small(&picture.image)),
                });
            }
        }
        if let Some(photos) = &evaluation.photos {
            for (title, bytes) in pictures(photos, evaluation.photo_captions)? {
                let picture = flamingo_data::image::decode(&bytes, &title)?;
                shown.push(ShownCaption {
                    set: photos.name.clone(),
                    title,
                    says: String::new(),
                    png: png(&small(&picture)),
                });
                media.push(Medium::Image(Source::Bytes(bytes.into())));
            }
        }
        let options = GenerateOptions { max_new_tokens: evaluation.max_tokens, ..GenerateOptions::default() };
        let captions = Engine::new(folder.clone().into()).captions(&media, &[], &options)?;
        for (shown, caption) in shown.iter_mut().zip(captions) {
            shown.says = caption.text;
        }
        Ok(shown)
    }

    fn metrics(&self) -> std::path::PathBuf {
        self.dir.join("metrics.jsonl")
    }
}

/// A picture at the size of a report's.
fn small(picture: &RgbaImage) -> RgbaImage {
    const SIDE: u32 = 160;
    let longer = picture.width().max(picture.height()).max(1);
    let side = |side: u32| (side * SIDE / longer).max(1);
    if longer <= SIDE {
        return picture.clone();
    }
    imageops::thumbnail(picture, side(picture.width()), side(picture.height()))
}

/// `most` pictures of a source of pairs, evenly spread, with their titles.
fn pictures(source: &MixedSource, most: usize) -> Result<Vec<(String, Vec<u8>)>, FlamingoError> {
    let source = resolved(source).spec().open(&Store::default())?;
    let mut all = Vec::new();
    for shard in 0..source.shards().len() {
        // What is broken is left out: this is a look at pictures, no measurement.
        for record in source.open(shard, 0).into_iter().flatten().flatten() {
            let Ok(sample) = record.read() else { continue };
            if let (Content::Pair(texts), [Recorded::Image(bytes)]) = (sample.content, &*sample.media) {
                all.push((texts.into_iter().next().unwrap_or_default(), bytes.clone()));
            }
        }
    }
    let count = most.min(all.len());
    Ok((0..count).map(|index| all[index * all.len() / count].clone()).collect())
}
