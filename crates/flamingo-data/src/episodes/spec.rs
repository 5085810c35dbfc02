//! How episodes are composed.

use rand::Rng;
use serde::{Deserialize, Serialize};

use super::Form;
use crate::DataError;

/// Counts, probabilities and weights of training episodes. Ranges are from the least to the most, both included;
/// probabilities lie in `0..=1`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct EpisodeSpec {
    /// Classes of an episode.
    pub ways: (usize, usize),
    /// Pictures of each class that are given with their word; the same number for all classes of an episode.
    pub shots: (usize, usize),
    /// Pictures asked after them, each of a class drawn at random.
    pub queries: (usize, usize),
    /// The most pictures of an episode, queries included. With many ways it leaves few shots.
    pub max_images: usize,
    /// Probability, for each episode, that a class is asked in a drawing style in which it was not shown.
    pub p_other_style: f32,
    /// Probability that every picture's style is drawn at random. In the remaining episodes a class is one and the
    /// same picture throughout.
    pub p_mixed_styles: f32,
    /// Probability that classes have their own names instead of invented words: names that repeat, as in pages.
    pub p_real_names: f32,
    /// Probability that all classes come from one subgroup of the data set, and so are alike.
    pub p_subgroup: f32,
    /// Syllables of an invented word.
    pub syllables: (usize, usize),
    /// How often each wording is used.
    pub forms: FormShares,
    /// Weight in the loss of a word where its class is shown first: nobody can know it.
    pub first_weight: f32,
    /// The same of a real name, which can be known.
    pub first_name_weight: f32,
    /// Weight of fixed wording before a word. What follows a word, up to `<EOC>`, tells where it ends and counts as it.
    pub wording_weight: f32,
}

impl Default for EpisodeSpec {
    fn default() -> Self {
        Self {
            ways: (2, 5),
            shots: (1, 5),
            queries: (1, 3),
            max_images: 12,
            p_other_style: 0.6,
            p_mixed_styles: 0.3,
            p_real_names: 0.15,
            p_subgroup: 0.25,
            syllables: (1, 2),
            forms: FormShares::default(),
            first_weight: 0.1,
            first_name_weight: 1.0,
            wording_weight: 0.0,
        }
    }
}

/// Relative frequencies of the wordings.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FormShares {
    /// Of [`Form::Bare`].
    pub bare: f32,
    /// Of [`Form::Spaced`].
    pub spaced: f32,
    /// Of [`Form::Sentence`].
    pub sentence: f32,
    /// Of [`Form::Question`].
    pub question: f32,
}

impl Default for FormShares {
    /// Mostly short ones: more pictures for a sequence's tokens.
    fn default() -> Self {
        Self { bare: 0.35, spaced: 0.35, sentence: 0.15, question: 0.15 }
    }
}

impl FormShares {
    fn all(&self) -> [f32; 4] {
        [self.bare, self.spaced, self.sentence, self.question]
    }

    pub(super) fn draw(&self, rng: &mut impl Rng) -> Form {
        let shares = self.all();
        let mut place = rng.random::<f32>() * shares.iter().sum::<f32>();
        for (form, share) in Form::ALL.into_iter().zip(shares) {
            place -= share;
            if place < 0.0 {
                return form;
            }
        }
        // Rounding only; a form that is never to be used is not the one.
        let last = Form::ALL.into_iter().zip(shares).rfind(|(_, share)| *share > 0.0);
        last.map_or(Form::Bare, |(form, _)| form)
    }
}

impl EpisodeSpec {
    /// The fewest pictures that an episode can have.
    pub fn fewest_images(&self) -> usize {
        self.ways.0 * self.shots.0 + self.queries.0
    }

    /// Checks that episodes can be made.
    ///
    /// # Errors
    ///
    /// [`DataError::Episodes`], which names the setting.
    pub fn validate(&self) -> Result<(), DataError> {
        let wrong = |what: String| Err(DataError::Episodes { what });
        let ranges = [("ways", self.ways, 2), ("shots", self.shots, 1), ("queries", self.queries, 0)];
        for (name, (fewest, most), least) in ranges.into_iter().chain([("syllables", self.syllables, 1)]) {
            if fewest < least || most < fewest {
                return wrong(format!(
                    "{name} = [{fewest}, {most}] must be the fewest, at least {least}, and the most"
                ));
            }
        }
        let (fewest, most) = (self.fewest_images(), self.max_images);
        if fewest > most {
            return wrong(format!(
                "the smallest episode has {fewest} images, but max_images is {most}; raise it, or ask for fewer"
            ));
        }
        let chances = [
            ("p_other_style", self.p_other_style),
            ("p_mixed_styles", self.p_mixed_styles),
            ("p_real_names", self.p_real_names),
            ("p_subgroup", self.p_subgroup),
            ("p_other_style and p_mixed_styles together", self.p_other_style + self.p_mixed_styles),
        ];
        // One and a little, for sums like 0.7 + 0.3.
        if let Some((name, p)) = chances.into_iter().find(|(_, p)| !(0.0..=1.0 + 1e-6).contains(p)) {
            return wrong(format!("{name} is {p}, but must lie in 0..=1"));
        }
        let shares = self.forms.all();
        let sum: f32 = shares.iter().sum();
        if shares.iter().any(|share| *share < 0.0) || !sum.is_finite() || sum <= 0.0 {
            return wrong(format!(
                "forms are {shares:?}, but none may be negative, and one must be positive"
            ));
        }
        let weights = [self.first_weight, self.first_name_weight, self.wording_weight];
        if let Some(weight) = weights.into_iter().find(|weight| !(weight.is_finite() && *weight >= 0.0)) {
            return wrong(format!("a weight is {weight}, but must be finite and not negative"));
        }
        Ok(())
    }
}
