//! A conversation that is going on: what is attached, and how a message is answered.

use std::fs;
use std::path::Path;

use flamingo::data::DataError;
use flamingo::generate::{Ending, GenerateOptions, Generated};
use flamingo::{Conversation, Engine, FlamingoError, Medium, Source, Wording};

use super::interrupt::Interrupt;
use super::printer::Printer;

pub struct Session {
    engine: Engine,
    conversation: Conversation,
    options: GenerateOptions,
    /// Of the next message.
    attached: Vec<Medium>,
}

impl Session {
    pub fn new(engine: Engine, conversation: Conversation, mut options: GenerateOptions) -> Self {
        options.stop_strings.extend(conversation.stop_strings());
        Self { engine, conversation, options, attached: Vec::new() }
    }

    pub fn wording(&self) -> Wording {
        self.conversation.wording()
    }

    /// What a person is asked with.
    pub fn prompt(&self) -> String {
        match self.attached.len() {
            0 => "> ".to_owned(),
            count => format!("[{count} attached] > "),
        }
    }

    /// Attaches a file to the next message. Its contents are kept: what becomes of the file later does not matter.
    pub fn attach(&mut self, path: &Path, video: bool) -> anyhow::Result<()> {
        let source = if path.extension().is_some_and(|extension| extension == "safetensors") {
            // Pixels: a file that is read where it lies.
            Source::File(path.to_owned())
        } else {
            let bytes = fs::read(path).map_err(|source| DataError::Io { path: path.to_owned(), source });
            Source::Bytes(bytes.map_err(FlamingoError::from)?.into())
        };
        let medium = if video { Medium::Video(source) } else { Medium::Image(source) };
        self.engine.look(std::slice::from_ref(&medium)).map_err(|error| named(error, path))?;
        self.attached.push(medium);
        let name = path.file_name().unwrap_or(path.as_os_str());
        eprintln!("({} is attached to the next message)", name.display());
        Ok(())
    }

    pub fn undo(&mut self) {
        if !self.attached.is_empty() {
            self.attached.clear();
            eprintln!("(nothing is attached any more)");
        } else if self.conversation.undo().is_some() {
            eprintln!("(taken back; the conversation has {})", exchanges(self.conversation.turns().len()));
        } else {
            eprintln!("(there is nothing to take back)");
        }
    }

    pub fn reset(&mut self) {
        self.conversation.reset();
        eprintln!("(the conversation is empty)");
    }

    /// Sends a message, and prints the answer as it comes. After an error nothing was said, and what was attached
    /// still is.
    pub fn say(&mut self, text: &str, interrupt: &Interrupt) -> anyhow::Result<()> {
        if text.is_empty() && self.attached.is_empty() {
            return Ok(());
        }
        self.conversation.say(text, std::mem::take(&mut self.attached));
        let answer = interrupt.during(|| self.answer(interrupt));
        match answer {
            Ok(Some(answer)) => {
                self.conversation.answer(answer.text);
                Ok(())
            }
            Ok(None) => {
                self.take_back();
                eprintln!("(stopped before the first word; the message is taken back)");
                Ok(())
            }
            Err(error) => {
                self.take_back();
                match error.downcast_ref() {
                    Some(FlamingoError::TooLong { tokens, context }) => {
                        Err(too_long(*tokens, *context).into())
                    }
                    _ => Err(error),
                }
            }
        }
    }

    /// The answer to the last message, which may be empty; `None` if it was stopped before there was any.
    fn answer(&mut self, interrupt: &Interrupt) -> anyhow::Result<Option<Generated>> {
        let prompt = self.conversation.prompt(&self.engine.pretrained().dialect);
        let options = self.engine.completed(&self.options, &prompt)?;
        let mut printer = Printer::default();
        let answer = if options.beams > 1 {
            let answer = self.engine.generate(&[prompt], &options)?.remove(0);
            printer.push(&answer.text)?;
            answer
        } else {
            let mut tokens = self.engine.stream(&prompt, &options)?;
            while !interrupt.came() {
                match tokens.next() {
                    Some(Ok(token)) => printer.push(&token.text)?,
                    Some(Err(error)) => {
                        printer.drop_answer()?;
                        return Err(error.into());
                    }
                    None => break,
                }
            }
            tokens.finish()
        };
        let said = !answer.text.trim().is_empty();
        if answer.ending == Ending::Dropped && !said {
            return Ok(None);
        }
        printer.finish()?;
        match answer.ending {
            Ending::Length if options.max_new_tokens < self.options.max_new_tokens => {
                eprintln!("(cut off: the conversation fills all that the model reads; /reset begins anew)");
            }
            // It would go on for ever.
            Ending::Length if self.wording() == Wording::Text => {}
            Ending::Length => {
                eprintln!("(cut off after {} tokens: --max-new-tokens allows more)", answer.tokens.len());
            }
            _ if !said => eprintln!("(the model has nothing to say)"),
            _ => {}
        }
        Ok(Some(answer))
    }

    fn take_back(&mut self) {
        if let Some(turn) = self.conversation.undo() {
            self.attached = turn.media;
        }
    }
}

/// Contents do not know which file they come from.
fn named(error: FlamingoError, path: &Path) -> anyhow::Error {
    match error {
        FlamingoError::Data(_) => anyhow::Error::from(error).context(path.display().to_string()),
        error => error.into(),
    }
}

fn exchanges(count: usize) -> String {
    match count {
        0 => "no messages".to_owned(),
        1 => "one message".to_owned(),
        more => format!("{more} messages"),
    }
}

/// The library's advice, to leave out examples, is none for a conversation.
fn too_long(tokens: usize, context: usize) -> FlamingoError {
    let what = format!(
        "with this message the conversation has {tokens} tokens, and the model reads {context}; the message is taken \
         back: /reset begins anew, /undo takes back the exchange before it, --allow-long reads on, however badly"
    );
    FlamingoError::Prompt { what }
}
