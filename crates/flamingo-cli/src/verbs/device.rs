//! `--device`, the same for every verb that computes; training takes several.

use flamingo::core::device::Device;
use flamingo::{DeviceSpec, FlamingoError, Replica};

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

/// `--device` of a verb that can use several.
#[derive(Debug, clap::Args)]
pub struct DevicesArg {
    /// Where to compute: auto, flex, wgpu, vulkan, metal, cuda or rocm, with :N for the N-th such device. Several, as
    /// cuda:0,cuda:1, each train a replica on batches of their own, and an update sees the batches of all
    #[arg(long = "device", value_name = "DEVICE", default_value = "auto", value_delimiter = ',')]
    devices: Vec<DeviceSpec>,
}

impl DevicesArg {
    pub fn resolve(&self) -> Result<Vec<Replica>, FlamingoError> {
        let devices = self.devices.iter().map(|device| Ok(device.resolve()?));
        Replica::on_each(&devices.collect::<Result<Vec<Device>, FlamingoError>>()?)
    }
}
