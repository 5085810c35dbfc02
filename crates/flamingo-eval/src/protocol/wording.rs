//! Prompts of a task for a model, and how their answers are found.

use flamingo::dialect::Style;
use flamingo::generate::{BeamRules, GenerateOptions};
use flamingo::prompt::{Example, Template};
use flamingo::{Dialect, FlamingoError, Part, Prompt};

use super::settings::Settings;
use crate::EvalError;
use crate::task::{Ask, Item, Items, PromptStyle, Target, Task};

/// Examples without their media that a prompt begins with where it has no others.
pub const TEXT_ONLY: usize = 2;

/// What ends an answer of a model that has no token for it.
const LINE: &str = "\n";

/// Writes a task's prompts for a model.
#[derive(Debug, Clone)]
pub struct Prompter {
    template: Template,
    /// The template as it is used: as the task's, but a line break for `{eoc}` where the model has no such token.
    pub text: String,
    style: PromptStyle,
    dialect: Dialect,
    ask: Ask,
}

impl Prompter {
    /// Of `task` in `style`, for a model.
    ///
    /// # Errors
    ///
    /// If the task's template is none.
    pub fn new(task: &dyn Task, style: PromptStyle, dialect: &Dialect) -> Result<Self, EvalError> {
        let wording = task.wording(style);
        let (template, text) = match dialect.eoc() {
            Some(_) => (wording.template, wording.text),
            None => {
                let text = wording.text.replace("{eoc}\n", LINE).replace("{eoc}", LINE);
                (Template::parse(&text)?, text)
            }
        };
        Ok(Self { template, text, style, dialect: dialect.clone(), ask: task.ask(style) })
    }

    /// How many text-only examples a prompt of `shots` examples has instead: two at 0 shots, with the paper only where the
    /// answer is open (section 3.2: they show its form), with OpenFlamingo always.
    pub fn text_only(&self, shots: usize) -> usize {
        let wanted = self.style == PromptStyle::OpenFlamingo || matches!(self.ask, Ask::Open { .. });
        if shots == 0 && wanted { TEXT_ONLY } else { 0 }
    }

    /// What an item says as an example. OpenFlamingo takes the first of its texts; the paper does not say which.
    pub fn answer<'a>(&self, item: &'a Item) -> &'a str {
        match (&item.target, self.style) {
            (Target::Texts(texts), PromptStyle::OpenFlamingo) => texts.first().unwrap_or(&item.answer).trim(),
            _ => &item.answer,
        }
    }

    /// Examples and a query. With `text_only`, examples have no media.
    pub fn prompt(&self, examples: &[&Item], text_only: bool, query: &Item) -> Prompt {
        let example = |item: &&Item| Example {
            media: if text_only { Vec::new() } else { item.media.clone() },
            question: item.question.clone(),
            answer: self.answer(item).to_owned(),
        };
        let examples: Vec<Example> = examples.iter().map(example).collect();
        let query =
            Example { media: query.media.clone(), question: query.question.clone(), answer: String::new() };
        self.template.prompt(&self.dialect, &examples, &query)
    }

    /// The continuations among which a close-ended query chooses.
    pub fn candidates(&self, items: &Items, query: &Item) -> Vec<String> {
        let choices = if query.choices.is_empty() { &items.choices } else { &query.choices };
        choices.iter().map(|choice| format!("{}{choice}", self.template.lead())).collect()
    }

    /// Whether prompt and candidates are tokenized apart, as OpenFlamingo's program does.
    pub fn apart(&self) -> bool {
        self.style == PromptStyle::OpenFlamingo && self.dialect.style() == Style::OpenFlamingo
    }

    /// How an answer is found, with what `settings` override.
    pub fn ask(&self, settings: &Settings) -> Ask {
        match self.ask.clone() {
            Ask::Open { max_tokens, beams, length_penalty } => Ask::Open {
                max_tokens: settings.max_new_tokens.unwrap_or(max_tokens),
                beams: settings.beams.unwrap_or(beams),
                length_penalty,
            },
            close => close,
        }
    }

    /// How an open answer is generated. OpenFlamingo's own models in its own wording end at the end of a chunk only, and
    /// beams follow the rules of the library that they were evaluated with; a model without that token ends at a line
    /// break.
    pub fn options(&self, settings: &Settings) -> Option<GenerateOptions> {
        let Ask::Open { max_tokens, beams, length_penalty } = self.ask(settings) else { return None };
        let eoc = self.dialect.eoc();
        Some(GenerateOptions {
            max_new_tokens: max_tokens,
            beams,
            length_penalty,
            beam_rules: match self.dialect.style() {
                Style::OpenFlamingo => BeamRules::Transformers435,
                Style::Paper | Style::Idefics | Style::Text => BeamRules::Transformers457,
            },
            stop_ids: eoc.filter(|_| self.apart()).into_iter().collect(),
            stop_strings: if eoc.is_none() { vec![LINE.to_owned()] } else { Vec::new() },
            ..GenerateOptions::default()
        })
    }

    /// An error for settings that mean nothing to how this task is asked.
    pub(super) fn check(&self, settings: &Settings) -> Result<(), EvalError> {
        let Settings { ensemble, max_new_tokens, beams, .. } = *settings;
        let wrong =
            |name, value: usize, allowed| Err(EvalError::Setting { name, value: value.to_string(), allowed });
        match (&self.ask, max_new_tokens, beams) {
            (Ask::Open { .. }, ..) if ensemble > 1 => wrong(
                "ensemble",
                ensemble,
                "1 with an open-ended task: log-likelihoods of choices can be averaged only",
            ),
            (Ask::Close { .. }, Some(tokens), _) => {
                wrong("max_new_tokens", tokens, "left out with a close-ended task, which generates nothing")
            }
            (Ask::Close { .. }, _, Some(beams)) => {
                wrong("beams", beams, "left out with a close-ended task, which generates nothing")
            }
            _ => Ok(()),
        }
    }

    /// A generated text as the program decodes it whose wording this is: the tokenizers of OpenFlamingo's models take out
    /// spaces before punctuation and English endings (`clean_up_tokenization` of transformers, its default up to 4.44).
    pub fn decoded(&self, text: String) -> String {
        if self.apart() { without_spaces(&text) } else { text }
    }

    /// A prompt as its ids, with its media.
    ///
    /// # Errors
    ///
    /// As [`Dialect::encode`].
    pub fn tokens(&self, prompt: &Prompt) -> Result<Prompt, FlamingoError> {
        let encoded = self.dialect.encode(prompt)?;
        Ok(Prompt::Tokens { ids: encoded.ids, media: encoded.media })
    }
}

/// A prompt for people: `<image>` for each medium, `<EOC>` for the end of a chunk.
pub fn written(prompt: &Prompt) -> String {
    match prompt {
        Prompt::Parts(parts) => parts.iter().map(|part| match part {
            Part::Text(text) => text.as_str(),
            Part::Medium(_) => "<image>",
            Part::EndOfChunk => "<EOC>",
        }),
        Prompt::Tokens { .. } => return format!("{prompt:?}"),
    }
    .collect()
}

fn without_spaces(text: &str) -> String {
    let endings = [" n't", " 'm", " 's", " 've", " 're"];
    let marks = [" .", " ?", " !", " ,"]
        .iter()
        .fold(text.to_owned(), |text, mark| text.replace(mark, mark.trim_start()));
    endings.iter().fold(marks.replace(" ' ", "'"), |text, ending| text.replace(ending, ending.trim_start()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spaces_are_taken_out_as_transformers_does() {
        // What transformers 4.35 makes of them.
        for (text, expected) in [
            ("a cat , a dog .", "a cat, a dog."),
            ("do n't ! why ?", "don't! why?"),
            ("it 's a man ' s hat", "it's a man's hat"),
            ("we 've , they 're , i 'm", "we've, they're, i'm"),
            (" . . ", ".. "),
        ] {
            assert_eq!(without_spaces(text), expected, "{text:?}");
        }
    }
}
