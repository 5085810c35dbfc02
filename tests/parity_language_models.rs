//! Every language-model family against `transformers`: its configuration and its tensors, under their published names.

use burn::tensor::{Device, Int, Tensor};
use flamingo::lm::families::LanguageModel;
use flamingo::lm::{Decoder, NoHook, Padding};
use flamingo_testkit::{Fixture, assert_close};
use flamingo_weights::Checkpoint;

/// Far below the 1e-4 that is asked for: the models are small.
const TOLERANCE: f32 = 5e-6;

/// The checkpoint inside a fixture, as it is published: names, layouts and `config.json`.
pub fn published(name: &str) -> (LanguageModel, Checkpoint) {
    let path = format!("{}/fixtures/{name}.safetensors", env!("CARGO_MANIFEST_DIR"));
    let checkpoint = Checkpoint::open(path).unwrap();
    let config = checkpoint.metadata()["config.json"].as_str().unwrap();
    let model = LanguageModel::from_config(&serde_json::from_str(config).unwrap()).unwrap();
    let checkpoint = checkpoint.rename(|name| name.strip_prefix("weights.").map(str::to_owned)).unwrap();
    (model, checkpoint)
}

fn ids(fixture: &Fixture, key: &str, device: &Device) -> Tensor<2, Int> {
    fixture.tensor::<2>(key, device).int()
}

fn check(family: &str) {
    let plain = Device::flex();
    // With a gradient graph, attention takes another way through Burn.
    for (seed, device) in [(0, plain.clone()), (1, plain.clone()), (1, plain.autodiff())] {
        let name = format!("lm-{family}-{seed}");
        let fixture = Fixture::load(&name);
        let (model, checkpoint) = published(&name);
        let (decoder, report) = model.load(checkpoint, &device).unwrap();
        assert!(report.is_complete(), "{report}");
        let text = ids(&fixture, "in.ids", &device);
        let logits = decoder.forward(text.clone(), &NoHook);
        fixture.assert_close("out.logits", logits, TOLERANCE);
        padded_rows_are_theirs(&decoder, &fixture, text);
        continuation_is_theirs(&decoder, &fixture, &device);
    }
}

/// At the positions that are not padding: what stands at the others means nothing, there or here.
fn padded_rows_are_theirs(decoder: &Decoder, fixture: &Fixture, text: Tensor<2, Int>) {
    let device = text.device();
    let lengths: Vec<usize> = fixture
        .tensor::<1>("in.lengths", &device)
        .into_data()
        .iter::<f32>()
        .map(|len| len as usize)
        .collect();
    let [_, len] = text.dims();
    let padding = Padding::left(&lengths, len, &device);
    let logits = decoder.logits(decoder.hidden_padded(text, Some(&padding), &NoHook));
    let expected = fixture.tensor::<3>("out.padded", &device);
    for (row, length) in lengths.into_iter().enumerate() {
        let real = |x: &Tensor<3>| x.clone().slice([row..row + 1, len - length..len]);
        fixture.origin().assert_close("out.padded", real(&logits), real(&expected), TOLERANCE);
    }
}

fn continuation_is_theirs(decoder: &Decoder, fixture: &Fixture, device: &Device) {
    let expected: Vec<i64> = ids(fixture, "out.greedy", device).into_data().iter::<i64>().collect();
    let prompt = expected.len() - 20;
    let mut text = expected[..prompt].to_vec();
    while text.len() < expected.len() {
        let so_far = Tensor::<1, Int>::from_data(text.as_slice(), device).unsqueeze();
        let best = decoder.forward(so_far, &NoHook).argmax(2).into_data().iter::<i64>().last();
        text.extend(best);
    }
    fixture.origin().assert_equal("out.greedy", &text[prompt..], &expected[prompt..]);
}

#[test]
fn llama_with_shared_heads_and_tied_head() {
    check("llama");
}

#[test]
fn llama_with_own_head_and_biases() {
    check("llama-untied");
}

#[test]
fn llama_with_stretched_wavelengths() {
    check("llama-linear");
}

#[test]
fn llama_3_with_long_wavelengths_stretched() {
    check("llama-3");
}

#[test]
fn mpt() {
    check("mpt");
}

#[test]
fn mosaic_gpt_with_normalised_queries_and_keys() {
    check("mosaic-gpt");
}

#[test]
fn gpt_neox_in_parallel_as_pythia() {
    check("pythia");
}

#[test]
fn gpt_neox_in_sequence_as_redpajama() {
    check("redpajama");
}

#[test]
fn opt() {
    check("opt");
}

#[test]
fn gpt2() {
    check("gpt2");
}

#[test]
fn tables_shrink_to_the_tokenizer_and_new_tokens_stand_behind() {
    let device = Device::flex();
    for family in ["mpt", "redpajama"] {
        let (mut model, checkpoint) = published(&format!("lm-{family}-0"));
        let whole = model.load(checkpoint.clone(), &device).unwrap().0;
        model.config.vocab -= 4;
        model.config.new_tokens = 3;
        let (shrunk, report) = model.load(checkpoint, &device).unwrap();
        assert!(report.kept.iter().all(|path| path.starts_with("new_")), "{report}");
        let text = Tensor::<2, Int>::from_data([[1, 14, 0]], &device);
        let [whole, shrunk] = [whole, shrunk].map(|decoder| decoder.forward(text.clone(), &NoHook));
        let known = shrunk.dims()[2] - 3;
        let first = |logits: Tensor<3>| logits.slice([0..1, 0..3, 0..known]);
        assert_close(first(shrunk), first(whole), 1e-6);
    }
}

#[test]
fn rows_of_new_tokens_are_found_behind_the_others() {
    let (mut model, checkpoint) = published("lm-redpajama-0");
    let rows = model.config.vocab;
    model.config.vocab = rows - 3;
    model.config.new_tokens = 3;
    let map = model.key_map(flamingo::lm::families::NewRows::Appended);
    let empty = model.config.init(&Device::flex());
    let (decoder, report) = flamingo_weights::load_into(empty, &checkpoint, &map).unwrap();
    assert!(report.is_complete(), "{report}");
    let table = Tensor::<2>::from_data(checkpoint.read("gpt_neox.embed_in.weight").unwrap(), &Device::flex());
    assert_close(decoder.new_embedding.unwrap().val(), table.narrow(0, rows - 3, 3), 0.0);
}

#[test]
fn a_checkpoint_of_another_family_is_refused_with_its_names() {
    let (model, _) = published("lm-gpt2-0");
    let (_, other) = published("lm-opt-0");
    let error = model.load(other, &Device::flex()).unwrap_err().to_string();
    assert!(error.contains("transformer.h.0.attn.c_attn.weight"), "{error}");
}
