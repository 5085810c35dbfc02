//! `--device`, the same for every verb that computes.

use flamingo::core::device::Device;
use flamingo::{DeviceSpec, FlamingoError};

#[derive(Debug, clap::Args)]
pub struct DeviceArg {
    /// Where to compute: auto, flex, wgpu, vulkan, metal, cuda or rocm, with :N for the N-th such device
    #[arg(long, default_value = "auto")]
    device: DeviceSpec,
}

impl DeviceArg {
    /// As it was written.
    pub fn spec(&self) -> DeviceSpec {
        self.device
    }

    pub fn resolve(&self) -> Result<Device, FlamingoError> {
        Ok(self.device.resolve()?)
    }
}
