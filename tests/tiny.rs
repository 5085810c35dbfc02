//! The smallest Flamingo that tests train and take apart.

use flamingo::lm::DecoderConfig;
use flamingo::xattn::GatedXattnConfig;
use flamingo::{FlamingoConfig, MediaAttention};

/// Ids of the tokens that are no text.
pub const IMAGE: u32 = 20;
/// As above.
pub const EOC: u32 = 21;

/// Its sizes.
pub fn config(attention: MediaAttention) -> FlamingoConfig {
    let mut config = FlamingoConfig::nano();
    let [d_model, n_heads] = [16, 2];
    let d_head = d_model / n_heads;
    config.preprocess.size = 32;
    config.lm = DecoderConfig { vocab: 20, n_layers: 3, d_model, n_heads, d_head, d_ff: 32, ..config.lm };
    config.xattn =
        GatedXattnConfig { d_model, n_heads, d_head, d_ff: 32, every: 2, attention, ..config.xattn };
    config.resampler.n_latents = 3;
    config
}
