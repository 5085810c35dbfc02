//! `flamingo doctor`: what a person needs to report a bug, and whether the machine can compute.

mod devices;
mod machine;
mod report;
mod surroundings;

use anyhow::bail;

use super::device::DeviceArg;
use super::output::print;
use devices::Check;
use report::Report;

/// Print version, machine, devices, programs, folders and settings, and check that the devices compute
///
/// The exit code is 0 if the device of --device computes. The report has no secrets; paths may have your name in them.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    device: DeviceArg,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub fn run(args: &Args) -> anyhow::Result<()> {
    let report = Report::gather(args.device.spec());
    let text = match args.json {
        true => serde_json::to_string_pretty(&report)? + "\n",
        false => report.to_string(),
    };
    print(&text)?;
    // Again, for its exit code.
    args.device.resolve()?;
    match &report.chosen.check {
        Check::Works { .. } => Ok(()),
        Check::Fails { error } => bail!("{}: {error}", report.chosen.device),
    }
}
