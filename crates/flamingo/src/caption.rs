//! Captions: what a model says of an image, in its family's wording, the likeliest token first unless asked otherwise.

use serde::Serialize;

use crate::engine::Engine;
use crate::error::FlamingoError;
use crate::generate::{GenerateOptions, Generated};
use crate::prompt::{Example, Medium, Prompt, Task, Template};

/// Images that are captioned side by side.
const BATCH: usize = 32;

/// A text about an image.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Caption {
    /// The text, without special tokens and surrounding spaces.
    pub text: String,
    /// Log-probability of the text and its end, in nats.
    pub logprob: f64,
}

impl From<Generated> for Caption {
    fn from(generated: Generated) -> Self {
        Self { text: generated.text.trim().to_owned(), logprob: generated.logprob() }
    }
}

impl Engine {
    /// Captions of images, in their order; `examples`, if any, come before each.
    ///
    /// # Errors
    ///
    /// If an image cannot be read, or as [`Engine::generate`]; nothing is captioned then.
    pub fn captions(
        &mut self,
        images: &[Medium],
        examples: &[Example],
        options: &GenerateOptions,
    ) -> Result<Vec<Caption>, FlamingoError> {
        let dialect = &self.pretrained().dialect;
        let template = Template::of(dialect.style(), Task::Caption);
        let prompt = |image: &Medium| {
            let query = Example { media: vec![image.clone()], ..Example::default() };
            template.prompt(dialect, examples, &query)
        };
        let prompts: Vec<Prompt> = images.iter().map(prompt).collect();
        let mut captions = Vec::with_capacity(images.len());
        for batch in prompts.chunks(BATCH) {
            captions.extend(self.generate(batch, options)?.into_iter().map(Caption::from));
        }
        Ok(captions)
    }
}
