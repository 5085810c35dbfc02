//! What a benchmark is: where its examples come from, how they are asked, and how answers are scored.
//!
//! A [`Task`] knows its official files, its prompts and its metric, and nothing of models: `protocol` chooses the examples
//! of a prompt, asks the model and comes back with one [`Output`] for each query.

use std::collections::BTreeMap;
use std::path::PathBuf;

use flamingo::prompt::{Medium, Template};
use serde::{Deserialize, Serialize};

use crate::EvalError;
use crate::metrics::Measure;

/// Whose wording a prompt has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PromptStyle {
    /// The paper's (section 3, appendix B.1.5).
    Paper,
    /// That of OpenFlamingo's `evaluate.py`.
    OpenFlamingo,
}

/// One record of a benchmark.
#[derive(Debug, Clone)]
pub struct Item {
    /// Its id in the official files; no two of a set have the same.
    pub id: String,
    /// What is shown: an image or a clip, with most tasks.
    pub media: Vec<Medium>,
    /// What `{question}` of the task's template stands for; empty where a template has none.
    pub question: String,
    /// What the item says as an example of a prompt, such as its first caption or its most frequent answer.
    pub answer: String,
    /// The answers among which a close-ended task chooses, where they differ from item to item.
    pub choices: Vec<String>,
    /// What is right.
    pub target: Target,
}

/// What is right.
#[derive(Debug, Clone, PartialEq)]
pub enum Target {
    /// Any of these texts: reference captions, or the answers of all annotators, repeated as they gave them.
    Texts(Vec<String>),
    /// The choice at this place.
    Choice(usize),
    /// How well each choice suits (VisDial).
    Relevance(Vec<f64>),
    /// Not published: predictions can be written for the benchmark's server, but not scored here.
    Hidden,
}

/// All that a task reads.
#[derive(Debug, Clone, Default)]
pub struct Items {
    /// From which examples of prompts are drawn: the training split.
    pub support: Vec<Item>,
    /// What is asked.
    pub queries: Vec<Item>,
    /// The answers among which a close-ended task chooses, where they are the same for all items.
    pub choices: Vec<String>,
}

/// Where a task's files are, by the names of [`Task::files`].
pub type Files = BTreeMap<String, PathBuf>;

/// A file or folder that a task reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileSpec {
    /// Its flag's name, such as `train-annotations`.
    pub name: &'static str,
    /// The official file name, such as `captions_train2014.json`.
    pub official: &'static str,
    /// What it is.
    pub about: &'static str,
    /// Whether the task can do without it.
    pub optional: bool,
}

/// How an item is asked.
#[derive(Debug, Clone, PartialEq)]
pub struct Wording {
    /// One item; examples and query alike.
    pub template: Template,
    /// The template as it is written in a result.
    pub text: String,
}

/// How an answer is found.
#[derive(Debug, Clone, PartialEq)]
pub enum Ask {
    /// The model writes it.
    Open {
        /// Most new tokens.
        max_tokens: usize,
        /// Beams.
        beams: usize,
        /// Exponent of the length in a beam's score.
        length_penalty: f64,
    },
    /// The likeliest of the choices.
    Close {
        /// By the mean over a choice's tokens instead of their sum.
        mean: bool,
    },
}

/// What a model said to a query.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Output {
    /// Of [`Ask::Open`]: the text, cleaned.
    Text(String),
    /// Of [`Ask::Close`]: the log-likelihood of every choice, summed or averaged as asked.
    Scores(Vec<f64>),
}

/// A benchmark.
pub trait Task: Sync {
    /// Its name on the command line, such as `vqav2`.
    fn name(&self) -> &'static str;
    /// Its name as it is printed.
    fn title(&self) -> &'static str;
    /// What it reads.
    fn files(&self) -> &'static [FileSpec];
    /// The metric's name, such as `cider`.
    fn metric(&self) -> &'static str;
    /// The score of guessing blindly, in the metric's unit, if there is such a thing.
    fn chance(&self, _items: &Items) -> Option<f64> {
        None
    }
    /// Reads the files.
    ///
    /// # Errors
    ///
    /// If a file is missing, or is not as the official ones are: it names the file and the record.
    fn load(&self, files: &Files) -> Result<Items, EvalError>;
    /// How it is asked.
    fn wording(&self, style: PromptStyle) -> Wording;
    /// How an answer is found.
    fn ask(&self, style: PromptStyle) -> Ask;
    /// A generated text as it is scored.
    fn clean(&self, _style: PromptStyle, text: &str) -> String {
        text.trim().to_owned()
    }
    /// The metric over the queries that were asked, each with what the model said.
    ///
    /// # Errors
    ///
    /// If the metric is not defined for them.
    fn measure(&self, asked: &[(&Item, &Output)]) -> Result<Box<dyn Measure>, EvalError>;
}
