//! IDEFICS (Laurençon et al. 2023), the open model of Hugging Face, in the names of `transformers`.
//!
//! What differs from the paper: a CLIP that keeps its class token, a resampler with ReLU and no frame embeddings, gated
//! blocks with SwiGLU and (in the released models) normalised queries and keys, a LLaMA whose added tokens have tables
//! of their own, which is how [`Decoder`](flamingo_lm::Decoder) has them too.

use std::path::Path;

use burn::tensor::Device;
use flamingo_core::{MediaAttention, PreprocessSpec};
use flamingo_lm::DecoderConfig;
use flamingo_lm::families::{NewRows, llama};
use flamingo_nn::{Act, NormConfig};
use flamingo_resampler::{Layer, ResamplerConfig};
use flamingo_vision::families::clip;
use flamingo_weights::{Checkpoint, KeyMap, load_into};
use flamingo_xattn::{Gate, GatedXattnConfig, Placement};
use serde_json::Value;

use super::Loaded;
use crate::config::FlamingoConfig;
use crate::error::FlamingoError;
use crate::pretrained::folder::read_json;

/// Of every LayerNorm in the resampler.
const LAYER_NORM_EPSILON: f64 = 1e-5;

/// Loads a folder with `config.json` and the weights, in one file or in shards.
///
/// # Errors
///
/// If the configuration asks for something that the model has not, or a tensor is missing, left over or of another
/// shape.
pub fn load(folder: impl AsRef<Path>, device: &Device) -> Result<Loaded, FlamingoError> {
    let folder = folder.as_ref();
    let config = config(&read_json(&folder.join("config.json"))?)?;
    let checkpoint = Checkpoint::open(folder)?;
    let (model, report) = load_into(config.init(device)?, &checkpoint, &key_map(&config))?;
    Ok(Loaded { model, config, reports: vec![report] })
}

/// The model that a `config.json` describes; fields that it leaves out have transformers' defaults.
///
/// # Errors
///
/// If a field has a value that makes no sense, or the model has no resampler.
pub fn config(config: &Value) -> Result<FlamingoConfig, FlamingoError> {
    let fields = Fields(config);
    if !fields.truth("use_resampler", false)? {
        return Err(unsupported("use_resampler", "false", "true: every released model has the resampler"));
    }
    let vision = clip::from_transformers(config)?;
    let lm =
        DecoderConfig { new_tokens: fields.number("additional_vocab_size", 0)?, ..llama::config(config)? };
    let rms = lm.norm;
    let layer = NormConfig::Layer { epsilon: LAYER_NORM_EPSILON };
    let d_media = vision.d_features();
    let whole = FlamingoConfig {
        preprocess: PreprocessSpec::idefics(vision.image_size),
        resampler: ResamplerConfig {
            layer: Layer::Perceiver,
            d_model: d_media,
            n_layers: fields.number("resampler_depth", 6)?,
            n_heads: fields.number("resampler_n_heads", 16)?,
            d_head: fields.number("resampler_head_dim", 96)?,
            d_ff: 4 * d_media,
            n_latents: fields.number("resampler_n_latents", 64)?,
            n_frames: 0,
            act: Act::Relu,
            norm: layer,
            head_norm: fields.truth("qk_layer_norms_perceiver", false)?.then_some(layer),
            init_std: 1.0,
            d_input: None,
        },
        xattn: GatedXattnConfig {
            d_model: lm.d_model,
            d_media,
            n_heads: lm.n_heads,
            d_head: lm.d_head,
            d_ff: lm.d_ff,
            every: fields.number("cross_layer_interval", 1)?,
            placement: Placement::First,
            attention: MediaAttention::Preceding,
            act: lm.act,
            norm: rms,
            head_norm: fields.truth("qk_layer_norms", false)?.then_some(rms),
            gated: true,
            attention_gate_init: 0.0,
            gate: match fields.get("alpha_type").and_then(Value::as_str).unwrap_or("float") {
                "float" => Gate::Scalar,
                "vector" => Gate::Vector,
                other => return Err(unsupported("alpha_type", other, "float or vector")),
            },
        },
        vision: vision.into(),
        lm,
    };
    whole.validate()?;
    Ok(whole)
}

/// The fields of a configuration: at the top, or since transformers 4.32 some in `perceiver_config`.
struct Fields<'a>(&'a Value);

impl<'a> Fields<'a> {
    fn get(&self, key: &str) -> Option<&'a Value> {
        let nested = self.0.get("perceiver_config").and_then(|perceiver| perceiver.get(key));
        self.0.get(key).or(nested).filter(|value| !value.is_null())
    }

    fn number(&self, key: &str, default: usize) -> Result<usize, FlamingoError> {
        let Some(value) = self.get(key) else { return Ok(default) };
        let number = value.as_u64().and_then(|number| usize::try_from(number).ok());
        number.ok_or_else(|| unsupported(key, &value.to_string(), "a whole number"))
    }

    fn truth(&self, key: &str, default: bool) -> Result<bool, FlamingoError> {
        let Some(value) = self.get(key) else { return Ok(default) };
        value.as_bool().ok_or_else(|| unsupported(key, &value.to_string(), "true or false"))
    }
}

fn unsupported(key: &str, found: &str, expected: &str) -> FlamingoError {
    FlamingoError::Published {
        what: format!("IDEFICS' config.json: `{key}` is {found}, expected {expected}"),
    }
}

/// Which tensors make each parameter.
fn key_map(config: &FlamingoConfig) -> KeyMap {
    let vision = match &config.vision {
        flamingo_vision::VisionConfig::Vit(vit) => clip::key_map(vit, clip::Naming::Transformers),
        _ => KeyMap::new(),
    };
    // The added tokens' tables are apart, and not behind the others.
    let lm = llama::key_map(&config.lm, NewRows::Absent)
        .copy("new_embedding", "model.embed_tokens.additional_embedding.weight")
        .copy("new_head", "lm_head.additional_fc.weight");
    let lm = match config.lm.head {
        flamingo_lm::Head::Tied => lm.ignore("lm_head.additional_fc.weight"),
        flamingo_lm::Head::Own => lm,
    };
    vision.below("vision.", "model.").and(lm.below("lm.", "")).and(resampler_map()).and(xattn_map())
}

fn resampler_map() -> KeyMap {
    let [layer, block] = ["layers.{}", "blocks.{}"];
    let map = KeyMap::new()
        .copy("latents", "latents")
        .norm(&format!("{layer}.media_norm"), &format!("{block}.0.context_layer_norm"))
        .norm(&format!("{layer}.latents_norm"), &format!("{block}.0.latents_layer_norm"))
        .norm(&format!("{layer}.attention.query_norm"), &format!("{block}.0.q_layer_norm"))
        .norm(&format!("{layer}.attention.key_norm"), &format!("{block}.0.k_layer_norm"))
        .linear(&format!("{layer}.attention.query"), &format!("{block}.0.q_proj"))
        .linear(&format!("{layer}.attention.key"), &format!("{block}.0.k_proj"))
        .linear(&format!("{layer}.attention.value"), &format!("{block}.0.v_proj"))
        .linear(&format!("{layer}.attention.output"), &format!("{block}.0.output_proj"))
        .norm(&format!("{layer}.feed_forward_norm"), &format!("{block}.1.ln"))
        .linear(&format!("{layer}.feed_forward.up"), &format!("{block}.1.fc"))
        .linear(&format!("{layer}.feed_forward.down"), &format!("{block}.1.c_proj"))
        .norm("norm", "layer_norm");
    map.below("resampler.", "model.perceiver_resampler.")
}

fn xattn_map() -> KeyMap {
    let map = KeyMap::new()
        // [1, 1, D] if there is one for each channel.
        .squeeze("{}.attention_gate", "{}.alpha_cross_attn")
        .squeeze("{}.feed_forward_gate", "{}.alpha_dense")
        .norm("{}.attention_norm", "{}.input_layernorm")
        .norm("{}.attention.query_norm", "{}.cross_attn.q_layer_norm")
        .norm("{}.attention.key_norm", "{}.cross_attn.k_layer_norm")
        .linear("{}.attention.query", "{}.cross_attn.q_proj")
        .linear("{}.attention.key", "{}.cross_attn.k_proj")
        .linear("{}.attention.value", "{}.cross_attn.v_proj")
        .linear("{}.attention.output", "{}.cross_attn.o_proj")
        .norm("{}.feed_forward_norm", "{}.post_attention_layernorm")
        .linear("{}.feed_forward.gate", "{}.mlp.gate_proj")
        .linear("{}.feed_forward.up", "{}.mlp.up_proj")
        .linear("{}.feed_forward.down", "{}.mlp.down_proj")
        .ignore("{}.cross_attn.rotary_emb.inv_freq");
    map.below("xattn.", "model.gated_cross_attn_layers.")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// The published `config.json` of the 9B model, as far as it is read.
    fn nine_b() -> Value {
        json!({
            "model_type": "idefics", "additional_vocab_size": 2, "alpha_type": "float", "cross_layer_interval": 4,
            "hidden_act": "silu", "hidden_size": 4096, "intermediate_size": 11008, "num_attention_heads": 32,
            "num_hidden_layers": 32, "qk_layer_norms": true, "rms_norm_eps": 1e-6, "use_resampler": true,
            "vocab_size": 32000,
            "perceiver_config": {
                "qk_layer_norms_perceiver": true, "resampler_depth": 6, "resampler_head_dim": 96,
                "resampler_n_heads": 16, "resampler_n_latents": 64, "use_resampler": true
            },
            "vision_config": { "embed_dim": 1280, "image_size": 224, "intermediate_size": 5120, "patch_size": 14 }
        })
    }

    #[test]
    fn the_9b_model_has_its_published_sizes() {
        let config = config(&nine_b()).unwrap();
        assert_eq!(config.xattn.layers(config.lm.n_layers), [0, 4, 8, 12, 16, 20, 24, 28]);
        assert_eq!((config.vision.n_positions(224), config.resampler.d_ff), (257, 5120));
        assert_eq!((config.xattn.d_head, config.xattn.d_ff, config.lm.new_tokens), (128, 11008, 2));
        assert!(config.resampler.head_norm.is_some() && config.xattn.head_norm.is_some());
    }

    #[test]
    fn what_cannot_be_loaded_is_named() {
        for (key, value) in [
            ("use_resampler", json!(false)),
            ("alpha_type", json!("matrix")),
            ("cross_layer_interval", json!("four")),
        ] {
            let mut broken = nine_b();
            broken[key] = value;
            let error = config(&broken).unwrap_err().to_string();
            assert!(error.contains(key), "{error}");
        }
    }
}
