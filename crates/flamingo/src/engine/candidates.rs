//! How likely each of many continuations of one prompt is; the prompt is read once.

use std::sync::Arc;
use std::time::Instant;

use burn::tensor::activation::log_softmax;
use serde::Serialize;

use super::Engine;
use super::eyes::Image;
use super::sight::Sight;
use super::state::State;
use crate::dialect::Encoded;
use crate::error::FlamingoError;
use crate::loss::token_log_probs;
use crate::pretrained::Network;
use crate::prompt::{Part, Prompt};

/// Candidates that are read at once: each has a copy of the prompt's keys and values.
const BATCH: usize = 16;

/// How likely a continuation is.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CandidateScore {
    /// The continuation.
    pub text: String,
    /// Its tokens, from the first one on in which candidates or prompt differ.
    pub tokens: Vec<u32>,
    /// Of each of them, in nats.
    pub logprobs: Vec<f64>,
}

impl CandidateScore {
    /// Of all tokens.
    pub fn sum(&self) -> f64 {
        self.logprobs.iter().sum()
    }

    /// Of a token, on average: for candidates of different lengths.
    pub fn mean(&self) -> f64 {
        self.sum() / self.logprobs.len().max(1) as f64
    }
}

impl Engine {
    /// How likely each of `candidates` is as the continuation of `prompt`.
    ///
    /// A candidate is tokenized together with the prompt's end; where that changes the prompt's last tokens, these
    /// belong to every candidate.
    ///
    /// # Errors
    ///
    /// As [`Engine::read`].
    pub fn candidates(
        &mut self,
        prompt: &Prompt,
        candidates: &[impl AsRef<str>],
    ) -> Result<Vec<CandidateScore>, FlamingoError> {
        self.continuations(prompt, candidates, &[])
    }

    /// [`Engine::candidates`], each with the token that ends a chunk behind it: "man" is then not likelier than "mankind"
    /// for being a part of it.
    ///
    /// # Errors
    ///
    /// As [`Engine::read`], and if the model has no such token.
    pub fn ended_candidates(
        &mut self,
        prompt: &Prompt,
        candidates: &[impl AsRef<str>],
    ) -> Result<Vec<CandidateScore>, FlamingoError> {
        let end = self.pretrained().dialect.eoc().ok_or_else(|| FlamingoError::Prompt {
            what: "this model has no token that ends a chunk".to_owned(),
        })?;
        self.continuations(prompt, candidates, &[end])
    }

    /// Candidates with some tokens more behind each.
    fn continuations(
        &mut self,
        prompt: &Prompt,
        candidates: &[impl AsRef<str>],
        end: &[u32],
    ) -> Result<Vec<CandidateScore>, FlamingoError> {
        let dialect = &self.pretrained().dialect;
        let ended = |tail: &[u32]| [tail, end].concat();
        let Prompt::Parts(parts) = prompt else {
            let tails = candidates.iter().map(|text| Ok(ended(&dialect.continuation(text.as_ref())?)));
            let tails = tails.collect::<Result<Vec<Vec<u32>>, FlamingoError>>()?;
            return self.token_candidates(prompt, &tails);
        };
        let whole = candidates.iter().map(|text| dialect.encode(&continued(parts, text.as_ref())));
        let whole = whole.collect::<Result<Vec<Encoded>, _>>()?;
        let Encoded { ids, media, .. } = dialect.encode(prompt)?;
        let same = |other: &Encoded| ids.iter().zip(&other.ids).take_while(|(a, b)| a == b).count();
        let shared = whole.iter().map(same).min().unwrap_or(ids.len()).max(1);
        let prompt = Prompt::Tokens { ids: ids[..shared].to_vec(), media };
        let tails: Vec<Vec<u32>> = whole.iter().map(|encoded| ended(&encoded.ids[shared..])).collect();
        let mut scores = self.token_candidates(&prompt, &tails)?;
        for (score, text) in scores.iter_mut().zip(candidates) {
            score.text = text.as_ref().to_owned();
        }
        Ok(scores)
    }

    /// [`Engine::candidates`] that are tokens already.
    ///
    /// # Errors
    ///
    /// As [`Engine::read`].
    pub fn token_candidates(
        &mut self,
        prompt: &Prompt,
        candidates: &[impl AsRef<[u32]>],
    ) -> Result<Vec<CandidateScore>, FlamingoError> {
        self.start();
        let tails: Vec<&[u32]> = candidates.iter().map(AsRef::as_ref).collect();
        let state = self.read(prompt)?;
        for tail in &tails {
            self.network().check_ids(tail)?;
            self.check_len(state.len() + tail.len())?;
        }
        let start = Instant::now();
        let log_probs = log_probs(self.network(), &state, &tails);
        self.decoded(start.elapsed());
        let score = |(tokens, logprobs): (&&[u32], Vec<f64>)| -> Result<CandidateScore, FlamingoError> {
            let text = self.pretrained().dialect.decode(tokens)?;
            Ok(CandidateScore { text, tokens: tokens.to_vec(), logprobs })
        };
        tails.iter().zip(log_probs).map(score).collect()
    }
}

/// A prompt with more text at its end.
fn continued(parts: &[Part], text: &str) -> Prompt {
    let mut parts = parts.to_vec();
    match parts.last_mut() {
        Some(Part::Text(last)) => last.push_str(text),
        _ => parts.push(Part::Text(text.to_owned())),
    }
    Prompt::Parts(parts)
}

/// Log-probability of each token of each continuation of `state`.
fn log_probs(network: &Network, state: &State, tails: &[&[u32]]) -> Vec<Vec<f64>> {
    let first: Vec<f64> =
        log_softmax(network.lm().logits(state.hidden()), 2).into_data().iter::<f64>().collect();
    let mut all: Vec<Vec<f64>> =
        tails.iter().map(|tail| tail.first().map(|id| first[*id as usize]).into_iter().collect()).collect();
    let longer: Vec<usize> = (0..tails.len()).filter(|index| tails[*index].len() > 1).collect();
    for batch in longer.chunks(BATCH) {
        let batch_tails: Vec<&[u32]> = batch.iter().map(|index| tails[*index]).collect();
        for (index, rest) in batch.iter().zip(behind_the_first(network, state, &batch_tails)) {
            all[*index].extend(rest);
        }
    }
    all
}

/// Log-probability of each token but the first; shorter rows are filled up behind, where nothing of theirs looks.
fn behind_the_first(network: &Network, state: &State, tails: &[&[u32]]) -> Vec<Vec<f64>> {
    let len = tails.iter().map(|tail| tail.len()).max().unwrap_or(0);
    let padded = tails.iter().flat_map(|tail| tail.iter().copied().chain(std::iter::repeat(0)).take(len));
    let ids = network.tokens(padded, [tails.len(), len]);
    let mut cache = state.cache().select(&vec![0; tails.len()]);
    let images: &[Arc<Image>] = state.images();
    let sight = Sight::of_rows(network, &vec![images; tails.len()], len);
    let hidden = network.lm().extend(ids.clone(), &mut cache, &sight);
    let log_probs: Vec<f64> = token_log_probs(network.lm(), hidden, ids).into_data().iter::<f64>().collect();
    log_probs.chunks(len - 1).zip(tails).map(|(row, tail)| row[..tail.len() - 1].to_vec()).collect()
}
