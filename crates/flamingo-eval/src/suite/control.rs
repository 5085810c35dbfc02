//! What is taken away, to see whether it mattered.

use rand::Rng;
use rand::seq::SliceRandom;
use serde::{Deserialize, Serialize};

use super::Question;
use super::probe::Kind;

/// How questions are asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Control {
    /// As they are.
    Images,
    /// With every image where another belongs: those of the examples in random order, and, where the query's own image is
    /// what tells the answer, that of another query.
    Shuffled,
    /// The same texts without any image.
    NoImages,
    /// The same texts, read by the language model alone, without resampler and gated blocks.
    TextOnly,
}

impl Control {
    /// All, the questions as they are first.
    pub const ALL: [Self; 4] = [Self::Images, Self::Shuffled, Self::NoImages, Self::TextOnly];

    /// The name in tables and in `eval.json`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Images => "images",
            Self::Shuffled => "shuffled",
            Self::NoImages => "no-images",
            Self::TextOnly => "text-only",
        }
    }

    /// The question under this control; `other` is one whose query has another answer.
    pub(super) fn apply(
        self,
        question: &Question,
        kind: Kind,
        other: &Question,
        rng: &mut impl Rng,
    ) -> Question {
        let mut question = question.clone();
        match self {
            Self::Images => {}
            Self::Shuffled => {
                let mut media: Vec<_> = question.shots.iter().map(|shot| shot.media.clone()).collect();
                media.shuffle(rng);
                for (shot, media) in question.shots.iter_mut().zip(media) {
                    shot.media = media;
                }
                if kind != Kind::Binding {
                    question.query.media.clone_from(&other.query.media);
                }
            }
            Self::NoImages | Self::TextOnly => {
                for example in question.shots.iter_mut().chain([&mut question.query]) {
                    example.media.clear();
                }
            }
        }
        question
    }
}
