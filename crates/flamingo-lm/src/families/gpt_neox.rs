//! GPT-NeoX (Black et al. 2022): Pythia, and RedPajama-INCITE, as OpenFlamingo-4B has it.
//!
//! LayerNorm, rotary positions over a part of each head, exact GELU, biases, a head of its own. Queries, keys and values
//! are one matrix whose rows are ordered by head first. Pythia joins its sublayers in parallel, RedPajama in sequence.

use flamingo_nn::NormConfig;
use flamingo_weights::KeyMap;
use serde::Deserialize;
use serde_json::Value;

use super::fields::{Rope, act, head, head_width, parse, yes};
use super::tables::Tables;
use super::{Family, NewRows};
use crate::config::{Biases, DecoderConfig, Residual};
use crate::error::LmError;

/// The family.
pub const GPT_NEOX: Family = Family {
    name: "gpt_neox",
    architectures: &["GPTNeoXForCausalLM"],
    config,
    key_map,
    base_prefix: "gpt_neox.",
    gguf: None,
};

#[derive(Deserialize)]
struct Fields {
    vocab_size: usize,
    hidden_size: usize,
    intermediate_size: usize,
    num_hidden_layers: usize,
    num_attention_heads: usize,
    max_position_embeddings: usize,
    hidden_act: String,
    layer_norm_eps: f64,
    rotary_pct: Option<f64>,
    rotary_emb_base: Option<f64>,
    #[serde(default = "yes")]
    use_parallel_residual: bool,
    #[serde(default = "yes")]
    attention_bias: bool,
    #[serde(default)]
    tie_word_embeddings: bool,
    #[serde(flatten)]
    rope: Rope,
}

/// Reads a `config.json`.
///
/// # Errors
///
/// If a size is missing or positions are scaled in a way that is not known.
pub fn config(config: &Value) -> Result<DecoderConfig, LmError> {
    let fields: Fields = parse(GPT_NEOX.name, config)?;
    let with_bias = fields.attention_bias;
    let fraction = fields.rotary_pct.or(fields.rope.parameter("partial_rotary_factor")).unwrap_or(0.25);
    Ok(DecoderConfig {
        vocab: fields.vocab_size,
        new_tokens: 0,
        d_model: fields.hidden_size,
        n_heads: fields.num_attention_heads,
        d_head: head_width(fields.hidden_size, fields.num_attention_heads)?,
        n_layers: fields.num_hidden_layers,
        d_ff: fields.intermediate_size,
        act: act(GPT_NEOX.name, "hidden_act", &fields.hidden_act)?,
        norm: NormConfig::Layer { epsilon: fields.layer_norm_eps },
        max_len: fields.max_position_embeddings,
        n_kv_heads: None,
        positions: fields.rope.positions(GPT_NEOX.name, fields.rotary_emb_base, fraction)?,
        biases: Biases { query_key_value: with_bias, attention_output: with_bias, feed_forward: true },
        qk_norm: false,
        gated: false,
        residual: if fields.use_parallel_residual { Residual::Parallel } else { Residual::Sequential },
        head: head(fields.tie_word_embeddings),
        final_norm: true,
    })
}

/// The names of `transformers`.
pub fn key_map(config: &DecoderConfig, new_rows: NewRows) -> KeyMap {
    let map = Tables { embedding: "gpt_neox.embed_in.weight", head: "embed_out.weight" }
        .key_map(config, new_rows)
        .norm("blocks.{}.attention_norm", "gpt_neox.layers.{}.input_layernorm")
        .linear("blocks.{}.attention.output", "gpt_neox.layers.{}.attention.dense")
        .norm("blocks.{}.feed_forward_norm", "gpt_neox.layers.{}.post_attention_layernorm")
        .linear("blocks.{}.feed_forward.up", "gpt_neox.layers.{}.mlp.dense_h_to_4h")
        .linear("blocks.{}.feed_forward.down", "gpt_neox.layers.{}.mlp.dense_4h_to_h")
        .norm("norm", "gpt_neox.final_layer_norm")
        // Constants that older files hold: the causal mask, what it puts in, and the angles' frequencies.
        .ignore("gpt_neox.layers.{}.attention.bias")
        .ignore("gpt_neox.layers.{}.attention.masked_bias")
        .ignore("gpt_neox.layers.{}.attention.rotary_emb.inv_freq");
    ["query", "key", "value"].into_iter().enumerate().fold(map, |map, (part, name)| {
        ["weight", "bias"].into_iter().fold(map, |map, kind| {
            let target = format!("blocks.{{}}.attention.{name}.{kind}");
            let source = format!("gpt_neox.layers.{{}}.attention.query_key_value.{kind}");
            map.grouped_rows(&target, &source, config.n_heads, part, 3)
        })
    })
}
