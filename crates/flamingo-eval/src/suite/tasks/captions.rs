//! Captions of photographs that were never trained on, scored by CIDEr-D against their titles.

use flamingo::Medium;
use flamingo::dialect::Style;
use flamingo::prompt::{self, Template};
use rand_chacha::ChaCha8Rng;
use serde::Deserialize;

use super::ShownTask;
use super::shown::Asked;
use crate::EvalError;
use crate::suite::Sets;
use crate::suite::pools::{Pool, Shown};
use crate::suite::probe::Kind;

#[derive(Deserialize)]
struct Photo {
    captions: Vec<String>,
}

pub struct Captions;

impl ShownTask for Captions {
    fn name(&self) -> &'static str {
        "captions-photos"
    }

    fn pool(&self, sets: &Sets) -> Result<Pool, EvalError> {
        let queries = sets.records("photos", "evaluation", |photo: Photo, source| {
            let shown = |title: String| Shown {
                medium: Medium::Image(source),
                question: String::new(),
                answer: title.to_lowercase(),
            };
            photo.captions.into_iter().next().map(shown).into_iter().collect()
        })?;
        Ok(Pool { queries, support: Vec::new() })
    }

    fn asked(&self, _: &Pool) -> Result<Asked<'static>, EvalError> {
        Ok(Asked {
            task: self.name(),
            kind: Kind::Caption,
            template: Template::of(Style::Paper, prompt::Task::Caption),
            shots: &[0, 4, 8],
            chance: 0.0,
            zero_shot: 2,
        })
    }

    fn choices(&self, _: &Shown, _: &[String], _: &mut ChaCha8Rng) -> Vec<String> {
        Vec::new()
    }
}
