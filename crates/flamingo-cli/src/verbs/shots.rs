//! `--shots`: examples before the query, the same for every verb that asks.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use flamingo::prompt::Example;
use flamingo::{Medium, Source};
use serde::Deserialize;

#[derive(Debug, clap::Args)]
pub struct ShotsArg {
    /// Examples that are shown first: a JSON list of {"image": PATH, "question": …, "answer": …}
    #[arg(long, value_name = "FILE")]
    shots: Option<PathBuf>,
}

/// An example as the file has it; "caption" is another word for "answer".
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Shot {
    image: Option<PathBuf>,
    #[serde(default)]
    question: String,
    #[serde(alias = "caption", alias = "label")]
    answer: String,
}

impl ShotsArg {
    /// The examples, in the file's order; none without the flag.
    pub fn read(&self) -> anyhow::Result<Vec<Example>> {
        let Some(path) = &self.shots else { return Ok(Vec::new()) };
        let name = path.display();
        let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {name}"))?;
        let shots: Vec<Shot> = serde_json::from_str(&text).with_context(|| {
            format!("{name}: expected a list of {{\"image\": PATH, \"question\": …, \"answer\": …}}")
        })?;
        let folder = path.parent().unwrap_or(Path::new(""));
        let mut examples = Vec::with_capacity(shots.len());
        for (index, Shot { image, question, answer }) in shots.into_iter().enumerate() {
            if answer.is_empty() {
                bail!("{name}: example {} has no answer", index + 1);
            }
            let media = image.map(|image| {
                let beside = folder.join(&image);
                Medium::Image(Source::File(if beside.exists() { beside } else { image }))
            });
            examples.push(Example { media: media.into_iter().collect(), question, answer });
        }
        Ok(examples)
    }
}
