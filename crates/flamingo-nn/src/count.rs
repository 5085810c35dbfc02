//! Counting a module's parameters without creating them.

use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::{Int, Tensor};

/// How many numbers `module` has.
///
/// Burn creates parameters when they are first used, so counting an 80-billion model takes no memory.
pub fn count_parameters<M: Module>(module: &M) -> usize {
    let mut counter = Counter(0);
    module.visit(&mut counter);
    counter.0
}

struct Counter(usize);

impl ModuleVisitor for Counter {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        self.0 += param.lazy_shape().num_elements();
    }

    fn visit_int<const D: usize>(&mut self, param: &Param<Tensor<D, Int>>) {
        self.0 += param.lazy_shape().num_elements();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::nn::LinearConfig;
    use burn::tensor::Device;

    #[test]
    fn a_layer_too_large_for_any_memory_is_counted() {
        let layer = LinearConfig::new(1 << 24, 1 << 24).with_bias(true).init(&Device::flex());
        assert_eq!(count_parameters(&layer), (1 << 48) + (1 << 24));
    }
}
