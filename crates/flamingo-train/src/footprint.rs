//! How much memory a model takes while it is trained, counted from its shapes; and how much this process takes.

use std::fs;

use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::Tensor;

use crate::paths::{PathStack, track_path};

/// Numbers and bytes of one part of a model: a field of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartSize {
    /// The field's name.
    pub name: String,
    /// Numbers that learn.
    pub trained: usize,
    /// Numbers that do not.
    pub frozen: usize,
}

/// The size of a model under training, activations aside.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Footprint {
    /// In the order of the model's fields.
    pub parts: Vec<PartSize>,
    trained_bytes: u64,
    frozen_bytes: u64,
}

impl Footprint {
    /// Of a model on an autodiff device, with the frozen parts frozen. Creates parameters that are not created yet.
    pub fn of<M: Module>(model: &M) -> Self {
        let mut visitor = Sizes { path: PathStack::default(), footprint: Self::default() };
        model.visit(&mut visitor);
        visitor.footprint
    }

    /// Numbers that learn, and numbers that do not.
    pub fn numbers(&self) -> [usize; 2] {
        let sum = |of: fn(&PartSize) -> usize| self.parts.iter().map(of).sum();
        [sum(|part| part.trained), sum(|part| part.frozen)]
    }

    /// Bytes of all parameters.
    pub fn weights(&self) -> u64 {
        self.trained_bytes + self.frozen_bytes
    }

    /// Bytes of gradients when `parts` of an update are computed at once: the sum, and one of each part; one alone if
    /// there is only one part.
    pub fn gradients(&self, parts: usize) -> u64 {
        self.trained_bytes * if parts > 1 { parts as u64 + 1 } else { 1 }
    }

    /// Bytes of the optimizer's two moments.
    pub fn optimizer(&self) -> u64 {
        2 * self.trained_bytes
    }
}

struct Sizes {
    path: PathStack,
    footprint: Footprint,
}

impl ModuleVisitor for Sizes {
    track_path!();

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let path = self.path.path();
        let name = path.split('.').next().unwrap_or_default();
        let Footprint { parts, trained_bytes, frozen_bytes } = &mut self.footprint;
        if parts.last().is_none_or(|last| last.name != name) {
            parts.push(PartSize { name: name.to_owned(), trained: 0, frozen: 0 });
        }
        let Some(part) = parts.last_mut() else { return };
        let numbers = param.lazy_shape().num_elements();
        let bytes = (numbers * param.val().dtype().size()) as u64;
        if param.is_require_grad() {
            part.trained += numbers;
            *trained_bytes += bytes;
        } else {
            part.frozen += numbers;
            *frozen_bytes += bytes;
        }
    }
}

/// Bytes of main memory that this process holds now; `None` where the system is not Linux.
pub fn resident() -> Option<u64> {
    status("VmRSS:")
}

/// The most that it ever held, since [`forget_peak`] if that worked.
pub fn peak_resident() -> Option<u64> {
    status("VmHWM:")
}

/// Lets [`peak_resident`] start anew. Returns whether it could.
pub fn forget_peak() -> bool {
    // 5 resets the high-water mark: proc(5), /proc/pid/clear_refs.
    fs::write("/proc/self/clear_refs", "5").is_ok()
}

fn status(key: &str) -> Option<u64> {
    let text = fs::read_to_string("/proc/self/status").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(key))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok().map(|kib| kib << 10)
}

#[cfg(test)]
mod tests {
    use burn::nn::{Linear, LinearConfig};
    use burn::tensor::Device;

    use super::*;

    #[derive(Module, Debug)]
    struct Net {
        body: Linear,
        head: Linear,
    }

    #[test]
    fn parts_are_counted_by_what_learns() {
        let device = Device::flex().autodiff();
        let body = LinearConfig::new(2, 6).init(&device);
        let head = LinearConfig::new(6, 1).init(&device).no_grad();
        let footprint = Footprint::of(&Net { body, head });
        let part = |name: &str, trained, frozen| PartSize { name: name.to_owned(), trained, frozen };
        assert_eq!(footprint.parts, [part("body", 18, 0), part("head", 0, 7)]);
        assert_eq!(footprint.numbers(), [18, 7]);
        assert_eq!((footprint.weights(), footprint.optimizer()), (4 * 25, 8 * 18));
        assert_eq!([1, 2].map(|parts| footprint.gradients(parts)), [4 * 18, 3 * 4 * 18]);
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn the_process_knows_its_memory() {
        let held = vec![1u8; 64 << 20];
        let (now, peak) = (resident().unwrap(), peak_resident().unwrap());
        assert!(now > 64 << 20 && peak >= now - (8 << 20), "{now} {peak}");
        assert_eq!(held.iter().map(|byte| u64::from(*byte)).sum::<u64>(), 64 << 20);
    }
}
