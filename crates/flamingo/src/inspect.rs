//! What a model is made of, beside the paper's figures: computed from the shapes, without any weights.

use std::fmt;

use burn::tensor::Device;
use flamingo_nn::count_parameters;
use flamingo_resampler::Layer;
use flamingo_vision::VisionConfig;
use serde::Serialize;

use crate::config::{FlamingoConfig, PaperCounts, Preset};
use crate::error::FlamingoError;

/// A model's parts.
#[derive(Debug, Clone, Serialize)]
pub struct Summary {
    /// The preset's or model's name.
    pub name: String,
    /// In the order in which an image passes them.
    pub parts: Vec<Part>,
    /// Numbers that Flamingo training changes.
    pub trained: usize,
    /// Numbers that it leaves alone.
    pub frozen: usize,
}

/// One part.
#[derive(Debug, Clone, Serialize)]
pub struct Part {
    /// What it is.
    pub name: &'static str,
    /// Layers or blocks.
    pub layers: usize,
    /// Width of its hidden states.
    pub width: usize,
    /// Attention heads; `None` for the convolutional encoder.
    pub heads: Option<usize>,
    /// All its numbers.
    pub parameters: usize,
    /// Whether Flamingo training changes them.
    pub trained: bool,
    /// The paper's figure.
    pub paper: Option<&'static str>,
    /// What is particular to it.
    pub note: String,
}

impl Summary {
    /// Of a preset.
    ///
    /// # Errors
    ///
    /// If the preset's parts do not fit each other.
    pub fn of_preset(preset: Preset) -> Result<Self, FlamingoError> {
        Self::new(preset.name, &preset.config(), preset.paper)
    }

    /// Of any model; `paper` are the figures to stand beside it.
    ///
    /// # Errors
    ///
    /// If the parts do not fit each other.
    pub fn new(
        name: &str,
        config: &FlamingoConfig,
        paper: Option<PaperCounts>,
    ) -> Result<Self, FlamingoError> {
        // Burn creates parameters when they are first used; nothing here uses them.
        let model = config.init(&Device::default())?;
        let new_rows = model.lm.new_embedding.as_ref().map_or(0, |table| table.lazy_shape().num_elements());
        let positions = config.vision.n_positions(config.preprocess.size);
        let side = config.preprocess.size;
        let parts = vec![
            Part {
                name: vision_name(&config.vision),
                layers: config.vision.n_layers(),
                width: config.vision.d_features(),
                heads: config.vision.n_heads(),
                parameters: count_parameters(&model.vision),
                trained: false,
                paper: paper.map(|paper| paper.vision),
                note: format!("{side} px to {positions} positions"),
            },
            Part {
                name: match config.resampler.layer {
                    Layer::Perceiver => "Perceiver Resampler",
                    Layer::Transformer => "transformer as resampler",
                    Layer::Mlp => "MLP as resampler",
                },
                layers: config.resampler.n_layers,
                width: config.resampler.d_model,
                heads: Some(config.resampler.n_heads),
                parameters: count_parameters(&model.resampler),
                trained: true,
                paper: paper.map(|paper| paper.resampler),
                note: format!("{} latents, {} frames", config.resampler.n_latents, config.resampler.n_frames),
            },
            Part {
                name: "GATED XATTN-DENSE",
                layers: model.xattn_layers().len(),
                width: config.xattn.d_model,
                heads: Some(config.xattn.n_heads),
                parameters: count_parameters(&model.xattn),
                trained: true,
                paper: paper.map(|paper| paper.xattn),
                note: format!("before layers {}", layer_list(model.xattn_layers())),
            },
            Part {
                name: "new token embeddings",
                layers: 0,
                width: config.lm.d_model,
                heads: None,
                parameters: new_rows,
                trained: true,
                paper: None,
                note: "<image>, <EOC>".to_owned(),
            },
            Part {
                name: "language model (Chinchilla)",
                layers: config.lm.n_layers,
                width: config.lm.d_model,
                heads: Some(config.lm.n_heads),
                parameters: count_parameters(&model.lm) - new_rows,
                trained: false,
                paper: paper.map(|paper| paper.lm),
                note: format!("{} tokens, context {}", config.lm.vocab, config.lm.max_len),
            },
        ];
        let sum =
            |trained| parts.iter().filter(|part| part.trained == trained).map(|part| part.parameters).sum();
        Ok(Self { name: name.to_owned(), trained: sum(true), frozen: sum(false), parts })
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let row = |f: &mut fmt::Formatter<'_>, cells: [&str; 8]| {
            let [name, layers, width, heads, parameters, state, paper, note] = cells;
            let line = format!(
                "{name:<28} {layers:>6} {width:>6} {heads:>6} {parameters:>15} {state:<7} {paper:>6}  {note}"
            );
            writeln!(f, "{}", line.trim_end())
        };
        writeln!(f, "flamingo {}\n", self.name)?;
        row(f, ["part", "layers", "width", "heads", "parameters", "", "paper", ""])?;
        for part in &self.parts {
            let number = |value: usize| if value == 0 { "-".to_owned() } else { value.to_string() };
            row(
                f,
                [
                    part.name,
                    &number(part.layers),
                    &part.width.to_string(),
                    &part.heads.map_or("-".to_owned(), number),
                    &grouped(part.parameters),
                    if part.trained { "trained" } else { "frozen" },
                    part.paper.unwrap_or("-"),
                    &part.note,
                ],
            )?;
        }
        writeln!(f)?;
        for (name, count) in
            [("trained", self.trained), ("frozen", self.frozen), ("total", self.trained + self.frozen)]
        {
            writeln!(f, "{name:<28} {:>36} ({})", grouped(count), rounded(count))?;
        }
        Ok(())
    }
}

fn vision_name(config: &VisionConfig) -> &'static str {
    match config {
        VisionConfig::Nfnet(_) => "vision encoder (NFNet)",
        VisionConfig::Vit(_) => "vision encoder (ViT)",
        VisionConfig::Efficientnet(_) => "vision encoder (EfficientNet)",
    }
}

/// `[0, 7, 14, …]` as `0, 7, … 77`.
fn layer_list(layers: &[usize]) -> String {
    match layers {
        [first, second, .., last] if layers.len() > 3 => format!("{first}, {second}, … {last}"),
        _ => layers.iter().map(usize::to_string).collect::<Vec<_>>().join(", "),
    }
}

/// Thousands apart: `1,234,567`.
pub(crate) fn grouped(count: usize) -> String {
    let digits = count.to_string();
    let head = digits.len() % 3;
    let mut groups: Vec<&str> = Vec::new();
    if head > 0 {
        groups.push(&digits[..head]);
    }
    groups.extend((head..digits.len()).step_by(3).map(|start| &digits[start..start + 3]));
    groups.join(",")
}

/// `1.2 B`, `435 M`.
fn rounded(count: usize) -> String {
    match count as f64 {
        count if count >= 1e9 => format!("{:.1} B", count / 1e9),
        count if count >= 1e6 => format!("{:.1} M", count / 1e6),
        count => format!("{:.1} k", count / 1e3),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn eighty_billion_parameters_are_counted_without_being_made() {
        let summary = Summary::of_preset(Preset::find("80b").unwrap()).unwrap();
        assert_eq!(summary.parts[2].layers, 12);
        assert!((78_000_000_000..81_000_000_000).contains(&(summary.trained + summary.frozen)));
        let text = summary.to_string();
        assert!(text.contains("0, 7, … 77") && text.contains("70B"), "{text}");
    }

    #[test]
    fn every_preset_fits_together() {
        for preset in Preset::ALL {
            Summary::of_preset(preset).unwrap();
        }
    }

    #[test]
    fn numbers_are_grouped() {
        assert_eq!([grouped(7), grouped(1234), grouped(123_456)], ["7", "1,234", "123,456"]);
    }
}
