//! One decoder for many language-model families, with a hook between its layers.
//!
//! The decoder is never changed by what is built around it: cross-attention enters through [`LayerHook`], which sees
//! the hidden states before each layer. A family is data, one file in [`families`]: its sizes and its special tokens.
//!
//! Legend: B batch, L tokens, D width, H heads, K head dim, V vocabulary.

pub mod block;
pub mod decoder;
pub mod families;
pub mod hook;
pub mod relative;

pub use decoder::{Decoder, DecoderConfig};
pub use hook::{LayerHook, NoHook};
