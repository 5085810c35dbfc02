//! GGUF files written by llama.cpp's own package: the LLaMA family, and the tokenizers in them.

use burn::tensor::Device;
use flamingo::data::PretrainedTokenizer;
use flamingo::lm::NoHook;
use flamingo::lm::families::LanguageModel;
use flamingo_testkit::{Fixture, Origin};
use flamingo_weights::{Checkpoint, MetadataValue};

fn path(name: &str) -> String {
    format!("{}/fixtures/{name}.gguf", env!("CARGO_MANIFEST_DIR"))
}

fn origin(name: &str, checkpoint: &Checkpoint) -> Origin {
    let said = |key: &str| Some(checkpoint.metadata().get(&format!("test.{key}"))?.as_str()?.to_owned());
    Origin::new(name, said)
}

/// With rows of queries and keys in the order of GGUF: the logits are those of the model it was converted from.
#[test]
fn llama_is_the_model_that_it_was_converted_from() {
    let device = Device::flex();
    // With plain wavelengths, all scaled alike, and scaled by factors of their own.
    for (name, seed) in [("llama", 0), ("llama", 1), ("llama-linear", 0), ("llama-3", 0)] {
        let file = format!("gguf-{name}-{seed}");
        let (model, checkpoint) = LanguageModel::open(path(&file)).unwrap();
        let origin = origin(&file, &checkpoint);
        assert_eq!((model.family.name, model.tokens.bos), ("llama", Some(1)));
        let (decoder, report) = model.load(checkpoint, &device).unwrap();
        assert!(report.is_complete(), "{report}");
        let fixture = Fixture::load(&format!("lm-{name}-{seed}"));
        let logits = decoder.forward(fixture.tensor::<2>("in.ids", &device).int(), &NoHook);
        origin.assert_close("out.logits", logits, fixture.tensor("out.logits", &device), 5e-6);
    }
}

fn check_tokenizer(name: &str) -> PretrainedTokenizer {
    let file = format!("gguf-tokenizer-{name}");
    let checkpoint = Checkpoint::open(path(&file)).unwrap();
    let origin = origin(&file, &checkpoint);
    let tokenizer = PretrainedTokenizer::from_gguf(&checkpoint).unwrap();
    let metadata = checkpoint.metadata();
    let texts = metadata["test.texts"].as_list().unwrap().iter().filter_map(MetadataValue::as_str);
    let mut checked = 0;
    for (index, text) in texts.enumerate() {
        let Some(length) = metadata.get(&format!("test.length.{index}")) else {
            continue;
        };
        let expected = metadata.get(&format!("test.ids.{index}")).and_then(MetadataValue::as_list);
        let expected: Vec<usize> =
            expected.unwrap_or_default().iter().filter_map(MetadataValue::as_usize).collect();
        assert_eq!(Some(expected.len()), length.as_usize());
        let ids = tokenizer.encode(text).unwrap();
        let found: Vec<usize> = ids.iter().map(|id| *id as usize).collect();
        origin.assert_equal("ids", &found, &expected);
        assert_eq!(tokenizer.decode(&ids).unwrap(), text.replace("<|end|>", ""), "there and back");
        checked += 1;
    }
    assert!(checked >= 6, "{checked} texts");
    tokenizer
}

#[test]
fn sentence_piece_with_byte_fallback_is_its_own_librarys() {
    check_tokenizer("llama");
}

#[test]
fn byte_level_is_transformers_gpt2() {
    check_tokenizer("gpt2");
}

#[test]
fn byte_level_with_single_digits_is_smollms() {
    check_tokenizer("smollm");
}

/// Words that no merges lead to, BOS in front without being asked for.
#[test]
fn byte_level_with_llama_3s_expression_is_transformers() {
    check_tokenizer("llama-3");
}

/// A letter and its accent become one.
#[test]
fn byte_level_with_qwen_2s_expression_is_transformers() {
    let tokenizer = check_tokenizer("qwen-2");
    assert_eq!(tokenizer.encode("cafe\u{301}").unwrap(), tokenizer.encode("caf\u{e9}").unwrap());
}

#[test]
fn byte_level_with_gpt_4os_expression_is_tiktokens() {
    check_tokenizer("gpt-4o");
}
