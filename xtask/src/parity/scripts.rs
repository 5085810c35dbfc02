//! The scripts of `tests/parity`, and the packages that each needs.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, bail};

use super::environment::{Environment, last_lines};

/// Almost all of them.
const MAIN: Environment = Environment {
    name: "main",
    requirements: &[("requirements.txt", true), ("requirements-without-dependencies.txt", false)],
};

/// Those that need a later `transformers`.
const LATER: Environment =
    Environment { name: "transformers-4.57", requirements: &[("requirements-transformers-4.57.txt", true)] };

/// Every script that writes fixtures, in an order in which one that reads what another wrote comes after it. A script
/// may stand here twice, with two environments.
pub const SCRIPTS: [(&str, &Environment); 12] = [
    ("nfnet", &MAIN),
    ("clip", &MAIN),
    ("efficientnet", &MAIN),
    ("preprocess", &MAIN),
    ("open_flamingo_parts", &MAIN),
    ("open_flamingo_models", &MAIN),
    ("idefics", &LATER),
    ("transformer_xl", &MAIN),
    ("training", &MAIN),
    ("weights", &MAIN),
    ("language_models", &MAIN),
    ("gguf_files", &MAIN),
];

/// Runs one script by an interpreter.
pub fn run(root: &Path, python: &Path, name: &str) -> anyhow::Result<()> {
    let start = Instant::now();
    let output = Command::new(python)
        .current_dir(root.join("tests/parity"))
        .args(["-W", "ignore", &format!("{name}.py")])
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
        assert_eq!(found, SCRIPTS.iter().map(|(name, _)| (*name).to_owned()).collect());
    }

    #[test]
    fn requirements_exist_and_are_pinned() {
        for (file, _) in MAIN.requirements.iter().chain(LATER.requirements) {
            let text = std::fs::read_to_string(folder().join(file)).unwrap();
            let packages = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
            for package in packages {
                assert!(package.contains("=="), "{file}: {package}");
            }
        }
    }
}
