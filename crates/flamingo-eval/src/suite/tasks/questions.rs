//! Questions about coloured shapes, of the test pictures of easy-vqa: which of its thirteen answers is right. A picture
//! is asked one of its questions, drawn at random.

use flamingo::prompt::Template;
use flamingo::{Dialect, Medium};
use rand::SeedableRng;
use rand::seq::IndexedRandom;
use rand_chacha::ChaCha8Rng;
use serde::Deserialize;

use super::shown::{Asked, distinct, most_frequent};
use super::{Pools, SuiteTask};
use crate::EvalError;
use crate::suite::pools::{Pool, Shown};
use crate::suite::probe::{Kind, Probe};
use crate::suite::{Sets, SuiteSpec};

#[derive(Deserialize)]
struct Picture {
    questions: Vec<Pair>,
}

#[derive(Deserialize)]
struct Pair {
    question: String,
    answer: String,
}

/// The wording of the training pages.
const TEMPLATE: &str = "{image}Question: {question} Short answer: {answer}{eoc}";

pub struct Questions;

impl SuiteTask for Questions {
    fn name(&self) -> &'static str {
        "questions"
    }

    fn pool(&self, sets: &Sets) -> Result<Pools, EvalError> {
        let mut rng = ChaCha8Rng::seed_from_u64(0);
        let mut pictures = |prefix: &str| {
            sets.records("easy-vqa", prefix, |picture: Picture, source| {
                let shown = |pair: &Pair| Shown {
                    medium: Medium::Image(source.clone()),
                    question: pair.question.clone(),
                    answer: pair.answer.clone(),
                };
                picture.questions.choose(&mut rng).map(shown).into_iter().collect()
            })
        };
        Ok(Pools::Shown(Pool { queries: pictures("questions-test")?, support: pictures("questions-train")? }))
    }

    fn probes(
        &self,
        pool: &Pools,
        spec: &SuiteSpec,
        seed: u64,
        _: &Dialect,
    ) -> Result<Vec<Probe>, EvalError> {
        let Pools::Shown(shown) = pool else { return Ok(Vec::new()) };
        let answers = distinct(shown);
        let asked = Asked {
            task: self.name(),
            kind: Kind::Choice,
            template: Template::parse(TEMPLATE)?,
            shots: &[0, 4, 8],
            chance: most_frequent(shown),
            zero_shot: 0,
        };
        Ok(asked.probes(pool, spec, seed, move |_, _| answers.clone()))
    }
}
