//! One measured number, as `eval.json` has it, and several seeds' together.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::{Control, Probe};
use crate::metrics::{Bootstrap, Measure};

/// A score.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Figure {
    /// The task, such as `binding-5-way`.
    pub task: String,
    /// Examples of a prompt; of each class, with fast binding.
    pub shots: usize,
    /// What was taken away.
    pub control: Control,
    /// The share of right answers, or CIDEr-D.
    pub score: f64,
    /// Lower end of the 95 % interval over the questions (bootstrap).
    pub low: f64,
    /// Its upper end.
    pub high: f64,
    /// The score of guessing.
    pub chance: f64,
    /// Questions.
    pub n: usize,
    /// Of the questions and their examples.
    pub seed: u64,
}

impl Figure {
    pub(super) fn new(
        probe: &Probe,
        control: Control,
        seed: u64,
        measured: Box<dyn Measure>,
        bootstrap: &Bootstrap,
    ) -> Self {
        let score = measured.score().unwrap_or(0.0);
        let interval = bootstrap.interval(measured.as_ref());
        let (low, high) = interval.map_or((score, score), |interval| (interval.low, interval.high));
        let (task, shots, chance) = (probe.task.clone(), probe.shots, probe.chance);
        Self { task, shots, control, score, low, high, chance, n: measured.len(), seed }
    }

    /// Whether it says how well `probe`, drawn by `seed`, was answered under `control`.
    pub(super) fn is_of(&self, probe: &Probe, control: Control, seed: u64) -> bool {
        self.task == probe.task && self.shots == probe.shots && self.control == control && self.seed == seed
    }
}

impl fmt::Display for Figure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { task, shots, control, score, low, high, chance, n, seed } = self;
        write!(
            f,
            "{task:<18} {shots:>2} shots  {:<10} {score:.3}  [{low:.3}, {high:.3}]  chance {chance:.3}  n {n}  seed {seed}",
            control.name()
        )
    }
}

/// The seeds of one task, number of shots and control together.
#[derive(Debug, Clone, PartialEq)]
pub struct Summary {
    /// The task.
    pub task: String,
    /// Examples of a prompt.
    pub shots: usize,
    /// What was taken away.
    pub control: Control,
    /// Mean over the seeds.
    pub score: f64,
    /// Standard deviation over the seeds; 0 of one.
    pub deviation: f64,
    /// Ends of the 95 % interval of the mean: those of the seeds, narrowed as if these were independent.
    pub interval: (f64, f64),
    /// The score of guessing.
    pub chance: f64,
    /// Questions of all seeds.
    pub n: usize,
}

/// One for each task, number of shots and control, in the order in which tasks were asked.
pub fn summaries(figures: &[Figure]) -> Vec<Summary> {
    let place = |task: &str| figures.iter().position(|figure| figure.task == task);
    let mut groups: BTreeMap<_, Vec<&Figure>> = BTreeMap::new();
    for figure in figures {
        groups.entry((place(&figure.task), figure.shots, figure.control)).or_default().push(figure);
    }
    groups.into_values().map(|group| Summary::of(&group)).collect()
}

impl Summary {
    fn of(group: &[&Figure]) -> Self {
        let count = group.len() as f64;
        let mean = |value: &dyn Fn(&Figure) -> f64| group.iter().map(|it| value(it)).sum::<f64>() / count;
        let score = mean(&|it| it.score);
        let variance =
            group.iter().map(|it| (it.score - score).powi(2)).sum::<f64>() / (count - 1.0).max(1.0);
        let below = mean(&|it| it.score - it.low) / count.sqrt();
        let above = mean(&|it| it.high - it.score) / count.sqrt();
        Self {
            task: group[0].task.clone(),
            shots: group[0].shots,
            control: group[0].control,
            score,
            deviation: variance.sqrt(),
            interval: (score - below, score + above),
            chance: mean(&|it| it.chance),
            n: group.iter().map(|it| it.n).sum(),
        }
    }
}
