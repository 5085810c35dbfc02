//! Beam search: several texts side by side, of which the best finished ones are kept.
//!
//! The meaning is that of transformers, of two of its versions ([`BeamRules`]): a score is a log-probability divided by
//! a power of the length; each step looks at twice as many candidates as there are beams, so that enough go on if some
//! end; an end counts only among the best candidates, as many as there are beams. Unlike there, a search begins with
//! one row instead of equal ones, and goes on with fewer beams where fewer tokens are possible.

use super::draft::{Draft, Ending, Generated, Rules};
use super::options::{BeamRules, EarlyStopping};
use super::processors::process;
use super::scores::log_normaliser;
use crate::error::FlamingoError;

/// The search behind one prompt.
pub(super) struct BeamSearch<'a> {
    rules: Rules<'a>,
    /// Unfinished texts, the best first.
    running: Vec<Beam>,
    /// Scores and finished texts, as many as there are beams at most.
    finished: Vec<(f64, Draft)>,
}

#[derive(Clone)]
struct Beam {
    draft: Draft,
    /// Its log-probability, with penalties and bans, in nats.
    logprob: f64,
}

/// A token that a running text goes on with.
pub(super) struct Step {
    /// Which of the texts that were running before.
    pub parent: usize,
    pub token: u32,
}

/// A token that a running text could go on with.
struct Candidate {
    step: Step,
    /// The text's log-probability with it.
    total: f64,
    /// The token's own log-probability, as the model gives it.
    logprob: f32,
}

impl<'a> BeamSearch<'a> {
    pub fn new(prompt: &[u32], rules: Rules<'a>) -> Self {
        let beam = Beam { draft: Draft::new(prompt, rules.options), logprob: 0.0 };
        Self { rules, running: vec![beam], finished: Vec::new() }
    }

    /// Number of texts that are running: so many rows of scores the next step needs. None at the end.
    pub fn width(&self) -> usize {
        self.running.len()
    }

    /// Takes the scores `[V]` of the token behind every running text, and returns what runs on, and with what.
    pub fn advance<'s>(
        &mut self,
        scores: impl Iterator<Item = &'s [f32]>,
    ) -> Result<Vec<Step>, FlamingoError> {
        let beams = self.rules.options.beams;
        let candidates = self.candidates(scores)?;
        let best = candidates.first().map_or(f64::NEG_INFINITY, |candidate| candidate.total);
        let (mut going, mut steps) = (Vec::new(), Vec::new());
        for (rank, candidate) in candidates.into_iter().enumerate() {
            if going.len() == beams {
                break;
            }
            let beam = self.running[candidate.step.parent].with(&candidate, self.rules)?;
            if !self.is_finished(&beam.draft) {
                going.push(beam);
                steps.push(candidate.step);
            } else if rank < beams {
                self.keep(beam);
            }
        }
        if going.first().is_some_and(|first| self.is_decided(best, first)) {
            going.clear();
        }
        if going.first().is_some_and(|first| first.draft.ending.is_some()) {
            // The older rules: what is unfinished at the greatest length competes too.
            going.drain(..).for_each(|beam| self.keep(beam));
        }
        steps.truncate(going.len());
        self.running = going;
        Ok(steps)
    }

    /// What was found, the best first.
    pub fn into_texts(mut self) -> Vec<Generated> {
        self.finished.sort_by(|(a, _), (b, _)| b.total_cmp(a));
        self.finished.into_iter().map(|(score, draft)| draft.into_generated(Some(score))).collect()
    }

    /// The best continuations by one token of all running texts, the best first; of equal ones, that of the better text
    /// and of the lower id.
    fn candidates<'s>(
        &self,
        scores: impl Iterator<Item = &'s [f32]>,
    ) -> Result<Vec<Candidate>, FlamingoError> {
        let options = self.rules.options;
        let width = options.beams * (options.stop_ids.len() + 1).max(2);
        let mut best: Vec<Candidate> = Vec::with_capacity(width + 1);
        let mut vocab = 0;
        for (parent, (beam, scores)) in self.running.iter().zip(scores).enumerate() {
            vocab = scores.len();
            let normaliser = log_normaliser(scores)?;
            let own = |score: &f32| (f64::from(*score) - normaliser) as f32;
            let mut changed: Vec<f32> = scores.iter().map(own).collect();
            process(&mut changed, &beam.draft.history, beam.draft.generated(), options);
            for (token, (changed, score)) in (0..).zip(changed.into_iter().zip(scores)) {
                let total = beam.logprob + f64::from(changed);
                let least = if best.len() < width { f64::NEG_INFINITY } else { best[width - 1].total };
                if total > least {
                    let place = best.partition_point(|candidate| candidate.total >= total);
                    best.insert(
                        place,
                        Candidate { step: Step { parent, token }, total, logprob: own(score) },
                    );
                    best.truncate(width);
                }
            }
        }
        if best.is_empty() && self.finished.is_empty() {
            return Err(FlamingoError::NoToken { vocab });
        }
        Ok(best)
    }

    fn is_finished(&self, draft: &Draft) -> bool {
        match draft.ending {
            None => false,
            Some(Ending::Length) => self.rules.options.beam_rules == BeamRules::Transformers457,
            Some(_) => true,
        }
    }

    /// Adds a finished text, if it is among the best so far.
    fn keep(&mut self, beam: Beam) {
        let score = self.score(beam.logprob, self.length(&beam.draft));
        let worst = self.worst();
        if self.finished.len() < self.rules.options.beams {
            self.finished.push((score, beam.draft));
        } else if let Some(worst) = worst.filter(|worst| score > self.finished[*worst].0) {
            self.finished.remove(worst);
            self.finished.push((score, beam.draft));
        }
    }

    /// Whether the search is over; `best` is the log-probability of the step's best candidate, `first` the best text
    /// that could go on.
    fn is_decided(&self, best: f64, first: &Beam) -> bool {
        let options = self.rules.options;
        let Some(worst) = self.worst().filter(|_| self.finished.len() == options.beams) else {
            return false;
        };
        let now = self.length(&first.draft);
        let longest = now + options.max_new_tokens - first.draft.generated();
        let reach = match options.early_stopping {
            EarlyStopping::Full => return true,
            EarlyStopping::Impossible if options.length_penalty > 0.0 => longest,
            EarlyStopping::Impossible | EarlyStopping::Unlikely => now,
        };
        let hope = match options.beam_rules {
            BeamRules::Transformers435 => best,
            BeamRules::Transformers457 => first.logprob,
        };
        self.finished[worst].0 >= self.score(hope, reach)
    }

    /// Place of the finished text that scores least.
    fn worst(&self) -> Option<usize> {
        let scores = self.finished.iter().map(|(score, _)| score).enumerate();
        scores.min_by(|(_, a), (_, b)| a.total_cmp(b)).map(|(place, _)| place)
    }

    fn score(&self, logprob: f64, length: usize) -> f64 {
        logprob / (length as f64).powf(self.rules.options.length_penalty)
    }

    /// What counts as a text's length, at least 1.
    fn length(&self, draft: &Draft) -> usize {
        let length = match self.rules.options.beam_rules {
            BeamRules::Transformers435 => {
                draft.history.len() - usize::from(draft.ending == Some(Ending::StopId))
            }
            BeamRules::Transformers457 => draft.generated(),
        };
        length.max(1)
    }
}

impl Beam {
    fn with(&self, candidate: &Candidate, rules: Rules<'_>) -> Result<Self, FlamingoError> {
        let mut beam = Self { draft: self.draft.clone(), logprob: candidate.total };
        beam.draft.push(candidate.step.token, candidate.logprob, rules)?;
        Ok(beam)
    }
}
