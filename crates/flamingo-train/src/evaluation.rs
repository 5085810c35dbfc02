//! Measurements of a model while it trains: every few updates, named numbers.
//!
//! They go into the metric records and into the checkpoint of that update, and can decide which checkpoint is the best
//! ([`TrainConfig::keep_best`](crate::TrainConfig::keep_best)). Measuring changes nothing of what is learned: every update seeds
//! the device anew, and streams are not touched.

use std::collections::BTreeMap;
use std::error::Error;

use flamingo_core::nearest;

use crate::error::TrainError;

/// Measures a model.
pub trait Evaluator<M> {
    /// Named numbers of `model`, which is on the autodiff device: `model.valid()` is it without a graph. A number that
    /// is not finite is not recorded.
    ///
    /// # Errors
    ///
    /// Whatever keeps it from measuring. It ends the run.
    fn evaluate(&mut self, model: &M) -> Result<Vec<(String, f64)>, Box<dyn Error + Send + Sync>>;
}

/// The evaluators of a stage.
pub type Evaluators<'a, M> = Vec<Box<dyn Evaluator<M> + 'a>>;

/// What a model was measured to be.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Measured {
    pub(crate) finite: BTreeMap<String, f64>,
    /// Names of numbers that are not.
    pub(crate) lost: Vec<String>,
}

/// Asks all evaluators after `step` updates.
///
/// # Errors
///
/// [`TrainError::Evaluation`] if one fails; [`TrainError::Config`] if none gives the number called `wanted`.
pub(crate) fn measure<M>(
    evaluators: &mut Evaluators<'_, M>,
    model: &M,
    step: u64,
    wanted: Option<&str>,
) -> Result<Measured, TrainError> {
    let mut measured = Measured::default();
    for evaluator in evaluators {
        let numbers = evaluator.evaluate(model).map_err(|source| TrainError::Evaluation { step, source })?;
        for (name, value) in numbers {
            if value.is_finite() {
                measured.finite.insert(name, value);
            } else {
                measured.lost.push(name);
            }
        }
    }
    let known = || measured.finite.keys().chain(&measured.lost).map(String::as_str);
    match wanted.filter(|wanted| known().all(|name| name != *wanted)) {
        Some(name) => {
            let hint = nearest::hint(name, known());
            Err(TrainError::config("keep_best", format!("no evaluation gives {name:?}{hint}")))
        }
        None => Ok(measured),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Fixed(Result<Vec<(&'static str, f64)>, &'static str>);

    impl Evaluator<()> for Fixed {
        fn evaluate(&mut self, _: &()) -> Result<Vec<(String, f64)>, Box<dyn Error + Send + Sync>> {
            let numbers = self.0.clone()?;
            Ok(numbers.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
        }
    }

    #[test]
    fn numbers_are_gathered_and_what_is_wanted_must_be_among_them() {
        let mut all: Evaluators<'_, ()> = vec![
            Box::new(Fixed(Ok(vec![("heldout/nll", 2.5), ("odd", f64::NAN)]))),
            Box::new(Fixed(Ok(vec![("recall", 0.5)]))),
        ];
        let measured = measure(&mut all, &(), 3, Some("odd")).unwrap();
        assert_eq!(measured.finite, [("heldout/nll".to_owned(), 2.5), ("recall".to_owned(), 0.5)].into());
        assert_eq!(measured.lost, ["odd"]);
        let error = measure(&mut all, &(), 3, Some("heldout/nlll")).unwrap_err().to_string();
        assert!(error.contains("`keep_best`") && error.contains("heldout/nll\""), "{error}");

        all.push(Box::new(Fixed(Err("no such picture"))));
        let error = measure(&mut all, &(), 3, None).unwrap_err();
        assert!(error.to_string().contains("after update 3"), "{error}");
        assert_eq!(error.source().unwrap().to_string(), "no such picture");
    }
}
