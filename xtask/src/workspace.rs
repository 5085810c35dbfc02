//! Where the workspace is, what files it holds, and how its programs are built and started.

use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, ExitStatus, Stdio};

use anyhow::{Context, bail};
use serde_json::Value;

/// The folder of the root manifest; the current one if it looks like that and cargo did not start us.
pub fn root() -> anyhow::Result<PathBuf> {
    let Some(manifest) = std::env::var_os("CARGO_MANIFEST_DIR") else {
        let here = std::env::current_dir().context("there is no current folder")?;
        if here.join("xtask/Cargo.toml").is_file() {
            return Ok(here);
        }
        bail!(
            "CARGO_MANIFEST_DIR is not set: run this as `cargo xtask VERB`, or start it from the workspace's folder"
        );
    };
    let root = Path::new(&manifest).parent().context("the folder of xtask has no parent")?;
    Ok(root.to_owned())
}

/// The cargo that started us, working in `root`.
pub fn cargo(root: &Path) -> Command {
    command(root, std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()).into())
}

/// `program`, working in `root`.
///
/// It must not see the variables that cargo set for *this* crate: build scripts read some of them, and a changed value
/// means a second build.
pub fn command(root: &Path, program: PathBuf) -> Command {
    let mut command = Command::new(program);
    command.current_dir(root);
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("CARGO_PKG_") || text.starts_with("CARGO_MANIFEST_") {
            command.env_remove(&name);
        }
    }
    command
}

/// Builds the binary `name` with extra `features` (as `package/feature`) and returns its path.
///
/// All packages are selected, so that features are merged as they are for the tests.
pub fn build(root: &Path, name: &str, features: &[String]) -> anyhow::Result<PathBuf> {
    let mut cargo = cargo(root);
    cargo.args(["build", "--release", "--locked", "--workspace", "--bin", name]);
    cargo.arg("--message-format=json-render-diagnostics").stdin(Stdio::null()).stdout(Stdio::piped());
    if !features.is_empty() {
        cargo.arg("--features").arg(features.join(","));
    }
    let mut child = cargo.spawn().context("cannot start cargo build")?;
    let mut messages = String::new();
    let output = child.stdout.take().context("cargo build has no standard output")?;
    BufReader::new(output)
        .read_to_string(&mut messages)
        .context("cannot read the messages of cargo build")?;
    let status = child.wait().context("cannot wait for cargo build")?;
    if !status.success() {
        bail!("{name} does not build; the compiler's messages are above");
    }
    executable(&messages, name).with_context(|| format!("cargo build did not say where it put {name}"))
}

/// The path of the binary `name` in cargo's JSON messages.
fn executable(messages: &str, name: &str) -> Option<PathBuf> {
    messages
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter(|message| message["reason"] == "compiler-artifact" && message["target"]["name"] == name)
        .find_map(|message| message["executable"].as_str().map(PathBuf::from))
}

/// Becomes `command`, so that signals and the exit code need no forwarding. Returns only on failure.
#[cfg(unix)]
pub fn replace_self(command: &mut Command) -> anyhow::Result<ExitCode> {
    use std::os::unix::process::CommandExt;

    Err(command.exec()).with_context(|| format!("cannot start {}", command.get_program().display()))
}

/// Runs `command` and passes its exit code on.
#[cfg(not(unix))]
pub fn replace_self(command: &mut Command) -> anyhow::Result<ExitCode> {
    let status =
        command.status().with_context(|| format!("cannot start {}", command.get_program().display()))?;
    Ok(exit_code(status))
}

/// The exit code of a child; 1 if a signal ended it.
pub fn exit_code(status: ExitStatus) -> ExitCode {
    status.code().and_then(|code| u8::try_from(code).ok()).map_or(ExitCode::FAILURE, ExitCode::from)
}

/// What `command` prints; its failure is an error with what it wrote to standard error.
pub fn output(command: &mut Command) -> anyhow::Result<String> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command.output().with_context(|| format!("cannot start {program}"))?;
    if !output.status.success() {
        bail!("{program} failed ({}): {}", output.status, String::from_utf8_lossy(&output.stderr).trim());
    }
    String::from_utf8(output.stdout).with_context(|| format!("{program} printed something that is not UTF-8"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_binary_is_found_among_cargo_messages() {
        let messages = "not JSON\n\
            {\"reason\":\"compiler-artifact\",\"target\":{\"name\":\"flamingo\"},\"executable\":null}\n\
            {\"reason\":\"compiler-artifact\",\"target\":{\"name\":\"flamingo\"},\"executable\":\"t/flamingo\"}\n\
            {\"reason\":\"build-finished\",\"success\":true}\n";
        assert_eq!(executable(messages, "flamingo"), Some(PathBuf::from("t/flamingo")));
        assert_eq!(executable(messages, "other"), None);
    }
}
