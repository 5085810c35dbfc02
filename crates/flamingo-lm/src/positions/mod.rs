//! How the order of tokens enters a decoder.
//!
//! Each way acts at one place: learned positions are added to the embeddings, rotary ones turn queries and keys,
//! ALiBi adds to the scores, and Transformer-XL's change the queries and add to the scores.

pub mod alibi;
pub mod relative;
pub mod rotary;

use burn::tensor::{Bool, Device, Tensor};
use serde::{Deserialize, Serialize};

use crate::config::DecoderConfig;
use crate::padding::Padding;
use crate::positions::alibi::alibi;
use crate::positions::relative::distance_encoding;
use crate::positions::rotary::{Rotations, Scaling, frequencies};

/// How the order of tokens enters.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Positions {
    /// Learned projections of the distance's sinusoids (Dai et al. 2019); see [`relative`].
    #[default]
    TransformerXl,
    /// Queries and keys are turned by angles that grow with the position (Su et al. 2021); see [`rotary`].
    Rotary {
        /// Base of the wavelengths.
        theta: f64,
        /// Part of each head that is turned: its first dimensions.
        fraction: f64,
        /// How the wavelengths are stretched, if they are.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        scaling: Option<Scaling>,
    },
    /// Scores fall linearly with the distance (Press et al. 2021); see [`mod@alibi`].
    Alibi {
        /// The steepest head falls by `2^(-max_bias / H)` for each token, the flattest by `2^-max_bias`.
        max_bias: f64,
    },
    /// A table of `max_len + offset` rows is added to the embeddings.
    Learned {
        /// Row of position 0.
        offset: usize,
    },
}

impl Positions {
    /// Dimensions of a head of width `d_head` that are turned; 0 without rotary positions.
    pub(crate) fn rotary_width(&self, d_head: usize) -> usize {
        match *self {
            // Truncated, as `transformers` does.
            Positions::Rotary { fraction, .. } => (d_head as f64 * fraction) as usize,
            _ => 0,
        }
    }

    /// Angles between neighbouring positions, of each pair of dimensions of a head of width `d_head` that are turned.
    ///
    /// None without rotary positions.
    pub(crate) fn frequencies(&self, d_head: usize) -> Vec<f32> {
        match self {
            Positions::Rotary { theta, scaling, .. } => {
                frequencies(self.rotary_width(d_head), *theta, scaling.as_ref())
            }
            _ => Vec::new(),
        }
    }
}

/// What all layers share in one pass over L tokens, the last of S.
///
/// All S of them, unless the others were read before and are in a [`DecoderCache`](crate::DecoderCache).
#[derive(Debug, Clone, Default)]
pub struct Pass {
    /// Sinusoids of the distances, `[L, D]`, for Transformer-XL's positions; a cache has them already projected.
    pub(crate) distances: Option<Tensor<2>>,
    /// Angles of the positions, for rotary ones.
    pub(crate) rotations: Option<Rotations>,
    /// Added to the scores, `[1, H, L, S]`, with ALiBi.
    pub(crate) bias: Option<Tensor<4>>,
    /// `true` where a key is padding, `[B, 1, 1, S]`.
    pub(crate) blocked: Option<Tensor<4, Bool>>,
}

impl Pass {
    /// A pass over `len` tokens, in a batch with that `padding`.
    pub fn new(config: &DecoderConfig, len: usize, padding: Option<&Padding>, device: &Device) -> Self {
        let pass = Self { blocked: padding.map(Padding::blocked), ..Self::default() };
        match config.positions {
            Positions::TransformerXl => {
                Self { distances: Some(distance_encoding(len, config.d_model, device)), ..pass }
            }
            Positions::Rotary { .. } => {
                let frequencies = config.positions.frequencies(config.d_head);
                Self { rotations: Some(Rotations::new(len, &frequencies, device)), ..pass }
            }
            Positions::Alibi { max_bias } => {
                let keys = alibi(len, config.n_heads, max_bias, device);
                Self { bias: Some(keys.expand([1, config.n_heads, len, len])), ..pass }
            }
            Positions::Learned { .. } => pass,
        }
    }
}

/// Position tables for texts of up to `capacity` tokens, of which each pass behind a cache takes its part.
#[derive(Debug, Clone)]
pub(crate) struct Tables {
    pub capacity: usize,
    rotations: Option<Rotations>,
    /// `[1, H, 1, capacity]`
    bias: Option<Tensor<4>>,
}

impl Tables {
    pub fn new(config: &DecoderConfig, capacity: usize, device: &Device) -> Self {
        let mut tables = Self { capacity, rotations: None, bias: None };
        match config.positions {
            Positions::Rotary { .. } => {
                let frequencies = config.positions.frequencies(config.d_head);
                tables.rotations = Some(Rotations::new(capacity, &frequencies, device));
            }
            Positions::Alibi { max_bias } => {
                tables.bias = Some(alibi(capacity, config.n_heads, max_bias, device));
            }
            Positions::TransformerXl | Positions::Learned { .. } => {}
        }
        tables
    }

    /// What turns keys as if `by` tokens stood before their text; `None` if keys do not know their places.
    pub fn shift(&self, by: usize) -> Option<Rotations> {
        self.rotations.as_ref().filter(|_| by > 0).map(|all| all.narrow(by, 1))
    }

    /// The pass over `len` tokens behind `past` others.
    pub fn pass(&self, past: usize, len: usize, blocked: Option<Tensor<4, Bool>>) -> Pass {
        let keys = past + len;
        let of_queries = |bias: &Tensor<4>| {
            let [_, heads, _, _] = bias.dims();
            bias.clone().narrow(3, self.capacity - keys, keys).expand([1, heads, len, keys])
        };
        Pass {
            distances: None,
            rotations: self.rotations.as_ref().map(|all| all.narrow(past, len)),
            bias: self.bias.as_ref().map(of_queries),
            blocked,
        }
    }
}
