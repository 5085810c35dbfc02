//! The three training stages, each an objective for [`flamingo_train::Trainer`].
//!
//! 1. [`contrastive`]: images against texts; makes the vision encoder.
//! 2. [`language`]: next tokens of text; makes the language model.
//! 3. [`flamingo`]: both frozen; resampler, gated blocks and the new tokens' rows learn to join them.

pub mod contrastive;
mod diagnosis;
pub mod flamingo;
pub mod language;

use std::fmt;
use std::str::FromStr;

use flamingo_core::nearest;
use flamingo_data::{ConceptSet, Split};

/// A training stage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// Vision encoder against text tower.
    Contrastive,
    /// Language model on text.
    Language,
    /// The parts between the two.
    Flamingo,
}

impl Stage {
    /// In the order in which they build on each other.
    pub const ALL: [Stage; 3] = [Stage::Contrastive, Stage::Language, Stage::Flamingo];

    /// As on the command line, in metrics and in file names.
    pub fn name(self) -> &'static str {
        match self {
            Stage::Contrastive => "contrastive",
            Stage::Language => "language",
            Stage::Flamingo => "flamingo",
        }
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Stage {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        Stage::ALL.into_iter().find(|stage| stage.name() == name).ok_or_else(|| {
            let names = Stage::ALL.map(Stage::name);
            format!("unknown stage {name:?}: there are {}{}", names.join(", "), nearest::hint(name, names))
        })
    }
}

/// The pictures of a split by concept: one list of drawing styles each.
pub(crate) fn pictures_by_concept(set: &ConceptSet, split: Split) -> Vec<Vec<usize>> {
    let of_split = |styles: Vec<usize>| -> Vec<usize> {
        styles.into_iter().filter(|image| set.images()[*image].split == split).collect()
    };
    set.by_concept().into_values().map(of_split).filter(|styles| !styles.is_empty()).collect()
}
