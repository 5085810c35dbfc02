//! Operating system, processor and memory.

use std::thread::available_parallelism;

use serde::Serialize;
use sysinfo::{CpuRefreshKind, System};

#[derive(Debug, Serialize)]
pub struct Machine {
    pub system: String,
    pub kernel: Option<String>,
    /// Of this program: a 64-bit machine may run a 32-bit one.
    pub architecture: &'static str,
    pub processor: String,
    pub physical_cores: Option<usize>,
    /// That this program may use.
    pub threads: usize,
    pub memory_bytes: u64,
    pub free_memory_bytes: u64,
}

impl Machine {
    pub fn gather() -> Self {
        let mut system = System::new();
        system.refresh_memory();
        system.refresh_cpu_list(CpuRefreshKind::nothing());
        let processor = system.cpus().first().map(|processor| processor.brand().trim().to_owned());
        Self {
            system: System::long_os_version().unwrap_or_else(|| std::env::consts::OS.to_owned()),
            kernel: System::kernel_version(),
            architecture: std::env::consts::ARCH,
            processor: processor.filter(|brand| !brand.is_empty()).unwrap_or_else(|| "unknown".to_owned()),
            physical_cores: System::physical_core_count(),
            threads: available_parallelism().map_or(1, usize::from),
            memory_bytes: system.total_memory(),
            free_memory_bytes: system.available_memory(),
        }
    }
}
