//! A checkpoint into a module: first a plan, in which everything must fit, then tensor by tensor.

use std::collections::{BTreeMap, BTreeSet};

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::{Bool, DType, Int, Tensor, TensorData};
use flamingo_core::nearest;

use crate::checkpoint::{Checkpoint, Encoding, TensorInfo};
use crate::error::{Problem, WeightsError};
use crate::key_map::KeyMap;
use crate::recipe::Recipe;
use crate::report::LoadReport;
use crate::tensor;

/// Loads strictly: every parameter gets its tensors, every tensor is used, every shape is right, except what `map`
/// spells out as optional or ignored.
///
/// Parameters keep their device, their number format (that of the device where they do not exist yet) and whether they
/// are trained. Parameters that do not exist yet are made from the file directly, so that memory holds the model and
/// one more tensor at most.
///
/// # Errors
///
/// [`WeightsError::Mismatch`] with everything that does not fit, found before any tensor is read where shapes can be
/// known; otherwise if a tensor does not read.
pub fn load_into<M: Module>(
    module: M,
    checkpoint: &Checkpoint,
    map: &KeyMap,
) -> Result<(M, LoadReport), WeightsError> {
    let mut slots = Slots::default();
    module.visit(&mut slots);
    let (plan, report) = plan(&slots.found, checkpoint, map)?;
    let mut loader = Loader { checkpoint, plan, path: Path::default(), failed: None };
    let module = module.map(&mut loader);
    match loader.failed {
        Some(error) => Err(error),
        None => Ok((module, report)),
    }
}

/// The kinds of number that a parameter can be of.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Kind {
    Float,
    Int,
    Bool,
}

impl Kind {
    fn accepts(self, dtype: DType) -> bool {
        match self {
            Kind::Float => dtype.is_float(),
            Kind::Int => dtype.is_int() || dtype.is_uint(),
            Kind::Bool => dtype.is_bool() || dtype == DType::U8,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Kind::Float => "floats",
            Kind::Int => "integers",
            Kind::Bool => "booleans",
        }
    }
}

/// A parameter of the module.
struct Slot {
    path: String,
    shape: Vec<usize>,
    kind: Kind,
    /// Whether it is the weight of a `Linear`.
    in_linear: bool,
}

/// What a parameter is made of.
struct Step {
    tensors: Vec<String>,
    recipe: Recipe,
    shape: Vec<usize>,
    in_linear: bool,
}

type Plan = BTreeMap<String, Step>;

fn plan(slots: &[Slot], checkpoint: &Checkpoint, map: &KeyMap) -> Result<(Plan, LoadReport), WeightsError> {
    let (mut plan, mut report) = (Plan::new(), LoadReport::default());
    let (mut missing, mut without_rule, mut misfits) = (Vec::new(), Vec::new(), Vec::new());
    let mut used = BTreeSet::new();
    for slot in slots {
        let optional = map.is_optional(&slot.path);
        let Some((rule, tensors)) = map.find(&slot.path) else {
            if optional {
                report.kept.push(slot.path.clone());
            } else {
                without_rule.push(Problem::NoRule { parameter: slot.path.clone() });
            }
            continue;
        };
        used.extend(tensors.iter().cloned());
        let absent: Vec<&String> = tensors.iter().filter(|name| checkpoint.info(name).is_none()).collect();
        if absent.len() == tensors.len() && optional {
            report.kept.push(slot.path.clone());
            continue;
        }
        missing.extend(absent.into_iter().map(|tensor| (slot.path.clone(), tensor.clone())));
        for name in &tensors {
            let misfit = checkpoint.info(name).and_then(|info| misfit(slot, &rule.recipe, name, info));
            misfits.extend(misfit);
        }
        report.loaded.push(slot.path.clone());
        report.n_elements += slot.shape.iter().product::<usize>() as u64;
        let Slot { shape, in_linear, .. } = slot;
        let step = Step { tensors, recipe: rule.recipe.clone(), shape: shape.clone(), in_linear: *in_linear };
        plan.insert(slot.path.clone(), step);
    }
    let unused: Vec<&str> = checkpoint.names().filter(|name| !used.contains(*name)).collect();
    let (ignored, unused): (Vec<_>, Vec<_>) = unused.into_iter().partition(|name| map.is_ignored(name));
    report.ignored = ignored.into_iter().map(str::to_owned).collect();

    let sought = || missing.iter().map(|(_, tensor)| tensor.as_str());
    let mut problems = without_rule;
    problems.extend(missing.iter().map(|(parameter, tensor)| Problem::Missing {
        parameter: parameter.clone(),
        tensor: tensor.clone(),
        hint: there_is(nearest::nearest(tensor, unused.iter().copied())),
    }));
    problems.extend(unused.iter().map(|tensor| {
        Problem::Unused {
            tensor: (*tensor).to_owned(),
            hint: nearest::nearest(tensor, sought())
                .map(|near| format!("; {near:?} was looked for"))
                .unwrap_or_default(),
        }
    }));
    problems.extend(misfits);
    if problems.is_empty() {
        Ok((plan, report))
    } else {
        Err(WeightsError::Mismatch { path: checkpoint.path().to_owned(), problems })
    }
}

fn there_is(near: Option<&str>) -> String {
    near.map(|near| format!("; there is {near:?}")).unwrap_or_default()
}

/// What is wrong with a tensor, as far as can be said without reading it.
fn misfit(slot: &Slot, recipe: &Recipe, tensor: &str, info: &TensorInfo) -> Option<Problem> {
    let problem = |expected, found| {
        let (parameter, tensor) = (slot.path.clone(), tensor.to_owned());
        Some(Problem::Misfit { parameter, tensor, expected, found })
    };
    if let Some(shape) = recipe.source_shape(&slot.shape, slot.in_linear, &info.shape)
        && shape != info.shape
    {
        return problem(format!("shape {shape:?}"), format!("of shape {:?}", info.shape));
    }
    match (&info.encoding, info.dtype()) {
        (Encoding::Unknown(_), _) | (_, None) => {
            problem("a readable encoding".to_owned(), format!("stored as {}", info.encoding))
        }
        (_, Some(dtype)) if !slot.kind.accepts(dtype) => {
            problem(slot.kind.name().to_owned(), format!("stored as {}", info.encoding))
        }
        _ => None,
    }
}

/// Where a traversal is. Enum variants are not part of a path.
#[derive(Default)]
pub(crate) struct Path {
    names: Vec<String>,
    container: Vec<String>,
}

impl Path {
    pub(crate) fn enter(&mut self, name: &str, container: &str) {
        if !container.starts_with("Enum:") {
            self.names.push(name.to_owned());
        }
        self.container.push(container.to_owned());
    }

    pub(crate) fn exit(&mut self) {
        if self.container.pop().is_some_and(|container| !container.starts_with("Enum:")) {
            self.names.pop();
        }
    }

    pub(crate) fn join(&self) -> String {
        self.names.join(".")
    }

    fn is_linear_weight(&self) -> bool {
        self.container.last().is_some_and(|it| it == "Struct:Linear")
            && self.names.last().is_some_and(|it| it == "weight")
    }
}

/// All parameters of a module, without creating those that do not exist yet.
#[derive(Default)]
struct Slots {
    path: Path,
    found: Vec<Slot>,
}

impl Slots {
    fn push(&mut self, shape: &[usize], kind: Kind) {
        let in_linear = self.path.is_linear_weight();
        self.found.push(Slot { path: self.path.join(), shape: shape.to_vec(), kind, in_linear });
    }
}

impl ModuleVisitor for Slots {
    fn enter_module(&mut self, name: &str, container: &str) {
        self.path.enter(name, container);
    }

    fn exit_module(&mut self, _name: &str, _container: &str) {
        self.path.exit();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        self.push(param.lazy_shape().as_slice(), Kind::Float);
    }

    fn visit_int<const D: usize>(&mut self, param: &Param<Tensor<D, Int>>) {
        self.push(param.lazy_shape().as_slice(), Kind::Int);
    }

    fn visit_bool<const D: usize>(&mut self, param: &Param<Tensor<D, Bool>>) {
        self.push(param.lazy_shape().as_slice(), Kind::Bool);
    }
}

/// Carries out a plan; after a failure, nothing more.
struct Loader<'a> {
    checkpoint: &'a Checkpoint,
    plan: Plan,
    path: Path,
    failed: Option<WeightsError>,
}

impl Loader<'_> {
    /// The data for the current parameter, or `None` if it is to stay.
    fn next(&mut self, dtype: DType) -> Option<TensorData> {
        if self.failed.is_some() {
            return None;
        }
        let parameter = self.path.join();
        let step = self.plan.remove(&parameter)?;
        self.make(&parameter, step, dtype).map_err(|error| self.failed = Some(error)).ok()
    }

    fn make(&self, parameter: &str, step: Step, dtype: DType) -> Result<TensorData, WeightsError> {
        let sources = step.tensors.iter().map(|name| self.checkpoint.read(name));
        let sources = sources.collect::<Result<Vec<_>, _>>()?;
        let made = step.recipe.apply(sources, &step.shape, step.in_linear);
        let fitting = made.and_then(|data| {
            let shape = data.shape().as_slice();
            if shape != step.shape { Err(format!("of shape {shape:?}")) } else { tensor::cast(data, dtype) }
        });
        fitting.map_err(|found| {
            let (parameter, tensor) = (parameter.to_owned(), step.tensors.join(", "));
            let expected = format!("shape {:?}, after the key map's function", step.shape);
            let problems = vec![Problem::Misfit { parameter, tensor, expected, found }];
            WeightsError::Mismatch { path: self.checkpoint.path().to_owned(), problems }
        })
    }
}

impl ModuleMapper for Loader<'_> {
    fn enter_module(&mut self, name: &str, container: &str) {
        self.path.enter(name, container);
    }

    fn exit_module(&mut self, _name: &str, _container: &str) {
        self.path.exit();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let device = param.lazy_device();
        let dtype = match param.is_initialized() {
            true => Some(param.val().dtype()).filter(|dtype| dtype.is_float()),
            false => None,
        };
        let dtype = dtype.unwrap_or_else(|| device.settings().float_dtype.into());
        fill(self.next(dtype), param, |data| Tensor::from_data(data, (&device, dtype)))
    }

    fn map_int<const D: usize>(&mut self, param: Param<Tensor<D, Int>>) -> Param<Tensor<D, Int>> {
        let device = param.lazy_device();
        let dtype =
            if param.is_initialized() { param.val().dtype() } else { device.settings().int_dtype.into() };
        fill(self.next(dtype), param, |data| Tensor::from_data(data, (&device, dtype)))
    }

    fn map_bool<const D: usize>(&mut self, param: Param<Tensor<D, Bool>>) -> Param<Tensor<D, Bool>> {
        let device = param.lazy_device();
        let dtype = device.settings().bool_dtype.into();
        fill(self.next(dtype), param, |data| Tensor::from_data(data, &device))
    }
}

/// Puts loaded data into a parameter that keeps its id, its device and whether it is trained.
fn fill<T: burn::module::Parameter>(
    data: Option<TensorData>,
    param: Param<T>,
    tensor: impl FnOnce(TensorData) -> T,
) -> Param<T> {
    match data {
        Some(data) => {
            let id = param.id;
            param.transform_for_load(tensor(data), id)
        }
        None => param,
    }
}

#[cfg(test)]
mod tests;
