//! What the model said, as the metrics take it.

use super::{Item, Output, Target};
use crate::EvalError;
use crate::metrics::{Mean, accuracy};

/// What is wrong with an item.
pub(super) fn odd(item: &Item, what: impl Into<String>) -> EvalError {
    EvalError::Example { example: format!("{:?}", item.id), what: what.into() }
}

/// A metric's complaint about the example at a place, with the item's id.
pub(super) fn named<T>(asked: &[(&Item, &Output)], made: Result<T, EvalError>) -> Result<T, EvalError> {
    made.map_err(|error| error.named(asked.iter().map(|(item, _)| item.id.as_str())))
}

/// The texts of an open-ended task.
pub(super) fn texts<'a>(asked: &[(&Item, &'a Output)]) -> Result<Vec<&'a str>, EvalError> {
    let text = |(item, output): &(&Item, &'a Output)| match output {
        Output::Text(text) => Ok(text.as_str()),
        Output::Scores(_) => Err(odd(item, "scores of choices; this task is asked for a text")),
    };
    asked.iter().map(text).collect()
}

/// The scores of a close-ended task, as many as there are choices.
pub(super) fn scores(asked: &[(&Item, &Output)]) -> Result<Vec<Vec<f64>>, EvalError> {
    let scores = |(item, output): &(&Item, &Output)| match output {
        Output::Scores(scores) => Ok(scores.clone()),
        Output::Text(_) => Err(odd(item, "a text; this task is asked for the scores of its choices")),
    };
    asked.iter().map(scores).collect()
}

/// The right choices of a close-ended task.
pub(super) fn choices(asked: &[(&Item, &Output)]) -> Result<Vec<usize>, EvalError> {
    let choice = |(item, _): &(&Item, &Output)| match &item.target {
        Target::Choice(choice) => Ok(*choice),
        target => Err(unscored(item, target)),
    };
    asked.iter().map(choice).collect()
}

/// An item that cannot be scored.
pub(super) fn unscored(item: &Item, target: &Target) -> EvalError {
    match target {
        Target::Hidden => {
            odd(item, "its answer is not published: write the predictions out for the benchmark's server")
        }
        target => odd(item, format!("{target:?} is not what this task's items have")),
    }
}

/// Whether the likeliest choice is the right one.
pub(super) fn top_1(asked: &[(&Item, &Output)]) -> Result<Mean, EvalError> {
    named(asked, accuracy::top_k(1, &scores(asked)?, &choices(asked)?))
}
