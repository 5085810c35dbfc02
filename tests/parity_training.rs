//! Optimizer and adaptive gradient clipping against torch and timm.

use burn::module::{Module, Param};
use burn::nn::{Linear, LinearConfig};
use burn::optim::GradientsParams;
use burn::tensor::{Device, Tensor};
use flamingo::core::Precision;
use flamingo::train::gradients::clip_adaptive;
use flamingo::train::{AdamWSpec, GroupSpec, Mixing, PathAdamW, Schedule, TrainConfig};
use flamingo_testkit::Fixture;

#[derive(Module, Debug)]
struct Units {
    linear: Linear,
    conv: Param<Tensor<4>>,
    bias: Param<Tensor<1>>,
}

#[derive(Module, Debug)]
struct One {
    weight: Param<Tensor<2>>,
}

fn config() -> TrainConfig {
    TrainConfig {
        steps: 3,
        seed: 0,
        optimizer: AdamWSpec { beta1: 0.9, beta2: 0.95, eps: 1e-6 },
        schedule: Schedule::Constant { peak: 3e-2, warmup: 0 },
        weight_decay: 0.1,
        groups: Vec::new(),
        clip_norm: None,
        sources: Vec::new(),
        mixing: Mixing::default(),
        microbatches: 1,
        precision: Precision::default(),
        log_every: 1,
        checkpoint_every: 1,
        keep_last: 1,
        evaluate_every: 0,
        keep_best: None,
    }
}

#[test]
fn adaptive_clipping_is_timms() {
    let device = Device::flex().autodiff();
    let plain = Device::flex();
    for seed in 0..2 {
        let fixture = Fixture::load(&format!("agc-{seed}"));
        let empty = Units {
            linear: LinearConfig::new(3, 4).with_bias(false).init(&device),
            conv: Param::from_tensor(Tensor::zeros([4, 2, 3, 3], &device)),
            bias: Param::from_tensor(Tensor::zeros([4], &device)),
        };
        let units = fixture.weights().rename("linear", "linear.weight").load_into(empty);
        let mut gradients = GradientsParams::new();
        let linear = fixture.tensor::<2>("in.linear", &plain).transpose(); // torch has [out, in]
        gradients.register(units.linear.weight.id, linear);
        gradients.register(units.conv.id, fixture.tensor::<4>("in.conv", &plain));
        gradients.register(units.bias.id, fixture.tensor::<1>("in.bias", &plain));

        let agc = GroupSpec {
            name: "all".into(),
            pattern: "*".into(),
            lr: 1.0,
            weight_decay: None,
            agc: Some(0.05),
        };
        clip_adaptive(&units, &mut gradients, &TrainConfig { groups: vec![agc], ..config() });
        let linear = gradients.get::<2>(units.linear.weight.id).unwrap().transpose();
        fixture.assert_close("out.linear", linear, 1e-6);
        fixture.assert_close("out.conv", gradients.get::<4>(units.conv.id).unwrap(), 1e-6);
        fixture.assert_close("out.bias", gradients.get::<1>(units.bias.id).unwrap(), 1e-6);
    }
}

#[test]
fn adamw_is_torchs() {
    let device = Device::flex().autodiff();
    let plain = Device::flex();
    for seed in 0..2 {
        let fixture = Fixture::load(&format!("adamw-{seed}"));
        let empty = One { weight: Param::from_tensor(Tensor::zeros([3, 4], &device)) };
        let mut model = fixture.weights().load_into(empty);
        let mut adamw = PathAdamW::default();
        for step in 0..3 {
            let mut gradients = GradientsParams::new();
            gradients.register(model.weight.id, fixture.tensor::<2>(&format!("in.grad{step}"), &plain));
            model = adamw.step(&config(), 3e-2, model, gradients);
            fixture.assert_close(&format!("out.weight{step}"), model.weight.val(), 1e-6);
        }
    }
}
