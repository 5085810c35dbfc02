//! The configuration of one training stage.

use serde::{Deserialize, Serialize};

use flamingo_core::{Precision, nearest};

use crate::error::TrainError;
use crate::schedule::Schedule;

/// Everything that decides how a model is trained, data and architecture aside.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainConfig {
    /// Updates of the whole run.
    pub steps: u64,
    /// Seed of the device's random numbers (dropout); they are a function of seed, stage and step.
    pub seed: u64,
    /// AdamW's constants.
    pub optimizer: AdamWSpec,
    /// The learning rate over time.
    pub schedule: Schedule,
    /// Decoupled weight decay of parameters in no group.
    pub weight_decay: f64,
    /// Exceptions for some parameters. The last group that matches a parameter wins, whole.
    pub groups: Vec<GroupSpec>,
    /// Largest global L2 norm of the gradient, over all sources and parameters; `None` for no limit.
    pub clip_norm: Option<f64>,
    /// Where batches come from.
    pub sources: Vec<SourceSpec>,
    /// Which of them an update takes a batch of.
    #[serde(default)]
    pub mixing: Mixing,
    /// Into how many parts each batch is cut, if its objective can: they are computed one after another on a GPU,
    /// which takes less memory, and side by side on a CPU, which takes less time. The sum is the same but for rounding.
    #[serde(default = "whole")]
    pub microbatches: usize,
    /// Number format of activations and frozen weights: `f32`, `bf16` or `f16`. Weights that learn, and the optimizer, are
    /// in f32 in any case; with `f16` losses are scaled ([`LossScale`](crate::LossScale)).
    #[serde(default)]
    pub precision: Precision,
    /// Updates between two metric records.
    pub log_every: u64,
    /// Updates between two checkpoints. The last update always makes one.
    pub checkpoint_every: u64,
    /// How many checkpoints to keep: the newest ones.
    pub keep_last: usize,
    /// Updates between two evaluations; the last update is always evaluated. 0 for none.
    #[serde(default)]
    pub evaluate_every: u64,
    /// A measurement of the evaluations, of which the checkpoint with the smallest value is kept too.
    #[serde(default)]
    pub keep_best: Option<String>,
}

/// Constants of AdamW (Loshchilov and Hutter, <https://arxiv.org/abs/1711.05101>).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AdamWSpec {
    /// Decay of the first moment.
    pub beta1: f64,
    /// Decay of the second moment.
    pub beta2: f64,
    /// Added to the root of the second moment.
    pub eps: f64,
}

impl Default for AdamWSpec {
    fn default() -> Self {
        Self { beta1: 0.9, beta2: 0.999, eps: 1e-8 }
    }
}

/// Settings of the parameters whose path matches `pattern`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GroupSpec {
    /// For people and messages.
    pub name: String,
    /// Which parameters: without `*`, a prefix of whole path segments (`"resampler.layers"`); with `*`, a pattern
    /// for the whole path in which each `*` stands for any characters, dots included (`"*.bias"`).
    pub pattern: String,
    /// Factor on the scheduled learning rate.
    #[serde(default = "one")]
    pub lr: f64,
    /// Decoupled weight decay; `None` for that of the run.
    #[serde(default)]
    pub weight_decay: Option<f64>,
    /// Adaptive gradient clipping: the largest norm of a unit's gradient, as a fraction of the norm of its weights
    /// (Brock et al., <https://arxiv.org/abs/2102.06171>; 0.01 for NFNets); `None` for none.
    #[serde(default)]
    pub agc: Option<f64>,
}

fn one() -> f64 {
    1.0
}

fn whole() -> usize {
    1
}

/// One dataset of the mixture.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SourceSpec {
    /// Key of its losses in the metrics.
    pub name: String,
    /// lambda_m: factor on its loss (Flamingo, equation 2).
    pub weight: f64,
}

/// Which sources an update takes a batch of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mixing {
    /// All: their gradients add up (Flamingo, section 2.4).
    #[default]
    Accumulate,
    /// One, the next in their order: what the paper compares with, and finds worse (table 3). A run of as many updates
    /// sees each source that many times less often.
    RoundRobin,
}

/// The settings of one parameter, after groups.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ParamSettings {
    /// Factor on the scheduled learning rate.
    pub lr: f64,
    /// Decoupled weight decay.
    pub weight_decay: f64,
    /// Factor of adaptive gradient clipping.
    pub agc: Option<f64>,
}

impl TrainConfig {
    /// The settings of the parameter at `path`.
    pub fn settings_of(&self, path: &str) -> ParamSettings {
        match self.groups.iter().rev().find(|group| group.matches(path)) {
            Some(group) => ParamSettings {
                lr: group.lr,
                weight_decay: group.weight_decay.unwrap_or(self.weight_decay),
                agc: group.agc,
            },
            None => ParamSettings { lr: 1.0, weight_decay: self.weight_decay, agc: None },
        }
    }

    /// Takes what `other` says of records, checkpoints and evaluations. A run may be resumed with other settings of these:
    /// they do not alter what is learned.
    pub fn take_bookkeeping(&mut self, other: &Self) {
        self.log_every = other.log_every;
        self.checkpoint_every = other.checkpoint_every;
        self.keep_last = other.keep_last;
        self.evaluate_every = other.evaluate_every;
        self.keep_best.clone_from(&other.keep_best);
    }

    /// Indices of the sources of which update `step` (counted from 0) takes a batch, in order.
    ///
    /// A function of the step alone, so that a resumed run goes on with the source whose turn it is.
    pub fn due(&self, step: u64) -> Vec<usize> {
        match (self.mixing, self.sources.len()) {
            (_, 0) => Vec::new(),
            (Mixing::Accumulate, count) => (0..count).collect(),
            (Mixing::RoundRobin, count) => vec![(step % count as u64) as usize],
        }
    }

    /// Refuses values that cannot train.
    ///
    /// # Errors
    ///
    /// [`TrainError::Config`], naming the first bad key.
    pub fn validate(&self) -> Result<(), TrainError> {
        for (key, value) in [
            ("steps", self.steps),
            ("log_every", self.log_every),
            ("checkpoint_every", self.checkpoint_every),
        ] {
            check(value > 0, key, || "must be at least 1".to_owned())?;
        }
        check(self.microbatches > 0, "microbatches", || "must be at least 1".to_owned())?;
        check(self.keep_last > 0, "keep_last", || "must be at least 1".to_owned())?;
        check(self.keep_best.is_none() || self.evaluate_every > 0, "keep_best", || {
            "needs evaluations: set evaluate_every too".to_owned()
        })?;
        self.validate_optimizer()?;
        self.validate_groups()?;
        self.validate_sources()
    }

    fn validate_optimizer(&self) -> Result<(), TrainError> {
        let AdamWSpec { beta1, beta2, eps } = self.optimizer;
        for (key, beta) in [("optimizer.beta1", beta1), ("optimizer.beta2", beta2)] {
            check((0.0..1.0).contains(&beta), key, || format!("must be at least 0 and below 1, not {beta}"))?;
        }
        positive("optimizer.eps", eps)?;
        positive("schedule.peak", self.schedule.peak())?;
        if let Some(factor) = self.schedule.end_factor() {
            not_negative("schedule.end_factor", factor)?;
        }
        if let Some(norm) = self.clip_norm {
            positive("clip_norm", norm)?;
        }
        not_negative("weight_decay", self.weight_decay)
    }

    fn validate_groups(&self) -> Result<(), TrainError> {
        for group in &self.groups {
            let key = |field: &str| format!("groups.{}.{field}", group.name);
            not_negative(&key("lr"), group.lr)?;
            group.weight_decay.map_or(Ok(()), |decay| not_negative(&key("weight_decay"), decay))?;
            group.agc.map_or(Ok(()), |factor| positive(&key("agc"), factor))?;
        }
        Ok(())
    }

    fn validate_sources(&self) -> Result<(), TrainError> {
        check(!self.sources.is_empty(), "sources", || "there must be at least one".to_owned())?;
        for (index, source) in self.sources.iter().enumerate() {
            positive(&format!("sources.{}.weight", source.name), source.weight)?;
            let first = self.sources.iter().position(|other| other.name == source.name);
            check(first == Some(index), "sources", || format!("the name {:?} occurs twice", source.name))?;
        }
        Ok(())
    }

    /// Refuses groups that match no trainable parameter: their pattern is misspelt.
    ///
    /// # Errors
    ///
    /// [`TrainError::Config`], with the nearest path.
    pub fn validate_against(&self, paths: &[String]) -> Result<(), TrainError> {
        for group in &self.groups {
            check(
                paths.iter().any(|path| group.matches(path)),
                &format!("groups.{}.pattern", group.name),
                || {
                    let hint = nearest::hint(&group.pattern, paths.iter().map(String::as_str));
                    format!("{:?} matches no trainable parameter{hint}", group.pattern)
                },
            )?;
        }
        Ok(())
    }
}

impl GroupSpec {
    /// Whether the parameter at `path` (dot-separated) belongs to the group.
    ///
    /// ```
    /// use flamingo_train::GroupSpec;
    ///
    /// let group = |pattern: &str| GroupSpec {
    ///     name: "g".into(), pattern: pattern.into(), lr: 1.0, weight_decay: None, agc: None,
    /// };
    /// assert!(group("head").matches("head.weight") && !group("head").matches("header.weight"));
    /// assert!(group("*.bias").matches("blocks.0.bias") && !group("*.bias").matches("bias.weight"));
    /// ```
    pub fn matches(&self, path: &str) -> bool {
        match self.pattern.split_once('*') {
            None => {
                path.strip_prefix(&self.pattern).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
            }
            Some((head, tail)) => path.strip_prefix(head).is_some_and(|rest| tail_matches(tail, rest)),
        }
    }
}

/// Whether `text` is any characters followed by `pattern`, which may hold further stars.
fn tail_matches(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        None => text.ends_with(pattern),
        // Taking the first occurrence leaves the most text for what follows.
        Some((part, rest)) => text.find(part).is_some_and(|at| tail_matches(rest, &text[at + part.len()..])),
    }
}

fn check(holds: bool, key: &str, message: impl FnOnce() -> String) -> Result<(), TrainError> {
    if holds { Ok(()) } else { Err(TrainError::config(key, message())) }
}

fn positive(key: &str, value: f64) -> Result<(), TrainError> {
    check(value > 0.0 && value.is_finite(), key, || format!("must be a positive number, not {value}"))
}

fn not_negative(key: &str, value: f64) -> Result<(), TrainError> {
    check(value >= 0.0 && value.is_finite(), key, || format!("must be zero or positive, not {value}"))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn group(name: &str, pattern: &str) -> GroupSpec {
        GroupSpec { name: name.into(), pattern: pattern.into(), lr: 1.0, weight_decay: None, agc: None }
    }

    pub(crate) fn config() -> TrainConfig {
        TrainConfig {
            steps: 10,
            seed: 1,
            optimizer: AdamWSpec::default(),
            schedule: Schedule::Linear { peak: 0.05, warmup: 2, end_factor: 0.1 },
            weight_decay: 0.1,
            groups: vec![GroupSpec { weight_decay: Some(0.0), ..group("no-decay", "*.bias") }],
            clip_norm: Some(1.0),
            sources: vec![
                SourceSpec { name: "left".into(), weight: 1.0 },
                SourceSpec { name: "right".into(), weight: 0.5 },
            ],
            mixing: Mixing::default(),
            microbatches: 1,
            precision: Precision::default(),
            log_every: 3,
            checkpoint_every: 4,
            keep_last: 2,
            evaluate_every: 0,
            keep_best: None,
        }
    }

    #[test]
    fn the_last_matching_group_wins() {
        let mut config = config();
        config.groups.insert(0, GroupSpec { agc: Some(0.01), lr: 2.0, ..group("head", "head") });
        let of = |path: &str| config.settings_of(path);
        assert_eq!(of("head.weight"), ParamSettings { lr: 2.0, weight_decay: 0.1, agc: Some(0.01) });
        assert_eq!(of("head.bias"), ParamSettings { lr: 1.0, weight_decay: 0.0, agc: None });
        assert_eq!(of("body.weight"), ParamSettings { lr: 1.0, weight_decay: 0.1, agc: None });
    }

    #[test]
    fn stars_match_any_run_of_characters() {
        for (pattern, path, expected) in [
            ("*", "a.b", true),
            ("a.*.gate", "a.0.x.gate", true),
            ("a.*.gate", "a.gate", false),
            ("*gate*", "a.attn_gate_0", true),
            ("*.a.*.b", "x.a.a.y.b", true),
            ("a.b", "a.b", true),
            ("a.b", "a.bc", false),
        ] {
            assert_eq!(group("g", pattern).matches(path), expected, "{pattern} {path}");
        }
    }

    #[test]
    fn a_pattern_for_nothing_is_named_with_its_nearest() {
        let mut config = config();
        config.groups = vec![group("typo", "resamplr.latents")];
        let error = config.validate_against(&["resampler.latents".into()]).unwrap_err().to_string();
        assert!(error.contains("groups.typo.pattern") && error.contains("resampler.latents\"?"), "{error}");
    }

    #[test]
    fn configurations_from_before_evaluations_still_read() {
        let mut old = serde_json::to_value(config()).unwrap();
        for key in ["evaluate_every", "keep_best", "mixing", "microbatches"] {
            old.as_object_mut().unwrap().remove(key).unwrap();
        }
        assert_eq!(serde_json::from_value::<TrainConfig>(old).unwrap(), config());
    }

    #[test]
    fn bad_values_are_named() {
        assert!(config().validate().is_ok());
        let broken = |spoil: &dyn Fn(&mut TrainConfig)| {
            let mut config = config();
            spoil(&mut config);
            config.validate().unwrap_err().to_string()
        };
        for (key, error) in [
            ("steps", broken(&|c| c.steps = 0)),
            ("optimizer.beta2", broken(&|c| c.optimizer.beta2 = 1.0)),
            ("schedule.peak", broken(&|c| c.schedule = Schedule::Constant { peak: f64::NAN, warmup: 0 })),
            ("groups.no-decay.agc", broken(&|c| c.groups[0].agc = Some(0.0))),
            ("sources", broken(&|c| c.sources[1].name = "left".into())),
            ("sources.left.weight", broken(&|c| c.sources[0].weight = -1.0)),
            ("keep_best", broken(&|c| c.keep_best = Some("nll".into()))),
        ] {
            assert!(error.contains(&format!("`{key}`")), "{error}");
        }
    }
}
