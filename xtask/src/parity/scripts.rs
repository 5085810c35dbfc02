//! The scripts of `tests/parity`, and the packages that each needs.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, bail};

use super::environment::{Environment, last_lines};

/// Where they are, from the workspace root.
const FOLDER: &str = "tests/parity";

/// Almost all of them.
const MAIN: Environment = Environment {
    name: "parity-main",
    folder: FOLDER,
    requirements: &[("requirements.txt", true), ("requirements-without-dependencies.txt", false)],
};

/// Those that need a later `transformers`.
const LATER: Environment = Environment {
    name: "parity-transformers-4.57",
    folder: FOLDER,
    requirements: &[("requirements-transformers-4.57.txt", true)],
};

/// Those of scores, which need no tensors but Java.
const METRICS: Environment = Environment {
    name: "parity-metrics",
    folder: FOLDER,
    requirements: &[("requirements-metrics.txt", true), ("requirements-without-dependencies.txt", false)],
};

/// Both: a whole evaluation.
const EVALUATION: Environment = Environment {
    name: "parity-evaluation",
    folder: FOLDER,
    requirements: &[
        ("requirements.txt", true),
        ("requirements-evaluation.txt", true),
        ("requirements-without-dependencies.txt", false),
    ],
};

/// One of them.
#[derive(Debug)]
pub struct Script {
    /// Its file's, without the end `.py`.
    pub name: &'static str,
    /// What it runs in.
    pub environment: &'static Environment,
    /// What it reads that is not in the repository.
    pub weights: Option<&'static Weights>,
}

/// Somebody's published files that are not in the repository: weights, which are too large, or a program that no package
/// has.
#[derive(Debug)]
pub struct Weights {
    /// The fixture of what comes out of them.
    pub fixture: &'static str,
    /// The environment variable with the path; the test of weights reads it too.
    pub variable: &'static str,
    /// The command that prints such a path.
    pub fetch: &'static str,
}

/// A real language model.
pub const SMOLLM2: Weights =
    Weights { fixture: "smollm2", variable: "SMOLLM2", fetch: "cargo xtask data fetch smollm2" };

/// OpenFlamingo's evaluation, of which the package lacks a part. Only its script needs it, not the test.
pub const OPEN_FLAMINGO: Weights = Weights {
    fixture: "evaluation",
    variable: "OPEN_FLAMINGO",
    fetch: "git clone -q --branch 2.0.1 https://github.com/mlfoundations/open_flamingo && realpath open_flamingo",
};

/// Every script that writes fixtures, in an order in which one that reads what another wrote comes after it. A script
/// may stand here twice, with two environments.
pub const SCRIPTS: [Script; 27] = [
    script("nfnet", &MAIN),
    script("clip", &MAIN),
    script("efficientnet", &MAIN),
    script("preprocess", &MAIN),
    script("colour", &MAIN),
    script("video", &MAIN),
    script("open_flamingo_parts", &MAIN),
    script("open_flamingo_models", &MAIN),
    script("training_step", &MAIN),
    script("idefics", &LATER),
    script("transformer_xl", &MAIN),
    script("training", &MAIN),
    script("weights", &MAIN),
    script("language_models", &MAIN),
    script("llama_3", &LATER),
    script("lora", &LATER),
    script("decoding", &MAIN),
    script("decoding", &LATER),
    script("generation", &MAIN),
    script("generation", &LATER),
    script("gguf_files", &MAIN),
    script("pre_tokenizers", &LATER),
    script("metrics", &METRICS),
    script("rices", &MAIN),
    Script { name: "evaluation", environment: &EVALUATION, weights: Some(&OPEN_FLAMINGO) },
    script("english", &METRICS),
    Script { name: "smollm2", environment: &MAIN, weights: Some(&SMOLLM2) },
];

const fn script(name: &'static str, environment: &'static Environment) -> Script {
    Script { name, environment, weights: None }
}

impl Weights {
    /// Where they are, if the variable says so.
    pub fn path(&self) -> Option<PathBuf> {
        std::env::var_os(self.variable).filter(|path| !path.is_empty()).map(PathBuf::from)
    }

    /// What to do about their absence.
    pub fn remedy(&self) -> String {
        let Self { fixture, variable, fetch } = self;
        format!("{fixture} is left out: {variable}=\"$({fetch})\" in front of the command brings it in")
    }
}

/// Runs one script by an interpreter.
pub fn run(root: &Path, python: &Path, script: &Script) -> anyhow::Result<()> {
    let (start, name) = (Instant::now(), script.name);
    let output = Command::new(python)
        .current_dir(root.join("tests/parity"))
        .args(["-W", "ignore", &format!("{name}.py")])
        .args(script.weights.and_then(Weights::path))
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("cannot start {}", python.display()))?;
    if !output.status.success() {
        bail!(
            "tests/parity/{name}.py failed ({}); fixtures that it wrote before are changed (git restore \
             tests/fixtures brings the old ones back). Its last words:\n{}",
            output.status,
            last_lines(&output)
        );
    }
    println!("{name}: {:.1} s", start.elapsed().as_secs_f64());
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn folder() -> std::path::PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/parity")
    }

    #[test]
    fn every_script_is_known() {
        let helpers = ["common", "full_size"];
        let files = std::fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().path());
        let found: BTreeSet<String> = files
            .filter(|path| path.extension().is_some_and(|it| it == "py"))
            .map(|path| path.file_stem().unwrap().to_string_lossy().into_owned())
            .filter(|name| !helpers.contains(&name.as_str()))
            .collect();
        assert_eq!(found, SCRIPTS.iter().map(|script| script.name.to_owned()).collect());
    }

    #[test]
    fn requirements_exist_and_are_pinned() {
        for (file, _) in [MAIN, LATER, METRICS, EVALUATION].iter().flat_map(|it| it.requirements) {
            let text = std::fs::read_to_string(folder().join(file)).unwrap();
            let packages = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
            for package in packages {
                assert!(package.contains("=="), "{file}: {package}");
            }
        }
    }
}
