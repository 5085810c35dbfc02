//! Naming animated emoji of held-out concepts: which of twenty names suits a clip.

use flamingo::Medium;
use rand_chacha::ChaCha8Rng;
use serde::Deserialize;

use super::ShownTask;
use super::naming::{CHOICES, by_name};
use super::shown::{Asked, among};
use crate::EvalError;
use crate::suite::Sets;
use crate::suite::pools::{Pool, Shown};

#[derive(Deserialize)]
struct Clip {
    name: String,
}

pub struct Video;

impl ShownTask for Video {
    fn name(&self) -> &'static str {
        "video-naming"
    }

    fn pool(&self, sets: &Sets) -> Result<Pool, EvalError> {
        let clips = |prefix: &str| {
            sets.records("emoji-video", prefix, |clip: Clip, source| {
                let answer = clip.name.to_lowercase();
                vec![Shown { medium: Medium::Video(source), question: String::new(), answer }]
            })
        };
        Ok(Pool { queries: clips("heldout_concepts")?, support: clips("train")? })
    }

    fn asked(&self, pool: &Pool) -> Result<Asked<'static>, EvalError> {
        Ok(by_name(self.name(), pool))
    }

    fn choices(&self, query: &Shown, answers: &[String], rng: &mut ChaCha8Rng) -> Vec<String> {
        among(&query.answer, answers, CHOICES, rng)
    }
}
