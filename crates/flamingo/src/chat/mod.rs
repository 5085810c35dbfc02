//! Conversations: who said what, with which pictures, and how all of it becomes a prompt.
//!
//! A conversation holds no state of the model. It is written as one prompt at every turn, and an
//! [`Engine`](crate::Engine) reads only what is new of it; so taking back a turn, or adding an image to any, costs
//! nothing.
//!
//! ```no_run
//! use flamingo::generate::GenerateOptions;
//! use flamingo::{Conversation, DeviceSpec, Engine, Medium, Pretrained, Source, Wording};
//!
//! let device = "auto".parse::<DeviceSpec>()?.resolve()?;
//! let mut engine = Engine::new(Pretrained::open("HuggingFaceM4/idefics-9b-instruct", &device)?);
//! let mut conversation = Conversation::new(Wording::of(&engine.pretrained().dialect));
//! let options = GenerateOptions { stop_strings: conversation.stop_strings(), ..GenerateOptions::default() };
//!
//! conversation.say("What is this?", vec![Medium::Image(Source::File("cat.png".into()))]);
//! let prompt = conversation.prompt(&engine.pretrained().dialect);
//! let answer = engine.generate(&[prompt], &options)?.remove(0);
//! conversation.answer(&answer.text);
//! conversation.say("And what colour is it?", Vec::new());
//! # Ok::<(), flamingo::FlamingoError>(())
//! ```

mod wording;

pub use wording::Wording;

use crate::dialect::Dialect;
use crate::prompt::{Medium, Prompt, Writer};

/// See the [module documentation](self).
#[derive(Debug, Clone)]
pub struct Conversation {
    wording: Wording,
    preamble: String,
    turns: Vec<Turn>,
}

/// A message, and what was answered to it.
#[derive(Debug, Clone)]
pub struct Turn {
    /// Pictures and clips, which come before the text.
    pub media: Vec<Medium>,
    /// May be empty.
    pub text: String,
    /// As the model gave it, spaces around it included; `None` until then.
    pub answer: Option<String>,
}

impl Conversation {
    /// Nothing has been said yet, but for the wording's own preamble.
    pub fn new(wording: Wording) -> Self {
        Self { wording, preamble: wording.preamble().to_owned(), turns: Vec::new() }
    }

    /// With another text before the first message: who is speaking, and how. Empty for none.
    pub fn with_preamble(self, preamble: impl Into<String>) -> Self {
        Self { preamble: preamble.into(), ..self }
    }

    /// How it is written.
    pub fn wording(&self) -> Wording {
        self.wording
    }

    /// All messages and their answers, in order.
    pub fn turns(&self) -> &[Turn] {
        &self.turns
    }

    /// A message, which is yet to be answered.
    pub fn say(&mut self, text: impl Into<String>, media: Vec<Medium>) {
        self.turns.push(Turn { media, text: text.into(), answer: None });
    }

    /// The answer to the last message, or another one in its place. Without a message it is nobody's, and is dropped.
    pub fn answer(&mut self, text: impl Into<String>) {
        if let Some(turn) = self.turns.last_mut() {
            turn.answer = Some(text.into());
        }
    }

    /// Takes back the last message and its answer.
    pub fn undo(&mut self) -> Option<Turn> {
        self.turns.pop()
    }

    /// Takes back everything but the preamble.
    pub fn reset(&mut self) {
        self.turns.clear();
    }

    /// All of it as a model reads it, up to where the answer to the last message would begin.
    pub fn prompt(&self, dialect: &Dialect) -> Prompt {
        let mut writer = Writer::new(dialect);
        self.wording.write_preamble(&mut writer, &self.preamble);
        let last = self.turns.len().saturating_sub(1);
        for (index, turn) in self.turns.iter().enumerate() {
            self.wording.write(&mut writer, turn, index == last);
        }
        Prompt::Parts(writer.finish())
    }

    /// What an answer ends before, besides the tokens that end a chunk or a text: the model would go on with what the
    /// person says next.
    pub fn stop_strings(&self) -> Vec<String> {
        self.wording.stop_strings()
    }
}

#[cfg(test)]
mod tests;
