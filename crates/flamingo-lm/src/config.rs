//! What decides a decoder's shape: sizes, and the choices in which model families differ.
//!
//! The choices default to Chinchilla's, so that a configuration saved before a choice existed still means the same.

use flamingo_nn::{Act, NormConfig};
use serde::{Deserialize, Serialize};

use crate::error::LmError;
use crate::positions::Positions;

/// A decoder's sizes and choices.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DecoderConfig {
    /// Tokens of the pre-trained vocabulary.
    pub vocab: usize,
    /// Tokens added behind them, with embeddings of their own.
    pub new_tokens: usize,
    /// Width (D).
    pub d_model: usize,
    /// Attention heads (H).
    pub n_heads: usize,
    /// Width of a head (K).
    pub d_head: usize,
    /// Blocks.
    pub n_layers: usize,
    /// Hidden width of the feed-forward networks.
    pub d_ff: usize,
    /// Activation of the feed-forward networks.
    pub act: Act,
    /// Norm before each sublayer and before the head.
    pub norm: NormConfig,
    /// Longest sequence it is trained on.
    pub max_len: usize,
    /// Heads of keys and values (G), each shared by `n_heads / n_kv_heads` query heads; `None` is one for each.
    #[serde(default)]
    pub n_kv_heads: Option<usize>,
    /// How the order of tokens enters.
    #[serde(default)]
    pub positions: Positions,
    /// Which linear layers have biases.
    #[serde(default)]
    pub biases: Biases,
    /// Whether queries and keys are normalised, over their full width and before the split into heads.
    #[serde(default)]
    pub qk_norm: bool,
    /// Whether the feed-forward networks have a gate: `down(act(gate(x)) * up(x))`.
    #[serde(default)]
    pub gated: bool,
    /// How a block's two sublayers are joined.
    #[serde(default)]
    pub residual: Residual,
    /// Where the head's weights come from.
    #[serde(default)]
    pub head: Head,
    /// Whether a norm stands before the head.
    #[serde(default = "yes")]
    pub final_norm: bool,
}

/// Which linear layers of a block have biases. The head never has one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Biases {
    /// The projections to queries, keys and values.
    pub query_key_value: bool,
    /// The projection of the attention's output.
    pub attention_output: bool,
    /// Those of the feed-forward network.
    pub feed_forward: bool,
}

impl Biases {
    /// Biases everywhere.
    pub const ALL: Self = Self { query_key_value: true, attention_output: true, feed_forward: true };
    /// Biases nowhere.
    pub const NONE: Self = Self { query_key_value: false, attention_output: false, feed_forward: false };
}

/// How a block's two sublayers are joined.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Residual {
    /// `x += attention(norm(x)); x += ff(norm(x))`.
    #[default]
    Sequential,
    /// `x + attention(norm_1(x)) + ff(norm_2(x))` (GPT-J, Pythia).
    Parallel,
}

/// Where the head's weights come from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Head {
    /// The embedding tables are also the head.
    #[default]
    Tied,
    /// Tables of its own.
    Own,
}

impl DecoderConfig {
    /// Heads of keys and values (G).
    pub fn kv_heads(&self) -> usize {
        self.n_kv_heads.unwrap_or(self.n_heads)
    }

    /// Checks that the sizes fit each other; files should be checked before anything is created from them.
    ///
    /// # Errors
    ///
    /// [`LmError::Sizes`] names the first two that do not.
    pub fn validate(&self) -> Result<(), LmError> {
        let check = |fits: bool, what: &dyn Fn() -> String| {
            if fits { Ok(()) } else { Err(LmError::Sizes { what: what() }) }
        };
        let sizes = [
            ("vocab", self.vocab),
            ("d_model", self.d_model),
            ("n_heads", self.n_heads),
            ("d_head", self.d_head),
            ("n_layers", self.n_layers),
            ("d_ff", self.d_ff),
            ("max_len", self.max_len),
            ("n_kv_heads", self.kv_heads()),
        ];
        for (name, size) in sizes {
            check(size > 0, &|| format!("{name} is 0"))?;
        }
        let kv_heads = self.kv_heads();
        check(self.n_heads.is_multiple_of(kv_heads), &|| {
            format!("{} attention heads cannot share {kv_heads} key-value heads evenly", self.n_heads)
        })?;
        if let Positions::Rotary { theta, ref scaling, .. } = self.positions {
            let width = self.positions.rotary_width(self.d_head);
            check(width.is_multiple_of(2) && (1..=self.d_head).contains(&width), &|| {
                format!(
                    "{width} of {} dimensions of a head are rotated; it must be an even part",
                    self.d_head
                )
            })?;
            check(theta > 0.0, &|| format!("the rotary base is {theta}; it must be positive"))?;
            let wrong = scaling.as_ref().and_then(|scaling| scaling.wrong(width / 2));
            check(wrong.is_none(), &|| wrong.clone().unwrap_or_default())?;
        }
        Ok(())
    }
}

fn yes() -> bool {
    true
}
