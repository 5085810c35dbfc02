//! Questions about coloured shapes, of the test pictures of easy-vqa: which of its thirteen answers is right. A picture
//! is asked one of its questions, drawn at random.

use flamingo::Medium;
use flamingo::prompt::Template;
use rand::SeedableRng;
use rand::seq::IndexedRandom;
use rand_chacha::ChaCha8Rng;
use serde::Deserialize;

use super::ShownTask;
use super::shown::{Asked, most_frequent};
use crate::EvalError;
use crate::suite::Sets;
use crate::suite::pools::{Pool, Shown};
use crate::suite::probe::Kind;

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

impl ShownTask for Questions {
    fn name(&self) -> &'static str {
        "questions"
    }

    fn pool(&self, sets: &Sets) -> Result<Pool, EvalError> {
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
        Ok(Pool { queries: pictures("questions-test")?, support: pictures("questions-train")? })
    }

    fn asked(&self, pool: &Pool) -> Result<Asked<'static>, EvalError> {
        Ok(Asked {
            task: self.name(),
            kind: Kind::Choice,
            template: Template::parse(TEMPLATE)?,
            shots: &[0, 4, 8],
            chance: most_frequent(pool),
            zero_shot: 0,
        })
    }
}
