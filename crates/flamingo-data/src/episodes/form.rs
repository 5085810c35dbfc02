//! How a word stands beside its picture.

use serde::{Deserialize, Serialize};

/// Wording of an example. The same for all pictures of an episode.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Form {
    /// `<image>dax<EOC>`: the paper's caption, and what a caption is asked with.
    Bare,
    /// `<image> dax<EOC>`: with the optional space of the paper's pairs.
    Spaced,
    /// `<image>This is a dax.<EOC>`, as Frozen has it; names go without the article.
    Sentence,
    /// `<image>Question: What is this? Answer: dax<EOC>`: the paper's questions.
    Question,
}

/// What a class is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Naming {
    /// A word that no text has.
    Invented,
    /// The concept's own name.
    Real,
}

/// A text around a word, in three parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Parts {
    /// Fixed wording before the word.
    pub lead: &'static str,
    /// What the word begins with: tokenizers keep a space with the word behind it.
    pub space: &'static str,
    /// Fixed wording behind the word.
    pub tail: &'static str,
}

impl Form {
    /// All of them.
    pub const ALL: [Form; 4] = [Form::Bare, Form::Spaced, Form::Sentence, Form::Question];

    /// The form as a prompt template, with `{image}`, `{answer}` (the word) and `{eoc}`.
    pub fn template(self, naming: Naming) -> &'static str {
        match (self, naming) {
            (Form::Bare, _) => "{image}{answer}{eoc}",
            (Form::Spaced, _) => "{image} {answer}{eoc}",
            (Form::Sentence, Naming::Invented) => "{image}This is a {answer}.{eoc}",
            (Form::Sentence, Naming::Real) => "{image}This is {answer}.{eoc}",
            (Form::Question, _) => "{image}Question: What is this? Answer: {answer}{eoc}",
        }
    }

    pub(super) fn parts(self, naming: Naming) -> Parts {
        let template = self.template(naming);
        let text = template.strip_prefix("{image}").and_then(|text| text.strip_suffix("{eoc}"));
        let (before, tail) =
            text.and_then(|text| text.split_once("{answer}")).expect("every template has these parts");
        match before.strip_suffix(' ') {
            Some(lead) => Parts { lead, space: " ", tail },
            None => Parts { lead: before, space: "", tail },
        }
    }
}
