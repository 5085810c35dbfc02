//! Low-rank adapters on the decoder's projections (Hu et al. 2021, "LoRA"): `x W + alpha / r (x A) B`, of which only A and
//! B learn.
//!
//! Burn keeps an adapter with its weight, so it is visited, saved and moved as `….weight.lora.a` and `….weight.lora.b`;
//! where it enters the computation is [`flamingo_nn::linear()`]. A starts as `peft` starts it (uniform, of the variance
//! `1 / (3 in)`), B as zeros: an adapter that was not trained changes nothing.

use burn::module::{LoraAdapter, Module, ModuleMapper, ModuleVisitor, Param, Reparameterizer};
use burn::tensor::{Device, Distribution, Tensor};
use flamingo_core::nearest;
use serde::{Deserialize, Serialize};

use crate::decoder::Decoder;
use crate::error::LmError;

/// Which projections get adapters, and of what size.
///
/// ```
/// use flamingo_lm::{LoraConfig, NoHook, families::chinchilla::chinchilla};
/// use burn::tensor::Device;
///
/// let lm = chinchilla(2, 8, 2).init(&Device::flex());
/// let targets = vec!["attention.query".into(), "blocks.1.feed_forward.up".into()];
/// let lora = LoraConfig { targets, ..LoraConfig::default() };
/// let adapted = lora.attach(lm)?;
/// assert_eq!(adapted.adapted().len(), 3);
/// # Ok::<(), flamingo_lm::LmError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LoraConfig {
    /// r: columns of A and rows of B.
    pub rank: usize,
    /// The product of A and B is multiplied by `alpha / rank`.
    pub alpha: f64,
    /// The projections, by the end of their path: whole segments of `blocks.N.attention.{query, key, value, output}` or
    /// `blocks.N.feed_forward.{gate, up, down}`. `value` is that of every layer, `blocks.3.attention.value` of one.
    pub targets: Vec<String>,
}

impl Default for LoraConfig {
    /// Queries and values, as in the paper's section 4.2.
    fn default() -> Self {
        Self { rank: 8, alpha: 16.0, targets: ["query", "value"].map(str::to_owned).into() }
    }
}

impl LoraConfig {
    /// Refuses what no decoder, or not `lm`, can have.
    ///
    /// # Errors
    ///
    /// [`LmError::Lora`] if the rank or alpha makes no sense or a target is no projection; the message has the nearest.
    pub fn check(&self, lm: &Decoder) -> Result<(), LmError> {
        let wrong = |key: &'static str, what: String| Err(LmError::Lora { key, what });
        if self.rank == 0 {
            return wrong("rank", "must be at least 1".to_owned());
        }
        if !(self.alpha > 0.0 && self.alpha.is_finite()) {
            return wrong("alpha", format!("must be a positive number, not {}", self.alpha));
        }
        if self.targets.is_empty() {
            return wrong("targets", "there must be at least one".to_owned());
        }
        let projections = projections(lm);
        for target in &self.targets {
            if !projections.iter().any(|path| is_target(path, target)) {
                let hint = nearest::hint(target, projections.iter().flat_map(|path| endings(path)));
                return wrong("targets", format!("{target:?} is no projection of this decoder{hint}"));
            }
        }
        Ok(())
    }

    /// Gives each target of `lm` a new adapter, which learns if `lm` is on a device with a graph; what else learns stays
    /// as it is, but for the adapted weights themselves, which are frozen.
    ///
    /// # Errors
    ///
    /// As [`LoraConfig::check`].
    pub fn attach(&self, lm: Decoder) -> Result<Decoder, LmError> {
        self.check(&lm)?;
        Ok(lm.apply_reparameterization(Attach { config: self }))
    }
}

impl Decoder {
    /// All frozen but the rows of new tokens' embeddings and the adapters, if there are any.
    pub fn frozen(self) -> Self {
        let mut lm = self.map(&mut Freeze { path: Vec::new() });
        lm.new_embedding = lm.new_embedding.map(|table| table.set_require_grad(true));
        lm
    }

    /// The decoder whose weights are `W + alpha / r A B`, without adapters: what is exported. Without adapters, the same.
    pub fn merged(self) -> Self {
        self.materialize()
    }

    /// Paths of the projections that have an adapter.
    pub fn adapted(&self) -> Vec<String> {
        let mut visitor = Weights { path: Vec::new(), adapters: true, found: Vec::new() };
        self.visit(&mut visitor);
        visitor.found
    }
}

/// Paths of the decoder's linear layers.
fn projections(lm: &Decoder) -> Vec<String> {
    let mut visitor = Weights { path: Vec::new(), adapters: false, found: Vec::new() };
    lm.visit(&mut visitor);
    visitor.found
}

/// Whether `target` is the end of `path`, in whole segments.
fn is_target(path: &str, target: &str) -> bool {
    path.strip_suffix(target).is_some_and(|before| before.is_empty() || before.ends_with('.'))
}

/// The ends of `path`, the longest first.
fn endings(path: &str) -> impl Iterator<Item = &str> {
    let after_dots = path.match_indices('.').map(|(at, _)| &path[at + 1..]);
    std::iter::once(path).chain(after_dots)
}

struct Attach<'a> {
    config: &'a LoraConfig,
}

impl Reparameterizer for Attach<'_> {
    type Reparam = LoraAdapter;

    fn reparameterize<const D: usize>(
        &mut self,
        path: &str,
        param: Param<Tensor<D>>,
    ) -> (Param<Tensor<D>>, Option<LoraAdapter>) {
        let projection = path.strip_suffix(".weight");
        let wanted = |path: &str| self.config.targets.iter().any(|target| is_target(path, target));
        if D != 2 || !projection.is_some_and(wanted) {
            return (param, None);
        }
        let shape = param.lazy_shape();
        let ([from, to], rank) = ([shape[0], shape[1]], self.config.rank);
        let device = param.lazy_device();
        let adapter = LoraAdapter {
            a: Param::from_tensor(start(from, rank, &device)),
            b: Param::from_tensor(Tensor::zeros([rank, to], &device)),
            scale: self.config.alpha / rank as f64,
        };
        (param.set_require_grad(false), Some(adapter))
    }
}

/// `[in, r]`: `kaiming_uniform(a = sqrt(5))`, as `peft` draws it.
fn start(from: usize, rank: usize, device: &Device) -> Tensor<2> {
    let bound = (from as f64).powf(-0.5);
    Tensor::random([from, rank], Distribution::Uniform(-bound, bound), device)
}

/// The name under which Burn keeps an adapter.
const ADAPTER: &str = "lora";

struct Freeze {
    path: Vec<String>,
}

impl ModuleMapper for Freeze {
    fn enter_module(&mut self, name: &str, _container: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _name: &str, _container: &str) {
        self.path.pop();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let learns = self.path.iter().any(|name| name == ADAPTER);
        param.set_require_grad(learns)
    }
}

/// Collects the paths of linear layers, all or those with an adapter.
struct Weights {
    path: Vec<(String, bool)>,
    adapters: bool,
    found: Vec<String>,
}

impl ModuleVisitor for Weights {
    fn enter_module(&mut self, name: &str, container: &str) {
        if self.adapters && name == ADAPTER {
            // Behind the weight's own name.
            let names: Vec<&str> = self.path.iter().map(|(name, _)| name.as_str()).collect();
            self.found.push(names[..names.len() - 1].join("."));
        }
        self.path.push((name.to_owned(), container == "Struct:Linear"));
    }

    fn exit_module(&mut self, _name: &str, _container: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, _param: &Param<Tensor<D>>) {
        let Some(((name, true), layer)) = self.path.split_last().map(|(last, rest)| (last.clone(), rest))
        else {
            return;
        };
        if !self.adapters && name == "weight" {
            let names: Vec<&str> = layer.iter().map(|(name, _)| name.as_str()).collect();
            self.found.push(names.join("."));
        }
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::Int;
    use flamingo_testkit::assert_close;

    use super::*;
    use crate::config::DecoderConfig;
    use crate::families::chinchilla::chinchilla;
    use crate::hook::NoHook;

    fn tiny(device: &Device) -> Decoder {
        DecoderConfig { vocab: 11, new_tokens: 2, ..chinchilla(2, 8, 2) }.init(device)
    }

    fn ids(device: &Device) -> Tensor<2, Int> {
        Tensor::from_data([[1, 11, 3, 12]], device)
    }

    fn everywhere() -> LoraConfig {
        let targets = ["query", "key", "value", "output", "up", "down"].map(str::to_owned).into();
        LoraConfig { rank: 3, targets, ..LoraConfig::default() }
    }

    #[test]
    fn a_new_adapter_changes_no_bit() {
        let device = Device::flex();
        let lm = tiny(&device);
        let before = lm.forward(ids(&device), &NoHook).into_data();
        let adapted = everywhere().attach(lm).unwrap();
        assert_eq!(adapted.adapted().len(), 12);
        assert_eq!(adapted.forward(ids(&device), &NoHook).into_data(), before);
        assert_eq!(adapted.merged().forward(ids(&device), &NoHook).into_data(), before);
    }

    #[test]
    fn only_adapters_and_new_rows_learn_and_merging_keeps_what_was_learned() {
        let device = Device::flex().autodiff();
        let lm = everywhere().attach(tiny(&device)).unwrap().frozen();
        // B away from zero.
        struct Open;
        impl ModuleMapper for Open {
            fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
                match param.is_require_grad() {
                    true => param.map(|value| (value.inner() + 0.05).autodiff().require_grad()),
                    false => param,
                }
            }
        }
        let lm = lm.map(&mut Open);
        let logits = lm.forward(ids(&device), &NoHook);
        let gradients = logits.clone().square().sum().backward();
        let adapter = lm.blocks[1].attention.value.weight.adapter().unwrap();
        assert!(adapter.a.val().grad(&gradients).is_some() && adapter.b.val().grad(&gradients).is_some());
        assert!(lm.blocks[1].attention.value.weight.base().grad(&gradients).is_none());
        assert!(lm.new_embedding.as_ref().unwrap().val().grad(&gradients).is_some());
        assert!(lm.embedding.val().grad(&gradients).is_none());

        let merged = lm.clone().merged();
        assert!(merged.adapted().is_empty());
        assert_close(merged.forward(ids(&device), &NoHook).inner(), logits.clone().inner(), 1e-5);
    }

    #[test]
    fn what_makes_no_sense_is_named() {
        let refuse = |config: LoraConfig| config.attach(tiny(&Device::flex())).unwrap_err().to_string();
        let targets = vec!["attention.quary".to_owned()];
        let error = refuse(LoraConfig { targets, ..LoraConfig::default() });
        assert!(
            error.contains("`targets`") && error.contains("did you mean \"attention.query\"?"),
            "{error}"
        );
        let error = refuse(LoraConfig { targets: vec!["uery".to_owned()], ..LoraConfig::default() });
        assert!(error.contains("no projection"), "parts of a segment do not count: {error}");
        assert!(refuse(LoraConfig { rank: 0, ..LoraConfig::default() }).contains("`rank`"));
        assert!(refuse(LoraConfig { alpha: f64::NAN, ..LoraConfig::default() }).contains("`alpha`"));
    }
}
