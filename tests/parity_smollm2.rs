//! A real language model, from its GGUF file: tokens, log-probabilities and a greedy continuation against transformers'
//! Llama on the same dequantised weights. Run by hand, because the file is large; `cargo xtask parity` runs it too, where
//! `SMOLLM2` is set:
//!
//! ```sh
//! SMOLLM2="$(cargo xtask data fetch smollm2)" cargo test --release --workspace --test all smollm2 -- --ignored --nocapture
//! ```

use std::path::PathBuf;
use std::time::Instant;

use burn::tensor::activation::log_softmax;
use burn::tensor::{Device, Int, Tensor};
use flamingo::data::PretrainedTokenizer;
use flamingo::lm::families::LanguageModel;
use flamingo::lm::{Decoder, NoHook};
use flamingo::weights::Checkpoint;
use flamingo_testkit::Fixture;

/// Of the log-probabilities, which come out of 30 layers: the reference adds up in another order.
const TOLERANCE: f32 = 1e-4;

fn ids(fixture: &Fixture, key: &str) -> Vec<u32> {
    fixture.tensor::<1>(key, &Device::flex()).into_data().iter::<f32>().map(|id| id as u32).collect()
}

/// `[L, V]`.
fn logits(decoder: &Decoder, ids: &[u32]) -> Tensor<2> {
    let ids = Tensor::<1, Int>::from_data(ids, &Device::flex()).unsqueeze::<2>();
    decoder.forward(ids, &NoHook).squeeze_dim(0)
}

/// The log-probability of each token but the first, given those before it.
fn logprobs(decoder: &Decoder, ids: &[u32]) -> Tensor<1> {
    let last = ids.len() - 1;
    let next = Tensor::<1, Int>::from_data(&ids[1..], &Device::flex()).unsqueeze_dim::<2>(1);
    log_softmax(logits(decoder, ids).slice(0..last), 1).gather(1, next).squeeze_dim(1)
}

fn best(decoder: &Decoder, ids: &[u32]) -> u32 {
    logits(decoder, ids).slice(ids.len() - 1..).argmax(1).into_data().iter::<i64>().next().unwrap() as u32
}

#[test]
#[ignore = "needs the file of cargo xtask data fetch smollm2"]
fn smollm2_is_transformers_llama() {
    let path = std::env::var_os("SMOLLM2").expect("SMOLLM2: the file of cargo xtask data fetch smollm2");
    let fixture = Fixture::load("smollm2");
    let texts = Checkpoint::open(flamingo_testkit::fixture::path("smollm2")).unwrap();
    let text = |key: &str| texts.metadata()[key].as_str().unwrap().to_owned();

    let start = Instant::now();
    let (model, checkpoint) = LanguageModel::open(PathBuf::from(path)).unwrap();
    let tokenizer = PretrainedTokenizer::from_gguf(&checkpoint).unwrap();
    let (decoder, report) = model.load(checkpoint, &Device::flex()).unwrap();
    assert!(report.is_complete(), "{report}");
    println!("loaded in {:.1?}", start.elapsed());

    let passage = tokenizer.encode(&text("passage")).unwrap();
    fixture.origin().assert_equal("ids", &passage, &ids(&fixture, "in.ids"));
    let [found, expected] =
        [logprobs(&decoder, &passage), fixture.tensor::<1>("out.logprobs", &Device::flex())];
    let [ours, theirs] =
        [&found, &expected].map(|logprobs| logprobs.clone().mean().into_scalar::<f32>().exp().recip());
    println!("perplexity {ours:.4}, transformers {theirs:.4}");
    assert!((ours / theirs - 1.0).abs() <= 0.005, "{ours} and {theirs}");
    let [found, expected] = [found, expected].map(|it| it.into_data().iter::<f32>().collect::<Vec<f32>>());
    fixture.origin().assert_within("out.logprobs", &found, &expected, TOLERANCE);

    let prompt = tokenizer.encode(&text("prompt")).unwrap();
    fixture.origin().assert_equal("ids", &prompt, &ids(&fixture, "in.prompt"));
    let mut continued = prompt.clone();
    for _ in 0..20 {
        continued.push(best(&decoder, &continued));
    }
    let continuation = continued.split_off(prompt.len());
    let words = tokenizer.decode(&continuation).unwrap();
    println!("{}{words}", text("prompt"));
    fixture.origin().assert_equal("out.greedy", &continuation, &ids(&fixture, "out.greedy"));
    assert!(words.starts_with(" Paris"), "{words:?}");
}
