//! AdamW with its state keyed by parameter path.
//!
//! Burn's `ModuleOptimizer` keys its state by parameter id, which is random in every process, and its records keep
//! their contents private. Here the arithmetic is Burn's `AdamW`; only the bookkeeping differs: each parameter has
//! its path, from which follow its group's learning rate and weight decay and its place in a checkpoint.

use std::collections::{BTreeMap, HashMap};
use std::fmt;

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::optim::{
    AdamW, AdamWConfig, AdamWState, AdaptiveMomentumState, DynState, GradientsParams, Optimizer,
};
use burn::tensor::{Tensor, TensorData};

use crate::config::{AdamWSpec, TrainConfig};
use crate::paths::{PathStack, track_path};

/// Suffixes of a parameter's state tensors: both moments `[shape of the parameter]`, and the updates so far `[1]`.
const MOMENT_1: &str = "moment_1";
const MOMENT_2: &str = "moment_2";
const TIME: &str = "time";

/// AdamW over the trainable parameters of a module.
#[derive(Default)]
pub struct PathAdamW {
    states: HashMap<String, DynState>,
}

impl fmt::Debug for PathAdamW {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.states.keys()).finish()
    }
}

impl PathAdamW {
    /// Updates every parameter that has a gradient; `lr` is the scheduled learning rate, before group factors.
    /// Parameters without a gradient get neither an update, nor weight decay, nor state.
    pub fn step<M: Module>(&mut self, config: &TrainConfig, lr: f64, model: M, grads: GradientsParams) -> M {
        model.map(&mut Step { path: PathStack::default(), states: &mut self.states, config, lr, grads })
    }

    /// How many parameters have state.
    pub fn len(&self) -> usize {
        self.states.len()
    }

    /// Whether no parameter has state.
    pub fn is_empty(&self) -> bool {
        self.states.is_empty()
    }

    /// The state as named tensors, `"{parameter path}.{moment_1, moment_2 or time}"`.
    pub fn to_tensors<M: Module>(&self, model: &M) -> BTreeMap<String, TensorData> {
        let mut visitor = Save { path: PathStack::default(), states: &self.states, tensors: BTreeMap::new() };
        model.visit(&mut visitor);
        visitor.tensors
    }

    /// Rebuilds the state of `model`'s parameters from named tensors.
    ///
    /// # Errors
    ///
    /// The first tensor that is missing, unused, or of another shape than its parameter.
    pub(crate) fn from_tensors<M: Module>(
        model: &M,
        tensors: BTreeMap<String, TensorData>,
    ) -> Result<Self, StateError> {
        let mut visitor = Load { path: PathStack::default(), states: HashMap::new(), tensors, error: None };
        model.visit(&mut visitor);
        match (visitor.error, visitor.tensors.into_keys().next()) {
            (Some(error), _) => Err(error),
            (None, Some(name)) => Err(StateError::Unused { name }),
            (None, None) => Ok(Self { states: visitor.states }),
        }
    }
}

/// Why optimizer tensors do not fit a model.
#[derive(Debug)]
pub(crate) enum StateError {
    Missing { name: String },
    Unused { name: String },
    Mismatch { name: String, expected: String, found: String },
}

struct Step<'a> {
    path: PathStack,
    states: &'a mut HashMap<String, DynState>,
    config: &'a TrainConfig,
    lr: f64,
    grads: GradientsParams,
}

impl ModuleMapper for Step<'_> {
    track_path!();

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let Some(grad) = self.grads.remove::<D>(param.id) else { return param };
        let path = self.path.path();
        let settings = self.config.settings_of(&path);
        let adamw = adamw(&self.config.optimizer, settings.weight_decay);
        let state = self.states.remove(&path).map(DynState::downcast::<AdamWState<D>>);

        let (id, tensor, mapper) = param.consume();
        let (updated, state) = adamw.step(self.lr * settings.lr, tensor.clone().inner(), grad, state);
        if let Some(state) = state {
            self.states.insert(path, DynState::create(state, D));
        }
        Param::from_mapped_value(id, leaf_like(updated, &tensor), mapper)
    }
}

/// A new leaf that holds `value` (without a graph), with the autodiff settings of `old`.
pub(crate) fn leaf_like<const D: usize>(value: Tensor<D>, old: &Tensor<D>) -> Tensor<D> {
    let leaf = Tensor::from_inner(value);
    let leaf = match old.gradient_checkpointing_strategy() {
        Some(strategy) => leaf.with_gradient_checkpointing_strategy(strategy),
        None => leaf,
    };
    leaf.require_grad()
}

fn adamw(spec: &AdamWSpec, weight_decay: f64) -> AdamW {
    AdamWConfig::new()
        .with_beta_1(spec.beta1 as f32)
        .with_beta_2(spec.beta2 as f32)
        .with_epsilon(spec.eps as f32)
        .with_weight_decay(weight_decay as f32)
        .build()
}

struct Save<'a> {
    path: PathStack,
    states: &'a HashMap<String, DynState>,
    tensors: BTreeMap<String, TensorData>,
}

impl ModuleVisitor for Save<'_> {
    track_path!();

    fn visit_float<const D: usize>(&mut self, _param: &Param<Tensor<D>>) {
        let path = self.path.path();
        let Some(state) = self.states.get(&path) else { return };
        let momentum = &state.downcast_ref::<AdamWState<D>>().momentum;
        let time = TensorData::new(vec![momentum.time as i64], [1]);
        for (leaf, data) in
            [(MOMENT_1, momentum.moment_1.to_data()), (MOMENT_2, momentum.moment_2.to_data()), (TIME, time)]
        {
            self.tensors.insert(format!("{path}.{leaf}"), data);
        }
    }
}

struct Load {
    path: PathStack,
    states: HashMap<String, DynState>,
    tensors: BTreeMap<String, TensorData>,
    error: Option<StateError>,
}

impl ModuleVisitor for Load {
    track_path!();

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        // A parameter that never had a gradient has no state, which is no error; half a state is one.
        let prefix = format!("{}.", self.path.path());
        let present = [MOMENT_1, MOMENT_2, TIME]
            .iter()
            .any(|leaf| self.tensors.contains_key(&format!("{prefix}{leaf}")));
        if !present || self.error.is_some() {
            return;
        }
        match self.read(&prefix, param) {
            Ok(state) => {
                self.states.insert(self.path.path(), DynState::create(state, D));
            }
            Err(error) => self.error = Some(error),
        }
    }
}

impl Load {
    fn read<const D: usize>(
        &mut self,
        prefix: &str,
        param: &Param<Tensor<D>>,
    ) -> Result<AdamWState<D>, StateError> {
        let value = param.val();
        let mut take = |leaf: &str, shape: &[usize]| {
            let name = format!("{prefix}{leaf}");
            let data = self.tensors.remove(&name).ok_or(StateError::Missing { name: name.clone() })?;
            let found = data.shape().as_slice().to_vec();
            if found != shape {
                let (expected, found) = (format!("shape {shape:?}"), format!("shape {found:?}"));
                return Err(StateError::Mismatch { name, expected, found });
            }
            Ok((name, data))
        };
        let dims = value.dims();
        let (_, moment_1) = take(MOMENT_1, &dims)?;
        let (_, moment_2) = take(MOMENT_2, &dims)?;
        let (name, time) = take(TIME, &[1])?;
        let time = time.as_slice::<i64>().ok().and_then(|time| usize::try_from(time[0]).ok());
        let time = time.ok_or_else(|| StateError::Mismatch {
            name,
            expected: "a count (I64)".to_owned(),
            found: "another number".to_owned(),
        })?;
        let device = value.device().inner();
        let on_device = |data: TensorData| {
            let dtype = data.dtype();
            Tensor::from_data(data, (&device, dtype))
        };
        Ok(AdamWState::new(AdaptiveMomentumState::new(time, on_device(moment_1), on_device(moment_2))))
    }
}
