//! LoRA on a decoder against `peft`: logits, gradients of A and B, and the merged weights.

use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::{Device, Tensor};
use flamingo::lm::{LoraConfig, NoHook};
use flamingo_testkit::Fixture;

use crate::parity_language_models::published;

const TOLERANCE: f32 = 5e-6;
/// Gradients here reach 41 and are sums of 266 terms of both signs: the bound is 1.3e-5 of the largest.
const SUMS: f32 = 100.0;
/// Rank and alpha of `tests/parity/lora.py`.
const RANK: usize = 2;
const ALPHA: f64 = 12.0;

/// Each projection's adapter: our path's end, their name.
const NAMES: [(&str, &str); 2] =
    [("attention.value", "self_attn.v_proj"), ("feed_forward.down", "mlp.down_proj")];

/// Their tensor's name without `prefix`, from our path to an adapter's factor; `None` for other parameters.
fn theirs(path: &str) -> Option<String> {
    let (weight, factor) = path.split_once(".weight.lora.")?;
    let rest = weight.strip_prefix("blocks.")?;
    let (layer, projection) = rest.split_once('.')?;
    let (_, name) = NAMES.iter().find(|(ours, _)| *ours == projection)?;
    Some(format!("{layer}.{name}.lora_{}", factor.to_uppercase()))
}

/// Puts their adapters into ours: theirs multiply columns, ours rows.
struct Fill<'a> {
    path: Vec<String>,
    fixture: &'a Fixture,
    filled: usize,
}

impl ModuleMapper for Fill<'_> {
    fn enter_module(&mut self, name: &str, _container: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _name: &str, _container: &str) {
        self.path.pop();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let Some(name) = theirs(&self.path.join(".")) else { return param };
        self.filled += 1;
        param.map(|old| {
            let value = self.fixture.tensor::<D>(&format!("adapter.{name}"), &old.device());
            value.transpose().set_require_grad(true)
        })
    }
}

#[test]
fn adapters_compute_and_learn_as_pefts_do() {
    let device = Device::flex().autodiff();
    for seed in [0, 1] {
        let fixture = Fixture::load(&format!("lora-{seed}"));
        let (model, checkpoint) = published(&format!("lm-llama-{seed}"));
        let (decoder, report) = model.load(checkpoint, &device).unwrap();
        assert!(report.is_complete(), "{report}");

        let targets = NAMES.map(|(ours, _)| ours.to_owned()).into();
        let lora = LoraConfig { rank: RANK, alpha: ALPHA, targets };
        let mut fill = Fill { path: Vec::new(), fixture: &fixture, filled: 0 };
        let decoder = lora.attach(decoder).unwrap().frozen().map(&mut fill);
        assert_eq!(fill.filled, 2 * 2 * NAMES.len());

        let ids = fixture.tensor::<2>("in.ids", &device).int();
        let logits = decoder.forward(ids.clone(), &NoHook);
        fixture.assert_close("out.logits", logits.clone(), TOLERANCE);
        let count = logits.shape().num_elements();
        let weights: Vec<f32> = (0..count).map(|i| (i as f64).cos() as f32).collect();
        let weights = Tensor::<1>::from_floats(weights.as_slice(), &device);
        let gradients = (logits.reshape([count]) * weights).sum().backward();
        for (layer, block) in decoder.blocks.iter().enumerate() {
            let layers = [&block.attention.value, &block.feed_forward.down].map(|linear| &linear.weight);
            for (weight, (ours, _)) in layers.into_iter().zip(NAMES) {
                let adapter = weight.adapter().unwrap();
                assert!(weight.base().grad(&gradients).is_none(), "what is adapted is frozen");
                for (factor, param) in [("a", &adapter.a), ("b", &adapter.b)] {
                    let name = theirs(&format!("blocks.{layer}.{ours}.weight.lora.{factor}")).unwrap();
                    let gradient = param.val().grad(&gradients).unwrap();
                    fixture.assert_close(&format!("grad.{name}"), gradient.transpose(), SUMS * TOLERANCE);
                }
            }
        }
        let merged = decoder.merged();
        fixture.assert_close("out.merged", merged.forward(ids, &NoHook), TOLERANCE);
    }
}
