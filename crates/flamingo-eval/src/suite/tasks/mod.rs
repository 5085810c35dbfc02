//! The suite's tasks, one file each. A new one is one file and one line in [`ALL`].

mod binding;
mod captions;
mod category;
mod naming;
mod questions;
mod shown;
mod video;

use std::sync::Arc;

use flamingo::Dialect;
use flamingo::data::ConceptSet;
use rand_chacha::ChaCha8Rng;

use super::pools::{Pool, Shown};
use super::{Probe, Sets, SuiteSpec};
use crate::EvalError;
use binding::Binding;
pub(super) use shown::Asked;

/// A task that asks about pictures or clips with texts.
pub(super) trait ShownTask: Sync {
    fn name(&self) -> &'static str;
    /// Reads its sets.
    fn pool(&self, sets: &Sets) -> Result<Pool, EvalError>;
    /// How it asks.
    fn asked(&self, pool: &Pool) -> Result<Asked<'static>, EvalError>;
    /// Among which texts a query chooses, of all answers of the task's queries.
    fn choices(&self, _query: &Shown, answers: &[String], _rng: &mut ChaCha8Rng) -> Vec<String> {
        answers.to_vec()
    }
}

/// A task of the suite.
#[derive(Clone, Copy)]
pub(super) enum SuiteTask {
    /// Invented words bound to pictures of concepts.
    Binding(Binding),
    /// Pictures or clips with texts.
    Shown(&'static dyn ShownTask),
}

/// A task whose sets were read.
pub(super) enum Opened {
    Binding(Binding, Arc<ConceptSet>),
    Shown(&'static dyn ShownTask, Pool),
}

impl SuiteTask {
    pub fn name(&self) -> &'static str {
        match self {
            Self::Binding(binding) => binding.name,
            Self::Shown(task) => task.name(),
        }
    }

    pub fn open(&self, sets: &Sets) -> Result<Opened, EvalError> {
        Ok(match *self {
            Self::Binding(binding) => Opened::Binding(binding, sets.concepts()?),
            Self::Shown(task) => Opened::Shown(task, task.pool(sets)?),
        })
    }
}

impl Opened {
    /// Its questions, one probe for each number of examples: a function of the sets, of `spec` and of `seed`.
    pub fn probes(&self, spec: &SuiteSpec, seed: u64, dialect: &Dialect) -> Result<Vec<Probe>, EvalError> {
        match self {
            Self::Binding(binding, set) => binding.probes(set, spec, seed, dialect),
            Self::Shown(task, pool) => {
                let answers = shown::distinct(pool);
                let choices = |query: &Shown, rng: &mut ChaCha8Rng| task.choices(query, &answers, rng);
                Ok(task.asked(pool)?.probes(pool, spec, seed, choices))
            }
        }
    }
}

const ALL: [SuiteTask; 9] = [
    SuiteTask::Binding(Binding { ways: 2, name: "binding-2-way" }),
    SuiteTask::Binding(Binding { ways: 5, name: "binding-5-way" }),
    SuiteTask::Shown(&naming::Naming::CONCEPTS),
    SuiteTask::Shown(&naming::Naming::DRAWINGS),
    SuiteTask::Shown(&questions::Questions),
    SuiteTask::Shown(&category::Category::PHOTOS),
    SuiteTask::Shown(&category::Category::STAMPS),
    SuiteTask::Shown(&captions::Captions),
    SuiteTask::Shown(&video::Video),
];

/// The names of all tasks.
pub fn names() -> impl Iterator<Item = &'static str> {
    ALL.iter().map(SuiteTask::name)
}

/// Those that are asked for, in their own order.
pub(super) fn chosen(spec: &SuiteSpec) -> impl Iterator<Item = SuiteTask> {
    let wanted =
        |task: &SuiteTask| spec.tasks.is_empty() || spec.tasks.iter().any(|name| name == task.name());
    ALL.into_iter().filter(wanted)
}
