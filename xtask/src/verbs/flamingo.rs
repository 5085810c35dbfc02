//! Builds the `flamingo` binary with the backends that its arguments ask for, and becomes it.

use std::ffi::OsString;
use std::process::ExitCode;

use anyhow::{Context, bail};

use crate::workspace;

/// Devices that need a cargo feature of the same name; `auto` and `flex` need none.
const BACKENDS: [&str; 5] = ["wgpu", "vulkan", "metal", "cuda", "rocm"];

/// Runs `flamingo VERB ARGS…` from the workspace root.
///
/// `--features LIST` among the arguments is for cargo and is taken out. `--device NAME` stays, and also switches on
/// the feature of that name.
pub fn run(verb: &str, args: Vec<OsString>) -> anyhow::Result<ExitCode> {
    let request = Request::split(args)?;
    let features: Vec<String> = request.features.iter().map(|name| format!("flamingo-cli/{name}")).collect();
    let root = workspace::root()?;
    let program = workspace::build(&root, "flamingo", &features)?;
    workspace::replace_self(workspace::command(&root, program).arg(verb).args(request.args))
}

/// What is asked of a binary, and of cargo before.
#[derive(Debug, Default, PartialEq)]
pub struct Request {
    /// Backends.
    pub features: Vec<String>,
    /// For the binary.
    pub args: Vec<OsString>,
}

impl Request {
    /// Takes `--features` out of the arguments, and looks at `--device`.
    pub fn split(args: Vec<OsString>) -> anyhow::Result<Request> {
        let mut request = Request::default();
        let mut rest = args.into_iter();
        while let Some(arg) = rest.next() {
            let text = arg.to_string_lossy().into_owned();
            if text == "--" {
                request.args.push(arg);
                request.args.extend(rest);
                break;
            } else if text == "--features" {
                let list =
                    rest.next().context("--features needs a list of backends, such as --features vulkan")?;
                request.add_features(&list.to_string_lossy())?;
            } else if let Some(list) = text.strip_prefix("--features=") {
                request.add_features(list)?;
            } else if text == "--device" {
                request.args.push(arg);
                if let Some(device) = rest.next() {
                    request.add_device(&device.to_string_lossy());
                    request.args.push(device);
                }
            } else {
                if let Some(device) = text.strip_prefix("--device=") {
                    request.add_device(device);
                }
                request.args.push(arg);
            }
        }
        Ok(request)
    }

    fn add_features(&mut self, list: &str) -> anyhow::Result<()> {
        for name in list.split([',', ' ']).filter(|name| !name.is_empty() && *name != "flex") {
            if !BACKENDS.contains(&name) {
                bail!("no backend {name:?} for --features: choose from flex, {}", BACKENDS.join(", "));
            }
            self.add(name);
        }
        Ok(())
    }

    /// A device that nobody knows adds nothing: `flamingo` itself says what is wrong with it.
    fn add_device(&mut self, devices: &str) {
        for device in devices.split(',') {
            let name = device.split_once(':').map_or(device, |(name, _index)| name);
            if BACKENDS.contains(&name) {
                self.add(name);
            }
        }
    }

    fn add(&mut self, name: &str) {
        if !self.features.iter().any(|known| known == name) {
            self.features.push(name.to_owned());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(args: &[&str]) -> Request {
        Request::split(args.iter().map(OsString::from).collect()).unwrap()
    }

    #[test]
    fn a_device_switches_its_feature_on_and_stays() {
        let request = split(&["--seed", "7", "--device", "vulkan:1"]);
        assert_eq!(request.features, ["vulkan"]);
        assert_eq!(request.args, ["--seed", "7", "--device", "vulkan:1"]);
        assert_eq!(split(&["--device=cuda"]).features, ["cuda"]);
        assert_eq!(split(&["--device", "cuda:0,cuda:1"]).features, ["cuda"]);
    }

    #[test]
    fn the_cpu_and_unknown_devices_add_no_feature() {
        for device in ["auto", "flex", "cuad", "cudas:0"] {
            assert!(split(&["--device", device]).features.is_empty(), "{device}");
        }
        assert_eq!(split(&["--device"]).args, ["--device"]);
    }

    #[test]
    fn features_are_taken_out_and_named_once() {
        let request =
            split(&["--features", "wgpu,vulkan", "--features=vulkan flex", "--device", "wgpu", "a.png"]);
        assert_eq!(request.features, ["wgpu", "vulkan"]);
        assert_eq!(request.args, ["--device", "wgpu", "a.png"]);
    }

    #[test]
    fn a_wrong_feature_is_an_error_and_what_follows_two_dashes_is_not_read() {
        let error = Request::split(vec!["--features".into(), "cudda".into()]).unwrap_err();
        assert!(error.to_string().contains("\"cudda\""), "{error}");
        assert_eq!(split(&["--", "--features", "x"]).args, ["--", "--features", "x"]);
    }

    #[test]
    fn every_backend_is_a_feature_of_the_binaries() {
        let manifests = [
            include_str!("../../../crates/flamingo-cli/Cargo.toml"),
            include_str!("../../../crates/flamingo-bench/Cargo.toml"),
        ];
        for (name, manifest) in BACKENDS.iter().flat_map(|name| manifests.map(|manifest| (name, manifest))) {
            assert!(manifest.contains(&format!("\n{name} = [")), "no feature {name} in {manifest}");
        }
    }
}
