//! `cargo xtask bench`: builds `flamingo-bench` with the backends that are asked for, makes the peers' Python environment if there
//! are peers, and becomes it.

use std::ffi::{OsStr, OsString};
use std::process::ExitCode;

use super::flamingo::Request;
use crate::parity::environment::Environment;
use crate::workspace;

/// What the peers need.
const PEERS: Environment = Environment {
    name: "bench-torch",
    folder: "crates/flamingo-bench/torch",
    requirements: &[("requirements.txt", true)],
};

/// Runs `flamingo-bench ARGS…` from the workspace root.
pub fn run(args: Vec<OsString>) -> anyhow::Result<ExitCode> {
    let Request { features, mut args } = Request::split(args)?;
    let root = workspace::root()?;
    // First, because it says at once what is wrong with the arguments.
    let features: Vec<String> = features.iter().map(|name| format!("flamingo-bench/{name}")).collect();
    let program = workspace::build(&root, "flamingo-bench", &features)?;
    if needs_environment(&args) {
        args.extend([OsString::from("--python"), PEERS.python(&root)?.into()]);
    }
    workspace::replace_self(workspace::command(&root, program).args(args))
}

/// Whether there are peers, and no interpreter for them is given.
fn needs_environment(args: &[OsString]) -> bool {
    let has = |flag: &str| {
        let with_value = format!("{flag}=");
        args.iter().any(|arg: &OsString| {
            arg == OsStr::new(flag) || arg.to_str().is_some_and(|arg| arg.starts_with(&with_value))
        })
    };
    has("--against") && !has("--python") && !has("--help") && !has("--list")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_environment_is_made_for_peers_without_an_interpreter() {
        let needs = |args: &[&str]| needs_environment(&args.iter().map(OsString::from).collect::<Vec<_>>());
        assert!(needs(&["--suite", "micro", "--against", "torch"]) && needs(&["--against=torch"]));
        assert!(!needs(&["--suite", "micro"]) && !needs(&["--against", "torch", "--python", "py"]));
        assert!(!needs(&["--against", "torch", "--python=py"]) && !needs(&["--against", "torch", "--help"]));
    }

    #[test]
    fn the_peers_packages_are_pinned() {
        let text = include_str!("../../../crates/flamingo-bench/torch/requirements.txt");
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        assert!(lines.clone().count() > 5 && lines.clone().all(|line| line.contains("==")), "{text}");
    }
}
