//! Does the model learn from its prompt? Invented words bound to pictures of held-out concepts, and asked for again.

use std::collections::HashMap;
use std::sync::Arc;

use flamingo_core::seed::{derive, word};
use flamingo_data::{ConceptSet, EpisodeTrial, Split, TextEncoder, TrialComposer, TrialSpec};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use crate::engine::Engine;
use crate::error::FlamingoError;
use crate::prompt::{Medium, Part, Prompt, Source};

/// One kind of trial.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BindingSpec {
    /// Classes.
    pub ways: usize,
    /// Pictures of each class that are given with their word.
    pub shots: usize,
    /// Trials with the right images.
    pub trials: usize,
    /// How many of them are repeated as controls: with the examples' images shuffled, and without images.
    pub controls: usize,
}

/// How often the right word was the likeliest.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BindingScores {
    /// Classes; a guess is right once in so many.
    pub ways: usize,
    /// Pictures of each class.
    pub shots: usize,
    /// Trials, and controls of each kind.
    pub trials: [usize; 2],
    /// Share of right answers with the images as they belong.
    pub right: f64,
    /// With the images of the examples shuffled.
    pub shuffled: f64,
    /// Without images.
    pub no_image: f64,
}

impl BindingScores {
    /// Asks `engine` the trials of `spec` about the held-out concepts of `set`.
    ///
    /// A word's score is its log-likelihood and that of the `<EOC>` behind it, in the wording of captions.
    ///
    /// # Errors
    ///
    /// If there are fewer held-out concepts than ways, or the engine fails.
    pub fn measure(
        engine: &mut Engine,
        set: &Arc<ConceptSet>,
        tokenizer: &(impl TextEncoder + ?Sized),
        spec: &BindingSpec,
        seed: u64,
    ) -> Result<Self, FlamingoError> {
        let BindingSpec { ways, shots, trials, controls } = *spec;
        let wanted = TrialSpec { ways, shots, trials, seed, ..TrialSpec::default() };
        let trials = TrialComposer::new(set, Split::HeldoutConcepts)?.trials(&wanted, tokenizer)?;
        let mut asker = Asker { engine, set, pictures: HashMap::new() };
        let mut rng = ChaCha8Rng::seed_from_u64(derive(seed, [word("shuffled")]));
        let controls = controls.min(trials.len());
        let right = asker.share(trials.iter().cloned())?;
        let shuffled: Vec<_> = trials[..controls].iter().map(|trial| trial.shuffled(&mut rng)).collect();
        let shuffled = asker.share(shuffled.into_iter())?;
        let no_image = asker.share(trials[..controls].iter().map(EpisodeTrial::without_images))?;
        Ok(Self { ways, shots, trials: [trials.len(), controls], right, shuffled, no_image })
    }
}

struct Asker<'a> {
    engine: &'a mut Engine,
    set: &'a ConceptSet,
    /// Each picture once, so that the engine knows it again.
    pictures: HashMap<usize, Medium>,
}

impl Asker<'_> {
    /// The share of trials whose answer is the likeliest; 0 of none.
    fn share(&mut self, trials: impl ExactSizeIterator<Item = EpisodeTrial>) -> Result<f64, FlamingoError> {
        let count = trials.len().max(1);
        let mut right = 0;
        for trial in trials {
            right += usize::from(self.answer(&trial)? == trial.answer);
        }
        Ok(right as f64 / count as f64)
    }

    fn answer(&mut self, trial: &EpisodeTrial) -> Result<usize, FlamingoError> {
        let mut parts = Vec::new();
        for shot in &trial.shots {
            parts.extend(shot.image.map(|image| self.medium(image)));
            parts.extend([Part::Text(trial.words[shot.class].clone()), Part::EndOfChunk]);
        }
        parts.extend(trial.query.map(|image| self.medium(image)));
        let scores = self.engine.ended_candidates(&Prompt::Parts(parts), &trial.words)?;
        let best = scores.iter().enumerate().max_by(|(_, a), (_, b)| a.sum().total_cmp(&b.sum()));
        Ok(best.map_or(0, |(index, _)| index))
    }

    fn medium(&mut self, image: usize) -> Part {
        let set = self.set;
        let medium = self
            .pictures
            .entry(image)
            .or_insert_with(|| Medium::Image(Source::Picture(Arc::new(set.images()[image].image.clone()))));
        Part::Medium(medium.clone())
    }
}
