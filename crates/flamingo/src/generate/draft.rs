//! A text in the making: its tokens, their log-probabilities, its end.

use serde::Serialize;

use super::options::GenerateOptions;
use super::text::{Decode, TextStream};
use crate::error::FlamingoError;

/// A finished text.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Generated {
    /// The text, cut before the stop string; without the stop id.
    pub text: String,
    /// All tokens, also those that belong to a stop string or are a stop id.
    pub tokens: Vec<u32>,
    /// Log-probability of each of `tokens`, in nats: what the model gives it, before temperature, penalties and bans.
    pub logprobs: Vec<f32>,
    /// What beams are ranked by, higher is better: with beams, the log-probability with penalties and bans, divided by
    /// the length as [`GenerateOptions::length_penalty`] says; else the sum of `logprobs`.
    pub score: f64,
    /// Why it ends.
    pub ending: Ending,
}

impl Generated {
    /// Log-probability of all tokens together, in nats.
    pub fn logprob(&self) -> f64 {
        self.logprobs.iter().copied().map(f64::from).sum()
    }
}

/// Why a text ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Ending {
    /// One of [`GenerateOptions::stop_ids`] came; it is the last of the tokens.
    StopId,
    /// One of [`GenerateOptions::stop_strings`] came.
    StopString,
    /// There are [`GenerateOptions::max_new_tokens`] tokens.
    Length,
    /// Whoever read it stopped before its end.
    Dropped,
}

/// What holds for every text of a call.
#[derive(Clone, Copy)]
pub(super) struct Rules<'a> {
    pub options: &'a GenerateOptions,
    pub decode: &'a dyn Decode,
}

#[derive(Debug, Clone)]
pub(super) struct Draft {
    /// Prompt and text.
    pub history: Vec<u32>,
    prompt: usize,
    logprobs: Vec<f32>,
    text: TextStream,
    pub ending: Option<Ending>,
}

impl Draft {
    pub fn new(prompt: &[u32], options: &GenerateOptions) -> Self {
        Self {
            history: prompt.to_vec(),
            prompt: prompt.len(),
            logprobs: Vec::new(),
            text: TextStream::new(&options.stop_strings),
            ending: None,
        }
    }

    /// Number of tokens behind the prompt.
    pub fn generated(&self) -> usize {
        self.history.len() - self.prompt
    }

    /// Adds a token, sees whether it is the last, and returns the piece of text that is certain now.
    pub fn push(&mut self, id: u32, logprob: f32, rules: Rules<'_>) -> Result<String, FlamingoError> {
        let Rules { options, decode } = rules;
        self.history.push(id);
        self.logprobs.push(logprob);
        if options.stop_ids.contains(&id) {
            self.ending = Some(Ending::StopId);
            return self.text.finish(decode);
        }
        let mut piece = self.text.push(id, decode)?;
        let is_last = self.generated() >= options.max_new_tokens;
        if is_last {
            piece += &self.text.finish(decode)?;
        }
        if self.text.stopped() {
            self.ending = Some(Ending::StopString);
        } else if is_last {
            self.ending = Some(Ending::Length);
        }
        Ok(piece)
    }

    /// The text as far as it goes; without a `score` of its own, its log-probability is the score.
    pub fn into_generated(mut self, score: Option<f64>) -> Generated {
        let mut generated = Generated {
            text: self.text.text().to_owned(),
            tokens: self.history.split_off(self.prompt),
            logprobs: self.logprobs,
            score: 0.0,
            ending: self.ending.unwrap_or(Ending::Dropped),
        };
        generated.score = score.unwrap_or_else(|| generated.logprob());
        generated
    }
}
