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

#[cfg(test)]
pub(super) use shown::Asked;

use super::pools::Pool;
use super::{Probe, Sets, SuiteSpec};
use crate::EvalError;

/// What a task asks about.
pub(super) enum Pools {
    /// Pictures of concepts.
    Concepts(Arc<ConceptSet>),
    /// Pictures or clips with texts.
    Shown(Pool),
}

/// A task of the suite.
pub(super) trait SuiteTask: Sync {
    fn name(&self) -> &'static str;
    /// Reads its sets.
    fn pool(&self, sets: &Sets) -> Result<Pools, EvalError>;
    /// Its questions, one probe for each number of examples: a function of the pool, of `spec` and of `seed`.
    fn probes(
        &self,
        pool: &Pools,
        spec: &SuiteSpec,
        seed: u64,
        dialect: &Dialect,
    ) -> Result<Vec<Probe>, EvalError>;
}

const ALL: [&dyn SuiteTask; 9] = [
    &binding::Binding { ways: 2, name: "binding-2-way" },
    &binding::Binding { ways: 5, name: "binding-5-way" },
    &naming::Naming::CONCEPTS,
    &naming::Naming::DRAWINGS,
    &questions::Questions,
    &category::Category::PHOTOS,
    &category::Category::STAMPS,
    &captions::Captions,
    &video::Video,
];

/// The names of all tasks.
pub fn names() -> impl Iterator<Item = &'static str> {
    ALL.iter().map(|task| task.name())
}

/// Those that are asked for, in their own order.
pub(super) fn chosen(spec: &SuiteSpec) -> impl Iterator<Item = &'static dyn SuiteTask> {
    let wanted =
        |task: &&dyn SuiteTask| spec.tasks.is_empty() || spec.tasks.iter().any(|name| name == task.name());
    ALL.into_iter().filter(wanted)
}
