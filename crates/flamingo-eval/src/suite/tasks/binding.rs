//! Fast binding: invented words stand beside pictures of held-out concepts, and are asked for again, the query drawn in a
//! style in which its concept was not shown. After the open-ended few-shot task of Frozen (Tsimpoukelli et al. 2021).

use std::collections::HashMap;
use std::sync::Arc;

use flamingo::data::{ConceptSet, EpisodeTrial, Split, TrialComposer, TrialSpec};
use flamingo::dialect::Style;
use flamingo::prompt::{self, Example, Template};
use flamingo::{Dialect, Medium, Source};
use flamingo_core::seed::{derive, word};

use crate::EvalError;
use crate::suite::SuiteSpec;
use crate::suite::probe::{Kind, Probe, Question};

/// Pictures of each class.
const SHOTS: [usize; 3] = [1, 3, 5];

#[derive(Clone, Copy)]
pub struct Binding {
    pub ways: usize,
    pub name: &'static str,
}

impl Binding {
    pub fn probes(
        &self,
        set: &ConceptSet,
        spec: &SuiteSpec,
        seed: u64,
        dialect: &Dialect,
    ) -> Result<Vec<Probe>, EvalError> {
        let composer = TrialComposer::new(set, Split::HeldoutConcepts)?;
        let mut pictures = Pictures { set, known: HashMap::new() };
        let probe = |shots: usize| {
            let seed = derive(seed, [word(self.name), shots as u64]);
            let wanted =
                TrialSpec { ways: self.ways, shots, trials: spec.trials, seed, ..TrialSpec::default() };
            let trials = composer.trials(&wanted, dialect)?;
            Ok(Probe {
                task: self.name.to_owned(),
                shots,
                kind: Kind::Binding,
                template: Template::of(Style::Paper, prompt::Task::Caption),
                chance: 1.0 / self.ways as f64,
                questions: trials.iter().map(|trial| pictures.question(trial)).collect(),
            })
        };
        SHOTS.into_iter().map(probe).collect()
    }
}

/// Each picture once, so that the engine knows it again.
struct Pictures<'a> {
    set: &'a ConceptSet,
    known: HashMap<usize, Medium>,
}

impl Pictures<'_> {
    fn question(&mut self, trial: &EpisodeTrial) -> Question {
        let mut example = |image: Option<usize>, class: usize| Example {
            media: image.map(|image| self.medium(image)).into_iter().collect(),
            answer: trial.words[class].clone(),
            ..Example::default()
        };
        Question {
            shots: trial.shots.iter().map(|shot| example(shot.image, shot.class)).collect(),
            query: example(trial.query, trial.answer),
            choices: trial.words.clone(),
            answer: trial.answer,
        }
    }

    fn medium(&mut self, image: usize) -> Medium {
        let picture = || Medium::Image(Source::Picture(Arc::new(self.set.images()[image].image.clone())));
        self.known.entry(image).or_insert_with(picture).clone()
    }
}
