//! Parameter paths (`"blocks.0.attention.query.weight"`): the names that survive a process, unlike Burn's random ids.

use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::{Bool, Int, Tensor};

/// How Burn marks a container that is an enum.
const ENUM: &str = "Enum:";

/// Where a traversal of a module is.
#[derive(Debug, Default)]
pub(crate) struct PathStack {
    names: Vec<String>,
    containers: Vec<String>,
}

impl PathStack {
    /// Variants of enums are no part of a path: which one it is says the configuration.
    pub(crate) fn enter(&mut self, name: &str, container: &str) {
        if !container.starts_with(ENUM) {
            self.names.push(name.to_owned());
        }
        self.containers.push(container.to_owned());
    }

    pub(crate) fn exit(&mut self) {
        if self.containers.pop().is_some_and(|container| !container.starts_with(ENUM)) {
            self.names.pop();
        }
    }

    /// The dot-separated path of the current parameter.
    pub(crate) fn path(&self) -> String {
        self.names.join(".")
    }

    /// Whether the current parameter is a field of the struct `name`.
    pub(crate) fn is_field_of(&self, name: &str) -> bool {
        self.containers.last().and_then(|container| container.strip_prefix("Struct:")) == Some(name)
    }
}

/// Forwards a visitor's or mapper's position to its `path: PathStack` field.
macro_rules! track_path {
    () => {
        fn enter_module(&mut self, name: &str, container: &str) {
            self.path.enter(name, container);
        }

        fn exit_module(&mut self, _name: &str, _container: &str) {
            self.path.exit();
        }
    };
}
pub(crate) use track_path;

/// Paths of the parameters that can learn, in the order of the model's fields.
///
/// These are the float parameters that require a gradient: on an autodiff device and not frozen.
pub fn trainable_paths<M: Module>(model: &M) -> Vec<String> {
    collect(model).into_iter().filter_map(|(path, trainable)| trainable.then_some(path)).collect()
}

/// How many bytes the parameters of [`trainable_paths`] hold.
pub(crate) fn trainable_bytes<M: Module>(model: &M) -> u64 {
    let mut visitor = Bytes(0);
    model.visit(&mut visitor);
    visitor.0
}

struct Bytes(u64);

impl ModuleVisitor for Bytes {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if param.is_require_grad() {
            self.0 += (param.lazy_shape().num_elements() * param.val().dtype().size()) as u64;
        }
    }
}

/// Paths of all tensors of `model`, frozen, integer and boolean ones included.
pub(crate) fn all_paths<M: Module>(model: &M) -> Vec<String> {
    collect(model).into_iter().map(|(path, _)| path).collect()
}

fn collect<M: Module>(model: &M) -> Vec<(String, bool)> {
    let mut visitor = Collect { path: PathStack::default(), found: Vec::new() };
    model.visit(&mut visitor);
    visitor.found
}

struct Collect {
    path: PathStack,
    found: Vec<(String, bool)>,
}

impl ModuleVisitor for Collect {
    track_path!();

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        self.found.push((self.path.path(), param.is_require_grad()));
    }

    fn visit_int<const D: usize>(&mut self, _param: &Param<Tensor<D, Int>>) {
        self.found.push((self.path.path(), false));
    }

    fn visit_bool<const D: usize>(&mut self, _param: &Param<Tensor<D, Bool>>) {
        self.found.push((self.path.path(), false));
    }
}
