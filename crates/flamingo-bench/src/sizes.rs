//! The models that are measured, all with random weights: what they compute depends on their sizes alone.

use anyhow::Context;
use flamingo::FlamingoConfig;
use flamingo::core::PreprocessSpec;
use flamingo::lm::DecoderConfig;
use flamingo::lm::families::LanguageModel;
use flamingo::nn::Act;
use flamingo::resampler::ResamplerConfig;
use flamingo::vision::families::clip;
use flamingo::vision::{FeatureTap, NfNetConfig, VitConfig};
use flamingo::xattn::GatedXattnConfig;

/// What `config.json` of SmolLM2-135M says.
const SMOLLM2: &str = r#"{"model_type": "llama", "vocab_size": 49152, "hidden_size": 576, "intermediate_size": 1536,
    "num_hidden_layers": 30, "num_attention_heads": 9, "num_key_value_heads": 3, "hidden_act": "silu",
    "max_position_embeddings": 8192, "rms_norm_eps": 1e-5, "rope_theta": 100000, "tie_word_embeddings": true}"#;

/// The id of `<image>` in `smol`: the first behind SmolLM2's own.
pub const IMAGE: u32 = 49_152;

/// Side of NFNet-F0's images when it is trained (Brock et al. 2021, table 1).
pub const F0_SIZE: usize = 192;

/// SmolLM2-135M.
pub fn smollm2() -> anyhow::Result<DecoderConfig> {
    let json = serde_json::from_str(SMOLLM2).context("the sizes of SmolLM2")?;
    Ok(LanguageModel::from_config(&json)?.config)
}

/// CLIP's ViT-B/32 as a Flamingo's encoder: positions without the class token.
pub fn clip_b32() -> anyhow::Result<VitConfig> {
    Ok(VitConfig { keep_class: false, d_projection: None, ..clip::named("ViT-B-32")? })
}

/// NFNet-F0 up to its final convolution, as timm's `forward_features`.
pub fn nfnet_f0() -> NfNetConfig {
    NfNetConfig { tap: FeatureTap::Final, ..NfNetConfig::f(0) }
}

/// ViT-B/32, a resampler of 2 layers and 64 latents, and SmolLM2-135M with 5 gated blocks.
pub fn smol() -> anyhow::Result<FlamingoConfig> {
    let vision = clip_b32()?;
    let lm = DecoderConfig { new_tokens: flamingo::config::NEW_TOKENS, ..smollm2()? };
    let d_media = vision.d_features();
    Ok(FlamingoConfig {
        preprocess: PreprocessSpec::clip(vision.image_size),
        resampler: ResamplerConfig { n_layers: 2, ..ResamplerConfig::paper(d_media) },
        xattn: GatedXattnConfig {
            n_heads: 8,
            d_head: 64,
            act: Act::Gelu,
            ..GatedXattnConfig::paper(lm.d_model, lm.n_heads, d_media, 6)
        },
        vision: vision.into(),
        lm,
    })
}

/// The model that `cargo xtask train` makes from nothing.
pub fn nano() -> FlamingoConfig {
    FlamingoConfig::nano()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn smol_has_five_gated_blocks() {
        let config = smol().unwrap();
        config.validate().unwrap();
        assert_eq!(config.xattn.layers(config.lm.n_layers), [0, 6, 12, 18, 24]);
        assert_eq!((config.lm.vocab as u32, config.lm.new_tokens), (IMAGE, 2));
    }
}
