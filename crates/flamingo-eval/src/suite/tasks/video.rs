//! Naming animated emoji of held-out concepts: which of twenty names suits a clip.

use flamingo::{Dialect, Medium};
use serde::Deserialize;

use super::naming::{CHOICES, by_name};
use super::shown::{among, distinct};
use super::{Pools, SuiteTask};
use crate::EvalError;
use crate::suite::pools::{Pool, Shown};
use crate::suite::probe::Probe;
use crate::suite::{Sets, SuiteSpec};

#[derive(Deserialize)]
struct Clip {
    name: String,
}

pub struct Video;

impl SuiteTask for Video {
    fn name(&self) -> &'static str {
        "video-naming"
    }

    fn pool(&self, sets: &Sets) -> Result<Pools, EvalError> {
        let clips = |prefix: &str| {
            sets.records("emoji-video", prefix, |clip: Clip, source| {
                let answer = clip.name.to_lowercase();
                vec![Shown { medium: Medium::Video(source), question: String::new(), answer }]
            })
        };
        Ok(Pools::Shown(Pool { queries: clips("heldout_concepts")?, support: clips("train")? }))
    }

    fn probes(
        &self,
        pool: &Pools,
        spec: &SuiteSpec,
        seed: u64,
        _: &Dialect,
    ) -> Result<Vec<Probe>, EvalError> {
        let Pools::Shown(shown) = pool else { return Ok(Vec::new()) };
        let names = distinct(shown);
        let choices = CHOICES.min(names.len());
        let mut asked = by_name(self.name(), &[0, 4, 8]);
        asked.chance = 1.0 / choices as f64;
        Ok(asked.probes(pool, spec, seed, move |query, rng| among(&query.answer, &names, choices, rng)))
    }
}
