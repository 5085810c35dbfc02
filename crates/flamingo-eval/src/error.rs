//! Everything that can go wrong when answers are scored.

use std::path::{Path, PathBuf};

use flamingo::FlamingoError;
use flamingo::data::DataError;
use thiserror::Error;

/// The library's error.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum EvalError {
    /// A file that cannot be read or written.
    #[error("cannot {action} {}: {source}", path.display())]
    File {
        /// What was to be done, such as `read`.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// A file that is not as such files are.
    #[error("{}: {place}: {what}", path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// The record, such as `annotations[3].caption`.
        place: String,
        /// What is wrong with it, and what was expected.
        what: String,
    },
    /// References without a prediction, or the other way round.
    #[error("{count} of {of} {kind} have no {missing}: {ids}; {hint}")]
    Unmatched {
        /// How many.
        count: usize,
        /// Of how many.
        of: usize,
        /// What they are: `references` or `predictions`.
        kind: &'static str,
        /// What they lack: `prediction` or `reference`.
        missing: &'static str,
        /// The first of their ids.
        ids: String,
        /// What to do.
        hint: &'static str,
    },
    /// An example that the metric is not defined for.
    #[error("example {example}: {what}")]
    Example {
        /// Its id, or its place from 0.
        example: String,
        /// What is wrong with it, and what was expected.
        what: String,
    },
    /// Examples that the metric is not defined for, all of them together.
    #[error("{metric}: {what}")]
    Undefined {
        /// The metric.
        metric: &'static str,
        /// What is wrong, and what was expected.
        what: String,
    },
    /// No metric of that name.
    #[error("unknown metric {name:?}: there are {known}{hint}")]
    UnknownMetric {
        /// What was asked for.
        name: String,
        /// The metrics that there are.
        known: String,
        /// The nearest, as the end of a sentence.
        hint: String,
    },
    /// No task of that name.
    #[error("unknown task {name:?}: there are {known}{hint}")]
    UnknownTask {
        /// What was asked for.
        name: String,
        /// The tasks that there are.
        known: String,
        /// The nearest, as the end of a sentence.
        hint: String,
    },
    /// A task was not given a file that it reads.
    #[error("{task} needs its file {name:?}: {about} ({official})")]
    MissingFile {
        /// The task.
        task: &'static str,
        /// The file's name among the task's.
        name: &'static str,
        /// The official file name.
        official: &'static str,
        /// What it is.
        about: &'static str,
    },
    /// A task was given a file that it does not know.
    #[error("{task} reads no file {name:?}: it reads {known}{hint}")]
    UnknownFile {
        /// The task.
        task: &'static str,
        /// What was given.
        name: String,
        /// The files that it reads.
        known: String,
        /// The nearest, as the end of a sentence.
        hint: String,
    },
    /// A metric needs something beside references and predictions.
    #[error("{metric} needs {needs}: {hint}")]
    Needs {
        /// The metric.
        metric: &'static str,
        /// What it needs.
        needs: &'static str,
        /// Where to get it.
        hint: &'static str,
    },
    /// A choice of an evaluation that cannot be.
    #[error("{name} = {value}: must be {allowed}")]
    Setting {
        /// Its name.
        name: &'static str,
        /// What was asked for.
        value: String,
        /// What can be asked for.
        allowed: &'static str,
    },
    /// A set that was not prepared.
    #[error("the set {set} is not in {}: `cargo xtask data prepare {prepare}` makes it", folder.display())]
    MissingSet {
        /// The set.
        set: &'static str,
        /// Where it was looked for.
        folder: PathBuf,
        /// What to prepare.
        prepare: String,
    },
    /// The data.
    #[error(transparent)]
    Data(#[from] DataError),
    /// A journal of an evaluation with other settings.
    #[error(
        "{}: it was begun with {name} = {then}, and now {name} = {now}: go on with the same, or name another file",
        path.display()
    )]
    OtherSettings {
        /// The journal.
        path: PathBuf,
        /// What differs, such as `settings.seed`.
        name: String,
        /// What it was.
        then: String,
        /// What it would be now.
        now: String,
    },
    /// Another process writes a journal.
    #[error("{}: another evaluation writes it; wait for its end, or name another file", path.display())]
    Busy {
        /// The journal.
        path: PathBuf,
    },
    /// A query needs more examples than there are.
    #[error(
        "{shots} examples were asked for, and there are {there} in the support set ({missing} left out, because their \
         media cannot be read): ask for fewer shots or for more support{first}"
    )]
    Examples {
        /// How many were asked for.
        shots: usize,
        /// How many there are.
        there: usize,
        /// How many of the support set are left out.
        missing: usize,
        /// The first reason, as the end of a sentence.
        first: String,
    },
    /// Too many queries whose media cannot be read.
    #[error(
        "{rejected} of {of} queries are left out, because their media cannot be read, and at most {allowed} may be; the \
         first: {first}; put the files there, or allow more by max_reject_rate"
    )]
    TooManyRejects {
        /// How many.
        rejected: usize,
        /// Of how many.
        of: usize,
        /// How many may be.
        allowed: usize,
        /// The first query and what is wrong with it.
        first: String,
    },
    /// The model.
    #[error(transparent)]
    Model(#[from] FlamingoError),
}

impl EvalError {
    /// For `map_err`: what was to be done with which file.
    pub(crate) fn file(action: &'static str, path: &Path) -> impl Fn(std::io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::File { action, path: path.clone(), source }
    }
}

impl EvalError {
    /// An example by its id instead of its place.
    pub(crate) fn named<'a>(self, ids: impl IntoIterator<Item = &'a str>) -> Self {
        match self {
            Self::Example { example, what } => {
                let id = example.parse().ok().and_then(|place: usize| ids.into_iter().nth(place));
                let example = id.map(|id| format!("{id:?}")).unwrap_or(example);
                Self::Example { example, what }
            }
            error => error,
        }
    }
}
