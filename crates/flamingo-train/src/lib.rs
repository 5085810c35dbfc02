//! Trains anything that turns a batch into weighted losses. Knows no architecture.
//!
//! A task implements [`Objective`] (batch to loss) and gives one [`BatchStream`] for each dataset of its mixture;
//! a [`TrainConfig`] says the rest. [`Trainer::fit`] makes one update of one batch of every source, with the
//! gradients accumulated (or of one source in turn), and keeps the run reproducible: the same seed gives the same losses, and a run that was
//! stopped resumes as if it had never been.
//!
//! An [`Evaluator`] measures the model every few updates. What a run leaves behind goes into a [`RunDir`]: metric records ([`JsonlSink`], [`TensorBoardSink`]), checkpoints ([`Checkpoint`]),
//! and a page to look at ([`report::ReportPage`]).

mod accumulate;
pub mod checkpoint;
pub mod config;
pub mod divergence;
pub mod error;
pub mod evaluation;
mod files;
pub mod footprint;
pub mod gradients;
pub mod metrics;
pub mod objective;
pub mod optimizer;
mod paths;
pub mod precision;
pub mod progress;
pub mod report;
pub mod run_dir;
pub mod schedule;
pub mod stream;
pub mod sync;
pub mod tensorboard;
pub mod trainer;
pub mod weights;
mod workers;

pub use checkpoint::{Checkpoint, CheckpointState};
pub use config::{AdamWSpec, GroupSpec, Mixing, ParamSettings, SourceSpec, TrainConfig};
pub use divergence::Evidence;
pub use error::TrainError;
pub use evaluation::{Evaluator, Evaluators};
pub use files::write_atomic;
pub use footprint::{Footprint, PartSize};
pub use metrics::{JsonlSink, MemorySink, MetricRecord, MetricSink};
pub use objective::{LossOutput, Objective};
pub use optimizer::PathAdamW;
pub use paths::trainable_paths;
pub use precision::LossScale;
pub use progress::Progress;
pub use run_dir::{Existing, RunDir};
pub use schedule::Schedule;
pub use stream::{BatchStream, Indexed, StreamError};
pub use sync::{Alone, GradientSync};
pub use tensorboard::TensorBoardSink;
pub use trainer::{BoxStream, Outcome, Trainer};
pub use weights::{load_module, save_module};
