//! The mixture of a run as streams of batches that the trainer can put into checkpoints.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use flamingo_core::HostBatch;
use flamingo_core::seed::{derive, word};
use flamingo_data::stream::{MixedSource, PixelSpec, Stream, StreamSpec, StreamState};
use flamingo_data::{
    ConceptSet, DataError, EpisodeComposer, FeatureLookup, ImageTransform, PageComposer, Store, TextEncoder,
};
use flamingo_train::{BatchStream, BoxStream, StreamError};
use serde_json::Value;

use super::config::{JoinConfig, JoinSource, Origin, StreamOrigin};
use crate::cache;
use crate::error::FlamingoError;
use crate::replica::Replica;
use crate::stages::flamingo::{CaptionSampler, EpisodeSampler, PageSampler, Sampling};

/// What begins a path below the folder of prepared datasets.
const DATA: &str = "data:";

/// A path of a configuration: one that begins with `data:` is below the folder of prepared datasets.
pub(super) fn resolve(path: &str) -> String {
    match (path.strip_prefix(DATA), cache::datasets()) {
        (Some(rest), Some(folder)) => folder.join(rest).to_string_lossy().into_owned(),
        _ => path.to_owned(),
    }
}

/// The source with its paths as they are on this machine.
pub(super) fn resolved(source: &MixedSource) -> MixedSource {
    MixedSource { paths: source.paths.iter().map(|path| resolve(path)).collect(), ..source.clone() }
}

/// All that makes batches of a run's configuration.
pub(super) struct Mixture<'a> {
    pub config: &'a JoinConfig,
    pub set: &'a Arc<ConceptSet>,
    pub tokenizer: Arc<dyn TextEncoder>,
    pub pixels: PixelSpec,
    /// The encoder's features, if they are not computed at every update.
    pub features: Option<Arc<dyn FeatureLookup>>,
}

impl Mixture<'_> {
    /// One stream for each source, in their order: what `replica` sees of them.
    pub fn streams(&self, replica: &Replica) -> Result<Vec<BoxStream<HostBatch>>, FlamingoError> {
        self.config.sources.iter().map(|source| self.stream(source, replica)).collect()
    }

    fn stream(&self, source: &JoinSource, replica: &Replica) -> Result<BoxStream<HostBatch>, FlamingoError> {
        let sampling = || self.sampling(&source.name, source.batch);
        Ok(match &source.from {
            Origin::Episodes(spec) => {
                let composer = Arc::new(EpisodeComposer::new(self.set, spec.clone())?);
                let sampler = EpisodeSampler { sampling: sampling(), composer };
                replica.stream(move |k| sampler.batch(k))
            }
            Origin::Pages(spec) => {
                let composer = Arc::new(PageComposer::new(self.set, spec.clone())?);
                let sampler = PageSampler { sampling: sampling(), composer };
                replica.stream(move |k| sampler.batch(k))
            }
            Origin::Captions => {
                let sampler = CaptionSampler::new(sampling());
                replica.stream(move |k| sampler.batch(k))
            }
            Origin::Stream(origin) => {
                let spec = StreamSpec {
                    rank: replica.sync.rank(),
                    world: replica.sync.world(),
                    ..self.spec(&origin.sources, source, None)
                };
                Box::new(DataStream::open(spec, self.tokenizer.clone(), self.features.clone())?)
            }
        })
    }

    /// The held-out sequences of a source of data, at most `most`, in batches of `batch`.
    pub fn heldout(
        &self,
        source: &JoinSource,
        origin: &StreamOrigin,
        most: usize,
        batch: usize,
    ) -> Result<Vec<HostBatch>, FlamingoError> {
        let mut spec = self.spec(&origin.heldout, source, Some(1));
        spec.batch = batch;
        spec.pixels.augment = None;
        let stream =
            Stream::open_with(spec, &Store::default(), self.tokenizer.clone(), self.features.clone())?;
        stream.take(most.div_ceil(batch)).map(|batch| Ok(batch?.host)).collect()
    }

    /// Captions of some named pictures, in batches of `batch`.
    pub fn named(&self, images: &[usize], batch: usize) -> Result<Vec<HostBatch>, FlamingoError> {
        let mut sampling = self.sampling("named", batch);
        sampling.spec.p_leading_space = 0.0;
        sampling.transform.augment = None;
        let captions = images.chunks(batch).map(|images| {
            let batch = images.len();
            CaptionSampler::over(Sampling { batch, ..sampling.clone() }, images.to_vec()).batch(0)
        });
        Ok(captions.collect::<Result<_, _>>()?)
    }

    fn spec(&self, sources: &[MixedSource], source: &JoinSource, epochs: Option<u64>) -> StreamSpec {
        StreamSpec {
            batch: source.batch,
            sequence: self.config.sequence.clone(),
            pixels: self.pixels.clone(),
            seed: self.seed(&source.name),
            epochs,
            ..StreamSpec::new(sources.iter().map(resolved).collect())
        }
    }

    fn sampling(&self, name: &str, batch: usize) -> Sampling {
        let PixelSpec { preprocess, augment, .. } = self.pixels.clone();
        Sampling {
            set: self.set.clone(),
            tokenizer: self.tokenizer.clone(),
            transform: ImageTransform::new(preprocess, augment),
            spec: self.config.sequence.clone(),
            batch,
            seed: self.seed(name),
            features: self.features.clone(),
        }
    }

    fn seed(&self, source: &str) -> u64 {
        derive(self.config.seed, [word(source)])
    }
}

/// A [`Stream`] as the trainer wants it.
struct DataStream {
    spec: StreamSpec,
    tokenizer: Arc<dyn TextEncoder>,
    features: Option<Arc<dyn FeatureLookup>>,
    stream: Stream,
}

impl DataStream {
    fn open(
        spec: StreamSpec,
        tokenizer: Arc<dyn TextEncoder>,
        features: Option<Arc<dyn FeatureLookup>>,
    ) -> Result<Self, FlamingoError> {
        let stream = Self::start(&spec, &tokenizer, &features, None)?;
        Ok(Self { spec, tokenizer, features, stream })
    }

    fn start(
        spec: &StreamSpec,
        tokenizer: &Arc<dyn TextEncoder>,
        features: &Option<Arc<dyn FeatureLookup>>,
        state: Option<StreamState>,
    ) -> Result<Stream, DataError> {
        let (spec, store, tokenizer) = (spec.clone(), Store::default(), tokenizer.clone());
        match state {
            Some(state) => Stream::resume_with(spec, &store, tokenizer, state, features.clone()),
            None => Stream::open_with(spec, &store, tokenizer, features.clone()),
        }
    }
}

impl BatchStream for DataStream {
    type Batch = HostBatch;

    fn next(&mut self) -> Result<HostBatch, StreamError> {
        match self.stream.next() {
            Some(batch) => Ok(batch.map_err(|error| StreamError(Box::new(error)))?.host),
            None => Err(StreamError(Box::new(io::Error::other("the sources have no records left")))),
        }
    }

    fn state(&self) -> Value {
        serde_json::to_value(self.stream.state()).expect("numbers, texts and lists have a JSON form")
    }

    fn restore(&mut self, state: &Value) -> Result<(), StreamError> {
        let state = serde_json::from_value(state.clone()).map_err(|error| StreamError(Box::new(error)))?;
        let stream = Self::start(&self.spec, &self.tokenizer, &self.features, Some(state));
        self.stream = stream.map_err(|error| StreamError(Box::new(error)))?;
        Ok(())
    }
}

/// The shards of folders of named pictures.
pub(super) fn concept_shards(folders: &[String]) -> Result<Vec<PathBuf>, FlamingoError> {
    let lists = folders.iter().map(|folder| flamingo_data::list_shards(resolve(folder)));
    Ok(lists.collect::<Result<Vec<_>, _>>()?.concat())
}
