//! Trials: is a word that was bound to pictures of the prompt found again?
//!
//! A trial has N ways, K shots of each, and one query. A model is right if it finds the word of the query's class the
//! likeliest of the N (chance: 1 in N). All pictures are of one split, usually the held-out concepts; the words are kept
//! for evaluation, and have the same number of syllables, one or two.
//!
//! **Styles.** A class is shown in some of its styles and asked in one in which it was not shown. There is one picture for
//! each style, so S styles give S - 1 different examples. With more shots the examples go round in a circle, each as often
//! as the others, give or take one: with the three styles of the bundled sets every shot from the third on repeats a
//! drawing. With `emoji-more` beside them there are six styles, though few concepts are drawn in all: 57 of those held out in
//! six, 72 in five, 56 in three. Stamps and clip art have one picture for most names, too few to show and to ask.
//!
//! **How many.** With the bundled sets 200 concepts are held out, drawn 600 times (930 with `emoji-more`): so many different queries. Trial t asks
//! for concept t mod 200 of a shuffled list, so that 500 trials ask for each two or three times; the other classes, the
//! styles, the order and the words are drawn anew for each (200 choose 5 is 2.5e9).
//!
//! **Controls.** [`EpisodeTrial::shuffled`] and [`EpisodeTrial::without_images`].

use flamingo_core::seed::{derive, word};
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::classes::{Class, Classes};
use super::{InventedWords, Purpose};
use crate::DataError;
use crate::concepts::{ConceptSet, Split};
use crate::encoder::TokenCount;

/// What trials are asked for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TrialSpec {
    /// Classes (N).
    pub ways: usize,
    /// Pictures of each class that are given with their word (K); 0 for words that are bound to nothing.
    pub shots: usize,
    /// Number of trials.
    pub trials: usize,
    /// Decides everything.
    pub seed: u64,
    /// In which styles classes are shown.
    pub styles: TrialStyles,
    /// Whether all classes are of one subgroup, and so alike, as far as it has enough.
    pub alike: bool,
}

impl Default for TrialSpec {
    /// 500 trials, 5-way, 1-shot.
    fn default() -> Self {
        Self { ways: 5, shots: 1, trials: 500, seed: 1, styles: TrialStyles::Shared, alike: false }
    }
}

/// In which styles the classes of a trial are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TrialStyles {
    /// All in the same, and the query in another: style tells nothing.
    Shared,
    /// Each in its own: another class may have been shown in the query's style, which misleads.
    Own,
}

/// One prompt and its question.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EpisodeTrial {
    /// The candidates, one for each class.
    pub words: Vec<String>,
    /// The examples in their order.
    pub shots: Vec<TrialShot>,
    /// The picture that is asked for, an index into the data set; none without images.
    pub query: Option<usize>,
    /// The right one of `words`.
    pub answer: usize,
}

/// An example.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrialShot {
    /// The picture, an index into the data set; none without images.
    pub image: Option<usize>,
    /// The class whose word stands beside it.
    pub class: usize,
}

/// Makes trials of the pictures of one split.
#[derive(Debug, Clone)]
pub struct TrialComposer {
    classes: Classes,
    words: InventedWords,
}

impl TrialComposer {
    /// Gathers the split's concepts with pictures in two styles or more; the set itself is not kept.
    ///
    /// # Errors
    ///
    /// [`DataError::Episodes`] if there are fewer than two.
    pub fn new(set: &ConceptSet, split: Split) -> Result<Self, DataError> {
        Ok(Self { classes: Classes::gather(set, split, 2)?, words: InventedWords::new(set) })
    }

    /// How many concepts trials can be about.
    pub fn concepts(&self) -> usize {
        self.classes.all.len()
    }

    /// The trials of `spec`: a function of it, of the data set and, for the words, of the tokenizer.
    ///
    /// # Errors
    ///
    /// [`DataError::Episodes`] if there are fewer than two ways, or more than concepts.
    pub fn trials(
        &self,
        spec: &TrialSpec,
        tokenizer: &(impl TokenCount + ?Sized),
    ) -> Result<Vec<EpisodeTrial>, DataError> {
        let concepts = self.concepts();
        if spec.ways < 2 || spec.ways > concepts {
            let what = format!("there can be 2 to {concepts} ways, but {} were asked for", spec.ways);
            return Err(DataError::Episodes { what });
        }
        let rng = |what: &str, trial: usize| {
            ChaCha8Rng::seed_from_u64(derive(spec.seed, [word(what), trial as u64]))
        };
        let mut order: Vec<usize> = (0..concepts).collect();
        order.shuffle(&mut rng("trials", 0));
        let trial = |index: usize| {
            // Words draw from a generator of their own: models with other tokenizers are asked the same pictures.
            let words = self.draw_words(spec.ways, tokenizer, &mut rng("words", index));
            self.trial(spec, order[index % concepts], words, &mut rng("trial", index))
        };
        Ok((0..spec.trials).map(trial).collect())
    }

    fn draw_words(
        &self,
        ways: usize,
        tokenizer: &(impl TokenCount + ?Sized),
        rng: &mut impl Rng,
    ) -> Vec<String> {
        let syllables = rng.random_range(1..=2);
        self.words.draw(ways, syllables, Purpose::Evaluation, tokenizer, rng)
    }

    fn trial(&self, spec: &TrialSpec, asked: usize, words: Vec<String>, rng: &mut impl Rng) -> EpisodeTrial {
        let chosen = self.classes.choose(asked, spec.ways, spec.alike, rng);
        let answer = chosen.iter().position(|class| *class == asked).expect("it is one of them");
        let mut styles: Vec<usize> = (0..self.classes.styles).collect();
        styles.shuffle(rng);
        let mut query = None;
        let mut shots = Vec::with_capacity(spec.ways * spec.shots);
        for (class, concept) in chosen.into_iter().enumerate() {
            if spec.styles == TrialStyles::Own {
                styles.shuffle(rng);
            }
            // Every class is shown as if it were to be asked, so that the examples do not tell which will be.
            let pictures = in_order(&self.classes.all[concept], &styles);
            let (asked, given) = pictures.split_first().expect("a class has two pictures");
            if class == answer {
                query = Some(*asked);
            }
            let shot = |shot: usize| TrialShot { image: Some(given[shot % given.len()]), class };
            shots.extend((0..spec.shots).map(shot));
        }
        shots.shuffle(rng);
        EpisodeTrial { words, shots, query, answer }
    }
}

/// A class's pictures by a list of all styles.
fn in_order(class: &Class, styles: &[usize]) -> Vec<usize> {
    let picture = |style: &usize| class.pictures.iter().find(|(own, _)| own == style);
    styles.iter().filter_map(picture).map(|(_, image)| *image).collect()
}

impl EpisodeTrial {
    /// The same with the examples' pictures in random order, the words where they were.
    ///
    /// All orders are equally likely, the old one among them, so a model that reads pictures is right in one of N, as one
    /// that guesses.
    pub fn shuffled(&self, rng: &mut impl Rng) -> Self {
        let mut images: Vec<Option<usize>> = self.shots.iter().map(|shot| shot.image).collect();
        images.shuffle(rng);
        let mut trial = self.clone();
        for (shot, image) in trial.shots.iter_mut().zip(images) {
            shot.image = image;
        }
        trial
    }

    /// The same words without any picture.
    pub fn without_images(&self) -> Self {
        let mut trial = Self { query: None, ..self.clone() };
        for shot in &mut trial.shots {
            shot.image = None;
        }
        trial
    }
}
