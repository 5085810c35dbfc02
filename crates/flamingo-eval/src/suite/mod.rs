//! A curve that anyone can make: how much a model learns from its prompt, on sets that `cargo xtask data` fetches.
//!
//! Nothing that is asked was trained on: pictures, names and clips are of held-out splits, and the invented words are kept
//! for evaluation. Each [`Probe`] is asked with several numbers of examples, and again under [`Control`]s that take away
//! what a model would need to know: a score that its controls reach too says nothing.
//!
//! ```text
//! sets ─ pools.rs ─▶ pictures with texts ─ tasks/ ─▶ Probe: prompts and what is right
//!                                                      │  asker.rs: with the right images, and under the controls
//!                                                      ▼
//!                                                    Figure: one row of eval.json ─▶ table, page
//! ```

mod asker;
mod control;
mod figure;
mod page;
mod pools;
mod probe;
mod tasks;
#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use flamingo::Pretrained;
use flamingo::data::ConceptSet;
use flamingo_core::nearest;
use serde::{Deserialize, Serialize};

use crate::EvalError;
use crate::metrics::Bootstrap;
use asker::Asker;

pub use control::Control;
pub use figure::{Figure, Summary, summaries};
pub use page::page;
pub use probe::{Kind, Probe, Question};
pub use tasks::names;

/// What is asked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SuiteSpec {
    /// Which tasks, by the names of [`names`]; all if none.
    pub tasks: Vec<String>,
    /// Seeds; each draws queries and examples anew.
    pub seeds: Vec<u64>,
    /// Trials of fast binding, for each number of ways and of shots.
    pub trials: usize,
    /// Most queries of every other task; no more than it has.
    pub queries: usize,
    /// Most queries under each control.
    pub controls: usize,
    /// Queries in a row that are asked behind the same examples, which are then read once.
    pub block: usize,
}

impl Default for SuiteSpec {
    fn default() -> Self {
        Self { tasks: Vec::new(), seeds: vec![1, 2, 3], trials: 500, queries: 200, controls: 100, block: 10 }
    }
}

impl SuiteSpec {
    /// # Errors
    ///
    /// [`EvalError::UnknownTask`] if there is no task of a name, [`EvalError::Setting`] if nothing is asked.
    pub fn validate(&self) -> Result<(), EvalError> {
        if let Some(name) = self.tasks.iter().find(|name| !names().any(|known| known == name.as_str())) {
            return Err(EvalError::UnknownTask {
                name: name.clone(),
                known: names().collect::<Vec<_>>().join(", "),
                hint: nearest::hint(name, names()),
            });
        }
        let counts = [("seeds", self.seeds.len()), ("trials", self.trials), ("queries", self.queries)];
        match counts.into_iter().chain([("block", self.block)]).find(|(_, count)| *count == 0) {
            Some((name, _)) => {
                Err(EvalError::Setting { name, value: "0".to_owned(), allowed: "one or more" })
            }
            None => Ok(()),
        }
    }
}

/// Where the suite's sets lie: the folder that `cargo xtask data prepare` fills.
#[derive(Debug, Clone)]
pub struct Sets {
    /// With a folder for each set in it.
    folder: PathBuf,
    /// Read once for the four tasks that ask about them.
    concepts: OnceLock<Arc<ConceptSet>>,
}

impl Sets {
    /// Those in `folder`; nothing is read yet.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self { folder: folder.into(), concepts: OnceLock::new() }
    }
}

/// Asks `model` everything of `spec` that is not among the figures `known` from an earlier call, and gives all back.
/// `progress` gets all figures as soon as there is a new one, the last of them; once `stop` is set, what was measured until then is given back.
///
/// # Errors
///
/// If a set is missing or broken, or the model cannot be asked.
pub fn run(
    model: Pretrained,
    sets: &Sets,
    spec: &SuiteSpec,
    known: Vec<Figure>,
    stop: &AtomicBool,
    mut progress: impl FnMut(&[Figure]),
) -> Result<Vec<Figure>, EvalError> {
    spec.validate()?;
    let mut asker = Asker::new(model);
    let mut figures = known;
    for task in tasks::chosen(spec) {
        let opened = task.open(sets)?;
        for &seed in &spec.seeds {
            for probe in opened.probes(spec, seed, asker.dialect())? {
                for control in Control::ALL {
                    if stop.load(Ordering::Relaxed) {
                        return Ok(figures);
                    }
                    if figures.iter().any(|figure| figure.is_of(&probe, control, seed)) {
                        continue;
                    }
                    let most = if control == Control::Images { usize::MAX } else { spec.controls };
                    let Some(measured) = asker.ask(&probe, control, most, seed)? else { continue };
                    let figure = Figure::new(&probe, control, seed, measured, &Bootstrap::default());
                    figures.push(figure);
                    progress(&figures);
                }
            }
        }
    }
    Ok(figures)
}
