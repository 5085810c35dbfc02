//! What verbs read: from files, or from standard input where a name is `-`.

use std::io::{self, Read};
use std::path::Path;

use anyhow::Context;
use flamingo::{Medium, Prompt, Source};

const STANDARD_INPUT: &str = "-";

/// A prompt's JSON.
pub fn prompt(path: &Path) -> anyhow::Result<Prompt> {
    if path != Path::new(STANDARD_INPUT) {
        return Ok(Prompt::open(path)?);
    }
    Ok(Prompt::from_json(&standard_text()?, Path::new(""))?)
}

/// An image file.
pub fn image(path: &Path) -> anyhow::Result<Medium> {
    if path != Path::new(STANDARD_INPUT) {
        return Ok(Medium::Image(Source::File(path.to_owned())));
    }
    let mut bytes = Vec::new();
    io::stdin().read_to_end(&mut bytes).context("cannot read standard input")?;
    Ok(Medium::Image(Source::Bytes(bytes.into())))
}

/// A text that stands among the arguments.
pub fn text(argument: &str) -> anyhow::Result<String> {
    match argument {
        STANDARD_INPUT => Ok(standard_text()?.trim().to_owned()),
        text => Ok(text.to_owned()),
    }
}

fn standard_text() -> anyhow::Result<String> {
    io::read_to_string(io::stdin()).context("cannot read standard input")
}
