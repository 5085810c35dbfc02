//! Flamingo: a visual language model of a frozen vision encoder and a frozen language model, joined by a Perceiver
//! Resampler and tanh-gated cross-attention (Alayrac et al. 2022, <https://arxiv.org/abs/2204.14198>).
//!
//! This crate wires the parts together and is the door for users; the parts are crates of their own, re-exported as
//! modules.
//!
//! ```no_run
//! use flamingo::generate::GenerateOptions;
//! use flamingo::{DeviceSpec, Engine, Flamingo, Medium, Source};
//!
//! let device = "auto".parse::<DeviceSpec>()?.resolve()?;
//! let mut engine = Engine::new(Flamingo::from_pretrained("runs/first-light", &device)?);
//! let picture = Medium::Image(Source::File("cat.png".into()));
//! for caption in engine.captions(&[picture], &[], &GenerateOptions::default())? {
//!     println!("{} ({:.2})", caption.text, caption.logprob);
//! }
//! # Ok::<(), flamingo::FlamingoError>(())
//! ```
//!
//! # Features
//!
//! Each switches on a Burn backend; several at once are fine, and [`DeviceSpec`] picks one at run time: `flex` (CPU,
//! the default), `wgpu`, `vulkan`, `metal`, `cuda`, `rocm`.

pub mod cache;
pub mod caption;
pub mod chat;
pub mod config;
pub mod dialect;
pub mod engine;
pub mod error;
pub mod features;
pub mod generate;
pub mod hub;
pub mod identify;
pub mod inspect;
pub mod join;
pub mod loss;
pub mod model;
mod pixels;
pub mod pretrained;
pub mod prompt;
pub mod published;
pub mod recompute;
mod replica;
pub mod run;
pub mod score;
pub mod stages;
pub mod towers;

pub use caption::Caption;
pub use chat::{Conversation, Wording};
pub use config::{FlamingoConfig, Preset};
pub use dialect::Dialect;
pub use engine::{Engine, Limits};
pub use error::FlamingoError;
pub use features::FeatureCache;
pub use identify::FileSummary;
pub use inspect::Summary;
pub use model::{Flamingo, Media, Seen};
pub use pretrained::folder::ModelFolder;
pub use pretrained::{ModelSource, Network, Pretrained};
pub use prompt::{Medium, Part, Prompt, Source};
pub use replica::Replica;
pub use score::Score;

pub use flamingo_core::{Batch, DeviceSpec, HostBatch, HostFeatures, MediaAttention, MediaLayout, overlay};

pub use burn::tensor::DType;

pub use flamingo_core as core;
pub use flamingo_data as data;
pub use flamingo_lm as lm;
pub use flamingo_nn as nn;
pub use flamingo_resampler as resampler;
pub use flamingo_train as train;
pub use flamingo_vision as vision;
pub use flamingo_weights as weights;
pub use flamingo_xattn as xattn;
