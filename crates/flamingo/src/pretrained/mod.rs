//! Any model that can be asked, from the files that it comes in: one door for all kinds.

pub(crate) mod folder;
pub mod joined;
pub(crate) mod kind;

use std::path::{Path, PathBuf};

use burn::tensor::{Device, Int, Tensor, TensorData};
use flamingo_core::PreprocessSpec;
use flamingo_data::PretrainedTokenizer;
use flamingo_lm::Decoder;
use flamingo_weights::{Checkpoint, Format, LoadReport};

use crate::dialect::{Dialect, Style};
use crate::error::FlamingoError;
use crate::hub::locate;
use crate::model::Flamingo;
use crate::published::{Loaded, OpenFlamingoFiles, load_idefics, load_open_flamingo, parts_of};
use folder::ModelFolder;
use joined::JoinedFolder;
use kind::Kind;

/// Where a model's files are. Each part is a path, or the id of a model on a hub.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ModelSource {
    /// A folder (of a run, of an IDEFICS, of a language model), or a file (an OpenFlamingo's `checkpoint.pt`, a GGUF).
    pub model: String,
    /// An OpenFlamingo's language model: its folder.
    pub lm: Option<String>,
    /// An OpenFlamingo's vision encoder: a file or folder.
    pub vision: Option<String>,
}

impl<S: Into<String>> From<S> for ModelSource {
    fn from(model: S) -> Self {
        Self { model: model.into(), ..Self::default() }
    }
}

/// A model with all that it takes to ask it.
#[derive(Debug, Clone)]
pub struct Pretrained {
    /// The weights.
    pub network: Network,
    /// How it wants to be written to.
    pub dialect: Dialect,
    /// What each published file gave; none for models trained here, which are complete.
    pub reports: Vec<LoadReport>,
}

/// Weights that read text, and perhaps images.
#[derive(Debug, Clone)]
pub enum Network {
    /// A Flamingo.
    Flamingo {
        /// Its weights.
        model: Box<Flamingo>,
        /// How its encoder wants images.
        preprocess: PreprocessSpec,
    },
    /// A language model alone.
    Language(Box<Decoder>),
}

impl Network {
    /// The language model.
    pub fn lm(&self) -> &Decoder {
        match self {
            Self::Flamingo { model, .. } => &model.lm,
            Self::Language(lm) => lm,
        }
    }

    /// An error for ids that the model has no row for.
    pub(crate) fn check_ids(&self, ids: &[u32]) -> Result<(), FlamingoError> {
        let config = self.lm().config();
        let rows = config.vocab + config.new_tokens;
        match ids.iter().find(|id| **id as usize >= rows) {
            None => Ok(()),
            Some(id) => {
                let what = format!("token {id} is beyond the model's {rows} tokens");
                Err(FlamingoError::Prompt { what })
            }
        }
    }

    /// Token ids `[B, L]`, row by row, where it computes.
    ///
    /// # Panics
    ///
    /// If the number of ids is not `B * L`.
    pub(crate) fn tokens(&self, ids: impl IntoIterator<Item = u32>, shape: [usize; 2]) -> Tensor<2, Int> {
        let ids: Vec<i32> = ids.into_iter().map(|id| id as i32).collect();
        Tensor::from_data(TensorData::new(ids, shape), &self.device())
    }

    /// Where it computes.
    pub fn device(&self) -> Device {
        self.lm().embedding.device()
    }
}

impl Flamingo {
    /// A model with all that it takes to ask it, from a path or the id of a model on a hub; see [`Pretrained::open`].
    ///
    /// # Errors
    ///
    /// As [`Pretrained::open`].
    pub fn from_pretrained(
        source: impl Into<ModelSource>,
        device: &Device,
    ) -> Result<Pretrained, FlamingoError> {
        Pretrained::open(source, device)
    }
}

impl Pretrained {
    /// Opens a model of any kind that is known here: a run or model folder of this project, trained parts between two
    /// published towers, an IDEFICS, an OpenFlamingo
    /// with its two other parts, a language model alone. A name that is no path is looked for on the hub; see
    /// [`hub`](crate::hub).
    ///
    /// # Errors
    ///
    /// If there is no such model, a part of it is missing, or its files are damaged or do not fit each other.
    pub fn open(source: impl Into<ModelSource>, device: &Device) -> Result<Self, FlamingoError> {
        let source = source.into().released();
        let path = locate(&source.model)?;
        if JoinedFolder::is_at(&path) {
            source.is_whole()?;
            return Ok(JoinedFolder::load(&path, device)?.into());
        }
        if ModelFolder::is_at(&path) {
            source.is_whole()?;
            return Ok(ModelFolder::load(&path, device)?.into());
        }
        let checkpoint = Checkpoint::open(&path)?;
        let folder = if path.is_dir() { &path } else { path.parent().unwrap_or(&path) };
        let kind = Kind::of(&checkpoint, folder);
        match kind {
            Kind::OpenFlamingo { .. } => return Self::open_flamingo(&path, &source, device),
            _ => source.is_whole()?,
        }
        match kind {
            Kind::Idefics => Self::idefics(folder, device),
            Kind::Language(lm) => {
                let tokenizer = match checkpoint.format() {
                    Format::Gguf => Some(PretrainedTokenizer::from_gguf(&checkpoint)?),
                    _ => PretrainedTokenizer::find(folder)?,
                };
                let dialect = match tokenizer {
                    Some(tokenizer) => Dialect::text(tokenizer, &lm.tokens.eos),
                    None => Dialect::of_ids(Style::Text, None, None),
                };
                let (decoder, report) = lm.load(checkpoint, device)?;
                Ok(Self { network: Network::Language(Box::new(decoder)), dialect, reports: vec![report] })
            }
            Kind::Own => ModelFolder::load(folder, device).map(Self::from),
            kind @ (Kind::Vision(_) | Kind::Unknown | Kind::OpenFlamingo { .. }) => {
                let message = format!("this is {kind}, which cannot be asked anything");
                Err(FlamingoError::Folder { path, message })
            }
        }
    }

    fn idefics(folder: &Path, device: &Device) -> Result<Self, FlamingoError> {
        let loaded = load_idefics(folder, device)?;
        let dialect = match PretrainedTokenizer::find(folder)? {
            Some(tokenizer) => Dialect::idefics(tokenizer)?,
            None => {
                // Its added tokens stand around an image, for an image, and at the end of an utterance, in that order.
                let (vocab, added) = (loaded.config.lm.vocab as u32, loaded.config.lm.new_tokens);
                let row = |row: usize| (row < added).then_some(vocab + row as u32);
                Dialect::of_ids(Style::Idefics, row(1), row(2))
            }
        };
        Ok(Self::published(loaded, dialect))
    }

    fn open_flamingo(
        checkpoint: &Path,
        source: &ModelSource,
        device: &Device,
    ) -> Result<Self, FlamingoError> {
        let (Some(lm), Some(vision)) = (&source.lm, &source.vision) else {
            return Err(FlamingoError::Folder {
                path: checkpoint.to_owned(),
                message:
                    "an OpenFlamingo checkpoint needs its language model's folder (--lm) and its vision \
                          encoder, CLIP ViT-L/14 of OpenAI (--vision)"
                        .to_owned(),
            });
        };
        let (lm, vision) = (&locate(lm)?, &locate(vision)?);
        let tokenizer = PretrainedTokenizer::find(lm)?;
        let base_vocab = tokenizer.as_ref().map(PretrainedTokenizer::vocab);
        let loaded = load_open_flamingo(OpenFlamingoFiles { checkpoint, lm, vision, base_vocab }, device)?;
        let dialect = match tokenizer {
            Some(tokenizer) => Dialect::open_flamingo(tokenizer)?,
            None => {
                let eoc = loaded.config.lm.vocab as u32;
                Dialect::of_ids(Style::OpenFlamingo, Some(eoc + 1), Some(eoc))
            }
        };
        Ok(Self::published(loaded, dialect))
    }

    fn published(loaded: Loaded, dialect: Dialect) -> Self {
        let Loaded { model, config, reports } = loaded;
        let network = Network::Flamingo { model: Box::new(model), preprocess: config.preprocess };
        Self { network, dialect, reports }
    }
}

impl From<ModelFolder> for Pretrained {
    fn from(ModelFolder { model, config, tokenizer }: ModelFolder) -> Self {
        Self {
            network: Network::Flamingo { model: Box::new(model), preprocess: config.preprocess },
            dialect: Dialect::paper(tokenizer),
            reports: Vec::new(),
        }
    }
}

impl ModelSource {
    /// With the other two parts of a released OpenFlamingo, where they are not named.
    fn released(self) -> Self {
        let Some(parts) = parts_of(&self.model) else { return self };
        Self {
            model: parts.checkpoint,
            lm: self.lm.or(Some(parts.lm.to_owned())),
            vision: self.vision.or(Some(parts.vision.to_owned())),
        }
    }

    /// An error if parts are named for a model that has all its parts.
    fn is_whole(&self) -> Result<(), FlamingoError> {
        if self.lm.is_none() && self.vision.is_none() {
            return Ok(());
        }
        Err(FlamingoError::Folder {
            path: PathBuf::from(&self.model),
            message: "only an OpenFlamingo checkpoint takes a language model and an encoder beside it, and this is \
                      none"
                .to_owned(),
        })
    }
}
