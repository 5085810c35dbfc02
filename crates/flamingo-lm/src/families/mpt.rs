//! MPT (MosaicML 2023), as OpenFlamingo-9B has it.
//!
//! LayerNorm without shift, ALiBi, exact GELU, queries, keys and values in one matrix, tied head, no biases.

use flamingo_nn::{Act, NormConfig};
use flamingo_weights::KeyMap;
use serde::Deserialize;
use serde_json::Value;

use super::fields::{head, head_width, parse, require, yes};
use super::{Family, NewRows};
use crate::config::{Biases, DecoderConfig, Residual};
use crate::error::LmError;
use crate::positions::Positions;

/// The family.
pub const MPT: Family = Family {
    name: "mpt",
    architectures: &["MptForCausalLM", "MPTForCausalLM"],
    config,
    key_map,
    base_prefix: "transformer.",
    gguf: None,
};

#[derive(Deserialize)]
struct Fields {
    vocab_size: usize,
    d_model: usize,
    n_heads: usize,
    n_layers: usize,
    max_seq_len: usize,
    #[serde(default = "four")]
    expansion_ratio: usize,
    #[serde(default = "default_epsilon")]
    layer_norm_epsilon: f64,
    #[serde(default)]
    attn_config: AttentionFields,
    logit_scale: Option<Value>,
    #[serde(default = "yes")]
    no_bias: bool,
    #[serde(default = "yes")]
    tie_word_embeddings: bool,
}

#[derive(Deserialize)]
#[serde(default)]
struct AttentionFields {
    alibi: bool,
    alibi_bias_max: f64,
    attn_type: String,
    clip_qkv: Option<f64>,
    prefix_lm: bool,
    qk_ln: bool,
    softmax_scale: Option<f64>,
}

impl Default for AttentionFields {
    fn default() -> Self {
        Self {
            alibi: true,
            alibi_bias_max: 8.0,
            attn_type: "multihead_attention".to_owned(),
            clip_qkv: None,
            prefix_lm: false,
            qk_ln: false,
            softmax_scale: None,
        }
    }
}

fn four() -> usize {
    4
}

fn default_epsilon() -> f64 {
    1e-5
}

/// Reads a `config.json`.
///
/// # Errors
///
/// If a size is missing, or something is set that the published models leave alone.
pub fn config(config: &Value) -> Result<DecoderConfig, LmError> {
    let fields: Fields = parse(MPT.name, config)?;
    let attention = &fields.attn_config;
    let refuse = |supported, setting, value: &dyn std::fmt::Debug, expected| {
        require(MPT.name, supported, setting, value, expected)
    };
    refuse(fields.no_bias, "no_bias", &fields.no_bias, "true")?;
    refuse(fields.logit_scale.is_none(), "logit_scale", &fields.logit_scale, "null")?;
    refuse(attention.alibi, "attn_config.alibi", &attention.alibi, "true")?;
    refuse(attention.clip_qkv.is_none(), "attn_config.clip_qkv", &attention.clip_qkv, "null")?;
    refuse(!attention.prefix_lm, "attn_config.prefix_lm", &attention.prefix_lm, "false")?;
    refuse(attention.softmax_scale.is_none(), "attn_config.softmax_scale", &attention.softmax_scale, "null")?;
    let many_heads = attention.attn_type == "multihead_attention";
    refuse(many_heads, "attn_config.attn_type", &attention.attn_type, "multihead_attention")?;
    Ok(DecoderConfig {
        vocab: fields.vocab_size,
        new_tokens: 0,
        d_model: fields.d_model,
        n_heads: fields.n_heads,
        d_head: head_width(fields.d_model, fields.n_heads)?,
        n_layers: fields.n_layers,
        d_ff: fields.expansion_ratio * fields.d_model,
        act: Act::Gelu,
        norm: NormConfig::LayerNoBias { epsilon: fields.layer_norm_epsilon },
        max_len: fields.max_seq_len,
        n_kv_heads: None,
        positions: Positions::Alibi { max_bias: attention.alibi_bias_max },
        biases: Biases::NONE,
        qk_norm: attention.qk_ln,
        gated: false,
        residual: Residual::Sequential,
        head: head(fields.tie_word_embeddings),
        final_norm: true,
    })
}

/// The names of `transformers` and llm-foundry.
pub fn key_map(config: &DecoderConfig, new_rows: NewRows) -> KeyMap {
    super::mosaic_gpt::shared_key_map(config, new_rows)
        .norm("blocks.{}.attention_norm", "transformer.blocks.{}.norm_1")
        .norm("blocks.{}.feed_forward_norm", "transformer.blocks.{}.norm_2")
        .linear("blocks.{}.feed_forward.up", "transformer.blocks.{}.ffn.up_proj")
        .linear("blocks.{}.feed_forward.down", "transformer.blocks.{}.ffn.down_proj")
        .norm("norm", "transformer.norm_f")
}
