//! `cargo xtask parity`: how close every part is to the program that it is compared with, and the fixtures anew.

use std::path::{Path, PathBuf};
use std::process::{ExitCode, Stdio};

use anyhow::{Context, bail};
use clap::builder::PossibleValuesParser;

use crate::parity::scripts::{SCRIPTS, SMOLLM2, Script, Weights};
use crate::parity::table::{Table, grouped};
use crate::parity::{coverage, fixtures, measurement, scripts};
use crate::workspace;

/// What to do about parity.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Run the parity tests and print how far every part is from its reference (what happens without flags)
    #[arg(long)]
    check: bool,
    /// Run the scripts of tests/parity, all or those named, and tell what changed in tests/fixtures
    #[arg(long, num_args = 0.., value_name = "SCRIPT", value_parser = PossibleValuesParser::new(names()), conflicts_with = "check")]
    regen: Option<Vec<String>>,
    /// With --regen: an interpreter that has the packages, instead of an environment made for the purpose
    #[arg(long, value_name = "PATH", requires = "regen")]
    python: Option<PathBuf>,
}

/// The scripts, each once.
fn names() -> Vec<&'static str> {
    let mut names: Vec<&str> = SCRIPTS.iter().map(|script| script.name).collect();
    names.dedup();
    names
}

pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    let root = workspace::root()?;
    match args.regen {
        Some(names) => regenerate(&root, &names, args.python.as_deref()),
        None => check(&root),
    }
}

/// Exit code 1 if a number is outside its bound, a test fails, or a fixture is left out.
fn check(root: &Path) -> anyhow::Result<ExitCode> {
    let folder = tempfile::tempdir().context("cannot make a temporary folder")?;
    // As `cargo xtask test` selects packages, so that nothing is compiled twice.
    let output = workspace::cargo(root)
        .args(["test", "--release", "--locked", "--no-fail-fast", "--workspace"])
        .args(["--test", "all", "--test", "formats", "--", "parity"])
        .args(SMOLLM2.path().map(|_| "--include-ignored"))
        .env(measurement::VARIABLE, folder.path())
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .context("cannot start cargo test")?;
    let measurements = measurement::read(folder.path())?;
    if measurements.is_empty() {
        print!("{}", String::from_utf8_lossy(&output.stdout));
        bail!("the parity tests measured nothing; what cargo test says is above");
    }
    if !output.status.success() {
        println!("{}", String::from_utf8_lossy(&output.stdout));
    }

    let files = fixtures::read(&root.join("tests/fixtures"))?;
    let left_out = SMOLLM2.path().is_none().then_some(&SMOLLM2);
    let coverage = coverage::check(&files, &measurements, left_out.map(|it| it.fixture))?;
    let table = Table::new(&measurements);
    println!("{table}");
    if !coverage.unused.is_empty() {
        println!("in the fixtures, but not compared: {}\n", coverage.unused.join(", "));
    }
    if let Some(weights) = left_out {
        println!("{}\n", weights.remedy());
    }
    let failed: Vec<String> =
        measurements.iter().filter(|it| it.wrong > 0).map(ToString::to_string).collect();
    for problem in failed.iter().chain(&coverage.problems) {
        eprintln!("error: {problem}");
    }
    if !output.status.success() {
        eprintln!("error: a parity test failed; its message is above the table");
    }
    let good = failed.is_empty() && coverage.problems.is_empty() && output.status.success();
    println!(
        "parity {}: {} comparisons with {} fixtures of {} bytes, {} outside their bounds",
        if good { "ok" } else { "FAILED" },
        grouped(measurements.len()),
        table.fixtures(),
        grouped(files.values().map(Vec::len).sum()),
        failed.len(),
    );
    Ok(if good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn regenerate(root: &Path, names: &[String], python: Option<&Path>) -> anyhow::Result<ExitCode> {
    let mut chosen: Vec<&Script> =
        SCRIPTS.iter().filter(|it| names.is_empty() || names.iter().any(|name| name == it.name)).collect();
    let absent = |weights: &&Weights| weights.path().is_none();
    for weights in chosen.iter().filter_map(|it| it.weights.filter(absent)) {
        println!("{}", weights.remedy());
    }
    chosen.retain(|it| it.weights.filter(absent).is_none());
    // Relative to where the command was given; the scripts run in a folder of their own.
    let python = python.map(std::path::absolute).transpose().context("--python")?;
    let interpreters: Vec<PathBuf> = chosen
        .iter()
        .map(|script| python.clone().map_or_else(|| script.environment.python(root), Ok))
        .collect::<Result<_, _>>()?;

    let folder = root.join("tests/fixtures");
    let before = fixtures::read(&folder)?;
    for (script, interpreter) in chosen.into_iter().zip(interpreters) {
        scripts::run(root, &interpreter, script)?;
    }
    let after = fixtures::read(&folder)?;
    let changes = fixtures::changes(&before, &after)?;
    for change in &changes {
        println!("changed  {change}");
    }
    println!("{} of {} files changed", changes.len(), after.len());
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Command {
        #[command(flatten)]
        args: Args,
    }

    fn parse(args: &[&str]) -> Result<Args, clap::Error> {
        Command::try_parse_from([&["parity"], args].concat()).map(|command| command.args)
    }

    #[test]
    fn checking_is_the_default_and_regenerating_takes_names() {
        assert!(parse(&[]).unwrap().regen.is_none() && parse(&["--check"]).unwrap().regen.is_none());
        assert_eq!(parse(&["--regen"]).unwrap().regen.unwrap(), [""; 0]);
        let args = parse(&["--regen", "nfnet", "clip", "--python", "py"]).unwrap();
        assert_eq!((args.regen.unwrap().len(), args.python.unwrap()), (2, PathBuf::from("py")));
    }

    #[test]
    fn unknown_scripts_and_contradictions_are_refused() {
        assert!(parse(&["--regen", "nofnet"]).unwrap_err().to_string().contains("nfnet"));
        assert!(parse(&["--regen", "--check"]).is_err() && parse(&["--python", "py"]).is_err());
    }
}
