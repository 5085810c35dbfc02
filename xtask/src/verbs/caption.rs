//! `cargo xtask caption [ARGS…]`: builds the `flamingo` binary and runs `flamingo caption ARGS…`.

use std::ffi::OsString;
use std::process::ExitCode;

use super::flamingo;

pub fn run(args: Vec<OsString>) -> anyhow::Result<ExitCode> {
    flamingo::run("caption", args)
}
