//! `cargo xtask train [ARGS…]`: fetches and prepares what the run's file says it needs, then becomes `flamingo train`.
//!
//! ```toml
//! [needs]
//! weights = ["smollm2"]              # cargo xtask data fetch smollm2
//! datasets = ["stamps", "emoji@160"] # cargo xtask data prepare stamps; … prepare emoji --side 160
//! ```

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use serde::Deserialize;

use super::flamingo;
use crate::needs::Needs;

/// The part of a run's file that concerns this program.
#[derive(Debug, Default, PartialEq, Deserialize)]
struct RunFile {
    #[serde(default)]
    needs: Needs,
}

pub fn run(args: Vec<OsString>) -> anyhow::Result<ExitCode> {
    if let Some(path) = config(&args).filter(|_| !asks_only(&args)) {
        let text =
            std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let file: RunFile = toml::from_str(&text).with_context(|| format!("{}", path.display()))?;
        file.needs.provide()?;
    }
    flamingo::run("train", args)
}

/// The file behind `--config`.
fn config(args: &[OsString]) -> Option<PathBuf> {
    let texts: Vec<_> = args.iter().map(|arg| arg.to_string_lossy()).collect();
    let next = |index: usize| args.get(index + 1).map(PathBuf::from);
    texts.iter().enumerate().find_map(|(index, text)| match text.strip_prefix("--config=") {
        Some(path) => Some(PathBuf::from(path)),
        None => (text == "--config").then(|| next(index))?,
    })
}

/// Whether nothing will be trained.
fn asks_only(args: &[OsString]) -> bool {
    args.iter().any(|arg| ["--help", "-h", "--print-config"].iter().any(|flag| arg == flag))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn needs_become_calls_of_the_recipes() {
        let text =
            "preset = \"smol\"\n[needs]\nweights = [\"smollm2\"]\ndatasets = [\"emoji@160\", \"stamps\"]\n";
        let file: RunFile = toml::from_str(text).unwrap();
        assert_eq!(
            file.needs.calls(),
            [vec!["fetch", "smollm2"], vec!["prepare", "emoji", "--side", "160"], vec!["prepare", "stamps"]]
        );
        assert!(toml::from_str::<RunFile>("[needs]\nweigths = []\n").is_err());
    }

    #[test]
    fn the_file_is_found_among_the_arguments() {
        let of = |args: &[&str]| config(&args.iter().map(OsString::from).collect::<Vec<_>>());
        assert_eq!(of(&["--name", "a", "--config", "x.toml"]), Some("x.toml".into()));
        assert_eq!(of(&["--config=y.toml", "--seed", "1"]), Some("y.toml".into()));
        assert_eq!(of(&["--config"]), None);
        assert!(asks_only(&["--print-config".into()]) && !asks_only(&["--seed".into()]));
    }
}
