//! How long a safetensors file takes to load, and how much memory at most.
//!
//! `cargo run --release --example load_time -- [MIB] [f32|bf16]` writes a file of linear layers of that size into the
//! system's folder for temporary files, loads it and removes it. Peak memory is Linux's `VmHWM`.

use std::collections::BTreeMap;
use std::error::Error;
use std::time::Instant;

use burn::module::Module;
use burn::nn::{Linear, LinearConfig};
use burn::tensor::{DType, Device, TensorData};
use flamingo_weights::{Checkpoint, KeyMap, TensorPlan, load_into, save_safetensors};

/// A layer has 4 million weights.
const WIDTH: usize = 2048;

#[derive(Module, Debug)]
struct Layers {
    layers: Vec<Linear>,
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let mib: usize = arguments.next().map_or(Ok(1024), |text| text.parse())?;
    let dtype = match arguments.next().as_deref() {
        None | Some("f32") => DType::F32,
        Some("bf16") => DType::BF16,
        Some(other) => return Err(format!("{other:?} is neither f32 nor bf16").into()),
    };
    let n_layers = (mib << 20) / (WIDTH * WIDTH * dtype.size());
    let path = std::env::temp_dir().join(format!("flamingo-load-time-{}.safetensors", std::process::id()));
    write(&path, n_layers, dtype)?;

    let device = Device::flex();
    let config = LinearConfig::new(WIDTH, WIDTH).with_bias(false);
    let model = Layers { layers: (0..n_layers).map(|_| config.init(&device)).collect() };
    let before = peak_mib();
    let start = Instant::now();
    let loaded = Checkpoint::open(&path)
        .and_then(|checkpoint| load_into(model, &checkpoint, &KeyMap::new().linear("layers.{}", "h.{}")));
    let seconds = start.elapsed().as_secs_f64();
    std::fs::remove_file(&path)?;
    let (_model, report) = loaded?;
    let model_mib = (report.n_elements * 4) >> 20;
    println!("{mib} MiB of {dtype:?} in {n_layers} layers, {model_mib} MiB as f32: {seconds:.2} s");
    println!("peak memory {:?} MiB, before loading {before:?} MiB", peak_mib());
    Ok(())
}

fn write(path: &std::path::Path, n_layers: usize, dtype: DType) -> Result<(), Box<dyn Error>> {
    let plan = |i| TensorPlan { name: format!("h.{i}.weight"), shape: vec![WIDTH, WIDTH], dtype };
    let plans: Vec<TensorPlan> = (0..n_layers).map(plan).collect();
    let values: Vec<f32> = (0..WIDTH * WIDTH).map(|i| (i % 1000) as f32 / 1000.0).collect();
    let data = TensorData::new(values, [WIDTH, WIDTH]);
    Ok(save_safetensors(path, &plans, &BTreeMap::new(), |_| Ok(data.clone()))?)
}

/// The most memory that this process has had at a time.
fn peak_mib() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.split_whitespace().next()?.parse::<u64>().ok().map(|kib| kib >> 10)
}
