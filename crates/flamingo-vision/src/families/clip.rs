//! CLIP's vision transformers, in the names of open_clip (and of OpenAI's files) and of transformers.
//!
//! | | open_clip | transformers |
//! |---|---|---|
//! | blocks | `visual.transformer.resblocks.N` | `vision_model.encoder.layers.N` |
//! | queries, keys, values | joined: `attn.in_proj_weight` | apart: `self_attn.{q,k,v}_proj` |
//! | projection | `visual.proj`, `[in, out]` | `visual_projection.weight`, `[out, in]` |
//!
//! Quick GELU is a property of the weights that no tensor shows: OpenAI's have it, LAION's have not. Names that end in
//! `-quickgelu` have it here as in open_clip (before its version 2.29 the plain names had it too when OpenAI's weights
//! were asked for), and transformers' configurations say it.

use flamingo_nn::Act;
use flamingo_weights::{Checkpoint, KeyMap};
use serde_json::Value;

use crate::error::VisionError;
use crate::vit::VitConfig;

/// Added to the variance in the norms of all of them.
const EPSILON: f64 = 1e-5;

/// What follows a name when the weights have quick GELU.
const QUICK: &str = "-quickgelu";

/// Name, image size, patch size, width, layers, heads, width of the feed-forward networks, width of the joint space.
type Sizes = (&'static str, [usize; 7]);

/// open_clip's names.
const SIZES: [Sizes; 7] = [
    ("ViT-B-32", [224, 32, 768, 12, 12, 3072, 512]),
    ("ViT-B-16", [224, 16, 768, 12, 12, 3072, 512]),
    ("ViT-L-14", [224, 14, 1024, 24, 16, 4096, 768]),
    ("ViT-L-14-336", [336, 14, 1024, 24, 16, 4096, 768]),
    ("ViT-H-14", [224, 14, 1280, 32, 16, 5120, 1024]),
    ("ViT-g-14", [224, 14, 1408, 40, 16, 6144, 1024]),
    ("ViT-bigG-14", [224, 14, 1664, 48, 16, 8192, 1280]),
];

/// All names that [`named`] knows; each may be followed by `-quickgelu`.
pub(crate) fn names() -> impl Iterator<Item = &'static str> + Clone {
    SIZES.iter().map(|(name, _)| *name)
}

/// The sizes behind an open_clip name such as `ViT-L-14`, without the class token among the features, as OpenFlamingo
/// has it.
///
/// # Errors
///
/// If there is none; the message names the nearest.
pub fn named(name: &str) -> Result<VitConfig, VisionError> {
    let (plain, act) = match name.strip_suffix(QUICK) {
        Some(plain) => (plain, Act::QuickGelu),
        None => (name, Act::Gelu),
    };
    let found = SIZES.into_iter().find(|(known, _)| *known == plain);
    let (_, [image_size, patch_size, d_model, n_layers, n_heads, d_ff, joint]) =
        found.ok_or_else(|| VisionError::unknown(name, names()))?;
    Ok(VitConfig {
        image_size,
        patch_size,
        d_model,
        n_layers,
        n_heads,
        d_ff,
        act,
        epsilon: EPSILON,
        keep_class: false,
        d_projection: Some(joint),
    })
}

/// The sizes in a `config.json` of transformers: of CLIP, of its vision half, or of IDEFICS, whose encoder is a CLIP
/// that keeps its class token. What the file leaves out has transformers' defaults.
///
/// # Errors
///
/// If a field has a value that makes no sense, or an activation that no CLIP has.
pub fn from_transformers(config: &Value) -> Result<VitConfig, VisionError> {
    let idefics = config["model_type"] == "idefics";
    let fields = Fields { whole: config, nested: config.get("vision_config") };
    let defaults: [usize; 5] = if idefics { [14, 768, 32, 16, 5120] } else { [32, 768, 12, 12, 3072] };
    let [patch_size, d_model, n_layers, n_heads, d_ff] = defaults;
    let vit = VitConfig {
        image_size: fields.number(&["image_size"], 224)?,
        patch_size: fields.number(&["patch_size"], patch_size)?,
        d_model: fields.number(&["embed_dim", "hidden_size"], d_model)?,
        n_layers: fields.number(&["num_hidden_layers"], n_layers)?,
        n_heads: fields.number(&["num_attention_heads"], n_heads)?,
        d_ff: fields.number(&["intermediate_size"], d_ff)?,
        act: fields.act(if idefics { Act::Gelu } else { Act::QuickGelu })?,
        epsilon: match fields.get("layer_norm_eps") {
            Some(value) => value.as_f64().ok_or_else(|| misfit("layer_norm_eps", value, "a number"))?,
            None => EPSILON,
        },
        keep_class: idefics,
        d_projection: fields.projection()?,
    };
    let fits = |what: String| Err(VisionError::Config { family: "CLIP vision transformer", what });
    if !vit.d_model.is_multiple_of(vit.n_heads) {
        return fits(format!("{} heads do not divide a width of {}", vit.n_heads, vit.d_model));
    }
    if vit.patch_size > vit.image_size {
        return fits(format!("patches of {} pixels, images of {}", vit.patch_size, vit.image_size));
    }
    Ok(vit)
}

/// The fields of a configuration, wherever a version of transformers puts them.
struct Fields<'a> {
    whole: &'a Value,
    nested: Option<&'a Value>,
}

impl<'a> Fields<'a> {
    /// In `vision_config`, or flat: behind `vision_` (old IDEFICS), or as it is (the vision half alone).
    fn get(&self, key: &str) -> Option<&'a Value> {
        match self.nested {
            Some(nested) => nested.get(key),
            None => self.whole.get(format!("vision_{key}")).or_else(|| self.whole.get(key)),
        }
        .filter(|value| !value.is_null())
    }

    /// The first of `keys` that is there.
    fn number(&self, keys: &[&str], default: usize) -> Result<usize, VisionError> {
        let Some((key, value)) = keys.iter().find_map(|key| Some((key, self.get(key)?))) else {
            return Ok(default);
        };
        let number = value.as_u64().filter(|number| (1..=1 << 20).contains(number));
        number.map(|number| number as usize).ok_or_else(|| misfit(key, value, "a number from 1 to 2^20"))
    }

    fn act(&self, default: Act) -> Result<Act, VisionError> {
        let Some(value) = self.get("hidden_act") else {
            return Ok(default);
        };
        match value.as_str() {
            Some("quick_gelu") => Ok(Act::QuickGelu),
            Some("gelu") => Ok(Act::Gelu),
            Some("gelu_new" | "gelu_pytorch_tanh") => Ok(Act::GeluTanh),
            _ => Err(misfit("hidden_act", value, "quick_gelu, gelu, gelu_new or gelu_pytorch_tanh")),
        }
    }

    /// Only the models with a joint space have the projection, whatever their sizes say.
    fn projection(&self) -> Result<Option<usize>, VisionError> {
        const WITH: [&str; 2] = ["CLIPModel", "CLIPVisionModelWithProjection"];
        let architecture = self.whole["architectures"][0].as_str();
        if !architecture.is_some_and(|name| WITH.contains(&name)) {
            return Ok(None);
        }
        // The whole model's own field counts, not that of its vision half.
        let whole = Fields { whole: self.whole, nested: None };
        whole.number(&["projection_dim"], 512).map(Some)
    }
}

fn misfit(key: &str, value: &Value, expected: &str) -> VisionError {
    VisionError::Config {
        family: "CLIP vision transformer",
        what: format!("`{key}` is {value}, {expected} was expected"),
    }
}

/// Whose names a file has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Naming {
    /// open_clip's and OpenAI's: `visual.conv1.weight`.
    OpenClip,
    /// transformers': `vision_model.embeddings.patch_embedding.weight`.
    Transformers,
}

impl Naming {
    /// That of a file; transformers' if it is neither, so that loading says what is missing.
    pub fn of(checkpoint: &Checkpoint) -> Self {
        match checkpoint.info("visual.conv1.weight") {
            Some(_) => Self::OpenClip,
            None => Self::Transformers,
        }
    }
}

/// The key map of a file that holds a CLIP or its vision half; the text half is ignored.
pub fn key_map(config: &VitConfig, naming: Naming) -> KeyMap {
    match naming {
        Naming::OpenClip => open_clip(config),
        Naming::Transformers => transformers(config),
    }
}

fn open_clip(config: &VitConfig) -> KeyMap {
    let mut map = KeyMap::new()
        .copy("patches.weight", "visual.conv1.weight")
        .copy("class", "visual.class_embedding")
        .copy("positions", "visual.positional_embedding")
        .norm("first_norm", "visual.ln_pre")
        .norm("last_norm", "visual.ln_post")
        .copy("projection.weight", "visual.proj");
    let block = "visual.transformer.resblocks.{}";
    for (part, name) in ["query", "key", "value"].into_iter().enumerate() {
        map = map
            .rows(
                &format!("blocks.{{}}.attention.{name}.weight"),
                &format!("{block}.attn.in_proj_weight"),
                part,
                3,
            )
            .rows(
                &format!("blocks.{{}}.attention.{name}.bias"),
                &format!("{block}.attn.in_proj_bias"),
                part,
                3,
            );
    }
    map = map
        .linear("blocks.{}.attention.output", &format!("{block}.attn.out_proj"))
        .norm("blocks.{}.attention_norm", &format!("{block}.ln_1"))
        .norm("blocks.{}.feed_forward_norm", &format!("{block}.ln_2"))
        .linear("blocks.{}.feed_forward.up", &format!("{block}.mlp.c_fc"))
        .linear("blocks.{}.feed_forward.down", &format!("{block}.mlp.c_proj"));
    if config.d_projection.is_none() {
        map = map.ignore("visual.proj");
    }
    let text = [
        "transformer.**",
        "token_embedding.weight",
        "positional_embedding",
        "ln_final.**",
        "text_projection",
    ];
    // The last three are numbers in OpenAI's own files.
    let rest = ["logit_scale", "input_resolution", "context_length", "vocab_size"];
    text.into_iter().chain(rest).fold(map, KeyMap::ignore)
}

fn transformers(config: &VitConfig) -> KeyMap {
    let mut map = KeyMap::new()
        .copy("patches.weight", "vision_model.embeddings.patch_embedding.weight")
        .copy("class", "vision_model.embeddings.class_embedding")
        .copy("positions", "vision_model.embeddings.position_embedding.weight")
        // Misspelt there, in code and files.
        .norm("first_norm", "vision_model.pre_layrnorm")
        .norm("last_norm", "vision_model.post_layernorm")
        .linear("projection", "visual_projection");
    let block = "vision_model.encoder.layers.{}";
    for (name, theirs) in
        [("query", "q_proj"), ("key", "k_proj"), ("value", "v_proj"), ("output", "out_proj")]
    {
        map = map.linear(&format!("blocks.{{}}.attention.{name}"), &format!("{block}.self_attn.{theirs}"));
    }
    map = map
        .norm("blocks.{}.attention_norm", &format!("{block}.layer_norm1"))
        .norm("blocks.{}.feed_forward_norm", &format!("{block}.layer_norm2"))
        .linear("blocks.{}.feed_forward.up", &format!("{block}.mlp.fc1"))
        .linear("blocks.{}.feed_forward.down", &format!("{block}.mlp.fc2"));
    if config.d_projection.is_none() {
        map = map.ignore("visual_projection.weight");
    }
    let rest =
        ["text_model.**", "text_projection.weight", "logit_scale", "vision_model.embeddings.position_ids"];
    rest.into_iter().fold(map, KeyMap::ignore)
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;
    use flamingo_nn::count_parameters;
    use serde_json::json;

    /// open_clip's counts of `model.visual`.
    #[test]
    fn parameter_counts_are_open_clips() {
        let count = |name| count_parameters(&named(name).unwrap().init(&Device::flex()));
        assert_eq!(count("ViT-B-32"), B32);
        assert_eq!(count("ViT-L-14"), L14);
        assert_eq!(count("ViT-H-14"), H14);
        assert_eq!(count("ViT-bigG-14"), BIG_G14);
    }

    const B32: usize = 87_849_216;
    const L14: usize = 303_966_208;
    const H14: usize = 632_076_800;
    const BIG_G14: usize = 1_844_907_264;

    #[test]
    fn transformers_configurations_are_read_wherever_the_fields_are() {
        let whole = json!({
            "model_type": "clip", "architectures": ["CLIPModel"], "projection_dim": 768,
            "vision_config": {
                "hidden_size": 1024, "intermediate_size": 4096, "num_hidden_layers": 24, "num_attention_heads": 16,
                "patch_size": 14, "projection_dim": 512
            }
        });
        assert_eq!(from_transformers(&whole).unwrap(), named("ViT-L-14-quickgelu").unwrap());

        let mut half = whole["vision_config"].clone();
        half["architectures"] = json!(["CLIPVisionModel"]);
        half["hidden_act"] = json!("gelu");
        let expected = VitConfig { d_projection: None, ..named("ViT-L-14").unwrap() };
        assert_eq!(from_transformers(&half).unwrap(), expected);

        let expected = VitConfig { d_projection: None, keep_class: true, ..named("ViT-H-14").unwrap() };
        let nested = json!({ "model_type": "idefics", "vision_config": { "embed_dim": 1280 } });
        assert_eq!(from_transformers(&nested).unwrap(), expected);
        let flat = json!({ "model_type": "idefics", "vision_embed_dim": 1280, "hidden_size": 4096 });
        assert_eq!(from_transformers(&flat).unwrap().d_model, 1280);
    }

    #[test]
    fn senseless_configurations_are_refused() {
        for (config, part) in [
            (json!({ "vision_config": { "hidden_act": "mish" } }), "`hidden_act` is \"mish\""),
            (json!({ "vision_config": { "patch_size": 0 } }), "`patch_size` is 0"),
            (json!({ "vision_config": { "hidden_size": 100, "num_attention_heads": 12 } }), "12 heads"),
            (json!({ "vision_config": { "patch_size": 999 } }), "patches of 999 pixels"),
        ] {
            let error = from_transformers(&config).unwrap_err().to_string();
            assert!(error.contains(part), "{error}");
        }
    }
}
