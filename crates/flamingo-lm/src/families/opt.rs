//! OPT (Zhang et al. 2022), as OpenFlamingo's smallest experiments have it.
//!
//! LayerNorm, ReLU, biases, tied head, learned positions whose first two rows are unused. The 350M model is built
//! otherwise (norms behind the sublayers, narrower embeddings) and is refused.

use flamingo_nn::NormConfig;
use flamingo_weights::KeyMap;
use serde::Deserialize;
use serde_json::Value;

use super::fields::{act, head, head_width, parse, require, yes};
use super::tables::Tables;
use super::{Family, NewRows};
use crate::config::{Biases, DecoderConfig, Residual};
use crate::error::LmError;
use crate::positions::Positions;

/// The family.
pub const OPT: Family = Family {
    name: "opt",
    architectures: &["OPTForCausalLM"],
    config,
    key_map,
    base_prefix: "model.",
    gguf: None,
};

#[derive(Deserialize)]
struct Fields {
    vocab_size: usize,
    hidden_size: usize,
    ffn_dim: usize,
    num_hidden_layers: usize,
    num_attention_heads: usize,
    max_position_embeddings: usize,
    activation_function: String,
    word_embed_proj_dim: Option<usize>,
    #[serde(default = "yes")]
    do_layer_norm_before: bool,
    #[serde(default, rename = "_remove_final_layer_norm")]
    remove_final_layer_norm: bool,
    #[serde(default = "yes")]
    enable_bias: bool,
    #[serde(default = "yes")]
    layer_norm_elementwise_affine: bool,
    #[serde(default = "yes")]
    tie_word_embeddings: bool,
}

/// Reads a `config.json`.
///
/// # Errors
///
/// If a size is missing, or the model is built like the one of 350M.
pub fn config(config: &Value) -> Result<DecoderConfig, LmError> {
    let fields: Fields = parse(OPT.name, config)?;
    let refuse = |supported, setting, value: &dyn std::fmt::Debug, expected| {
        require(OPT.name, supported, setting, value, expected)
    };
    refuse(fields.do_layer_norm_before, "do_layer_norm_before", &fields.do_layer_norm_before, "true")?;
    let affine = fields.layer_norm_elementwise_affine;
    refuse(affine, "layer_norm_elementwise_affine", &affine, "true")?;
    let embedding_width = fields.word_embed_proj_dim.unwrap_or(fields.hidden_size);
    let same_width = embedding_width == fields.hidden_size;
    refuse(same_width, "word_embed_proj_dim", &embedding_width, "the same as hidden_size")?;
    Ok(DecoderConfig {
        vocab: fields.vocab_size,
        new_tokens: 0,
        d_model: fields.hidden_size,
        n_heads: fields.num_attention_heads,
        d_head: head_width(fields.hidden_size, fields.num_attention_heads)?,
        n_layers: fields.num_hidden_layers,
        d_ff: fields.ffn_dim,
        act: act(OPT.name, "activation_function", &fields.activation_function)?,
        norm: NormConfig::Layer { epsilon: 1e-5 },
        max_len: fields.max_position_embeddings,
        n_kv_heads: None,
        positions: Positions::Learned { offset: 2 },
        biases: if fields.enable_bias { Biases::ALL } else { Biases::NONE },
        qk_norm: false,
        gated: false,
        residual: Residual::Sequential,
        head: head(fields.tie_word_embeddings),
        final_norm: !fields.remove_final_layer_norm,
    })
}

/// The names of `transformers`.
pub fn key_map(config: &DecoderConfig, new_rows: NewRows) -> KeyMap {
    Tables { embedding: "model.decoder.embed_tokens.weight", head: "lm_head.weight" }
        .key_map(config, new_rows)
        .copy("position_embedding", "model.decoder.embed_positions.weight")
        .norm("blocks.{}.attention_norm", "model.decoder.layers.{}.self_attn_layer_norm")
        .linear("blocks.{}.attention.query", "model.decoder.layers.{}.self_attn.q_proj")
        .linear("blocks.{}.attention.key", "model.decoder.layers.{}.self_attn.k_proj")
        .linear("blocks.{}.attention.value", "model.decoder.layers.{}.self_attn.v_proj")
        .linear("blocks.{}.attention.output", "model.decoder.layers.{}.self_attn.out_proj")
        .norm("blocks.{}.feed_forward_norm", "model.decoder.layers.{}.final_layer_norm")
        .linear("blocks.{}.feed_forward.up", "model.decoder.layers.{}.fc1")
        .linear("blocks.{}.feed_forward.down", "model.decoder.layers.{}.fc2")
        .norm("norm", "model.decoder.final_layer_norm")
}
