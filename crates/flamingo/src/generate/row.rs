//! One text without beams: token by token, the best or a drawn one.

use super::draft::{Draft, Rules};
use super::processors::process;
use super::sampling::{Dice, best, candidates};
use super::scores::log_normaliser;
use crate::error::FlamingoError;

/// A token that has been decided, and the text that it makes certain.
#[derive(Debug, Clone, PartialEq)]
pub struct Token {
    /// The token.
    pub id: u32,
    /// Its log-probability in nats: what the model gives it, before temperature, penalties and bans.
    pub logprob: f32,
    /// The next piece of the text. Often empty: characters and stop strings may take several tokens.
    pub text: String,
}

pub(super) struct Row<'a> {
    pub draft: Draft,
    dice: Dice,
    rules: Rules<'a>,
}

impl<'a> Row<'a> {
    /// The `place`-th row of a call.
    pub fn new(prompt: &[u32], place: usize, rules: Rules<'a>) -> Self {
        let options = rules.options;
        Self { draft: Draft::new(prompt, options), dice: Dice::new(options.seed, place), rules }
    }

    /// Decides the next token from its `scores` `[V]`.
    pub fn choose(&mut self, scores: &[f32]) -> Result<Token, FlamingoError> {
        let options = self.rules.options;
        let normaliser = log_normaliser(scores)?;
        let mut changed = scores.to_vec();
        process(&mut changed, &self.draft.history, self.draft.generated(), options);
        let chosen = if options.temperature == 0.0 {
            best(&changed)
        } else {
            self.dice.draw(&candidates(&changed, options))
        };
        let id = chosen.ok_or(FlamingoError::NoToken { vocab: scores.len() })?;
        let logprob = (f64::from(scores[id as usize]) - normaliser) as f32;
        let text = self.draft.push(id, logprob, self.rules)?;
        Ok(Token { id, logprob, text })
    }

    pub fn is_done(&self) -> bool {
        self.draft.ending.is_some()
    }
}
