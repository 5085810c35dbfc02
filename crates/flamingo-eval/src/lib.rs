//! How good answers are: the metrics of the sixteen benchmarks of the Flamingo paper, and how sure their scores are.
//!
//! Every metric of [`metrics`] gives a number for each example and one for all, and can be computed anew for any
//! selection of examples, so that [`metrics::bootstrap`] says how far to trust it. [`score`] reads predictions that were
//! made elsewhere and their references, in the files of COCO, of VQA, or as plain JSON.
//!
//! No metric needs a model, a tensor or a device; [`task`] says what the benchmarks are, and [`protocol`] asks a model: it
//! chooses the examples of each prompt, keeps a journal, and comes back with scores and everything that decided them.
//! [`suite`] asks a model on sets that anyone can fetch.

pub mod error;
pub mod files;
pub mod metrics;
pub mod protocol;
pub mod score;
pub mod suite;
pub mod task;

pub use error::EvalError;
pub use protocol::Protocol;
