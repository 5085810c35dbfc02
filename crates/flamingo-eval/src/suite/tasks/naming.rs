//! Naming emoji: which of twenty names suits a picture. Names and pictures of held-out concepts are in no training text; a
//! held-out drawing is of a concept that was trained on in other styles.

use flamingo::data::Split;
use flamingo::dialect::Style;
use flamingo::prompt::{self, Template};
use rand_chacha::ChaCha8Rng;

use super::ShownTask;
use super::shown::{Asked, among, distinct};
use crate::EvalError;
use crate::suite::Sets;
use crate::suite::pools::{self, Pool, Shown};
use crate::suite::probe::Kind;

/// Names among which to choose.
pub const CHOICES: usize = 20;

pub struct Naming {
    name: &'static str,
    split: Split,
}

impl Naming {
    pub const CONCEPTS: Self = Self { name: "naming-concepts", split: Split::HeldoutConcepts };
    pub const DRAWINGS: Self = Self { name: "naming-drawings", split: Split::HeldoutImages };
}

impl ShownTask for Naming {
    fn name(&self) -> &'static str {
        self.name
    }

    fn pool(&self, sets: &Sets) -> Result<Pool, EvalError> {
        let set = sets.concepts()?;
        let (queries, support) = (pools::named(&set, self.split), pools::named(&set, Split::Train));
        Ok(Pool { queries, support })
    }

    fn asked(&self, pool: &Pool) -> Result<Asked<'static>, EvalError> {
        Ok(by_name(self.name, pool))
    }

    fn choices(&self, query: &Shown, answers: &[String], rng: &mut ChaCha8Rng) -> Vec<String> {
        among(&query.answer, answers, CHOICES, rng)
    }
}

/// One of twenty names, or of all if they are fewer.
pub fn by_name(task: &'static str, pool: &Pool) -> Asked<'static> {
    Asked {
        task,
        kind: Kind::Name,
        template: Template::of(Style::Paper, prompt::Task::Caption),
        shots: &[0, 4, 8],
        chance: 1.0 / CHOICES.min(distinct(pool).len()) as f64,
        zero_shot: 0,
    }
}
