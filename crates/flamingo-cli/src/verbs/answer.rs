//! Printing answers while they are made.

use flamingo::generate::GenerateOptions;
use flamingo::{Engine, Prompt};

use super::output::print;

/// Prints the continuation of `prompt` piece by piece, and a new line.
pub fn print_stream(engine: &mut Engine, prompt: &Prompt, options: &GenerateOptions) -> anyhow::Result<()> {
    let options = engine.completed(options, prompt)?;
    for token in engine.stream(prompt, &options)? {
        print(&token?.text)?;
    }
    Ok(print("\n")?)
}
