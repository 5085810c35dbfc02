//! LLaMA (Touvron et al. 2023), and what is built like it: TinyLlama, SmolLM2, the language model of IDEFICS.
//!
//! RMSNorm, rotary positions over whole heads, SwiGLU, shared key-value heads in some, no biases in most. GGUF files
//! pair neighbouring dimensions for the rotation, so their query and key rows are sorted back to halves.

use burn::tensor::TensorData;
use flamingo_nn::NormConfig;
use flamingo_weights::{Checkpoint, KeyMap, tensor};
use serde::Deserialize;
use serde_json::Value;

use super::fields::{Metadata, Rope, act, head, head_width, parse, require};
use super::tables::Tables;
use super::{Family, Gguf, NewRows};
use crate::config::{Biases, DecoderConfig, Residual};
use crate::error::LmError;
use crate::positions::Positions;
use crate::positions::rotary::Scaling;

/// The family.
pub const LLAMA: Family = Family {
    name: "llama",
    architectures: &["LlamaForCausalLM", "LLaMAForCausalLM"],
    config,
    key_map,
    base_prefix: "model.",
    gguf: Some(Gguf { architecture: "llama", config: gguf_config, key_map: gguf_key_map }),
};

#[derive(Deserialize)]
struct Fields {
    vocab_size: usize,
    hidden_size: usize,
    intermediate_size: usize,
    num_hidden_layers: usize,
    num_attention_heads: usize,
    num_key_value_heads: Option<usize>,
    head_dim: Option<usize>,
    #[serde(default = "default_act")]
    hidden_act: String,
    max_position_embeddings: Option<usize>,
    rms_norm_eps: f64,
    #[serde(default)]
    attention_bias: bool,
    #[serde(default)]
    mlp_bias: bool,
    #[serde(default)]
    tie_word_embeddings: bool,
    #[serde(flatten)]
    rope: Rope,
}

fn default_act() -> String {
    "silu".to_owned()
}

/// Reads a `config.json`; also that of IDEFICS, for its language model.
///
/// # Errors
///
/// If a size is missing or positions are scaled in a way that is not known.
pub fn config(config: &Value) -> Result<DecoderConfig, LmError> {
    let fields: Fields = parse(LLAMA.name, config)?;
    let d_head = match fields.head_dim {
        Some(width) => width,
        None => head_width(fields.hidden_size, fields.num_attention_heads)?,
    };
    Ok(DecoderConfig {
        vocab: fields.vocab_size,
        new_tokens: 0,
        d_model: fields.hidden_size,
        n_heads: fields.num_attention_heads,
        d_head,
        n_layers: fields.num_hidden_layers,
        d_ff: fields.intermediate_size,
        act: act(LLAMA.name, "hidden_act", &fields.hidden_act)?,
        norm: NormConfig::Rms { epsilon: fields.rms_norm_eps },
        max_len: fields.max_position_embeddings.unwrap_or(2048),
        n_kv_heads: fields.num_key_value_heads,
        positions: fields.rope.positions(LLAMA.name, None, 1.0)?,
        biases: Biases {
            query_key_value: fields.attention_bias,
            attention_output: fields.attention_bias,
            feed_forward: fields.mlp_bias,
        },
        qk_norm: false,
        gated: true,
        residual: Residual::Sequential,
        head: head(fields.tie_word_embeddings),
        final_norm: true,
    })
}

/// The names of `transformers`.
pub fn key_map(config: &DecoderConfig, new_rows: NewRows) -> KeyMap {
    Tables { embedding: "model.embed_tokens.weight", head: "lm_head.weight" }
        .key_map(config, new_rows)
        .norm("blocks.{}.attention_norm", "model.layers.{}.input_layernorm")
        .linear("blocks.{}.attention.query", "model.layers.{}.self_attn.q_proj")
        .linear("blocks.{}.attention.key", "model.layers.{}.self_attn.k_proj")
        .linear("blocks.{}.attention.value", "model.layers.{}.self_attn.v_proj")
        .linear("blocks.{}.attention.output", "model.layers.{}.self_attn.o_proj")
        .norm("blocks.{}.feed_forward_norm", "model.layers.{}.post_attention_layernorm")
        .linear("blocks.{}.feed_forward.gate", "model.layers.{}.mlp.gate_proj")
        .linear("blocks.{}.feed_forward.up", "model.layers.{}.mlp.up_proj")
        .linear("blocks.{}.feed_forward.down", "model.layers.{}.mlp.down_proj")
        .norm("norm", "model.norm")
        .ignore("model.layers.{}.self_attn.rotary_emb.inv_freq")
}

/// Reads the metadata of a GGUF file.
fn gguf_config(checkpoint: &Checkpoint) -> Result<DecoderConfig, LmError> {
    let metadata = Metadata(checkpoint);
    let key = |name: &str| format!("llama.{name}");
    let [d_model, n_heads] =
        [metadata.size(&key("embedding_length"))?, metadata.size(&key("attention.head_count"))?];
    let d_head = match metadata.optional_size(&key("attention.key_length"))? {
        Some(width) => width,
        None => head_width(d_model, n_heads)?,
    };
    let turned = metadata.optional_size(&key("rope.dimension_count"))?.unwrap_or(d_head);
    require(LLAMA.name, turned == d_head, &key("rope.dimension_count"), &turned, "the width of a head")?;
    let with_bias = checkpoint.info("blk.0.attn_q.bias").is_some();
    Ok(DecoderConfig {
        vocab: metadata.length("tokenizer.ggml.tokens")?,
        new_tokens: 0,
        d_model,
        n_heads,
        d_head,
        n_layers: metadata.size(&key("block_count"))?,
        d_ff: metadata.size(&key("feed_forward_length"))?,
        act: flamingo_nn::Act::Silu,
        norm: NormConfig::Rms { epsilon: metadata.number(&key("attention.layer_norm_rms_epsilon"))? },
        max_len: metadata.size(&key("context_length"))?,
        n_kv_heads: metadata.optional_size(&key("attention.head_count_kv"))?,
        positions: Positions::Rotary {
            theta: metadata.optional_number(&key("rope.freq_base"))?.unwrap_or(10_000.0),
            fraction: 1.0,
            scaling: gguf_scaling(checkpoint)?,
        },
        biases: Biases { query_key_value: with_bias, attention_output: with_bias, feed_forward: false },
        qk_norm: false,
        gated: true,
        residual: Residual::Sequential,
        head: head(checkpoint.info(GGUF_HEAD).is_none()),
        final_norm: true,
    })
}

/// The factors of each wavelength, which Llama 3.1's files have as a tensor, or the one factor of all.
fn gguf_scaling(checkpoint: &Checkpoint) -> Result<Option<Scaling>, LmError> {
    if checkpoint.info(GGUF_FACTORS).is_some() {
        let factors = checkpoint.read(GGUF_FACTORS)?.iter::<f64>().collect();
        return Ok(Some(Scaling::Each { factors }));
    }
    let metadata = Metadata(checkpoint);
    let [kind, factor, older] =
        ["scaling.type", "scaling.factor", "scale_linear"].map(|name| format!("llama.rope.{name}"));
    let name = metadata.optional_text(&kind)?.unwrap_or("linear");
    let known = matches!(name, "none" | "linear");
    require(LLAMA.name, known, &kind, name, "none, linear, or the factors of llama3 as a tensor")?;
    let factor = match metadata.optional_number(&factor)? {
        None => metadata.optional_number(&older)?,
        found => found,
    };
    Ok(factor.filter(|_| name == "linear").map(|factor| Scaling::Linear { factor }))
}

const GGUF_FACTORS: &str = "rope_freqs.weight";

const GGUF_HEAD: &str = "output.weight";

/// The names of llama.cpp.
fn gguf_key_map(config: &DecoderConfig, new_rows: NewRows) -> KeyMap {
    let map = Tables { embedding: "token_embd.weight", head: GGUF_HEAD }
        .key_map(config, new_rows)
        .norm("blocks.{}.attention_norm", "blk.{}.attn_norm")
        .linear("blocks.{}.attention.value", "blk.{}.attn_v")
        .linear("blocks.{}.attention.output", "blk.{}.attn_output")
        .norm("blocks.{}.feed_forward_norm", "blk.{}.ffn_norm")
        .linear("blocks.{}.feed_forward.gate", "blk.{}.ffn_gate")
        .linear("blocks.{}.feed_forward.up", "blk.{}.ffn_up")
        .linear("blocks.{}.feed_forward.down", "blk.{}.ffn_down")
        .norm("norm", "output_norm")
        .ignore(GGUF_FACTORS);
    let d_head = config.d_head;
    let halves = move |rows: TensorData| pairs_to_halves(rows, d_head);
    [("query", "attn_q"), ("key", "attn_k")].into_iter().fold(map, |map, (ours, theirs)| {
        let (target, source) = (format!("blocks.{{}}.attention.{ours}"), format!("blk.{{}}.{theirs}"));
        map.with(&format!("{target}.weight"), &format!("{source}.weight"), move |rows| {
            tensor::transpose(halves(rows)?)
        })
        .with(&format!("{target}.bias"), &format!("{source}.bias"), halves)
    })
}

/// Rows of each head from the order (pair, which of two) to (which of two, pair).
fn pairs_to_halves(rows: TensorData, d_head: usize) -> Result<TensorData, String> {
    let half = d_head / 2;
    tensor::gather_rows(rows, |row| {
        let (head, within) = (row / d_head, row % d_head);
        head * d_head + 2 * (within % half) + within / half
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn pairs_become_halves_head_by_head() {
        let rows = TensorData::from([0.0f32, 2.0, 1.0, 3.0, 10.0, 12.0, 11.0, 13.0]);
        let sorted = TensorData::from([0.0f32, 1.0, 2.0, 3.0, 10.0, 11.0, 12.0, 13.0]);
        assert_eq!(pairs_to_halves(rows, 4).unwrap(), sorted);
    }

    #[test]
    fn scaled_positions_and_new_style_theta_are_read() {
        let base = json!({
            "vocab_size": 9, "hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 1,
            "num_attention_heads": 2, "rms_norm_eps": 1e-5
        });
        let with = |key: &str, value: Value| {
            let mut config_json = base.clone();
            config_json[key] = value;
            config(&config_json)
        };
        for (scaling, hint) in [("yarn", "linear or llama3"), ("llama3", "low_freq_factor")] {
            let error = with("rope_scaling", json!({"rope_type": scaling, "factor": 8.0})).unwrap_err();
            assert!(error.to_string().contains(scaling) && error.to_string().contains(hint), "{error}");
        }
        let read = with("rope_parameters", json!({"rope_type": "default", "rope_theta": 5e5})).unwrap();
        assert_eq!(read.positions, Positions::Rotary { theta: 5e5, fraction: 1.0, scaling: None });
        let read = with("rope_scaling", json!({"type": "linear", "factor": 0.0})).unwrap();
        assert!(read.validate().unwrap_err().to_string().contains("rotary scaling"));
    }
}
