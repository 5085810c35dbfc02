//! The choices of an evaluation, and their defaults.

use serde::Serialize;

use super::wording::TEXT_ONLY;
use crate::EvalError;
use crate::metrics::Bootstrap;
use crate::task::{Items, PromptStyle, Target};

/// Classes from which on the paper's support set is counted by class.
const MANY_CLASSES: usize = 3;

/// Everything that can be chosen about an evaluation.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Settings {
    /// Whose wording.
    pub style: PromptStyle,
    /// Numbers of examples in a prompt, one score for each.
    pub shots: Vec<usize>,
    /// How often with other examples.
    pub trials: usize,
    /// Of the first trial; the others have the next ones.
    pub seed: u64,
    /// Queries that are asked, drawn by `seed`, the same in all trials; all if `None`.
    pub queries: Option<usize>,
    /// The support set, drawn anew in each trial.
    pub support: Support,
    /// Which examples a query gets.
    pub examples: Examples,
    /// Orders of the examples over which log-likelihoods are averaged, with close-ended tasks; 1 asks once, 6 is the
    /// paper's. Fewer where there are not as many orders.
    pub ensemble: usize,
    /// Most new tokens of an answer; the task's own if `None`.
    pub max_new_tokens: Option<usize>,
    /// Beams; the task's own if `None`.
    pub beams: Option<usize>,
    /// The largest share of the queries that may be left out because their media cannot be read.
    pub max_reject_rate: f64,
    /// How intervals are computed.
    pub bootstrap: Bootstrap,
    /// Prompts that are continued side by side: more are faster, and take more memory. It decides no number but by
    /// rounding, and may change from run to run.
    #[serde(skip)]
    pub batch: usize,
}

/// From how many items examples are drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Support {
    /// What the paper and OpenFlamingo have: all for the most similar examples; 2048 for random ones, but with the paper's
    /// wording 32 of each class, where there are classes that are the same for all items (and more than two).
    Usual,
    /// All.
    All,
    /// So many.
    Items(usize),
    /// So many of each class.
    PerClass(usize),
}

/// Which examples a query gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Examples {
    /// Random ones, others for every query. Those of fewer shots are the first of those of more, so that what a prompt
    /// has in common with a longer one is read once.
    Random,
    /// The same random ones for all queries of a trial: they are read once for all.
    Same,
    /// Those whose media are most alike the query's, the most similar last (RICES, appendix B.1.5 of the paper).
    Similar,
    /// As they are named, by [`Given`](super::Given).
    Given,
}

impl Default for Settings {
    /// The paper's: 0 to 32 random shots, one trial, all queries.
    fn default() -> Self {
        Self {
            style: PromptStyle::Paper,
            shots: vec![0, 4, 8, 16, 32],
            trials: 1,
            seed: 42,
            queries: None,
            support: Support::Usual,
            examples: Examples::Random,
            ensemble: 1,
            max_new_tokens: None,
            beams: None,
            max_reject_rate: 0.01,
            bootstrap: Bootstrap::default(),
            batch: 8,
        }
    }
}

impl Settings {
    /// The seed of every trial.
    pub fn seeds(&self) -> impl Iterator<Item = u64> + use<> {
        let first = self.seed;
        (0..self.trials as u64).map(move |trial| first.wrapping_add(trial))
    }

    /// The most examples of a prompt, those without media included.
    pub(super) fn most_examples(&self) -> usize {
        self.shots.iter().copied().max().unwrap_or(0).max(TEXT_ONLY)
    }

    /// The support set that is meant.
    pub fn support_of(&self, items: &Items) -> Support {
        let classes = items.choices.len();
        let by_class = self.style == PromptStyle::Paper
            && classes >= MANY_CLASSES
            && items.support.iter().any(|item| matches!(item.target, Target::Choice(_)));
        match self.support {
            Support::Usual if matches!(self.examples, Examples::Similar | Examples::Given) => Support::All,
            Support::Usual if by_class => Support::PerClass(32),
            Support::Usual => Support::Items(2048),
            chosen => chosen,
        }
    }

    /// Checks every value.
    ///
    /// # Errors
    ///
    /// [`EvalError::Setting`], which names the first that cannot be, and what is allowed.
    pub fn validate(&self) -> Result<(), EvalError> {
        let check = |name, value: String, holds: bool, allowed| match holds {
            true => Ok(()),
            false => Err(EvalError::Setting { name, value, allowed }),
        };
        let rising = self.shots.is_sorted_by(|a, b| a < b) && !self.shots.is_empty();
        check(
            "shots",
            format!("{:?}", self.shots),
            rising,
            "at least one number, each above the one before",
        )?;
        check("trials", self.trials.to_string(), self.trials > 0, "at least 1")?;
        let queries = self.queries.unwrap_or(usize::MAX);
        check("queries", queries.to_string(), queries > 0, "at least 1")?;
        let support = !matches!(self.support, Support::Items(0) | Support::PerClass(0));
        check("support", "0".to_owned(), support, "at least 1")?;
        check("ensemble", self.ensemble.to_string(), self.ensemble > 0, "at least 1: asked once")?;
        let tokens = self.max_new_tokens.unwrap_or(1);
        check("max_new_tokens", tokens.to_string(), tokens > 0, "at least 1")?;
        check("beams", "0".to_owned(), self.beams != Some(0), "at least 1")?;
        let rate = self.max_reject_rate;
        check("max_reject_rate", rate.to_string(), (0.0..=1.0).contains(&rate), "a share from 0 to 1")?;
        check("batch", self.batch.to_string(), self.batch > 0, "at least 1")
    }
}
