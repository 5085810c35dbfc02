//! Fixtures made by other implementations, and tensor comparisons, for the tests of the Flamingo crates.
//!
//! A fixture is one safetensors file of `tests/fixtures`, written by a script of `tests/parity` that runs somebody
//! else's program (timm, open_flamingo, transformers, PyTorch): its weights under that program's own names, its
//! inputs, intermediates, outputs and gradients. A parity test loads the weights into our module, runs it on the
//! inputs and compares:
//!
//! ```no_run
//! # use burn::{nn::LinearConfig, tensor::Device};
//! use flamingo_testkit::Fixture;
//!
//! let device = Device::flex();
//! let fixture = Fixture::load("linear-0");
//! let linear = fixture.weights().rename("fc.", "").load_into(LinearConfig::new(3, 4).init(&device));
//! fixture.assert_close("out.y", linear.forward(fixture.tensor::<2>("in.x", &device)), 1e-5);
//! ```
//!
//! `cargo xtask parity --check` sets [`MEASUREMENTS`], and comparisons with a reference write there how close they were.
//!
//! Everything here is for tests, so everything panics instead of returning errors, and says what to do.

pub mod compare;
mod difference;
pub mod fixture;
pub mod record;
pub mod weights;

pub use compare::{assert_close, max_abs_diff, weighted_sum};
pub use fixture::Fixture;
pub use record::{MEASUREMENTS, Origin};
pub use weights::Weights;
