//! `Pretrained::open` and scores, on whole published models: the log-probabilities are those of the reference's logits.

use std::path::{Path, PathBuf};

use burn::tensor::Device;
use burn::tensor::activation::log_softmax;
use flamingo::{Flamingo, ModelSource, Pretrained, Prompt, Score};
use serde_json::json;

use crate::published::{BASE_VOCAB, IDEFICS_VOCAB, Published, write_pixels};

/// Of log-probabilities of some nats.
const TOLERANCE: f64 = 1e-4;

/// The fixture's first row, as a prompt's file of tokens and pixels.
fn first_row(published: &Published) -> (Vec<u32>, PathBuf) {
    let device = Device::flex();
    let ids = published.fixture.tensor::<2>("in.ids", &device).int();
    let ids: Vec<u32> = ids.slice(0..1).into_data().iter().collect();
    let pixels = published.checkpoint.read("in.pixels").unwrap();
    let shape = pixels.shape().to_vec();
    let (media, size) = (shape[1], shape[shape.len() - 1]);
    let values: Vec<f32> = pixels.iter().collect();
    let images: Vec<PathBuf> = values
        .chunks(3 * size * size)
        .take(media)
        .enumerate()
        .map(|(index, image)| {
            let path = published.folder.path().join(format!("image-{index}.safetensors"));
            write_pixels(&path, image, size);
            path
        })
        .collect();
    let prompt = published.folder.path().join("prompt.json");
    std::fs::write(&prompt, json!({"token_ids": ids, "images": images}).to_string()).unwrap();
    (ids, prompt)
}

/// Log-probabilities of the fixture's first row, from the reference's logits.
fn expected(published: &Published, ids: &[u32]) -> Vec<f64> {
    let logits = published.fixture.tensor::<3>("out.logits", &Device::flex()).slice(0..1).squeeze_dim::<2>(0);
    let vocab = logits.dims()[1];
    let all: Vec<f64> = log_softmax(logits, 1).into_data().iter().collect();
    ids.iter().skip(1).enumerate().map(|(row, id)| all[row * vocab + *id as usize]).collect()
}

fn check(published: &Published, model: &Pretrained) -> Score {
    let (ids, prompt) = first_row(published);
    let score = model.score(&Prompt::open(&prompt).unwrap()).unwrap();
    assert_eq!((&score.tokens, score.logprobs[0]), (&ids, None));
    let wanted = expected(published, &ids);
    assert_eq!(score.logprobs.len(), ids.len());
    for (logprob, wanted) in score.logprobs[1..].iter().zip(&wanted) {
        assert!((logprob.unwrap() - wanted).abs() < TOLERANCE, "{logprob:?}, expected {wanted}");
    }
    assert!((score.sum - wanted.iter().sum::<f64>()).abs() < TOLERANCE * ids.len() as f64);
    score
}

/// A tokenizer of single letters, `a` being 0.
fn letters(folder: &Path, vocab: usize, special: &[&str]) {
    let letters: serde_json::Map<String, serde_json::Value> =
        ('a'..).take(vocab).enumerate().map(|(id, letter)| (letter.to_string(), id.into())).collect();
    let added: Vec<_> = special
        .iter()
        .enumerate()
        .map(|(index, token)| {
            json!({"id": vocab + index, "content": token, "special": true, "single_word": false, "lstrip": false,
                   "rstrip": false, "normalized": false})
        })
        .collect();
    let tokenizer = json!({
        "version": "1.0", "added_tokens": added, "normalizer": null,
        "pre_tokenizer": {"type": "Split", "pattern": {"Regex": "."}, "behavior": "Isolated", "invert": false},
        "post_processor": null, "decoder": null,
        "model": {"type": "WordLevel", "vocab": letters, "unk_token": "a"},
    });
    std::fs::write(folder.join("tokenizer.json"), tokenizer.to_string()).unwrap();
}

#[test]
fn open_flamingo_scores_as_its_reference_with_and_without_a_tokenizer() {
    for seed in 0..2 {
        let published = Published::new(&format!("open-flamingo-{seed}"));
        let (source, lm) = published.open_flamingo_source();
        let device = Device::flex();
        let by_ids = check(&published, &Flamingo::from_pretrained(source.clone(), &device).unwrap());
        letters(&lm, BASE_VOCAB, &[]);
        let model = Pretrained::open(source, &device).unwrap();
        let score = check(&published, &model);
        assert_eq!(score.logprobs, by_ids.logprobs);
        assert!(score.pieces.contains(&"<image>".to_owned()));

        let prompt = json!([{"image": "image-0.safetensors"}, {"text": "cd"}, {"eoc": true}, {"text": "e"}]);
        let prompt = Prompt::from_json(&prompt.to_string(), published.folder.path()).unwrap();
        let [eoc, image] = [BASE_VOCAB as u32, BASE_VOCAB as u32 + 1];
        assert_eq!(model.score(&prompt).unwrap().tokens, [image, 2, 3, eoc, 4]);
    }
}

#[test]
fn idefics_scores_as_its_reference_with_and_without_a_tokenizer() {
    for seed in 0..2 {
        let published = Published::new(&format!("idefics-{seed}"));
        let folder = published.idefics_folder();
        let name = folder.to_str().unwrap();
        let device = Device::flex();
        let by_ids = check(&published, &Pretrained::open(name, &device).unwrap());
        letters(&folder, IDEFICS_VOCAB, &["<fake_token_around_image>", "<image>"]);
        std::fs::write(folder.join("tokenizer_config.json"), r#"{"bos_token": "b"}"#).unwrap();
        let model = Pretrained::open(name, &device).unwrap();
        assert_eq!(check(&published, &model).logprobs, by_ids.logprobs);

        // Two images in a row share the token between them; spaces around a text are not read.
        let image = json!({"image": "image-0.safetensors"});
        let prompt = json!([{"text": " cd "}, image, image, {"text": "e"}]);
        let prompt = Prompt::from_json(&prompt.to_string(), published.folder.path()).unwrap();
        let [around, image] = [IDEFICS_VOCAB as u32, IDEFICS_VOCAB as u32 + 1];
        assert_eq!(model.score(&prompt).unwrap().tokens, [1, 2, 3, around, image, around, image, around, 4]);
    }
}

#[test]
fn a_prompt_that_does_not_suit_the_model_is_refused() {
    let published = Published::new("open-flamingo-0");
    let (source, lm) = published.open_flamingo_source();
    let device = Device::flex();
    let refused = |model: &Pretrained, prompt: serde_json::Value| {
        let prompt = Prompt::from_json(&prompt.to_string(), published.folder.path()).unwrap();
        model.score(&prompt).unwrap_err().to_string()
    };

    let without = ModelSource { vision: None, ..source.clone() };
    let error = Pretrained::open(without, &device).unwrap_err().to_string();
    assert!(error.contains("--lm") && error.contains("--vision"), "{error}");

    let model = Pretrained::open(source, &device).unwrap();
    assert!(refused(&model, json!([{"text": "a"}])).contains("tokenizer.json"));
    assert!(refused(&model, json!({"token_ids": [400]})).contains("token 400"));
    assert!(
        refused(&model, json!({"token_ids": [18, 18]})).contains("0 images or videos for 2 image tokens")
    );
    assert!(refused(&model, json!({"token_ids": []})).contains("empty"));
    let context = model.network.lm().config().max_len;
    let error = refused(&model, json!({"token_ids": vec![1; context + 1]}));
    assert!(error.contains(&format!("{} tokens", context + 1)), "{error}");

    let path = published.folder.path().join("small.safetensors");
    write_pixels(&path, &[0.0; 12], 2);
    let error = refused(&model, json!({"token_ids": [18], "images": [path]}));
    assert!(error.contains("small.safetensors") && error.contains("[3, 8, 8]"), "{error}");

    // The language model alone reads text, and has no image token.
    let alone = Pretrained::open(lm.to_str().unwrap(), &device).unwrap();
    let error = refused(&alone, json!({"token_ids": [1, 2], "images": ["x.png"]}));
    assert!(error.contains("1 images or videos for 0 image tokens"), "{error}");
}
