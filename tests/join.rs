//! Two small models joined, from their files to a saved model, and then fine-tuned with its encoder.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Cursor;
use std::path::Path;
use std::sync::atomic::AtomicBool;

use burn::tensor::{Device, TensorData};
use flamingo::join::{BindingSpec, JoinConfig, JoinEnd, JoinReport, JoinRequest, Origin, join};
use flamingo::lm::LoraConfig;
use flamingo::resampler::ResamplerConfig;
use flamingo::train::{Existing, JsonlSink, Progress, Schedule, TrainConfig};
use flamingo::vision::families;
use flamingo::xattn::GatedXattnConfig;
use flamingo::{Flamingo, Network, Pretrained, Replica};
use flamingo_data::EpisodeSpec;
use flamingo_weights::{TensorPlan, module_tensors, save_safetensors};
use image::{ImageFormat, Rgba, RgbaImage};
use serde_json::json;
use tempfile::TempDir;

const D_LM: usize = 32;
const VOCAB: usize = 256;
const NORMS: [&str; 2] = ["input_layernorm", "post_attention_layernorm"];

/// Numbers around 0 of about that size, other ones for each name.
fn numbers(name: &str, shape: &[usize], size: f32) -> TensorData {
    let start = name.bytes().fold(7u32, |hash, byte| hash.wrapping_mul(31).wrapping_add(byte.into()));
    let mut state = start | 1;
    let count: usize = shape.iter().product();
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        (state as f32 / u32::MAX as f32 - 0.5) * 3.4 * size
    };
    let values: Vec<f32> = (0..count).map(|_| next()).collect();
    TensorData::new(values, shape.to_vec())
}

fn save(path: &Path, tensors: &BTreeMap<String, TensorData>) {
    let plan = |(name, data): (&String, &TensorData)| TensorPlan {
        name: name.clone(),
        shape: data.shape().as_slice().to_vec(),
        dtype: data.dtype(),
    };
    let plans: Vec<TensorPlan> = tensors.iter().map(plan).collect();
    save_safetensors(path, &plans, &BTreeMap::new(), |name| Ok(tensors[name].clone())).unwrap();
}

/// A Llama of four layers that reads bytes, as its hub folder.
fn language_model(folder: &Path) {
    fs::create_dir(folder).unwrap();
    let [d_ff, layers] = [48, 4];
    let config = json!({
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "vocab_size": VOCAB + 1, "hidden_size": D_LM,
        "intermediate_size": d_ff, "num_hidden_layers": layers, "num_attention_heads": 4, "num_key_value_heads": 2,
        "max_position_embeddings": 256, "rms_norm_eps": 1e-5, "rope_theta": 10000.0, "hidden_act": "silu",
        "tie_word_embeddings": true, "attention_bias": false, "mlp_bias": false,
    });
    fs::write(folder.join("config.json"), config.to_string()).unwrap();
    let mut tensors = BTreeMap::new();
    let mut add = |name: String, shape: &[usize], size: f32| {
        let data = numbers(&name, shape, size);
        tensors.insert(name, data);
    };
    add("model.embed_tokens.weight".to_owned(), &[VOCAB + 1, D_LM], 0.5);
    for layer in 0..layers {
        let mut linear = |name: &str, out: usize, input: usize| {
            add(format!("model.layers.{layer}.{name}.weight"), &[out, input], 1.0 / (input as f32).sqrt());
        };
        linear("self_attn.q_proj", D_LM, D_LM);
        linear("self_attn.k_proj", D_LM / 2, D_LM);
        linear("self_attn.v_proj", D_LM / 2, D_LM);
        linear("self_attn.o_proj", D_LM, D_LM);
        linear("mlp.gate_proj", d_ff, D_LM);
        linear("mlp.up_proj", d_ff, D_LM);
        linear("mlp.down_proj", D_LM, d_ff);
    }
    for (layer, norm) in (0..layers).flat_map(|layer| NORMS.map(|norm| (layer, norm))) {
        let ones = TensorData::new(vec![1f32; D_LM], [D_LM]);
        tensors.insert(format!("model.layers.{layer}.{norm}.weight"), ones);
    }
    tensors.insert("model.norm.weight".to_owned(), TensorData::new(vec![1f32; D_LM], [D_LM]));
    save(&folder.join("model.safetensors"), &tensors);

    // Printable bytes stand for themselves, as in every byte-level vocabulary; nothing else is written here.
    let vocab: serde_json::Map<String, serde_json::Value> = (0..VOCAB)
        .map(|id| match id {
            0x20 => ("\u{120}".to_owned(), json!(id)),
            0x21..=0x7e => (char::from(id as u8).to_string(), json!(id)),
            _ => (format!("<unused {id}>"), json!(id)),
        })
        .collect();
    let byte_level =
        json!({"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true});
    let end = json!({
        "id": VOCAB, "content": "<|end|>", "special": true, "single_word": false, "lstrip": false, "rstrip": false,
        "normalized": false,
    });
    let tokenizer = json!({
        "version": "1.0", "added_tokens": [end], "normalizer": null, "pre_tokenizer": byte_level,
        "post_processor": null, "decoder": byte_level, "model": {"type": "BPE", "vocab": vocab, "merges": []},
    });
    fs::write(folder.join("tokenizer.json"), tokenizer.to_string()).unwrap();
    fs::write(folder.join("tokenizer_config.json"), r#"{"eos_token": "<|end|>"}"#).unwrap();
}

/// An EfficientNet-Lite0 in the names of its package.
fn encoder(path: &Path) {
    let device = Device::flex();
    device.seed(5);
    let net = families::named("efficientnet-lite0").unwrap().config.init(&device);
    let norm = |part: &str| match part {
        "gain" => Some("weight"),
        "bias" => Some("bias"),
        "mean" => Some("running_mean"),
        "variance" => Some("running_var"),
        _ => None,
    };
    let convolutions = [("expand", "_expand_conv", "_bn0"), ("depthwise", "_depthwise_conv", "_bn1")];
    let convolutions = convolutions.into_iter().chain([("project", "_project_conv", "_bn2")]);
    let whole = [("stem", "_conv_stem", "_bn0"), ("final_conv", "_conv_head", "_bn1")];
    let names: Vec<(&str, &str, &str)> = convolutions.chain(whole).collect();
    let published = |path: &str| {
        let (before, part) = path.rsplit_once('.').unwrap();
        let (block, own) = before
            .rsplit_once('.')
            .map_or((String::new(), before), |(block, own)| (format!("_{block}."), own));
        let (_, conv, bn) = names.iter().find(|(ours, ..)| *ours == own).unwrap();
        match norm(part) {
            Some(part) => format!("{block}{bn}.{part}"),
            None => format!("{block}{conv}.weight"),
        }
    };
    let tensors = module_tensors(&net, |_| true);
    save(path, &tensors.into_iter().map(|(path, data)| (published(&path), data)).collect());
}

/// Twelve concepts to train on and six held out, in two styles.
fn concepts(folder: &Path) {
    fs::create_dir(folder).unwrap();
    for style in ["flat", "round"] {
        let mut archive =
            tar::Builder::new(File::create(folder.join(format!("{style}-000000.tar"))).unwrap());
        for concept in 0..18u8 {
            let split = match (concept, style) {
                (0..6, _) => "heldout_concepts",
                (6..9, "flat") => "heldout_images",
                _ => "train",
            };
            let description = json!({
                "concept": format!("c{concept}"), "style": style, "name": format!("thing {concept}"),
                "keywords": ["odd"], "group": "things", "subgroup": "all", "split": split,
            });
            let edge = if style == "flat" { 0 } else { 90 };
            let picture = RgbaImage::from_fn(40, 40, |x, y| {
                Rgba([concept * 14, (x * 6) as u8, edge + (y as u8) * u8::from(concept % 2 == 0), 255])
            });
            let mut png = Cursor::new(Vec::new());
            picture.write_to(&mut png, ImageFormat::Png).unwrap();
            for (extension, bytes) in
                [("png", png.into_inner()), ("json", description.to_string().into_bytes())]
            {
                let mut header = tar::Header::new_gnu();
                header.set_size(bytes.len() as u64);
                header.set_mode(0o644);
                archive.append_data(&mut header, format!("{concept:03}.{extension}"), &bytes[..]).unwrap();
            }
        }
        archive.finish().unwrap();
    }
}

struct Place(TempDir);

impl Place {
    fn new() -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        language_model(&place.0.path().join("lm"));
        encoder(&place.0.path().join("lite0.safetensors"));
        concepts(&place.0.path().join("concepts"));
        place
    }

    fn path(&self, name: &str) -> String {
        self.0.path().join(name).display().to_string()
    }

    /// With adapters on the language model.
    fn config(&self) -> JoinConfig {
        let mut config = JoinConfig::smol();
        config.needs = Default::default();
        config.lora = Some(LoraConfig { rank: 2, ..LoraConfig::default() });
        config.towers.lm.weights = self.path("lm");
        config.towers.vision.weights = self.path("lite0.safetensors");
        config.towers.vision.sizes = "efficientnet-lite0".to_owned();
        config.towers.vision.image_size = Some(64);
        config.concepts = vec![self.path("concepts")];
        config.resampler = ResamplerConfig {
            d_input: Some(1280),
            n_layers: 1,
            n_heads: 2,
            d_head: 8,
            d_ff: 32,
            n_latents: 4,
            ..ResamplerConfig::paper(16)
        };
        let xattn = GatedXattnConfig::paper(D_LM, 2, 16, 2);
        config.xattn = GatedXattnConfig { d_head: 8, d_ff: 32, attention_gate_init: 0.5, ..xattn };
        let episodes = EpisodeSpec { ways: (2, 3), shots: (1, 1), max_images: 6, ..EpisodeSpec::default() };
        config.sources[0].from = Origin::Episodes(episodes);
        config.train = TrainConfig {
            steps: 5,
            schedule: Schedule::Linear { peak: 2e-3, warmup: 1, end_factor: 0.1 },
            log_every: 1,
            checkpoint_every: 2,
            ..config.train
        };
        config.evaluation.sequences = 4;
        config.evaluation.captions = 2;
        config.evaluation.binding = vec![BindingSpec { ways: 2, shots: 1, trials: 4, controls: 2 }];
        config
    }

    fn request(&self, name: &str, config: JoinConfig) -> JoinRequest {
        JoinRequest {
            folder: self.0.path().join(name),
            config,
            existing: Existing::Refuse,
            features: Some(self.0.path().join("features")),
            progress: Progress::Hidden,
        }
    }

    fn run(&self, name: &str, config: JoinConfig) -> JoinReport {
        let request = self.request(name, config);
        match join(&request, &[Replica::alone(&Device::flex())], &AtomicBool::new(false)).unwrap() {
            JoinEnd::Finished(report) => *report,
            JoinEnd::Paused => panic!("nobody asked it to stop"),
        }
    }

    fn model(&self, name: &str) -> Flamingo {
        match Pretrained::open(self.path(name).as_str(), &Device::flex()).unwrap().network {
            Network::Flamingo { model, .. } => *model,
            Network::Language(_) => panic!("a language model alone"),
        }
    }
}

/// What of `part` of two models differs, by path.
fn changed(one: &Flamingo, other: &Flamingo, part: &str) -> Vec<String> {
    let of = |model: &Flamingo| module_tensors(model, |path| path.starts_with(part));
    let (one, other) = (of(one), of(other));
    assert!(one.keys().eq(other.keys()) && !one.is_empty());
    one.into_iter().filter(|(path, data)| other[path] != *data).map(|(path, _)| path).collect()
}

#[test]
fn joined_and_then_tuned_with_the_encoder() {
    let place = Place::new();
    let report = place.run("joined", place.config());
    assert_eq!((report.steps, report.binding.len(), report.captions.len()), (5, 1, 2));
    assert!(report.heldout.values().all(|scores| scores.right.is_finite()), "{:?}", report.heldout);
    let joined = place.model("joined");
    assert!(
        fs::read_to_string(place.path("joined/towers.json")).unwrap().contains("\"vision_trained\": false")
    );

    let mut config = place.config();
    config.start = Some(place.path("joined"));
    config.train_vision = true;
    config.cache_features = false;
    config.towers.vision.image_size = Some(96);
    config.train.steps = 2;
    let tuned_report = place.run("tuned", config.clone());
    assert!(tuned_report.trained > report.trained + 3_000_000, "the encoder counts as trained");
    assert_eq!(tuned_report.trained + tuned_report.frozen, report.trained + report.frozen);

    let tuned = place.model("tuned");
    let vision = changed(&joined, &tuned, "vision");
    assert!(vision.iter().any(|path| path.contains("stem.weight")), "{vision:?}");
    assert!(vision.iter().all(|path| !path.contains("mean") && !path.contains("variance")), "{vision:?}");
    let lm = changed(&joined, &tuned, "lm");
    assert!(lm.iter().all(|path| path == "lm.new_embedding" || path.contains(".lora.")), "{lm:?}");
    assert!(lm.iter().any(|path| path.ends_with(".lora.b")), "{lm:?}");
    assert!(!changed(&joined, &tuned, "resampler").is_empty());

    config.cache_features = true;
    let refused = config.validate().unwrap_err().to_string();
    assert!(refused.contains("cache_features"), "{refused}");
}

#[test]
fn another_resampler_is_no_beginning() {
    let place = Place::new();
    let mut config = place.config();
    config.train.steps = 1;
    config.evaluation.binding.clear();
    place.run("joined", config.clone());
    config.start = Some(place.path("joined"));
    config.resampler.n_latents = 5;
    let request = place.request("other", config);
    let error =
        join(&request, &[Replica::alone(&Device::flex())], &AtomicBool::new(false)).unwrap_err().to_string();
    assert!(error.contains("resampler"), "{error}");
    assert!(!request.folder.exists(), "nothing was begun");
}

/// Two replicas take batches 0 and 1, then 2 and 3, …: of a model that does not move, the losses of theirs are the means of
/// those that one replica finds one by one.
#[test]
fn replicas_share_the_batches_and_the_losses() {
    let place = Place::new();
    // All begin with the same weights: fresh ones are drawn from numbers that tests beside this one draw from, too.
    let mut config = place.config();
    config.train.steps = 1;
    config.evaluation.binding.clear();
    place.run("base", config);
    let losses = |name: &str, replicas: &[Replica], steps: u64| -> Vec<(f64, f64)> {
        let mut config = place.config();
        config.start = Some(place.path("base"));
        config.train.steps = steps;
        config.train.schedule = Schedule::Constant { peak: 1e-30, warmup: 0 };
        config.evaluation.binding.clear();
        let request = place.request(name, config);
        let end = join(&request, replicas, &AtomicBool::new(false)).unwrap();
        assert!(matches!(end, JoinEnd::Finished(_)));
        let records = JsonlSink::read(&request.folder.join("metrics.jsonl")).unwrap();
        records.iter().map(|record| (record.losses["episodes"], record.units)).collect()
    };
    let device = Device::flex();
    let one_by_one = losses("alone", &[Replica::alone(&device)], 6);
    let together = losses("together", &Replica::sharing(&device, 2), 3);
    assert_eq!((one_by_one.len(), together.len()), (6, 3));
    for (pair, (loss, units)) in one_by_one.chunks(2).zip(together) {
        assert!((loss - (pair[0].0 + pair[1].0) / 2.0).abs() < 1e-5, "{pair:?}, {loss}");
        assert_eq!(units, pair[0].1 + pair[1].1);
    }
    assert!(one_by_one.windows(2).all(|pair| pair[0].0 != pair[1].0), "each batch is another");
}
