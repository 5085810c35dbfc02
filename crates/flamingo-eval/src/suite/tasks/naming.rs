//! Naming emoji: which of twenty names suits a picture. Names and pictures of held-out concepts are in no training text; a
//! held-out drawing is of a concept that was trained on in other styles.

use flamingo::Dialect;
use flamingo::data::Split;
use flamingo::dialect::Style;
use flamingo::prompt::{self, Template};

use super::shown::{Asked, among, distinct};
use super::{Pools, SuiteTask};
use crate::EvalError;
use crate::suite::pools::{self, Pool};
use crate::suite::probe::{Kind, Probe};
use crate::suite::{Sets, SuiteSpec};

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

impl SuiteTask for Naming {
    fn name(&self) -> &'static str {
        self.name
    }

    fn pool(&self, sets: &Sets) -> Result<Pools, EvalError> {
        let set = sets.concepts()?;
        let (queries, support) = (pools::named(&set, self.split), pools::named(&set, Split::Train));
        Ok(Pools::Shown(Pool { queries, support }))
    }

    fn probes(
        &self,
        pool: &Pools,
        spec: &SuiteSpec,
        seed: u64,
        _: &Dialect,
    ) -> Result<Vec<Probe>, EvalError> {
        let Pools::Shown(shown) = pool else { return Ok(Vec::new()) };
        Ok(by_name(self.name, &[0, 4, 8]).probes(pool, spec, seed, {
            let names = distinct(shown);
            move |query, rng| among(&query.answer, &names, CHOICES, rng)
        }))
    }
}

/// One of twenty names.
pub fn by_name<'a>(task: &'a str, shots: &'a [usize]) -> Asked<'a> {
    Asked {
        task,
        kind: Kind::Name,
        template: Template::of(Style::Paper, prompt::Task::Caption),
        shots,
        chance: 1.0 / CHOICES as f64,
        zero_shot: 0,
    }
}
