//! `cargo xtask tidy`: the rules that the compiler does not check. Every breach is printed with its place and a remedy.

use std::path::Path;
use std::process::ExitCode;

use anyhow::Context;
use clap::CommandFactory;

use crate::tidy::files::{self, File};
use crate::tidy::{Violation, hygiene, layering, markdown, sources};
use crate::workspace;

/// Exit code 1 if a rule is broken.
pub fn run() -> anyhow::Result<ExitCode> {
    let root = workspace::root()?;
    let files = files::list(&root)?;
    let mut violations = check(&root, &files)?;
    violations.sort();
    for violation in &violations {
        eprintln!("{violation}");
    }
    if violations.is_empty() {
        println!("tidy: {} files, nothing to say", files.len());
        return Ok(ExitCode::SUCCESS);
    }
    eprintln!("tidy: {} violations", violations.len());
    Ok(ExitCode::FAILURE)
}

fn check(root: &Path, files: &[File]) -> anyhow::Result<Vec<Violation>> {
    let metadata = workspace::output(workspace::cargo(root).args([
        "metadata",
        "--no-deps",
        "--offline",
        "--format-version=1",
    ]))?;
    let packages = layering::packages(&metadata, root).context("cannot read cargo metadata")?;
    let names = markdown::Names::new(files, crate::Cli::command());

    let mut violations = layering::check(&packages);
    for file in files {
        violations.extend(hygiene::size(file));
        let Some(text) = &file.text else { continue };
        violations.extend(hygiene::text(&file.path, text));
        match file.extension() {
            Some("rs") => violations.extend(sources::check(&file.path, text)),
            Some("md") => violations.extend(markdown::check(&file.path, text, &names)),
            _ => {}
        }
    }
    Ok(violations)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// So that a plain `cargo test` says it too.
    #[test]
    fn this_repository_is_tidy() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let files = files::list(root).unwrap();
        let violations = check(root, &files).unwrap();
        let lines: Vec<String> = violations.iter().map(Violation::to_string).collect();
        assert!(lines.is_empty(), "\n{}", lines.join("\n"));
    }
}
