//! `cargo xtask convert [ARGS…]`: builds the `flamingo` binary and runs `flamingo convert ARGS…`.

use std::ffi::OsString;
use std::process::ExitCode;

use super::flamingo;

pub fn run(args: Vec<OsString>) -> anyhow::Result<ExitCode> {
    flamingo::run("convert", args)
}
