//! Questions of one task with one number of examples.

use flamingo::prompt::{Example, Template};

/// Where the answer to a question is to be found, and so how it is scored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// In the examples: an invented word's score is the likelihood of all of it, its end included.
    Binding,
    /// In the query's image: one of some texts, by its likelihood, its end included.
    Choice,
    /// The same, by the mean over its tokens: for texts of very different lengths.
    Name,
    /// A text of the model's own, scored by CIDEr-D.
    Caption,
}

/// A prompt and what is right.
#[derive(Debug, Clone)]
pub struct Question {
    /// The examples, in their order.
    pub shots: Vec<Example>,
    /// What is asked; its answer is the right one.
    pub query: Example,
    /// Among which texts the model chooses; none with [`Kind::Caption`].
    pub choices: Vec<String>,
    /// The place of the right one.
    pub answer: usize,
}

/// Questions of one task with one number of examples.
#[derive(Debug, Clone)]
pub struct Probe {
    /// The task's name, such as `binding-5-way`.
    pub task: String,
    /// Examples of a prompt; of each class, with fast binding.
    pub shots: usize,
    /// How it is scored.
    pub kind: Kind,
    /// The wording of an example.
    pub template: Template,
    /// The score of who guesses without reading anything: a fraction, or CIDEr-D's 0.
    pub chance: f64,
    /// In the order in which they are asked.
    pub questions: Vec<Question>,
}
