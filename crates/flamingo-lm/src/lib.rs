//! One decoder for many language-model families, with a hook between its layers.
//!
//! The decoder is never changed by what is built around it: cross-attention enters through [`LayerHook`], which sees
//! the hidden states before each layer. A family is data, one file in [`families`]: how its published configuration
//! becomes a [`DecoderConfig`], and which of its tensors is which of ours.
//!
//! A [`DecoderCache`] holds what a decoder has read, so that a text can be read in pieces, at last token by token.
//!
//! Legend: B batch, L tokens, S tokens with those read before, D width, H heads, G key-value heads, K head dim, V vocabulary.

pub mod attention;
pub mod block;
pub mod cache;
pub mod config;
pub mod decoder;
pub mod error;
pub mod families;
pub mod hook;
pub mod lora;
pub mod padding;
pub mod positions;

pub use cache::DecoderCache;
pub use config::{Biases, DecoderConfig, Head, Residual};
pub use decoder::Decoder;
pub use error::LmError;
pub use hook::{LayerHook, NoHook};
pub use lora::LoraConfig;
pub use padding::Padding;
pub use positions::{Pass, Positions};
