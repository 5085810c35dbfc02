//! Other people's checkpoint files into Burn modules, strictly.
//!
//! [`Checkpoint`] opens a safetensors file, a PyTorch file, a GGUF file, or a folder or index of shards, and reads one
//! tensor at a time. [`KeyMap`] says which tensors make each parameter of a module, and [`load_into`] loads them: a
//! tensor that is missing, left over or of another shape is an error that lists all of them with the nearest names.
//!
//! Files come from strangers. A pickle is never executed: a small interpreter knows the few operations of a state dict
//! and refuses everything else. Every size is checked against the file before memory is taken for it.
//!
//! ```no_run
//! use burn::{nn::LinearConfig, tensor::Device};
//! use flamingo_weights::{Checkpoint, KeyMap, load_into};
//!
//! # fn main() -> Result<(), flamingo_weights::WeightsError> {
//! let checkpoint = Checkpoint::open("model.safetensors")?;
//! let linear = LinearConfig::new(16, 8).init(&Device::flex());
//! let map = KeyMap::new().transpose("weight", "fc.weight").copy("bias", "fc.bias");
//! let (linear, report) = load_into(linear, &checkpoint, &map)?;
//! println!("{report}");
//! # Ok(())
//! # }
//! ```

#[cfg(not(target_endian = "little"))]
compile_error!("checkpoint files are little-endian, and are read without swapping bytes");

mod checkpoint;
mod error;
mod gguf;
mod input;
mod key_map;
mod load;
mod metadata;
mod open;
mod pattern;
mod pickle;
mod recipe;
mod report;
mod safetensors;
mod save;
mod save_module;
mod strided;
pub mod tensor;

pub use checkpoint::{Checkpoint, Encoding, Format, TensorInfo};
pub use error::{Problem, WeightsError};
pub use gguf::BlockFormat;
pub use key_map::KeyMap;
pub use load::load_into;
pub use metadata::MetadataValue;
pub use report::LoadReport;
pub use save::{TensorPlan, save_safetensors};
pub use save_module::{module_tensors, save_sharded};
