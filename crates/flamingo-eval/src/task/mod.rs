//! What a benchmark is: where its examples come from, how they are asked, and how answers are scored.
//!
//! A [`Task`] knows its official files, its prompts and its metric, and nothing of models: `protocol` chooses the examples
//! of a prompt, asks the model and comes back with one [`Output`] for each query.

/// The methods of a task that are those of its family, a module here.
macro_rules! as_others {
    ($family:ident) => {
        fn metric(&self) -> &'static str {
            super::$family::METRIC
        }

        fn wording(&self, style: super::PromptStyle) -> super::Wording {
            super::$family::wording(style)
        }

        fn ask(&self, style: super::PromptStyle) -> super::Ask {
            super::$family::ask(style)
        }

        fn clean(&self, style: super::PromptStyle, text: &str) -> String {
            super::$family::clean(style, text)
        }

        fn measure(
            &self,
            asked: &[(&super::Item, &super::Output)],
        ) -> Result<Box<dyn crate::metrics::Measure>, crate::EvalError> {
            super::$family::measure(asked)
        }
    };
}

mod captions;
mod coco;
mod flickr30k;
mod hateful_memes;
mod imagenet;
mod ivqa;
mod karpathy;
mod kinetics700;
pub mod language;
mod msrvttqa;
mod msvdqa;
mod nextqa;
mod okvqa;
mod outputs;
mod questions;
pub(crate) mod rareact;
mod read;
pub mod registry;
mod short_answers;
mod star;
mod textvqa;
mod vatex;
mod visdial;
mod vizwiz;
mod vqa;
mod vqav2;
mod youcook2;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use flamingo::prompt::{Medium, Template};
use serde::{Deserialize, Serialize};

use crate::EvalError;
use crate::metrics::Measure;
use crate::metrics::rareact::Clip;
use crate::metrics::vqa::Answer;

pub use language::Language;

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
    /// Any of these texts: reference captions, or accepted answers.
    Texts(Vec<String>),
    /// The answers of all annotators, repeated as they gave them.
    Answers(Vec<Answer>),
    /// Texts near in meaning to one of these, or with `exact` the same, once their words are in base form (NextQA).
    Meaning {
        /// The accepted answers.
        texts: Vec<String>,
        /// Whether nearness does not count: numbers, and yes or no.
        exact: bool,
    },
    /// An action and whether the clip shows it (RareAct).
    Clip(Clip),
    /// The choice at this place.
    Choice(usize),
    /// How well each choice suits (VisDial).
    Relevance(Vec<f64>),
    /// Not published: predictions can be written for the benchmark's server, but not scored here.
    Hidden,
}

impl Target {
    /// The texts of those kinds that have any.
    pub fn texts(&self) -> Vec<&str> {
        match self {
            Self::Texts(texts) | Self::Meaning { texts, .. } => texts.iter().map(String::as_str).collect(),
            Self::Answers(answers) => answers.iter().map(|it| it.text.as_str()).collect(),
            Self::Choice(_) | Self::Relevance(_) | Self::Clip(_) | Self::Hidden => Vec::new(),
        }
    }
}

/// All that a task reads.
#[derive(Debug, Clone, Default)]
pub struct Items {
    /// From which examples of prompts are drawn: the training split. What is right of them is kept only where it is
    /// little: the text that is shown, or the choice.
    pub support: Vec<Item>,
    /// What is asked.
    pub queries: Vec<Item>,
    /// The answers among which a close-ended task chooses, where they are the same for all items.
    pub choices: Vec<String>,
    /// What [`Task::measure_in`] needs to know of English, with tasks that compare words by base form or meaning.
    pub language: Option<Arc<Language>>,
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

impl FileSpec {
    const fn required(name: &'static str, official: &'static str, about: &'static str) -> Self {
        Self { name, official, about, optional: false }
    }

    const fn optional(name: &'static str, official: &'static str, about: &'static str) -> Self {
        Self { name, official, about, optional: true }
    }
}

/// How an item is asked.
#[derive(Debug, Clone, PartialEq)]
pub struct Wording {
    /// One item; examples and query alike.
    pub template: Template,
    /// The template as it is written in a result.
    pub text: String,
}

impl Wording {
    /// A wording that this library has written itself.
    fn of(text: &str) -> Self {
        Self { template: Template::parse(text).expect("a template of this library"), text: text.to_owned() }
    }
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
    /// The same with what the task has read, which some metrics need: those that compare words by their base form or
    /// their meaning ([`Items::language`]). It is what to call wherever the items are at hand.
    ///
    /// # Errors
    ///
    /// As [`Task::measure`].
    fn measure_in(&self, _items: &Items, asked: &[(&Item, &Output)]) -> Result<Box<dyn Measure>, EvalError> {
        self.measure(asked)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::fs;
    use std::path::Path;

    use flamingo::prompt::Source;
    use tempfile::TempDir;

    use super::language::small as tagger;
    use super::*;
    use crate::metrics::wordnet::tests::small as wordnet;

    /// A folder with a task's files.
    pub struct Folder {
        folder: TempDir,
        files: Files,
    }

    impl Folder {
        /// Name, official name and contents of each.
        pub fn with(files: &[(&str, &str, &str)]) -> Self {
            let folder = Self { folder: tempfile::tempdir().unwrap(), files: Files::new() };
            files.iter().fold(folder, |folder, (name, official, text)| folder.file(name, official, text))
        }

        /// One more, or another one.
        pub fn file(mut self, name: &str, official: &str, text: &str) -> Self {
            let path = self.folder.path().join(official);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, text).unwrap();
            self.files.insert(name.to_owned(), path);
            self
        }

        /// A folder, which need not be there.
        pub fn folder(mut self, name: &str, official: &str) -> Self {
            self.files.insert(name.to_owned(), self.folder.path().join(official));
            self
        }

        /// By their names.
        pub fn files(&self) -> &Files {
            &self.files
        }
    }

    /// With a small WordNet, and a tagger that knows little.
    pub fn with_language(folder: Folder) -> Folder {
        let path = folder.folder.path().to_owned();
        for (name, write) in [("wordnet", wordnet as fn(&Path)), ("tagger", tagger)] {
            fs::create_dir_all(path.join(name)).unwrap();
            write(&path.join(name));
        }
        folder.folder("wordnet", "wordnet").folder("tagger", "tagger")
    }

    /// The first queries, each with what a model said.
    pub fn asked<'a>(items: &'a Items, outputs: &'a [Output]) -> Vec<(&'a Item, &'a Output)> {
        items.queries.iter().zip(outputs).collect()
    }

    /// Where an item's only picture or clip is.
    pub fn path_of(item: &Item) -> &Path {
        match &item.media[..] {
            [Medium::Image(Source::File(path)) | Medium::Video(Source::File(path))] => path,
            media => panic!("{media:?}"),
        }
    }
}
