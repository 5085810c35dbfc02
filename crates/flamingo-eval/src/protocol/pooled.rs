//! What a model's frozen encoder makes of whole pictures and clips, one vector each, kept on disk: RICES compares them.
//!
//! ```text
//! ROOT/ENCODER/pooled-NNNNNN-XXXXXXXX.safetensors     keys u8 [N, 32], features f32 [N, E]
//! ```
//!
//! `ENCODER` is a hash of the encoder's weights, of how pictures become its input, and of how frames are taken from clips;
//! a medium is known by the SHA-256 of its contents. A clip's vector is the mean over its frames. Files are whole or
//! absent: what was made before an interruption stays, and nothing is made twice.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use burn::tensor::{DType, Tensor, TensorData};
use flamingo::features::weights_sha256;
use flamingo::prompt::{Digest, Frames};
use flamingo::weights::{Checkpoint, TensorPlan, save_safetensors};
use flamingo::{FlamingoError, Medium, Network};
use flamingo_core::PreprocessSpec;
use rayon::prelude::*;
use sha2::{Digest as _, Sha256};

use crate::EvalError;

/// Of the files' layout and of what a vector is.
const VERSION: &str = "pooled 1: class token or mean of positions, mean of a prompt's frames";
const KEYS: &str = "keys";
const FEATURES: &str = "features";

/// Pictures that the encoder looks at together.
const BATCH: usize = 16;
/// A file is written when it has so many vectors, or after so much time: the most that an interruption can lose.
const MOST: usize = 2048;
const LONGEST: Duration = Duration::from_secs(60);

/// Vectors of one encoder on disk; see the [module documentation](self).
#[derive(Debug)]
pub struct PooledCache {
    folder: PathBuf,
    known: HashMap<Digest, Vec<f32>>,
    /// Made, and not written yet.
    pending: Vec<Digest>,
    files: usize,
}

impl PooledCache {
    /// The cache of a model's encoder in a folder of its own in `root`, which is made if it is not there.
    ///
    /// # Errors
    ///
    /// If the model has no encoder, the folder cannot be made or read, or a file of it is damaged.
    pub fn open(root: &Path, network: &Network) -> Result<Self, EvalError> {
        let (model, preprocess) = flamingo(network)?;
        let mut hash = Sha256::new_with_prefix(VERSION);
        hash.update(weights_sha256(&model.vision)?);
        hash.update(serde_json::to_vec(preprocess).expect("numbers and texts have a JSON form"));
        let folder = root.join(hex(&hash.finalize()[..16]));
        let odd = |action| EvalError::file(action, &folder);
        std::fs::create_dir_all(&folder).map_err(odd("make"))?;
        let mut cache = Self { folder: folder.clone(), known: HashMap::new(), pending: Vec::new(), files: 0 };
        let entries = std::fs::read_dir(&folder).map_err(odd("read"))?;
        let mut paths =
            entries.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>, _>>().map_err(odd("read"))?;
        paths.retain(|path| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            name.starts_with("pooled-") && name.ends_with(".safetensors")
        });
        paths.sort();
        for path in &paths {
            cache.read(path)?;
        }
        cache.files = paths.len();
        Ok(cache)
    }

    /// Its folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Media that it knows.
    pub fn len(&self) -> usize {
        self.known.len()
    }

    /// Whether it knows none.
    pub fn is_empty(&self) -> bool {
        self.known.is_empty()
    }

    /// The vectors of `media`, in their order, made where they are not there yet; an error's text for each that cannot be
    /// read.
    ///
    /// # Errors
    ///
    /// If a file cannot be written.
    pub fn vectors(
        &mut self,
        network: &Network,
        media: &[&Medium],
    ) -> Result<Vec<Result<Vec<f32>, String>>, EvalError> {
        let mut all = Vec::with_capacity(media.len());
        let mut written = Instant::now();
        for block in media.chunks(BATCH) {
            all.extend(self.block(network, block)?);
            if self.pending.len() >= MOST || written.elapsed() >= LONGEST {
                self.write()?;
                written = Instant::now();
            }
        }
        self.write()?;
        Ok(all)
    }

    fn block(
        &mut self,
        network: &Network,
        media: &[&Medium],
    ) -> Result<Vec<Result<Vec<f32>, String>>, EvalError> {
        let (model, preprocess) = flamingo(network)?;
        let known = &self.known;
        let looked: Vec<Result<(Digest, Option<Frames>), String>> = media
            .par_iter()
            .map(|medium| {
                let key = medium.digest().map_err(|error| error.to_string())?;
                let frames = match known.contains_key(&key) {
                    true => None,
                    false => Some(medium.frames(preprocess).map_err(|error| error.to_string())?),
                };
                Ok((key, frames))
            })
            .collect();
        let mut keys = Vec::with_capacity(media.len());
        let mut new: Vec<(Digest, Frames)> = Vec::new();
        for medium in looked {
            keys.push(medium.map(|(key, frames)| {
                new.extend(frames.filter(|_| new.iter().all(|(other, _)| *other != key)).map(|it| (key, it)));
                key
            }));
        }
        let vectors = pooled(model, preprocess, new.iter().map(|(_, frames)| frames));
        for ((key, _), vector) in new.into_iter().zip(vectors) {
            self.known.insert(key, vector);
            self.pending.push(key);
        }
        Ok(keys.into_iter().map(|key| key.map(|key| self.known[&key].clone())).collect())
    }

    fn read(&mut self, path: &Path) -> Result<(), EvalError> {
        let damaged = || EvalError::Format {
            path: path.to_owned(),
            place: format!("its tensors {KEYS:?} and {FEATURES:?}"),
            what: "u8 [N, 32] and f32 [N, E] were expected; remove the file, and it is made again".to_owned(),
        };
        let file = Checkpoint::open(path).map_err(FlamingoError::from)?;
        let [keys, features] = [KEYS, FEATURES].map(|name| file.read(name));
        let (Ok(keys), Ok(features)) = (keys, features) else { return Err(damaged()) };
        let (&[count, 32], &[rows, width]) = (keys.shape().as_slice(), features.shape().as_slice()) else {
            return Err(damaged());
        };
        if count != rows || width == 0 {
            return Err(damaged());
        }
        let keys: Vec<u8> = keys.iter::<u8>().collect();
        let features: Vec<f32> = features.iter::<f32>().collect();
        for (key, vector) in keys.as_chunks().0.iter().zip(features.chunks_exact(width)) {
            self.known.insert(*key, vector.to_vec());
        }
        Ok(())
    }

    fn write(&mut self) -> Result<(), EvalError> {
        let keys = std::mem::take(&mut self.pending);
        let Some(first) = keys.first() else { return Ok(()) };
        let (rows, width) = (keys.len(), self.known[first].len());
        let plans = [
            TensorPlan { name: FEATURES.to_owned(), shape: vec![rows, width], dtype: DType::F32 },
            TensorPlan { name: KEYS.to_owned(), shape: vec![rows, 32], dtype: DType::U8 },
        ];
        // Two processes that write at once have other names, or the same contents.
        let name =
            format!("pooled-{:06}-{}.safetensors", self.files, hex(&Sha256::digest(keys.concat())[..4]));
        save_safetensors(&self.folder.join(name), &plans, &BTreeMap::new(), |name| {
            Ok(match name {
                KEYS => TensorData::new(keys.concat(), [rows, 32]),
                _ => {
                    let values: Vec<f32> = keys.iter().flat_map(|key| self.known[key].clone()).collect();
                    TensorData::new(values, [rows, width])
                }
            })
        })
        .map_err(FlamingoError::from)?;
        self.files += 1;
        Ok(())
    }
}

/// Of each picture or clip the mean over its frames.
fn pooled<'a>(
    model: &flamingo::Flamingo,
    preprocess: &PreprocessSpec,
    media: impl Iterator<Item = &'a Frames> + Clone,
) -> Vec<Vec<f32>> {
    let size = preprocess.size;
    let device = model.lm.embedding.device();
    let frames: Vec<&[f32]> =
        media.clone().flat_map(|medium| medium.pixels.chunks_exact(3 * size * size)).collect();
    let mut vectors: Vec<Vec<f32>> = Vec::with_capacity(frames.len());
    for images in frames.chunks(BATCH) {
        let data = TensorData::new(images.concat(), [images.len(), 3, size, size]);
        let found = model.vision.pooled(Tensor::from_data(data, &device));
        let width = found.dims()[1];
        let found: Vec<f32> = found.into_data().iter::<f32>().collect();
        vectors.extend(found.chunks_exact(width).map(<[f32]>::to_vec));
    }
    let mut vectors = vectors.into_iter();
    let mean = |medium: &Frames| {
        let own: Vec<Vec<f32>> = vectors.by_ref().take(medium.count).collect();
        let of = |place: usize| own.iter().map(|vector| vector[place]).sum::<f32>() / medium.count as f32;
        (0..own[0].len()).map(of).collect()
    };
    media.map(mean).collect()
}

fn flamingo(network: &Network) -> Result<(&flamingo::Flamingo, &PreprocessSpec), EvalError> {
    match network {
        Network::Flamingo { model, preprocess } => Ok((model, preprocess)),
        Network::Language(_) => Err(EvalError::Setting {
            name: "examples",
            value: "similar".to_owned(),
            allowed: "random or the same with a language model alone, which sees no images",
        }),
    }
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
