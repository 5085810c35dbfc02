//! GPT-2 (Radford et al. 2019).
//!
//! LayerNorm, GELU by its tanh approximation, biases, learned positions, tied head. Its matrices are stored `[in, out]`
//! as ours are, and those of queries, keys and values side by side.

use burn::tensor::TensorData;
use flamingo_nn::NormConfig;
use flamingo_weights::{KeyMap, tensor};
use serde::Deserialize;
use serde_json::Value;

use super::fields::{act, head, head_width, parse, require, yes};
use super::tables::Tables;
use super::{Family, NewRows};
use crate::config::{Biases, DecoderConfig, Residual};
use crate::error::LmError;
use crate::positions::Positions;

/// The family.
pub const GPT2: Family = Family {
    name: "gpt2",
    architectures: &["GPT2LMHeadModel"],
    config,
    key_map,
    base_prefix: "transformer.",
    gguf: None,
};

#[derive(Deserialize)]
struct Fields {
    vocab_size: usize,
    n_embd: usize,
    n_inner: Option<usize>,
    n_layer: usize,
    n_head: usize,
    n_positions: usize,
    activation_function: String,
    layer_norm_epsilon: f64,
    #[serde(default = "yes")]
    scale_attn_weights: bool,
    #[serde(default)]
    scale_attn_by_inverse_layer_idx: bool,
    #[serde(default = "yes")]
    tie_word_embeddings: bool,
}

/// Reads a `config.json`.
///
/// # Errors
///
/// If a size is missing or scores are not scaled as usual.
pub fn config(config: &Value) -> Result<DecoderConfig, LmError> {
    let fields: Fields = parse(GPT2.name, config)?;
    let scaled = fields.scale_attn_weights;
    require(GPT2.name, scaled, "scale_attn_weights", &scaled, "true")?;
    let by_layer = fields.scale_attn_by_inverse_layer_idx;
    require(GPT2.name, !by_layer, "scale_attn_by_inverse_layer_idx", &by_layer, "false")?;
    Ok(DecoderConfig {
        vocab: fields.vocab_size,
        new_tokens: 0,
        d_model: fields.n_embd,
        n_heads: fields.n_head,
        d_head: head_width(fields.n_embd, fields.n_head)?,
        n_layers: fields.n_layer,
        d_ff: fields.n_inner.unwrap_or(4 * fields.n_embd),
        act: act(GPT2.name, "activation_function", &fields.activation_function)?,
        norm: NormConfig::Layer { epsilon: fields.layer_norm_epsilon },
        max_len: fields.n_positions,
        n_kv_heads: None,
        positions: Positions::Learned { offset: 0 },
        biases: Biases::ALL,
        qk_norm: false,
        gated: false,
        residual: Residual::Sequential,
        head: head(fields.tie_word_embeddings),
        final_norm: true,
    })
}

/// The names of `transformers`.
pub fn key_map(config: &DecoderConfig, new_rows: NewRows) -> KeyMap {
    let map = Tables { embedding: "transformer.wte.weight", head: "lm_head.weight" }
        .key_map(config, new_rows)
        .copy("position_embedding", "transformer.wpe.weight")
        .norm("blocks.{}.attention_norm", "transformer.h.{}.ln_1")
        .same("blocks.{}.attention.output", "transformer.h.{}.attn.c_proj")
        .norm("blocks.{}.feed_forward_norm", "transformer.h.{}.ln_2")
        .same("blocks.{}.feed_forward.up", "transformer.h.{}.mlp.c_fc")
        .same("blocks.{}.feed_forward.down", "transformer.h.{}.mlp.c_proj")
        .norm("norm", "transformer.ln_f")
        // The causal mask, which older files hold.
        .ignore("transformer.h.{}.attn.bias")
        .ignore("transformer.h.{}.attn.masked_bias");
    ["query", "key", "value"].into_iter().enumerate().fold(map, |map, (part, name)| {
        let (weight, bias) =
            (format!("blocks.{{}}.attention.{name}.weight"), format!("blocks.{{}}.attention.{name}.bias"));
        map.with(&weight, "transformer.h.{}.attn.c_attn.weight", move |matrix| third_of_columns(matrix, part))
            .rows(&bias, "transformer.h.{}.attn.c_attn.bias", part, 3)
    })
}

/// One of three matrices that stand side by side.
fn third_of_columns(matrix: TensorData, part: usize) -> Result<TensorData, String> {
    tensor::transpose(tensor::rows(tensor::transpose(matrix)?, 1, part, 3)?)
}
