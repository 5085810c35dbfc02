//! Whether a module computes with a gradient graph.

use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::Tensor;

/// Whether the module's parameters are on a device with a gradient graph; the first one tells. False without any.
pub fn is_autodiff(module: &impl Module) -> bool {
    let mut first = First::default();
    module.visit(&mut first);
    first.autodiff.unwrap_or(false)
}

#[derive(Default)]
struct First {
    autodiff: Option<bool>,
}

impl ModuleVisitor for First {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        self.autodiff.get_or_insert_with(|| param.val().is_autodiff());
    }
}

#[cfg(test)]
mod tests {
    use burn::nn::LinearConfig;
    use burn::tensor::Device;

    use super::*;

    #[test]
    fn it_follows_the_device() {
        assert!(!is_autodiff(&LinearConfig::new(2, 3).init(&Device::flex())));
        assert!(is_autodiff(&LinearConfig::new(2, 3).init(&Device::flex().autodiff())));
    }
}
