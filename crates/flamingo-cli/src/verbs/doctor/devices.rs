//! Which backends there are, which devices they find, and whether those compute.

use std::panic;

use flamingo::DeviceSpec;
use flamingo::core::device::{Backend, Device, DeviceError};
use flamingo::core::probe;
use serde::Serialize;

/// A backend that the project knows.
#[derive(Debug, Serialize)]
pub struct BackendReport {
    pub name: &'static str,
    pub compiled: bool,
    /// What it finds on this machine.
    pub devices: Vec<DeviceReport>,
    /// Why it finds nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// A device, and whether it computes.
#[derive(Debug, Serialize)]
pub struct DeviceReport {
    pub device: String,
    #[serde(flatten)]
    pub check: Check,
}

/// What came of a small computation.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum Check {
    /// The product was right, after so long.
    Works {
        seconds: f64,
    },
    Fails {
        error: String,
    },
}

impl BackendReport {
    /// All of them, fastest first.
    pub fn gather() -> Vec<Self> {
        Backend::ALL.into_iter().map(Self::of).collect()
    }

    fn of(backend: Backend) -> Self {
        let (name, compiled) = (backend.name(), backend.compiled());
        match quietly(|| probe::devices(backend)) {
            Ok(devices) => {
                let devices = devices.iter().map(DeviceReport::of).collect();
                Self { name, compiled, devices, error: None }
            }
            Err(error) => Self { name, compiled, devices: Vec::new(), error: Some(error.to_string()) },
        }
    }
}

impl DeviceReport {
    /// Of what `--device` names, and which backend that is.
    pub fn chosen(spec: DeviceSpec) -> Self {
        let backend = match spec {
            DeviceSpec::Auto => Backend::available().first().copied(),
            DeviceSpec::On { backend, .. } => Some(backend),
        };
        let device = match (spec, backend) {
            (DeviceSpec::Auto, Some(backend)) => format!("auto, which is {}", backend.name()),
            _ => spec.to_string(),
        };
        Self { device, check: quietly(|| spec.resolve().and_then(|device| probe::probe(&device))).into() }
    }

    fn of(device: &Device) -> Self {
        quietly(|| Self { device: probe::name(device), check: probe::probe(device).into() })
    }
}

impl From<Result<std::time::Duration, DeviceError>> for Check {
    fn from(result: Result<std::time::Duration, DeviceError>) -> Self {
        match result {
            Ok(time) => Self::Works { seconds: time.as_secs_f64() },
            Err(error) => Self::Fails { error: error.to_string() },
        }
    }
}

/// A panic of a driver is told in the report, and not on the way to it.
fn quietly<T>(compute: impl FnOnce() -> T) -> T {
    let hook = panic::take_hook();
    panic::set_hook(Box::new(|_| {}));
    let result = compute();
    panic::set_hook(hook);
    result
}
