//! Loading: what fits, what does not, and what is said about it.

use std::collections::HashMap;
use std::path::Path as FilePath;

use burn::module::Module;
use burn::nn::{
    Embedding, EmbeddingConfig, LayerNorm, LayerNormConfig, Linear, LinearConfig, RmsNorm, RmsNormConfig,
};
use burn::tensor::{DType, Device, Tensor};
use safetensors::{Dtype, serialize_to_file, tensor::TensorView};

use super::*;

#[derive(Module, Debug)]
enum Norm {
    Layer(LayerNorm),
    Rms(RmsNorm),
}

#[derive(Module, Debug)]
struct Block {
    norm: Norm,
    query: Linear,
    key: Linear,
}

#[derive(Module, Debug)]
struct Model {
    embedding: Embedding,
    blocks: Vec<Block>,
}

fn model(device: &Device) -> Model {
    let linear = || LinearConfig::new(2, 3).init(device);
    let block = |norm| Block { norm, query: linear(), key: linear() };
    let layer = Norm::Layer(LayerNormConfig::new(2).init(device));
    let rms = Norm::Rms(RmsNormConfig::new(2).init(device));
    Model { embedding: EmbeddingConfig::new(4, 2).init(device), blocks: vec![block(layer), block(rms)] }
}

fn map() -> KeyMap {
    KeyMap::new()
        .copy("embedding.weight", "wte.weight")
        .norm("blocks.{}.norm", "h.{}.ln")
        .rows("blocks.{}.query.weight", "h.{}.qk.weight", 0, 2)
        .rows("blocks.{}.query.bias", "h.{}.qk.bias", 0, 2)
        .rows("blocks.{}.key.weight", "h.{}.qk.weight", 1, 2)
        .rows("blocks.{}.key.bias", "h.{}.qk.bias", 1, 2)
}

type Tensors = Vec<(&'static str, Vec<usize>)>;

fn tensors() -> Tensors {
    vec![
        ("wte.weight", vec![4, 2]),
        ("h.0.ln.weight", vec![2]),
        ("h.0.ln.bias", vec![2]),
        ("h.0.qk.weight", vec![6, 2]),
        ("h.0.qk.bias", vec![6]),
        ("h.1.ln.weight", vec![2]),
        ("h.1.qk.weight", vec![6, 2]),
        ("h.1.qk.bias", vec![6]),
    ]
}

/// Element `i` of tensor `t` is `100 t + i`.
fn write(path: &FilePath, tensors: &Tensors) -> Checkpoint {
    let values = |(t, (_, shape)): (usize, &(_, Vec<usize>))| -> Vec<u8> {
        (0..shape.iter().product()).flat_map(|i: usize| ((100 * t + i) as f32).to_le_bytes()).collect()
    };
    let bytes: Vec<Vec<u8>> = tensors.iter().enumerate().map(values).collect();
    let views = tensors
        .iter()
        .zip(&bytes)
        .map(|((name, shape), bytes)| (*name, TensorView::new(Dtype::F32, shape.clone(), bytes).unwrap()));
    serialize_to_file(views, None::<HashMap<String, String>>, path).unwrap();
    Checkpoint::open(path).unwrap()
}

fn checkpoint(tensors: &Tensors) -> (tempfile::TempDir, Checkpoint) {
    let folder = tempfile::tempdir().unwrap();
    let checkpoint = write(&folder.path().join("model.safetensors"), tensors);
    (folder, checkpoint)
}

fn problems(tensors: &Tensors, map: &KeyMap) -> Vec<String> {
    let (_folder, checkpoint) = checkpoint(tensors);
    match load_into(model(&Device::flex()), &checkpoint, map) {
        Err(WeightsError::Mismatch { problems, .. }) => problems.iter().map(ToString::to_string).collect(),
        other => panic!("{other:?}"),
    }
}

fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().iter().collect()
}

#[test]
fn a_whole_model_is_loaded() {
    let (_folder, checkpoint) = checkpoint(&tensors());
    let (model, report) = load_into(model(&Device::flex()), &checkpoint, &map()).unwrap();
    assert_eq!(values(model.embedding.weight.val()), [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0]);
    let Norm::Layer(norm) = &model.blocks[0].norm else { panic!() };
    assert_eq!(values(norm.gamma.val()), [100.0, 101.0]);
    assert_eq!(values(norm.beta.as_ref().unwrap().val()), [200.0, 201.0]);
    let Norm::Rms(norm) = &model.blocks[1].norm else { panic!() };
    assert_eq!(values(norm.gamma.val()), [500.0, 501.0]);
    let Linear { weight, bias } = &model.blocks[1].key;
    assert_eq!(values(weight.val()), [606.0, 608.0, 610.0, 607.0, 609.0, 611.0], "rows 3 to 5, transposed");
    assert_eq!(values(bias.as_ref().unwrap().val()), [703.0, 704.0, 705.0]);
    assert!(report.is_complete() && report.ignored.is_empty());
    assert_eq!((report.loaded.len(), report.n_elements), (12, 8 + 2 * 2 + 2 + 4 * 9));
}

#[test]
fn all_problems_are_listed_with_the_nearest_names() {
    let mut wrong = tensors();
    wrong[0].1 = vec![5, 2];
    wrong[1].0 = "h.0.ln.weights";
    wrong[3].1 = vec![7, 2];
    wrong.push(("lm_head.weight", vec![1]));
    assert_eq!(
        problems(&wrong, &map()),
        [
            r#"parameter "blocks.0.norm.gamma" needs tensor "h.0.ln.weight", which is missing; there is "h.0.ln.weights""#,
            r#"tensor "h.0.ln.weights" has no place in the model; "h.0.ln.weight" was looked for"#,
            r#"tensor "lm_head.weight" has no place in the model; "h.0.ln.weight" was looked for"#,
            r#"tensor "wte.weight" is of shape [5, 2], but parameter "embedding.weight" needs shape [4, 2]"#,
            r#"tensor "h.0.qk.weight" is of shape [7, 2], but parameter "blocks.0.query.weight" needs shape [6, 2]"#,
            r#"tensor "h.0.qk.weight" is of shape [7, 2], but parameter "blocks.0.key.weight" needs shape [6, 2]"#,
        ]
    );
    let no_rule = problems(&tensors(), &KeyMap::new().ignore("**"));
    assert_eq!(no_rule.len(), 12);
    assert_eq!(no_rule[0], r#"parameter "embedding.weight" has no rule in the key map"#);
}

#[test]
fn long_lists_are_cut_in_the_message_only() {
    let many: Tensors = (0..50).map(|i| (&*format!("x.{i}").leak(), vec![1])).collect();
    let (_folder, checkpoint) = checkpoint(&many);
    let error = load_into(model(&Device::flex()), &checkpoint, &map()).unwrap_err();
    let text = error.to_string();
    assert!(
        text.contains("model.safetensors does not fit the model:\n") && text.contains("… and 30 more"),
        "{text}"
    );
    let WeightsError::Mismatch { problems, .. } = error else { panic!("{error}") };
    assert_eq!(problems.len(), 62);
}

#[test]
fn what_may_be_left_out_is_spelled_out_and_reported() {
    let mut partial = tensors();
    partial.remove(0);
    partial.push(("h.0.attn.inv_freq", vec![1]));
    let map = map().optional("embedding.weight").ignore("h.{}.attn.inv_freq");
    let (_folder, checkpoint) = checkpoint(&partial);
    let fresh = model(&Device::flex());
    let before = fresh.embedding.weight.val().to_data();
    let (model, report) = load_into(fresh, &checkpoint, &map).unwrap();
    assert_eq!(model.embedding.weight.val().to_data(), before);
    assert_eq!(
        (report.kept, report.ignored),
        (vec!["embedding.weight".into()], vec!["h.0.attn.inv_freq".into()])
    );
}

#[test]
fn devices_formats_and_frozen_parameters_stay() {
    let device = Device::flex().autodiff();
    let mut fresh = model(&device);
    fresh.embedding = fresh.embedding.no_grad();
    let half = |bias: Param<Tensor<1>>| bias.map(|bias| bias.cast(DType::BF16).detach());
    fresh.blocks[0].query.bias = fresh.blocks[0].query.bias.take().map(half);
    assert!(!fresh.embedding.weight.is_initialized());
    let (_folder, checkpoint) = checkpoint(&tensors());
    let (model, _) = load_into(fresh, &checkpoint, &map()).unwrap();
    assert!(!model.embedding.weight.val().is_require_grad());
    assert!(model.blocks[0].query.weight.val().is_require_grad());
    assert_eq!(model.blocks[0].query.weight.val().device(), device);
    let bias = model.blocks[0].query.bias.as_ref().unwrap().val();
    assert_eq!((bias.dtype(), values(bias)), (DType::BF16, vec![400.0, 400.0, 402.0]));
}

#[test]
fn parameters_that_do_not_exist_yet_are_never_initialised() {
    let mut fresh = model(&Device::flex());
    let id = fresh.embedding.weight.id;
    let never = |_: &Device, _| panic!("initialised only to be overwritten");
    fresh.embedding.weight = Param::uninitialized(id, never, Device::flex(), true, [4, 2].into());
    let (_folder, checkpoint) = checkpoint(&tensors());
    let (model, _) = load_into(fresh, &checkpoint, &map()).unwrap();
    assert_eq!((model.embedding.weight.id, model.embedding.weight.dims()), (id, [4, 2]));
}

#[test]
fn functions_get_and_give_what_the_map_says() {
    let map = map()
        .with("embedding.weight", "wte.weight", |data| tensor::gather_rows(data, |row| 3 - row))
        .combine("blocks.1.norm.gamma", &["h.0.ln.weight", "h.1.ln.weight"], |mut data| {
            data.pop().ok_or("nothing to take".to_owned())
        });
    let (_folder, whole) = checkpoint(&tensors());
    let (loaded, _) = load_into(model(&Device::flex()), &whole, &map).unwrap();
    assert_eq!(values(loaded.embedding.weight.val()), [6.0, 7.0, 4.0, 5.0, 2.0, 3.0, 0.0, 1.0]);
    let Norm::Rms(norm) = &loaded.blocks[1].norm else { panic!() };
    assert_eq!(values(norm.gamma.val()), [500.0, 501.0]);

    let wrong = map.with("embedding.weight", "wte.weight", |data| tensor::rows(data, 1, 0, 2));
    let error = load_into(model(&Device::flex()), &whole, &wrong).unwrap_err().to_string();
    assert!(
        error.contains("is of shape [2, 2], but parameter \"embedding.weight\" needs shape [4, 2]"),
        "{error}"
    );
}
