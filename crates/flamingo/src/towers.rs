//! The two published models that trained parts stand between: where they are, how they are used, and whether they are
//! the ones that the parts were trained with.
//!
//! A model of this kind is saved as its trained parts alone, a few megabytes, and `towers.json`; see
//! [`JoinedFolder`](crate::pretrained::joined::JoinedFolder).

use std::fs::File;
use std::io::Read;
use std::path::Path;

use burn::module::Param;
use burn::tensor::{Device, Distribution, Tensor};
use flamingo_core::PreprocessSpec;
use flamingo_data::{PretrainedEncoder, PretrainedTokenizer};
use flamingo_lm::families::LanguageModel;
use flamingo_lm::{Decoder, DecoderConfig};
use flamingo_vision::{FeatureTap, VisionConfig, VisionEncoder, families};
use flamingo_weights::{Checkpoint, Format, load_into};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::config::NEW_TOKENS;
use crate::error::FlamingoError;
use crate::hub::locate;

/// A published language model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LanguageTower {
    /// A folder, a GGUF file, the id of a model on a hub, or the name of weights that can be fetched (`smollm2`).
    pub weights: String,
}

/// A published vision encoder.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VisionTower {
    /// A file or folder, the id of a model on a hub, or the name of weights that can be fetched (`efficientnet-lite2`).
    pub weights: String,
    /// Its sizes by name, as in [`flamingo_vision::families::named`].
    pub sizes: String,
    /// Which tensor of a convolutional encoder is its output; that of its family if absent.
    #[serde(default)]
    pub tap: Option<FeatureTap>,
    /// Side of its images in pixels; that of its training if absent. Vision transformers take no other.
    #[serde(default)]
    pub image_size: Option<usize>,
}

/// Both.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Towers {
    /// What reads and writes text.
    pub lm: LanguageTower,
    /// What sees.
    pub vision: VisionTower,
}

/// A tower's files, as one hash: trained parts belong to these weights and no others.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fingerprint(pub String);

/// A language model that is ready to be joined: with rows for the new tokens.
#[derive(Debug)]
pub struct OpenLanguage {
    /// Its sizes, new tokens included.
    pub config: DecoderConfig,
    /// Its weights.
    pub decoder: Decoder,
    /// Its tokenizer, with the new tokens.
    pub tokenizer: PretrainedEncoder,
    /// Which weights these are.
    pub fingerprint: Fingerprint,
}

/// A vision encoder that is ready to be joined.
#[derive(Debug)]
pub struct OpenVision {
    /// Its sizes.
    pub config: VisionConfig,
    /// How its images are prepared.
    pub preprocess: PreprocessSpec,
    /// Its weights.
    pub encoder: VisionEncoder,
    /// Which weights these are.
    pub fingerprint: Fingerprint,
}

/// Spread of the new tokens' rows around the mean of all rows, as a share of the rows' own spread.
const NEW_ROW_SPREAD: f64 = 0.1;

impl LanguageTower {
    /// Loads the model onto `device`. The rows of the new tokens begin near the mean of all rows, so that at first they
    /// are about as likely as any other token.
    ///
    /// # Errors
    ///
    /// If it is not there, is damaged, is no language model of a known family, or comes without a tokenizer.
    pub fn open(&self, device: &Device) -> Result<OpenLanguage, FlamingoError> {
        let path = locate(&self.weights)?;
        let (mut lm, checkpoint) = LanguageModel::open(&path)?;
        let tokenizer = match checkpoint.format() {
            Format::Gguf => PretrainedTokenizer::from_gguf(&checkpoint)?,
            _ => {
                PretrainedTokenizer::open(if path.is_dir() { &path } else { path.parent().unwrap_or(&path) })?
            }
        };
        // Tables may have rows beyond the tokenizer's last token; the new tokens come right behind that.
        lm.config.vocab = tokenizer.vocab();
        lm.config.new_tokens = NEW_TOKENS;
        let (decoder, _) = lm.load(checkpoint, device)?;
        Ok(OpenLanguage {
            decoder: with_new_rows(decoder),
            config: lm.config,
            tokenizer: PretrainedEncoder::new(tokenizer)?,
            fingerprint: Fingerprint::of(&path)?,
        })
    }
}

/// New rows near the mean of the old ones, in the embedding and in a head of its own.
fn with_new_rows(mut decoder: Decoder) -> Decoder {
    let near_mean = |rows: Param<Tensor<2>>, table: &Param<Tensor<2>>| {
        let table = table.val();
        let (mean, [count, width]) = (table.clone().mean_dim(0), rows.dims());
        let spread: f32 = (table - mean.clone()).square().mean().sqrt().into_scalar();
        let noise = Distribution::Normal(0.0, NEW_ROW_SPREAD * f64::from(spread));
        let noise = Tensor::random([count, width], noise, &mean.device());
        rows.map(|_| mean.expand([count, width]) + noise)
    };
    decoder.new_embedding = decoder.new_embedding.map(|rows| near_mean(rows, &decoder.embedding));
    if let (Some(rows), Some(head)) = (decoder.new_head.take(), &decoder.head) {
        decoder.new_head = Some(near_mean(rows, head));
    }
    decoder
}

impl VisionTower {
    /// The encoder's sizes and how its images are prepared; nothing is loaded.
    ///
    /// # Errors
    ///
    /// If there is no such encoder, or it cannot have the wanted output.
    pub fn sizes(&self) -> Result<(VisionConfig, PreprocessSpec), FlamingoError> {
        let families::Published { mut config, mut preprocess } = families::named(&self.sizes)?;
        if let Some(tap) = self.tap {
            match &mut config {
                VisionConfig::Nfnet(sizes) => sizes.tap = tap,
                VisionConfig::Efficientnet(sizes) => sizes.tap = tap,
                VisionConfig::Vit(_) => {
                    let what =
                        format!("vision.tap: {} is a transformer, which has one output only", self.sizes);
                    return Err(FlamingoError::Published { what });
                }
            }
        }
        preprocess.size = self.image_size.unwrap_or(preprocess.size);
        Ok((config, preprocess))
    }

    /// Loads the encoder onto `device`.
    ///
    /// # Errors
    ///
    /// If it is not there, is damaged, or has other sizes.
    pub fn open(&self, device: &Device) -> Result<OpenVision, FlamingoError> {
        let (config, preprocess) = self.sizes()?;
        let path = locate(&self.weights)?;
        let checkpoint = Checkpoint::open(&path)?;
        let map = families::key_map(&config, &checkpoint);
        let (encoder, _) = load_into(config.init(device), &checkpoint, &map)?;
        Ok(OpenVision { config, preprocess, encoder, fingerprint: Fingerprint::of(&path)? })
    }
}

impl Fingerprint {
    /// SHA-256 over the weights' files at `path`, in the order of their names: a file alone, or all of a folder that hold
    /// tensors.
    ///
    /// # Errors
    ///
    /// If one cannot be read.
    fn of(path: &Path) -> Result<Self, FlamingoError> {
        const TENSORS: [&str; 6] = ["safetensors", "bin", "pt", "pth", "gguf", "ckpt"];
        let unreadable = |path: &Path, error: std::io::Error| FlamingoError::Folder {
            path: path.to_owned(),
            message: format!("cannot read: {error}"),
        };
        let mut files = vec![path.to_owned()];
        if path.is_dir() {
            let entries = path.read_dir().map_err(|error| unreadable(path, error))?;
            files = entries.filter_map(Result::ok).map(|entry| entry.path()).collect();
            let holds_tensors = |file: &std::path::PathBuf| {
                file.extension().is_some_and(|extension| TENSORS.iter().any(|known| extension == *known))
            };
            files.retain(holds_tensors);
            files.sort();
        }
        let mut hash = Sha256::new();
        let mut buffer = vec![0; 1 << 20];
        for path in files {
            let mut file = File::open(&path).map_err(|error| unreadable(&path, error))?;
            loop {
                match file.read(&mut buffer).map_err(|error| unreadable(&path, error))? {
                    0 => break,
                    read => hash.update(&buffer[..read]),
                }
            }
        }
        Ok(Self(hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()))
    }
}
