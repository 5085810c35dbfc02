//! How likely a model finds a prompt, token by token.

use burn::tensor::{Tensor, TensorData};
use flamingo_core::MediaLayout;
use flamingo_lm::NoHook;
use serde::Serialize;

use crate::dialect::Encoded;
use crate::error::FlamingoError;
use crate::loss::token_log_probs;
use crate::model::Flamingo;
use crate::pretrained::{Network, Pretrained};
use crate::prompt::{Medium, Prompt};

/// Positions whose scores over the whole vocabulary are held at once.
const BLOCK: usize = 256;

/// The log-probability of every token of a prompt.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Score {
    /// Token ids, as the model read them.
    pub tokens: Vec<u32>,
    /// The tokens as the vocabulary has them.
    pub pieces: Vec<String>,
    /// In nats, given all tokens before; none for the first.
    pub logprobs: Vec<Option<f64>>,
    /// Of all of `logprobs`.
    pub sum: f64,
}

impl Pretrained {
    /// The log-probability of every token of `prompt`.
    ///
    /// # Errors
    ///
    /// If the prompt does not suit the model, is longer than its context, or a picture cannot be read.
    pub fn score(&self, prompt: &Prompt) -> Result<Score, FlamingoError> {
        let encoded = self.dialect.encode(prompt)?;
        self.network.check_ids(&encoded.ids)?;
        let (tokens, context) = (encoded.ids.len(), self.network.lm().config().max_len);
        if tokens > context {
            return Err(FlamingoError::TooLong { tokens, context });
        }
        let log_probs = self.network.log_probs(&encoded)?;
        Ok(Score {
            pieces: encoded.ids.iter().map(|id| self.dialect.piece(*id)).collect(),
            sum: log_probs.iter().sum(),
            logprobs: [None].into_iter().chain(log_probs.into_iter().map(Some)).collect(),
            tokens: encoded.ids,
        })
    }
}

impl Network {
    /// Of each token but the first.
    fn log_probs(&self, encoded: &Encoded) -> Result<Vec<f64>, FlamingoError> {
        let device = self.device();
        let len = encoded.ids.len();
        let ids = self.tokens(encoded.ids.iter().copied(), [1, len]);
        let hidden = match self {
            Self::Language(lm) => lm.hidden(ids.clone(), &NoHook),
            Self::Flamingo { model, .. } if encoded.media.is_empty() => {
                model.hidden_with(ids.clone(), &model.see_nothing())
            }
            Self::Flamingo { model, preprocess } => {
                let visual: Vec<Tensor<4>> = encoded
                    .media
                    .iter()
                    .map(|medium| visual_tokens(model, medium, preprocess))
                    .collect::<Result<_, _>>()?;
                let media = model.media(Tensor::cat(visual, 1));
                let layout = MediaLayout::new(&encoded.media_index, 1, len, &device);
                model.hidden_with(ids.clone(), &model.see(&media, &layout))
            }
        };
        let mut log_probs = Vec::with_capacity(len);
        // Each block's last token is the next one's first, whose own probability is not asked for again.
        for start in (0..len.saturating_sub(1)).step_by(BLOCK) {
            let range = start..(start + BLOCK + 1).min(len);
            let block = hidden.clone().slice([0..1, range.clone()]);
            let of_block = token_log_probs(self.lm(), block, ids.clone().slice([0..1, range]));
            log_probs.extend(of_block.into_data().iter::<f64>());
        }
        Ok(log_probs)
    }
}

/// `[1, 1, R, E]` of a picture or clip.
fn visual_tokens(
    model: &Flamingo,
    medium: &Medium,
    preprocess: &flamingo_core::PreprocessSpec,
) -> Result<Tensor<4>, FlamingoError> {
    let frames = medium.frames(preprocess)?;
    let shape = [1, 1, frames.count, 3, preprocess.size, preprocess.size];
    let device = model.lm.embedding.device();
    Ok(model.visual_tokens(Tensor::from_data(TensorData::new(frames.pixels, shape), &device)))
}
