//! The report, as JSON and as a person reads it.

use std::fmt;

use flamingo::DeviceSpec;
use serde::Serialize;

use super::devices::{BackendReport, Check, DeviceReport};
use super::machine::Machine;
use super::surroundings::{Kept, Program, Variable, has_token};

/// All there is to tell.
#[derive(Debug, Serialize)]
pub struct Report {
    pub version: &'static str,
    pub machine: Machine,
    /// What `--device` names.
    pub chosen: DeviceReport,
    pub backends: Vec<BackendReport>,
    pub programs: Vec<Program>,
    pub folders: Vec<Kept>,
    pub variables: Vec<Variable>,
    /// Whether there is a token of the hub.
    pub token: bool,
}

impl Report {
    pub fn gather(device: DeviceSpec) -> Self {
        Self {
            version: env!("CARGO_PKG_VERSION"),
            machine: Machine::gather(),
            chosen: DeviceReport::chosen(device),
            backends: BackendReport::gather(),
            programs: Program::gather(),
            folders: Kept::gather(),
            variables: Variable::gather(),
            token: has_token(),
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { version, machine, chosen, backends, programs, folders, variables, token } = self;
        writeln!(f, "flamingo    {version}")?;
        write!(f, "{machine}")?;
        writeln!(f, "device      {}: {}", chosen.device, chosen.check)?;
        for backend in backends {
            write!(f, "{backend}")?;
        }
        for Program { name, version } in programs {
            let missing = "not found: clips other than GIF, WebP and PNG need FFmpeg, from your system's packages or \
                           https://ffmpeg.org";
            writeln!(f, "program     {name:8}  {}", version.as_deref().unwrap_or(missing))?;
        }
        for kept in folders {
            write!(f, "{kept}")?;
        }
        for Variable { name, value } in variables {
            writeln!(f, "variable    {name}={}", value.as_deref().unwrap_or("… (is set, and not told)"))?;
        }
        let found =
            if *token { "found" } else { "none; models that are private or gated need one in HF_TOKEN" };
        writeln!(f, "hub token   {found}")
    }
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kernel = self.kernel.as_ref().map(|kernel| format!(", kernel {kernel}")).unwrap_or_default();
        writeln!(f, "system      {}{kernel}, {}", self.system, self.architecture)?;
        let cores = self.physical_cores.map(|cores| format!(", {cores} cores")).unwrap_or_default();
        writeln!(f, "processor   {}{cores}, {} threads", self.processor, self.threads)?;
        writeln!(f, "memory      {}, {} free", size(self.memory_bytes), size(self.free_memory_bytes))
    }
}

impl fmt::Display for BackendReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, compiled, devices, error } = self;
        if !compiled {
            return writeln!(
                f,
                "backend     {name:8}  not in this binary: `cargo xtask doctor --device {name}` builds it in"
            );
        }
        if let Some(error) = error {
            return writeln!(f, "backend     {name:8}  {error}");
        }
        if devices.is_empty() {
            return writeln!(f, "backend     {name:8}  no device found: is its driver installed?");
        }
        for DeviceReport { device, check } in devices {
            writeln!(f, "backend     {name:8}  {device}: {check}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Works { seconds } => write!(f, "ok, {:.1} ms", seconds * 1e3),
            Self::Fails { error } => write!(f, "FAILED: {error}"),
        }
    }
}

impl fmt::Display for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { what, path, bytes, made_by } = self;
        let Some(path) = path else {
            return writeln!(f, "folder      {what}: nothing says where; set XDG_CACHE_HOME");
        };
        match bytes {
            Some(bytes) => writeln!(f, "folder      {what}: {}, {}", path.display(), size(*bytes)),
            None => writeln!(f, "folder      {what}: {}, not there yet: {made_by}", path.display()),
        }
    }
}

/// Bytes as a person reads them.
fn size(bytes: u64) -> String {
    let (mut size, mut unit) = (bytes as f64, "bytes");
    for larger in ["KiB", "MiB", "GiB", "TiB"] {
        if size < 1024.0 {
            break;
        }
        (size, unit) = (size / 1024.0, larger);
    }
    if unit == "bytes" { format!("{bytes} bytes") } else { format!("{size:.1} {unit}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_a_suitable_unit() {
        assert_eq!([0, 1023, 1536, 5 << 30].map(size), ["0 bytes", "1023 bytes", "1.5 KiB", "5.0 GiB"]);
    }

    #[test]
    fn failures_stand_out() {
        let backend = BackendReport {
            name: "vulkan",
            compiled: true,
            devices: vec![DeviceReport {
                device: "a GPU".to_owned(),
                check: Check::Fails { error: "no driver".to_owned() },
            }],
            error: None,
        };
        assert_eq!(backend.to_string(), "backend     vulkan    a GPU: FAILED: no driver\n");
        let missing = BackendReport { name: "cuda", compiled: false, devices: Vec::new(), error: None };
        assert!(missing.to_string().contains("--device cuda"));
    }
}
