//! MosaicGPT, MPT's predecessor: MPT-1B, as OpenFlamingo-3B has it.
//!
//! MPT with a LayerNorm over the full width of queries and keys, and with other names. It is not in `transformers`; the
//! definition is that of llm-foundry, of which MPT-1B's repository holds a copy.

use flamingo_nn::{Act, NormConfig};
use flamingo_weights::KeyMap;
use serde::Deserialize;
use serde_json::Value;

use super::fields::{head_width, parse, require};
use super::tables::Tables;
use super::{Family, NewRows};
use crate::config::{Biases, DecoderConfig, Head, Residual};
use crate::error::LmError;
use crate::positions::Positions;

/// The family.
pub const MOSAIC_GPT: Family = Family {
    name: "mosaic_gpt",
    architectures: &["MosaicGPT"],
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
    mlp_ratio: usize,
    alibi: bool,
    #[serde(default = "default_max_bias")]
    alibi_bias_max: f64,
    #[serde(default)]
    attn_qk_ln: bool,
    attn_clip_qkv: Option<f64>,
    logit_scale: Option<Value>,
    #[serde(default)]
    no_bias: bool,
    #[serde(default)]
    prefix_lm: bool,
    softmax_scale: Option<f64>,
}

fn default_max_bias() -> f64 {
    8.0
}

/// Reads a `config.json`.
///
/// # Errors
///
/// If a size is missing, or something is set that MPT-1B leaves alone.
pub fn config(config: &Value) -> Result<DecoderConfig, LmError> {
    let fields: Fields = parse(MOSAIC_GPT.name, config)?;
    let refuse = |supported, setting, value: &dyn std::fmt::Debug, expected| {
        require(MOSAIC_GPT.name, supported, setting, value, expected)
    };
    refuse(fields.no_bias, "no_bias", &fields.no_bias, "true")?;
    refuse(fields.alibi, "alibi", &fields.alibi, "true")?;
    refuse(fields.logit_scale.is_none(), "logit_scale", &fields.logit_scale, "null")?;
    refuse(fields.attn_clip_qkv.is_none(), "attn_clip_qkv", &fields.attn_clip_qkv, "null")?;
    refuse(!fields.prefix_lm, "prefix_lm", &fields.prefix_lm, "false")?;
    refuse(fields.softmax_scale.is_none(), "softmax_scale", &fields.softmax_scale, "null")?;
    Ok(DecoderConfig {
        vocab: fields.vocab_size,
        new_tokens: 0,
        d_model: fields.d_model,
        n_heads: fields.n_heads,
        d_head: head_width(fields.d_model, fields.n_heads)?,
        n_layers: fields.n_layers,
        d_ff: fields.mlp_ratio * fields.d_model,
        act: Act::Gelu,
        norm: NormConfig::LayerNoBias { epsilon: 1e-5 },
        max_len: fields.max_seq_len,
        n_kv_heads: None,
        positions: Positions::Alibi { max_bias: fields.alibi_bias_max },
        biases: Biases::NONE,
        qk_norm: fields.attn_qk_ln,
        gated: false,
        residual: Residual::Sequential,
        head: Head::Tied,
        final_norm: true,
    })
}

/// The names of llm-foundry.
pub fn key_map(config: &DecoderConfig, new_rows: NewRows) -> KeyMap {
    shared_key_map(config, new_rows)
        .norm("blocks.{}.attention_norm", "transformer.blocks.{}.ln_1")
        .norm("blocks.{}.feed_forward_norm", "transformer.blocks.{}.ln_2")
        .linear("blocks.{}.feed_forward.up", "transformer.blocks.{}.mlp.mlp_up")
        .linear("blocks.{}.feed_forward.down", "transformer.blocks.{}.mlp.mlp_down")
        .norm("norm", "transformer.ln_f")
}

/// The names that MPT kept: those of the tables and of the attention.
pub(super) fn shared_key_map(config: &DecoderConfig, new_rows: NewRows) -> KeyMap {
    let map = Tables { embedding: "transformer.wte.weight", head: "lm_head.weight" }
        .key_map(config, new_rows)
        .norm("blocks.{}.attention.query_norm", "transformer.blocks.{}.attn.q_ln")
        .norm("blocks.{}.attention.key_norm", "transformer.blocks.{}.attn.k_ln")
        .linear("blocks.{}.attention.output", "transformer.blocks.{}.attn.out_proj");
    ["query", "key", "value"].into_iter().enumerate().fold(map, |map, (part, name)| {
        let target = format!("blocks.{{}}.attention.{name}.weight");
        map.rows(&target, "transformer.blocks.{}.attn.Wqkv.weight", part, 3)
    })
}
