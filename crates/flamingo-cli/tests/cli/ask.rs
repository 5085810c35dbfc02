//! The verbs that ask a model once: what they print, as text and as JSON.

use std::path::Path;

use serde_json::Value;

use super::tiny::folder;
use super::*;

/// What a verb prints about the model in `folder`.
fn printed(folder: &Path, args: &[&str]) -> String {
    let output = flamingo(folder, &[&args[..1], &["--model", "model"], &args[1..]].concat());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn json(folder: &Path, args: &[&str]) -> Value {
    serde_json::from_str(&printed(folder, args)).unwrap()
}

#[test]
fn a_score_adds_up() {
    let folder = folder();
    let prompt = r#"[{"image": "two.png"}, {"text": "a red cat"}, {"eoc": true}]"#;
    std::fs::write(folder.path().join("prompt.json"), prompt).unwrap();
    let score = json(folder.path(), &["score", "--prompt", "prompt.json", "--json"]);
    let logprobs = score["logprobs"].as_array().unwrap();
    assert!(logprobs[0].is_null());
    let sum: f64 = logprobs[1..].iter().map(|logprob| logprob.as_f64().unwrap()).sum();
    assert!((sum - score["sum"].as_f64().unwrap()).abs() < 1e-9);
    assert_eq!(score["tokens"].as_array().unwrap().len(), logprobs.len());
    assert_eq!((&score["pieces"][0], &score["pieces"][1]), (&"<BOS>".into(), &"<image>".into()));
}

#[test]
fn a_stream_prints_what_the_whole_does() {
    let folder = folder();
    let generate = |flag: &[&str]| {
        printed(folder.path(), &[&["generate", "--max-new-tokens", "6"], flag, &["a red"]].concat())
    };
    let text = generate(&[]);
    assert_eq!(generate(&["--stream"]), text);
    let whole: Value = serde_json::from_str(&generate(&["--json"])).unwrap();
    assert_eq!(whole["text"].as_str().unwrap(), text.strip_suffix('\n').unwrap());
    assert!(whole["logprob"].as_f64().unwrap() < 0.0 && whole["timings"]["prefill_s"].is_f64());
}

#[test]
fn labels_have_scores_and_questions_answers() {
    let folder = folder();
    let classify = ["classify", "--labels", "red cat, blue dog", "two.png"];
    let line = printed(folder.path(), &classify);
    assert!(line.starts_with("two.png\t") && line.ends_with(" %\n"), "{line}");
    let list = json(folder.path(), &[&classify[..], &["--json"]].concat());
    let scores = list[0]["scores"].as_object().unwrap();
    let best = scores.iter().max_by(|a, b| a.1.as_f64().unwrap().total_cmp(&b.1.as_f64().unwrap())).unwrap();
    assert_eq!(list[0]["label"].as_str().unwrap(), best.0);

    let shots = r#"[{"image": "two.png", "question": "what is it?", "answer": "a red cat"}]"#;
    std::fs::write(folder.path().join("shots.json"), shots).unwrap();
    let ask =
        ["ask", "--image", "two.png", "--shots", "shots.json", "--max-new-tokens", "4", "what?", "--json"];
    let answer = json(folder.path(), &ask);
    assert!(answer["answer"].is_string());
    assert_eq!(answer["timings"]["new_images"], 1, "the example and the query have the same image");
}
