//! Wording: how examples and a query become a prompt, and how each family's own programs do it.
//!
//! A template is a text with `{image}`, `{question}`, `{answer}` and `{eoc}` in it, written out once for each example
//! and once for the query, which ends where its answer would begin. A space before that place is left to the answer:
//! tokenizers keep it with the next word.
//!
//! | | caption | question |
//! |---|---|---|
//! | paper | as its pairs are trained, `<image>` and the text | `Question: … Answer: …` (section 3, appendix B.1.5) |
//! | OpenFlamingo | `Output:…` and a new line (its `evaluate.py`) | `Question:… Short answer:…` and a new line |
//! | IDEFICS | `User:… Describe this image. Assistant:…` (its guide in transformers) | an instruction, then `Question: … Answer: …` |

use super::writer::Writer;
use super::{Medium, Part, Prompt};
use crate::dialect::{Dialect, Style};
use crate::error::FlamingoError;

/// An example, or a query without its answer.
#[derive(Debug, Clone, Default)]
pub struct Example {
    /// What `{image}` stands for; an example may do without one, as in the paper's zero-shot prompts.
    pub media: Vec<Medium>,
    /// What `{question}` stands for.
    pub question: String,
    /// What `{answer}` stands for.
    pub answer: String,
}

/// What is asked of an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Task {
    /// What it shows.
    Caption,
    /// A question.
    Question,
}

/// See the [module documentation](self).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    preamble: String,
    before: Vec<Slot>,
    behind: Vec<Slot>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Slot {
    Text(String),
    Image,
    Question,
    EndOfChunk,
}

impl Template {
    /// The wording of a task in a family's own programs.
    pub fn of(style: Style, task: Task) -> Self {
        let (preamble, text) = match (style, task) {
            (Style::Paper, Task::Caption) => ("", "{image}{answer}{eoc}"),
            (Style::Paper, Task::Question) => ("", "{image}Question: {question} Answer: {answer}{eoc}"),
            (Style::OpenFlamingo, Task::Caption) => ("", "{image}Output:{answer}{eoc}\n"),
            (Style::OpenFlamingo, Task::Question) => {
                ("", "{image}Question:{question} Short answer:{answer}{eoc}\n")
            }
            (Style::Idefics, Task::Caption) => {
                ("", "User:{image}Describe this image.{eoc}\nAssistant: {answer}{eoc}\n")
            }
            (Style::Idefics, Task::Question) => (
                "Instruction: Provide an answer to the question. Use the image to answer.\n",
                "{image}Question: {question} Answer: {answer}{eoc}\n",
            ),
            (Style::Text, Task::Caption) => ("", "{answer}"),
            (Style::Text, Task::Question) => ("", "Question: {question}\nAnswer: {answer}\n\n"),
        };
        let (before, behind) = text.split_once(ANSWER).unwrap_or((text, ""));
        Self { preamble: preamble.to_owned(), before: slots(before), behind: slots(behind) }
    }

    /// A wording of one's own.
    ///
    /// # Errors
    ///
    /// If `{answer}` is not in it exactly once, or there is something else in braces.
    pub fn parse(text: &str) -> Result<Self, FlamingoError> {
        let odd = |what: String| FlamingoError::Prompt { what: format!("template {text:?}: {what}") };
        let (before, behind) =
            text.split_once(ANSWER).ok_or_else(|| odd(format!("there must be one {ANSWER} in it")))?;
        let template = Self { preamble: String::new(), before: slots(before), behind: slots(behind) };
        let braces = |slot: &Slot| matches!(slot, Slot::Text(text) if text.contains(['{', '}']));
        match template.before.iter().chain(&template.behind).any(braces) {
            true => Err(odd(format!("there may be {{image}}, {{question}}, one {ANSWER} and {{eoc}} in it"))),
            false => Ok(template),
        }
    }

    /// What stands between a query and its answer, which is left to the answer: a space, or nothing.
    pub fn lead(&self) -> &'static str {
        match self.before.last() {
            Some(Slot::Text(text)) if text.ends_with(' ') => " ",
            _ => "",
        }
    }

    /// Examples, and a query at their end, for a model.
    pub fn prompt(&self, dialect: &Dialect, examples: &[Example], query: &Example) -> Prompt {
        let mut writer = Writer::new(dialect);
        writer.text(&self.preamble);
        for example in examples {
            write(&mut writer, &self.before, example);
            writer.text(&example.answer);
            write(&mut writer, &self.behind, example);
        }
        write(&mut writer, &self.before, query);
        let mut parts = writer.finish();
        if let Some(Part::Text(text)) = parts.last_mut()
            && text.ends_with(' ')
        {
            text.pop();
        }
        Prompt::Parts(parts)
    }
}

fn write(writer: &mut Writer, slots: &[Slot], example: &Example) {
    for slot in slots {
        match slot {
            Slot::Text(text) => writer.text(text),
            Slot::Question => writer.text(&example.question),
            Slot::Image => writer.media(&example.media),
            Slot::EndOfChunk => writer.end_of_chunk(),
        }
    }
}

const ANSWER: &str = "{answer}";

/// Cuts a text at its names in braces; names that are not known stay text.
fn slots(mut text: &str) -> Vec<Slot> {
    let known = [("{image}", Slot::Image), ("{question}", Slot::Question), ("{eoc}", Slot::EndOfChunk)];
    let mut slots = Vec::new();
    loop {
        let next = known
            .iter()
            .filter_map(|(name, slot)| Some((text.find(name)?, name, slot)))
            .min_by_key(|found| found.0);
        let Some((at, name, slot)) = next else { break };
        slots.push(Slot::Text(text[..at].to_owned()));
        slots.push(slot.clone());
        text = &text[at + name.len()..];
    }
    slots.push(Slot::Text(text.to_owned()));
    slots
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prompt::Source;

    fn example(question: &str, answer: &str) -> Example {
        let media = vec![Medium::Image(Source::File("cat.png".into()))];
        Example { media, question: question.to_owned(), answer: answer.to_owned() }
    }

    /// A prompt with `|` for an image and `.` for the end of a chunk.
    fn written(template: &Template, eoc: Option<u32>, examples: &[Example], query: &Example) -> String {
        let dialect = Dialect::of_ids(Style::Paper, Some(1), eoc);
        let Prompt::Parts(parts) = template.prompt(&dialect, examples, query) else { unreachable!() };
        let text = |part: &Part| match part {
            Part::Text(text) => text.clone(),
            Part::Medium(_) => "|".to_owned(),
            Part::EndOfChunk => ".".to_owned(),
        };
        parts.iter().map(text).collect()
    }

    #[test]
    fn each_family_has_its_own_wording() {
        let (shots, query) = ([example("q", "a")], example("r", ""));
        let prompt = |style, task| written(&Template::of(style, task), Some(2), &shots, &query);
        assert_eq!(prompt(Style::Paper, Task::Caption), "|a.|");
        assert_eq!(prompt(Style::Paper, Task::Question), "|Question: q Answer: a.|Question: r Answer:");
        assert_eq!(prompt(Style::OpenFlamingo, Task::Caption), "|Output:a.\n|Output:");
        let question = "|Question:q Short answer:a.\n|Question:r Short answer:";
        assert_eq!(prompt(Style::OpenFlamingo, Task::Question), question);
        assert!(prompt(Style::Idefics, Task::Question).starts_with("Instruction: "));
    }

    #[test]
    fn a_model_without_ends_of_chunks_gets_none() {
        let template = Template::of(Style::Idefics, Task::Caption);
        let prompt = written(&template, None, &[], &example("", ""));
        assert_eq!(prompt, "User:|Describe this image.\nAssistant:");
    }

    #[test]
    fn own_wordings_are_checked() {
        let template = Template::parse("{image} is {answer}!{eoc}").unwrap();
        assert_eq!(
            written(&template, Some(2), &[example("", "a cat")], &example("", "")),
            "| is a cat!.| is"
        );
        let text_only = Example { answer: "a dog".to_owned(), ..Example::default() };
        assert_eq!(written(&template, Some(2), &[text_only], &example("", "")), " is a dog!.| is");
        for wrong in ["no answer", "{answer}{answer}", "{image}{caption}{answer}"] {
            let error = Template::parse(wrong).unwrap_err().to_string();
            assert!(error.contains(wrong), "{error}");
        }
    }
}
