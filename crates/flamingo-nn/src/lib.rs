//! Transformer parts that two or more Flamingo crates use.
//!
//! Everything here is plain Burn: no hidden state, shapes in the documentation, no biases unless asked for. Attention
//! goes through [`burn::tensor::module::attention`], the one call that reaches the backends' fused kernels; in a gradient graph,
//! for which there are none, it is composed here.

pub mod act;
pub mod attention;
pub mod autodiff;
pub mod count;
pub mod feed_forward;
pub mod kv_cache;
pub mod linear;
pub mod norm;

pub use act::Act;
pub use attention::{Attention, AttentionConfig, merge_heads, mix, mix_with, split_heads};
pub use autodiff::is_autodiff;
pub use count::count_parameters;
pub use feed_forward::{FeedForward, FeedForwardConfig};
pub use kv_cache::KvCache;
pub use linear::{by_rows, linear};
pub use norm::{Norm, NormConfig};
