//! `flamingo convert`: any checkpoint as one safetensors file.

use std::path::PathBuf;

use anyhow::Context;
use flamingo::FlamingoError;
use flamingo::weights::{Checkpoint, WeightsError};

use super::output::print;
use crate::exit::Usage;

/// Write a checkpoint of any format (safetensors, PyTorch, GGUF; sharded or not) as one safetensors file
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The checkpoint: a file, a folder or an index of shards
    #[arg(value_name = "IN")]
    input: PathBuf,
    /// The file to write
    #[arg(value_name = "OUT")]
    output: PathBuf,
    /// Number format of all floats; as they are stored if not given, f32 where they are quantised
    #[arg(long, value_enum)]
    dtype: Option<Dtype>,
    /// Replace OUT if it exists
    #[arg(long)]
    force: bool,
}

/// Number formats of floats.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Dtype {
    F32,
    F16,
    Bf16,
}

pub fn run(args: &Args) -> anyhow::Result<()> {
    if args.output.exists() && !args.force {
        let output = args.output.display();
        return Err(Usage(format!("{output}: exists already; name another file, or give --force")).into());
    }
    let dtype = args.dtype.map(|dtype| match dtype {
        Dtype::F32 => flamingo::DType::F32,
        Dtype::F16 => flamingo::DType::F16,
        Dtype::Bf16 => flamingo::DType::BF16,
    });
    let convert = || -> Result<usize, WeightsError> {
        let checkpoint = Checkpoint::open(&args.input)?;
        checkpoint.save_safetensors(&args.output, dtype)?;
        Ok(checkpoint.names().count())
    };
    let tensors = convert().map_err(FlamingoError::from)?;
    let bytes = std::fs::metadata(&args.output).with_context(|| args.output.display().to_string())?.len();
    let mib = bytes as f64 / f64::from(1 << 20);
    Ok(print(&format!("{}: {tensors} tensors, {mib:.1} MiB\n", args.output.display()))?)
}
