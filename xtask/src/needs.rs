//! What must be on this machine before something can run, by the names of `cargo xtask data`.

use std::process::Stdio;

use anyhow::{Context, bail};
use serde::Deserialize;

use crate::workspace;

/// Weights and datasets.
#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Needs {
    #[serde(default)]
    /// `cargo xtask data fetch NAME`.
    pub weights: Vec<String>,
    #[serde(default)]
    /// `cargo xtask data prepare NAME`; `emoji@160` is drawn at 160 pixels.
    pub datasets: Vec<String>,
}

impl Needs {
    /// Fetches and prepares what is not there.
    pub fn provide(&self) -> anyhow::Result<()> {
        if *self == Self::default() {
            return Ok(());
        }
        let root = workspace::root()?;
        let program = workspace::build(&root, "flamingo-recipes", &[])?;
        for args in self.calls() {
            // What the recipes print are paths for scripts; here they would only be in the way.
            let status =
                workspace::command(&root, program.clone()).args(&args).stdout(Stdio::null()).status();
            let status = status.with_context(|| format!("cannot start {}", program.display()))?;
            if !status.success() {
                bail!("`cargo xtask data {}` failed; its message is above", args.join(" "));
            }
        }
        Ok(())
    }

    /// The arguments of each call of the recipes.
    pub fn calls(&self) -> Vec<Vec<String>> {
        let fetch = self.weights.iter().map(|name| vec!["fetch".to_owned(), name.clone()]);
        let prepare = self.datasets.iter().map(|dataset| match dataset.split_once('@') {
            Some((name, side)) => ["prepare", name, "--side", side].map(str::to_owned).into(),
            None => vec!["prepare".to_owned(), dataset.clone()],
        });
        fetch.chain(prepare).collect()
    }
}
