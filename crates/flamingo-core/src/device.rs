//! Choosing a device at run time: `--device auto|flex|wgpu[:N]|vulkan[:N]|metal[:N]|cuda[:N]|rocm[:N]`.
//!
//! This is the only file that asks which backends were compiled in.

use std::fmt;
use std::str::FromStr;

pub use burn::tensor::Device;
use burn::tensor::DeviceType;
use thiserror::Error;

use crate::nearest;

/// A family of devices.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Backend {
    /// The CPU, in pure Rust (burn-flex).
    Flex,
    /// Any GPU, through whichever graphics API the machine offers.
    Wgpu,
    /// Any GPU, through Vulkan.
    Vulkan,
    /// Apple GPUs.
    Metal,
    /// NVIDIA GPUs.
    Cuda,
    /// AMD GPUs.
    Rocm,
}

impl Backend {
    /// Every backend that the project knows, fastest first: the order in which `auto` tries them.
    pub const ALL: [Backend; 6] =
        [Backend::Cuda, Backend::Rocm, Backend::Metal, Backend::Vulkan, Backend::Wgpu, Backend::Flex];

    /// The name on the command line, which is also the cargo feature.
    pub fn name(self) -> &'static str {
        match self {
            Backend::Flex => "flex",
            Backend::Wgpu => "wgpu",
            Backend::Vulkan => "vulkan",
            Backend::Metal => "metal",
            Backend::Cuda => "cuda",
            Backend::Rocm => "rocm",
        }
    }

    /// Whether this binary was built with the backend.
    pub fn compiled(self) -> bool {
        match self {
            Backend::Flex => cfg!(feature = "flex"),
            Backend::Wgpu => cfg!(feature = "wgpu"),
            Backend::Vulkan => cfg!(feature = "vulkan"),
            Backend::Metal => cfg!(feature = "metal"),
            Backend::Cuda => cfg!(feature = "cuda"),
            Backend::Rocm => cfg!(feature = "rocm"),
        }
    }

    /// The backends of this binary, in the order of [`Backend::ALL`].
    pub fn available() -> Vec<Backend> {
        Self::ALL.into_iter().filter(|backend| backend.compiled()).collect()
    }

    /// The devices of this machine that the backend finds; none if it was not compiled in. Panics as the backend does.
    #[allow(
        unreachable_patterns,
        unreachable_code,
        reason = "reachable, but for builds of every backend, or none"
    )]
    pub(crate) fn enumerate(self) -> Vec<Device> {
        let kind: DeviceType = match self {
            #[cfg(feature = "flex")]
            Backend::Flex => DeviceType::Flex,
            #[cfg(feature = "wgpu")]
            Backend::Wgpu => DeviceType::Wgpu,
            #[cfg(feature = "vulkan")]
            Backend::Vulkan => DeviceType::Vulkan,
            #[cfg(feature = "metal")]
            Backend::Metal => DeviceType::Metal,
            #[cfg(feature = "cuda")]
            Backend::Cuda => DeviceType::Cuda,
            #[cfg(feature = "rocm")]
            Backend::Rocm => DeviceType::Rocm,
            _ => return Vec::new(),
        };
        Device::enumerate(kind).into_iter().collect()
    }
}

/// Which device to run on, as a person writes it.
///
/// ```
/// use flamingo_core::DeviceSpec;
///
/// let spec: DeviceSpec = "cuda:1".parse()?;
/// assert_eq!(spec.to_string(), "cuda:1");
/// assert!("cuad".parse::<DeviceSpec>().unwrap_err().to_string().contains("did you mean \"cuda\"?"));
/// # Ok::<(), flamingo_core::DeviceError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DeviceSpec {
    /// The first backend of [`Backend::ALL`] that this binary has.
    #[default]
    Auto,
    /// One backend, and optionally which of its devices.
    On {
        /// The device family.
        backend: Backend,
        /// Which device of the family; the family's own default if `None`.
        index: Option<usize>,
    },
}

/// Why a device could not be used.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum DeviceError {
    /// The text is no device.
    #[error(
        "unknown device {given:?}: expected auto, flex (or cpu), wgpu[:N], vulkan[:N], metal[:N], cuda[:N] or rocm[:N]{hint}"
    )]
    Unknown {
        /// What was written.
        given: String,
        /// The nearest name, as the end of a sentence.
        hint: String,
    },
    /// The binary was built without the backend.
    #[error(
        "this binary has no {backend} backend (it has: {available}); `cargo xtask VERB --device {backend}` builds it in, and so \
         does:\n  cargo build --release --workspace --bin flamingo --features flamingo-cli/{backend}"
    )]
    NotCompiled {
        /// The backend that was asked for.
        backend: &'static str,
        /// The backends that are there.
        available: String,
    },
    /// The index makes no sense for the backend.
    #[error("the flex backend is the CPU and has one device: write \"flex\" or \"cpu\" without an index")]
    IndexOnCpu,
    /// The device cannot compute in a number format.
    #[error(
        "{device} cannot compute in {precision} (it has: {available}): write precision = \"f32\", or choose another device"
    )]
    Precision {
        /// What was asked for.
        precision: &'static str,
        /// The device.
        device: String,
        /// The formats that it has.
        available: String,
    },
    /// The device has no collective operations, or there is no device to share them.
    #[error(
        "{device} has no collective operations, which data parallelism over devices needs: CUDA devices have them \
         (cuda:0, cuda:1, …); on a CPU, train with one replica, which uses all cores by `microbatches`"
    )]
    NoCollectives {
        /// The device.
        device: String,
    },
    /// The device, or what it is reached through, does not work.
    #[error("it does not compute: {what}; is its driver installed, and does it work for other programs?")]
    Failed {
        /// What its library says.
        what: String,
    },
    /// The device computes something else.
    #[error(
        "its matrix product is off by {difference:.1e}, relative to the largest number: update its driver, or use another"
    )]
    Wrong {
        /// The largest difference from the right product.
        difference: f64,
    },
}

impl FromStr for DeviceSpec {
    type Err = DeviceError;

    fn from_str(given: &str) -> Result<Self, Self::Err> {
        if given == "auto" {
            return Ok(DeviceSpec::Auto);
        }
        let (name, index) = match given.split_once(':') {
            Some((name, index)) => (name, Some(index)),
            None => (given, None),
        };
        let unknown = || DeviceError::Unknown {
            given: given.to_owned(),
            hint: nearest::hint(name, Backend::ALL.map(Backend::name)),
        };
        // What people write who come from elsewhere.
        let name = if name == "cpu" { Backend::Flex.name() } else { name };
        let backend = Backend::ALL.into_iter().find(|backend| backend.name() == name).ok_or_else(unknown)?;
        let index = index.map(str::parse).transpose().map_err(|_| unknown())?;
        if backend == Backend::Flex && index.is_some() {
            return Err(DeviceError::IndexOnCpu);
        }
        Ok(DeviceSpec::On { backend, index })
    }
}

impl fmt::Display for DeviceSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DeviceSpec::Auto => f.write_str("auto"),
            DeviceSpec::On { backend, index: None } => f.write_str(backend.name()),
            DeviceSpec::On { backend, index: Some(index) } => write!(f, "{}:{index}", backend.name()),
        }
    }
}

impl DeviceSpec {
    /// The device itself. Call it once, from `main`: Burn fixes a device's number formats at its first tensor.
    ///
    /// # Errors
    ///
    /// If this binary was built without the backend; the message has the command that adds it.
    pub fn resolve(self) -> Result<Device, DeviceError> {
        let available = Backend::available();
        match self {
            DeviceSpec::Auto => {
                let backend = available.first().copied().ok_or_else(|| not_compiled(Backend::Flex))?;
                open(backend, None)
            }
            DeviceSpec::On { backend, index } if available.contains(&backend) => open(backend, index),
            DeviceSpec::On { backend, .. } => Err(not_compiled(backend)),
        }
    }
}

/// How many independent computations are worth doing at once on `device`: one on a GPU, which is filled by one, and
/// the number of cores on the CPU, where many operations of one computation run on a single core.
///
/// `RAYON_NUM_THREADS`, which bounds the threads of an operation, bounds this too, so that several processes can share a
/// machine.
pub fn concurrency(device: &Device) -> usize {
    if !is_flex(device) {
        return 1;
    }
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let most = std::env::var("RAYON_NUM_THREADS").ok().and_then(|count| count.parse::<usize>().ok());
    // 0 is Rayon's word for no bound.
    most.filter(|most| *most > 0).map_or(cores, |most| cores.min(most))
}

/// What `compute` gives, which is done on a thread of Rayon's pool if `device` is the CPU.
///
/// Burn's CPU backend splits operations among the threads of that pool. A thread of it takes a piece of each itself; one outside hands
/// each over and sleeps until it is done. So this is for computations of many operations, such as an image's features
/// (0.82 to 0.97 of the time; `docs/performance.md`). It must not wait for what another job of the pool has to do.
pub fn on_worker<T: Send>(device: &Device, compute: impl FnOnce() -> T + Send) -> T {
    if is_flex(device) { rayon::scope(|_| compute()) } else { compute() }
}

/// Whether `device` is Burn's CPU backend, with or without a gradient graph. False in a build without that backend.
pub fn is_flex(device: &Device) -> bool {
    #[cfg(feature = "flex")]
    return device.clone().inner() == Device::flex();
    #[cfg(not(feature = "flex"))]
    {
        let _ = device;
        false
    }
}

/// Refuses devices whose gradients cannot be averaged among them: Burn's collective operations are NCCL's, so they must be
/// CUDA devices (`burn-cubecl`, `ops/distributed.rs`; `cubecl-cuda`).
///
/// # Errors
///
/// [`DeviceError::NoCollectives`], naming the first that cannot.
pub fn check_collectives(devices: &[Device]) -> Result<(), DeviceError> {
    let cuda = Backend::Cuda.enumerate();
    let missing = devices.iter().map(|device| device.clone().inner()).find(|device| !cuda.contains(device));
    missing.map_or(Ok(()), |device| Err(DeviceError::NoCollectives { device: name(&device) }))
}

/// What a person calls the device: the name of a GPU, else what Burn calls it. Panics as the backend does.
pub(crate) fn name(device: &Device) -> String {
    #[cfg(any(feature = "wgpu", feature = "vulkan", feature = "metal", feature = "cuda", feature = "rocm"))]
    if let Some(identity) = device.identity() {
        return format!("{} ({device:?})", identity.name);
    }
    format!("{device:?}")
}

fn not_compiled(backend: Backend) -> DeviceError {
    let available: Vec<&str> = Backend::available().into_iter().map(Backend::name).collect();
    DeviceError::NotCompiled {
        backend: backend.name(),
        available: if available.is_empty() { "none".to_owned() } else { available.join(", ") },
    }
}

/// `index` selects a discrete GPU for the graphics APIs, a CUDA or ROCm ordinal otherwise.
#[cfg_attr(
    not(any(feature = "wgpu", feature = "vulkan", feature = "metal", feature = "cuda", feature = "rocm")),
    expect(unused_variables, reason = "the CPU backend has one device")
)]
fn open(backend: Backend, index: Option<usize>) -> Result<Device, DeviceError> {
    #[cfg(any(feature = "wgpu", feature = "vulkan", feature = "metal"))]
    let kind = || {
        use burn::tensor::DeviceKind;
        index.map_or(DeviceKind::DefaultDevice, DeviceKind::DiscreteGpu)
    };
    match backend {
        #[cfg(feature = "flex")]
        Backend::Flex => Ok(Device::flex()),
        #[cfg(feature = "wgpu")]
        Backend::Wgpu => Ok(Device::wgpu(kind())),
        #[cfg(feature = "vulkan")]
        Backend::Vulkan => Ok(Device::vulkan(kind())),
        #[cfg(feature = "metal")]
        Backend::Metal => Ok(Device::metal(kind())),
        #[cfg(feature = "cuda")]
        Backend::Cuda => Ok(Device::cuda(index.unwrap_or(0))),
        #[cfg(feature = "rocm")]
        Backend::Rocm => Ok(Device::rocm(index.unwrap_or(0))),
        #[allow(unreachable_patterns, reason = "reachable unless every backend is compiled in")]
        missing => Err(not_compiled(missing)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_round_trips() {
        for text in ["auto", "flex", "wgpu", "wgpu:0", "vulkan:2", "metal", "cuda:1", "rocm"] {
            assert_eq!(text.parse::<DeviceSpec>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn the_cpu_has_a_second_name() {
        assert_eq!("cpu".parse::<DeviceSpec>().unwrap().to_string(), "flex");
    }

    #[test]
    fn nonsense_is_named() {
        for text in ["gpu", "cuda:x", "cuda:-1", "", "flex:0", "cpu:1"] {
            assert!(text.parse::<DeviceSpec>().is_err(), "{text}");
        }
    }

    #[cfg(feature = "flex")]
    #[test]
    fn the_cpu_has_no_collectives_and_says_what_to_do() {
        let error = check_collectives(&[Device::flex().autodiff()]).unwrap_err().to_string();
        assert!(error.contains("CUDA devices have them") && error.contains("one replica"), "{error}");
    }

    #[cfg(feature = "flex")]
    #[test]
    fn the_cpu_computes_on_a_thread_of_the_pool_even_if_asked_there() {
        let device = Device::flex().autodiff();
        let place = rayon::current_thread_index;
        assert_eq!(place(), None);
        let (outer, inner) = on_worker(&device, || (place(), on_worker(&device, place)));
        assert!(outer.is_some() && inner == outer, "{outer:?} {inner:?}");
    }

    #[cfg(not(feature = "rocm"))]
    #[test]
    fn a_missing_backend_says_how_to_add_it() {
        let error = "rocm".parse::<DeviceSpec>().unwrap().resolve().unwrap_err().to_string();
        assert!(error.contains("--features flamingo-cli/rocm"), "{error}");
    }
}
