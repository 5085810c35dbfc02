//! OpenFlamingo (Awadalla et al. 2023): a file of trained parts, beside a CLIP and a language model of other people.
//!
//! The file's names tell its sizes: which layers have a gated block, how many latents, whether the whole language model
//! is in it (the 4B models) or only its embeddings (3B and 9B). Blocks are found under both published names,
//! `lang_encoder.<layers>.N.gated_cross_attn_layer` and `lang_encoder.gated_cross_attn_layers.N`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use burn::tensor::Device;
use flamingo_core::{MediaAttention, PreprocessSpec};
use flamingo_lm::families::{Family, LanguageModel, NewRows};
use flamingo_nn::{Act, NormConfig};
use flamingo_resampler::{Layer, ResamplerConfig};
use flamingo_vision::families::{self as vision_families, clip};
use flamingo_vision::{VisionConfig, VisionEncoder, VitConfig};
use flamingo_weights::{Checkpoint, KeyMap, LoadReport, load_into};
use flamingo_xattn::{Gate, GatedXattnConfig, Placement};

use super::Loaded;
use crate::config::FlamingoConfig;
use crate::error::FlamingoError;
use crate::pretrained::folder::read_json;

/// Width of every head in resampler and gated blocks, whatever the language model.
const D_HEAD: usize = 64;
/// A vector for each frame of a video, in some resamplers.
const FRAMES: &str = "perceiver.frame_embs";
/// PyTorch's default, in every LayerNorm.
const EPSILON: f64 = 1e-5;
/// The encoder of all released models: OpenAI's weights, which have quick GELU.
const ENCODER: &str = "ViT-L-14-quickgelu";

/// Where the three parts of a model are.
#[derive(Debug, Clone, Copy)]
pub struct OpenFlamingoFiles<'a> {
    /// What `open_flamingo` published: `checkpoint.pt`, or the same as safetensors.
    pub checkpoint: &'a Path,
    /// The language model's folder, as `transformers` saves it.
    pub lm: &'a Path,
    /// The encoder: a file or folder in open_clip's or transformers' names. Sizes are those of its `config.json`, or of
    /// OpenAI's ViT-L/14 if there is none.
    pub vision: &'a Path,
    /// Tokens of the language model's own tokenizer: the rows of the embedding from there on belong to
    /// `<|endofchunk|>`, `<image>` and, where the tokenizer had none, `<PAD>`. If it is not known, the last rows are
    /// taken for these three, or for the first two where the language model is OPT, whose tokenizer has a `<pad>`.
    pub base_vocab: Option<usize>,
}

/// Loads a model from its three parts.
///
/// # Errors
///
/// If a file does not read, or a tensor is missing, left over or of another shape.
pub fn load(files: OpenFlamingoFiles<'_>, device: &Device) -> Result<Loaded, FlamingoError> {
    let (mut lm, lm_checkpoint) = LanguageModel::open(files.lm)?;
    let trained = Trained::open(files.checkpoint)?;
    (lm.config.vocab, lm.config.new_tokens) = trained.tokens(files, lm.family)?;
    let (vit, preprocess) = encoder(files.vision)?;
    let config = FlamingoConfig {
        resampler: trained.resampler()?,
        xattn: trained.xattn(lm.config.n_layers)?,
        vision: vit.into(),
        preprocess,
        lm: lm.config.clone(),
    };
    config.validate()?;
    let (decoder, lm_report) = lm.load(lm_checkpoint, device)?;
    let (vision, vision_report) = load_encoder(&config.vision, files.vision, device)?;
    let mut model = config.init(device)?;
    (model.vision, model.lm) = (vision, decoder);
    let (model, report) = load_into(model, &trained.checkpoint, &key_map(&lm))?;
    Ok(Loaded { model, config, reports: vec![lm_report, vision_report, report] })
}

/// Sizes and preprocessing of the encoder.
fn encoder(path: &Path) -> Result<(VitConfig, PreprocessSpec), FlamingoError> {
    let description = path.join("config.json");
    let vit = match description.is_file() {
        true => clip::from_transformers(&read_json(&description)?)?,
        false => clip::named(ENCODER)?,
    };
    // Class token and joint space are CLIP's own business.
    let vit = VitConfig { keep_class: false, d_projection: None, ..vit };
    let preprocess = PreprocessSpec::clip(vit.image_size);
    Ok((vit, preprocess))
}

fn load_encoder(
    config: &VisionConfig,
    path: &Path,
    device: &Device,
) -> Result<(VisionEncoder, LoadReport), FlamingoError> {
    let checkpoint = Checkpoint::open(path)?;
    let map = vision_families::key_map(config, &checkpoint);
    Ok(load_into(config.init(device), &checkpoint, &map)?)
}

/// The published file, under names that put all its forms into one: `perceiver.…`, `xattn.I.…` for the I-th gated
/// block, `lm.…` with the language model's own names.
struct Trained {
    checkpoint: Checkpoint,
    /// The language-model layers that have a gated block.
    layers: Vec<usize>,
}

impl Trained {
    fn open(path: &Path) -> Result<Self, FlamingoError> {
        let checkpoint = Checkpoint::open(path)?.unwrapped()?;
        let gated: BTreeSet<usize> =
            checkpoint.names().filter_map(|name| gated_block(name)).map(|(layer, _)| layer).collect();
        let layers: Vec<usize> = gated.into_iter().collect();
        let place: BTreeMap<usize, usize> =
            layers.iter().enumerate().map(|(place, layer)| (*layer, place)).collect();
        let rename = |name: &str| -> Option<String> {
            match gated_block(name) {
                Some((layer, rest)) => Some(format!("xattn.{}.{rest}", place[&layer])),
                None => common_name(name),
            }
        };
        Ok(Self { checkpoint: checkpoint.rename(rename)?, layers })
    }

    /// Sides of a tensor, of which it must have `N`.
    fn shape<const N: usize>(&self, name: &str) -> Result<[usize; N], FlamingoError> {
        let shape = self.checkpoint.info(name).map(|info| info.shape.clone());
        shape.clone().and_then(|shape| shape.try_into().ok()).ok_or_else(|| {
            self.odd(match shape {
                Some(shape) => format!("tensor {name:?} has shape {shape:?}, {N} sides were expected"),
                None => format!("there is no tensor {name:?}: is this an OpenFlamingo checkpoint?"),
            })
        })
    }

    fn odd(&self, what: String) -> FlamingoError {
        FlamingoError::Published { what: format!("{}: {what}", self.checkpoint.path().display()) }
    }

    /// The language model's own tokens, and those that were added.
    fn tokens(&self, files: OpenFlamingoFiles<'_>, family: &Family) -> Result<(usize, usize), FlamingoError> {
        const TABLES: [&str; 4] =
            ["wte.weight", "embed_in.weight", "embed_tokens.weight", "word_embeddings.weight"];
        let table = self.checkpoint.names().find(|name| TABLES.iter().any(|table| name.ends_with(table)));
        let table = table.ok_or_else(|| self.odd("there is no embedding table in it".to_owned()))?;
        let [rows, _] = self.shape(table)?;
        let padding = usize::from(family.name != "opt");
        let base_vocab = files.base_vocab.unwrap_or(rows.saturating_sub(crate::config::NEW_TOKENS + padding));
        let added = rows.checked_sub(base_vocab).filter(|added| *added >= crate::config::NEW_TOKENS);
        let added = added.ok_or_else(|| {
            self.odd(format!(
                "{table:?} has {rows} rows, the tokenizer {base_vocab} tokens, and <|endofchunk|> and <image> need rows \
                 of their own: is {} the language model that it was trained with?",
                files.lm.display()
            ))
        })?;
        Ok((base_vocab, added))
    }

    fn resampler(&self) -> Result<ResamplerConfig, FlamingoError> {
        let [n_latents, d_model] = self.shape("perceiver.latents")?;
        let [inner, _] = self.shape("perceiver.layers.0.0.to_q.weight")?;
        let [d_ff, _] = self.shape("perceiver.layers.0.1.1.weight")?;
        let is_layer =
            |name: &&str| name.starts_with("perceiver.layers.") && name.ends_with(".0.to_q.weight");
        let n_frames = match self.checkpoint.info(FRAMES) {
            Some(_) => self.shape::<2>(FRAMES)?[0],
            None => 0,
        };
        Ok(ResamplerConfig {
            layer: Layer::Perceiver,
            d_model,
            n_layers: self.checkpoint.names().filter(is_layer).count(),
            n_heads: inner / D_HEAD,
            d_head: D_HEAD,
            d_ff,
            n_latents,
            n_frames,
            act: Act::Gelu,
            norm: NormConfig::Layer { epsilon: EPSILON },
            head_norm: None,
            init_std: 1.0,
            d_input: None,
        })
    }

    fn xattn(&self, n_layers: usize) -> Result<GatedXattnConfig, FlamingoError> {
        let first =
            self.layers.first().ok_or_else(|| self.odd("there is no gated block in it".to_owned()))?;
        let [inner, d_model] = self.shape("xattn.0.attn.to_q.weight")?;
        let [_, d_media] = self.shape("xattn.0.attn.to_kv.weight")?;
        let [d_ff, _] = self.shape("xattn.0.ff.1.weight")?;
        let config = GatedXattnConfig {
            d_model,
            d_media,
            n_heads: inner / D_HEAD,
            d_head: D_HEAD,
            d_ff,
            every: first + 1,
            placement: Placement::Last,
            attention: MediaAttention::Preceding,
            act: Act::Gelu,
            norm: NormConfig::Layer { epsilon: EPSILON },
            head_norm: None,
            gated: false,
            gate: Gate::Scalar,
            attention_gate_init: 0.0,
        };
        let expected = config.layers(n_layers);
        match expected == self.layers {
            true => Ok(config),
            false => Err(self.odd(format!(
                "gated blocks stand before layers {:?}, but one every {} of {n_layers} layers would be {expected:?}: \
                 is this the language model that it was trained with?",
                self.layers, config.every
            ))),
        }
    }
}

/// The language-model layer of a gated block's tensor, and the tensor's name within the block.
fn gated_block(name: &str) -> Option<(usize, &str)> {
    let inside = name.strip_prefix("lang_encoder.")?;
    if let Some(rest) = inside.strip_prefix("gated_cross_attn_layers.") {
        let (layer, rest) = rest.split_once('.')?;
        return Some((layer.parse().ok()?, rest));
    }
    let (before, rest) = inside.split_once(".gated_cross_attn_layer.")?;
    Some((before.rsplit('.').next()?.parse().ok()?, rest))
}

/// Names of everything but gated blocks; `None` for what is there twice, or belongs to the encoder.
fn common_name(name: &str) -> Option<String> {
    if name.starts_with("vision_encoder.") || name.starts_with("lang_encoder.old_decoder_blocks.") {
        return None;
    }
    match name.strip_prefix("lang_encoder.") {
        Some(inside) => Some(format!("lm.{}", inside.replace(".decoder_layer.", "."))),
        None => Some(name.to_owned()),
    }
}

/// Which tensors make each parameter. The encoder is never in the file, and of the language model what is in it differs
/// from release to release.
fn key_map(lm: &LanguageModel) -> KeyMap {
    let lm = lm.key_map(NewRows::Appended).below("lm.", "lm.").optional("lm.**");
    lm.and(resampler_map()).and(xattn_map()).optional("vision.**")
}

fn resampler_map() -> KeyMap {
    let own = KeyMap::new()
        .copy("latents", "latents")
        .copy("frame_embeddings", "frame_embs")
        .norm("layers.{}.media_norm", "layers.{}.0.norm_media")
        .norm("layers.{}.latents_norm", "layers.{}.0.norm_latents")
        .norm("norm", "norm");
    own.and(sublayers("layers.{}", "layers.{}.0", "layers.{}.1")).below("resampler.", "perceiver.")
}

fn xattn_map() -> KeyMap {
    let own = KeyMap::new()
        .copy("{}.attention_gate", "{}.attn_gate")
        .copy("{}.feed_forward_gate", "{}.ff_gate")
        .norm("{}.attention_norm", "{}.attn.norm");
    own.and(sublayers("{}", "{}.attn", "{}.ff")).below("xattn.", "xattn.")
}

/// What the resampler's layers and the gated blocks have in common: `attention` to media, and `feed_forward` behind it.
fn sublayers(ours: &str, attention: &str, feed_forward: &str) -> KeyMap {
    let [ours, attention, feed_forward] =
        [ours, attention, feed_forward].map(|prefix| move |name: &str| format!("{prefix}.{name}"));
    KeyMap::new()
        .linear(&ours("attention.query"), &attention("to_q"))
        .rows(&ours("attention.key.weight"), &attention("to_kv.weight"), 0, 2)
        .rows(&ours("attention.value.weight"), &attention("to_kv.weight"), 1, 2)
        .linear(&ours("attention.output"), &attention("to_out"))
        .norm(&ours("feed_forward_norm"), &feed_forward("0"))
        .linear(&ours("feed_forward.up"), &feed_forward("1"))
        .linear(&ours("feed_forward.down"), &feed_forward("3"))
}

#[cfg(test)]
mod tests {
    use burn::tensor::{DType, TensorData};
    use flamingo_weights::{TensorPlan, save_safetensors};

    use super::*;

    #[test]
    fn frame_embeddings_of_another_shape_are_refused() {
        let sides: [(&str, &[usize]); 4] = [
            ("perceiver.latents", &[2, 8]),
            ("perceiver.layers.0.0.to_q.weight", &[64, 8]),
            ("perceiver.layers.0.1.1.weight", &[32, 8]),
            (FRAMES, &[]),
        ];
        let plan = |(name, shape): (&str, &[usize])| TensorPlan {
            name: name.to_owned(),
            shape: shape.to_vec(),
            dtype: DType::F32,
        };
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("checkpoint.safetensors");
        let zeros = |name: &str| {
            let shape = sides.into_iter().find(|(other, _)| *other == name).map(|(_, shape)| shape);
            Ok(TensorData::zeros::<f32, _>(shape.unwrap_or_default()))
        };
        save_safetensors(&path, &sides.map(plan), &BTreeMap::new(), zeros).unwrap();
        let error = Trained::open(&path).unwrap().resampler().unwrap_err().to_string();
        assert!(error.contains(FRAMES) && error.contains("2 sides were expected"), "{error}");
    }

    #[test]
    fn both_published_names_of_a_block_are_known() {
        let current = "lang_encoder.transformer.blocks.3.gated_cross_attn_layer.attn.to_q.weight";
        let older = "lang_encoder.gated_cross_attn_layers.3.attn.to_q.weight";
        assert_eq!(gated_block(current), Some((3, "attn.to_q.weight")));
        assert_eq!(gated_block(older), Some((3, "attn.to_q.weight")));
        assert_eq!(gated_block("lang_encoder.transformer.wte.weight"), None);
    }

    #[test]
    fn the_language_models_own_names_come_back() {
        let name = |name| common_name(name);
        assert_eq!(name("lang_encoder.transformer.wte.weight").as_deref(), Some("lm.transformer.wte.weight"));
        let wrapped = "lang_encoder.gpt_neox.layers.1.decoder_layer.input_layernorm.weight";
        assert_eq!(name(wrapped).as_deref(), Some("lm.gpt_neox.layers.1.input_layernorm.weight"));
        assert_eq!(name("lang_encoder.old_decoder_blocks.0.ln_1.weight"), None);
        assert_eq!(name("vision_encoder.visual.proj"), None);
        assert_eq!(name("perceiver.latents").as_deref(), Some("perceiver.latents"));
    }
}
