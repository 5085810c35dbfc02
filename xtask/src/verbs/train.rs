//! `cargo xtask train [ARGS…]`: builds the `flamingo` binary and runs `flamingo train ARGS…`.

use std::ffi::OsString;
use std::process::ExitCode;

use super::flamingo;

pub fn run(args: Vec<OsString>) -> anyhow::Result<ExitCode> {
    flamingo::run("train", args)
}
