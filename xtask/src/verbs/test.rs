//! `cargo xtask test [ARGS…]`: every test and documentation example of the workspace, with a summary at the end.
//!
//! Plain `cargo test`: it needs nothing installed, and it runs documentation examples. Same profile, same package
//! selection and same features as `cargo xtask train`, so nothing that one has built is built again for the other.

use std::ffi::OsString;
use std::io::{BufRead, BufReader, Write};
use std::process::{ExitCode, Stdio};
use std::time::Instant;

use anyhow::Context;

use crate::workspace;

/// Runs the tests; `args` go to `cargo test`, so `-p CRATE`, a name to filter by, or `-- --nocapture` all work.
pub fn run(args: Vec<OsString>) -> anyhow::Result<ExitCode> {
    let start = Instant::now();
    let root = workspace::root()?;
    let mut child = workspace::cargo(&root)
        .args(["test", "--release", "--locked", "--no-fail-fast"])
        .args(selection(&args))
        .args(args)
        .stdout(Stdio::piped())
        .spawn()
        .context("cannot start cargo test")?;

    // The lines are shown as they come, and counted.
    let mut totals = Totals::default();
    let output = child.stdout.take().context("cargo test has no standard output")?;
    let mut console = std::io::stdout();
    for line in BufReader::new(output).split(b'\n') {
        let line = line.context("cannot read the output of cargo test")?;
        totals.add(&String::from_utf8_lossy(&line));
        console.write_all(&line)?;
        console.write_all(b"\n")?;
    }

    let status = child.wait().context("cannot wait for cargo test")?;
    if totals.binaries > 0 {
        println!("{}", totals.summary(status.success(), start.elapsed().as_secs_f64()));
    }
    Ok(workspace::exit_code(status))
}

/// The whole workspace, unless the arguments name packages.
fn selection(args: &[OsString]) -> &'static [&'static str] {
    let named = args.iter().take_while(|arg| *arg != "--").any(|arg| {
        let arg = arg.to_string_lossy();
        arg == "-p" || arg == "--package" || arg.starts_with("--package=")
    });
    if named { &[] } else { &["--workspace"] }
}

/// Sums over the closing lines of all test binaries.
#[derive(Debug, Default, PartialEq)]
struct Totals {
    binaries: usize,
    passed: usize,
    failed: usize,
    ignored: usize,
}

impl Totals {
    /// Reads a line such as `test result: ok. 12 passed; 0 failed; 1 ignored; 0 measured; …`.
    fn add(&mut self, line: &str) {
        let Some(result) = line.strip_prefix("test result: ") else { return };
        let count = |what: &str| {
            let before = result.split(what).next().filter(|before| before.len() < result.len());
            before.and_then(|before| before.split_whitespace().last()?.parse().ok()).unwrap_or(0)
        };
        self.binaries += 1;
        self.passed += count(" passed");
        self.failed += count(" failed");
        self.ignored += count(" ignored");
    }

    fn summary(&self, success: bool, seconds: f64) -> String {
        let Totals { binaries, passed, failed, ignored } = self;
        let word = if success { "ok" } else { "FAILED" };
        format!(
            "tests {word}: {passed} passed, {failed} failed, {ignored} ignored in {binaries} test binaries; \
             {seconds:.1} s with compilation"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn closing_lines_are_added_up() {
        let mut totals = Totals::default();
        totals.add("running 3 tests");
        totals.add(
            "test result: ok. 12 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.01s",
        );
        totals.add(
            "test result: FAILED. 2 passed; 3 failed; 0 ignored; 0 measured; 0 filtered out; finished in 1s",
        );
        assert_eq!(totals, Totals { binaries: 2, passed: 14, failed: 3, ignored: 1 });
        assert!(
            totals.summary(false, 2.0).starts_with("tests FAILED: 14 passed, 3 failed, 1 ignored in 2 test")
        );
    }

    #[test]
    fn named_packages_replace_the_workspace() {
        let args = |list: &[&str]| list.iter().map(OsString::from).collect::<Vec<_>>();
        assert_eq!(selection(&args(&["name", "--", "-p"])), ["--workspace"]);
        assert!(selection(&args(&["-p", "flamingo-nn"])).is_empty());
        assert!(selection(&args(&["--package=flamingo-nn"])).is_empty());
    }
}
