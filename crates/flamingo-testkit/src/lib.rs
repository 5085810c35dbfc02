//! Fixtures made by other implementations, and tensor comparisons, for the tests of the Flamingo crates.
//!
//! A fixture is one safetensors file of `tests/fixtures`, written by a script of `tests/parity` that runs somebody
//! else's program (timm, open_flamingo, transformers, PyTorch): its weights under that program's own names, its
//! inputs, intermediates, outputs and gradients. A parity test loads the weights into our module, runs it on the
//! inputs and compares:
//!
//! ```no_run
//! # use burn::{nn::LinearConfig, tensor::Device};
//! use flamingo_testkit::{Fixture, assert_close};
//!
//! let device = Device::flex();
//! let fixture = Fixture::load("linear-0");
//! let linear = fixture.weights().rename("fc.", "").load_into(LinearConfig::new(3, 4).init(&device));
//! assert_close(linear.forward(fixture.tensor::<2>("in.x", &device)), fixture.tensor("out.y", &device), 1e-5);
//! ```
//!
//! Everything here is for tests, so everything panics instead of returning errors, and says what to do.

pub mod compare;
pub mod fixture;
pub mod weights;

pub use compare::{assert_close, max_abs_diff, weighted_sum};
pub use fixture::Fixture;
pub use weights::Weights;
