//! Captions of photographs that were never trained on, scored by CIDEr-D against their titles.

use flamingo::dialect::Style;
use flamingo::prompt::{self, Template};
use flamingo::{Dialect, Medium};
use serde::Deserialize;

use super::shown::Asked;
use super::{Pools, SuiteTask};
use crate::EvalError;
use crate::suite::pools::{Pool, Shown};
use crate::suite::probe::{Kind, Probe};
use crate::suite::{Sets, SuiteSpec};

#[derive(Deserialize)]
struct Photo {
    captions: Vec<String>,
}

pub struct Captions;

impl SuiteTask for Captions {
    fn name(&self) -> &'static str {
        "captions-photos"
    }

    fn pool(&self, sets: &Sets) -> Result<Pools, EvalError> {
        let queries = sets.records("photos", "evaluation", |photo: Photo, source| {
            let shown = |title: String| Shown {
                medium: Medium::Image(source),
                question: String::new(),
                answer: title.to_lowercase(),
            };
            photo.captions.into_iter().next().map(shown).into_iter().collect()
        })?;
        Ok(Pools::Shown(Pool { queries, support: Vec::new() }))
    }

    fn probes(
        &self,
        pool: &Pools,
        spec: &SuiteSpec,
        seed: u64,
        _: &Dialect,
    ) -> Result<Vec<Probe>, EvalError> {
        let asked = Asked {
            task: self.name(),
            kind: Kind::Caption,
            template: Template::of(Style::Paper, prompt::Task::Caption),
            shots: &[0, 4, 8],
            chance: 0.0,
            zero_shot: 2,
        };
        Ok(asked.probes(pool, spec, seed, |_, _| Vec::new()))
    }
}
