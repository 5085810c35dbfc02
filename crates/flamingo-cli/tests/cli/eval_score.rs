//! `flamingo eval score`, as a person meets it.

use std::fs;
use std::path::Path;

use super::{fails, flamingo};

/// Two images as COCO has them, and two questions as VQA has them; answers of VizWiz are not numbered.
fn write(folder: &Path) {
    let file = |name: &str, text: &str| fs::write(folder.join(name), text).unwrap();
    file(
        "captions.json",
        r#"{"info": {}, "images": [{"id": 9}, {"id": 7}], "annotations": [
            {"id": 1, "image_id": 9, "caption": "A dog's running, in the park."}, {"id": 2, "image_id": 9, "caption": "dog"},
            {"id": 3, "image_id": 7, "caption": "Two cats sleep."}]}"#,
    );
    file(
        "results.json",
        r#"[{"image_id": 7, "caption": "two cats sleep"}, {"image_id": 9, "caption": "a horse"}]"#,
    );
    let answer =
        |number: u32| format!(r#"{{"answer": "Yes.", "answer_confidence": "yes", "answer_id": {number}}}"#);
    let answers = (1..=10).map(answer).collect::<Vec<_>>().join(",");
    let numbered = format!(r#"{{"question_id": 5, "image_id": 1, "answers": [{answers}]}}"#);
    let plain = r#"{"answer": "no", "answer_confidence": "yes"}"#;
    let plain = format!(r#"{{"question_id": 6, "image_id": 1, "answers": [{plain}, {plain}]}}"#);
    file("answers.json", &format!(r#"{{"annotations": [{numbered}, {plain}]}}"#));
    file("answered.json", r#"[{"question_id": 5, "answer": "yes"}, {"question_id": 6, "answer": "no"}]"#);
    file("labels.json", r#"{"a": 1, "b": 0, "c": 1, "d": 0}"#);
    file("scores.json", r#"{"a": 0.9, "b": 0.1, "c": 0.3, "d": 0.3}"#);
}

fn score(folder: &Path, args: &[&str]) -> (i32, String, String) {
    let output = flamingo(folder, &[&["eval", "score"], args].concat());
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

#[test]
fn official_files_are_scored() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path());
    let captions = ["--metric", "cider", "--refs", "captions.json", "--preds", "results.json"];
    let (code, text, error) =
        score(folder.path(), &[&captions[..], &["--json", "--per-example", "each.jsonl"]].concat());
    assert_eq!((code, error.as_str()), (0, ""));
    let report: serde_json::Value = serde_json::from_str(&text).unwrap();
    // Word for word the only reference but for the stop, of three words: three of four sizes are 1.
    assert!((report["score"].as_f64().unwrap() - (7.5 + 0.0) / 2.0).abs() < 0.2, "{text}");
    assert_eq!(report["examples"], 2);
    let each = fs::read_to_string(folder.path().join("each.jsonl")).unwrap();
    let first: serde_json::Value = serde_json::from_str(each.lines().next().unwrap()).unwrap();
    assert!((first["score"].as_f64().unwrap() - 7.5).abs() < 1e-9 && first["id"] == "7", "{each}");
    assert_eq!(each.lines().count(), 2);

    let answers = ["--metric", "vqa", "--refs", "answers.json", "--preds", "answered.json"];
    // The second question's answers are equal in all, and are left out together.
    let (_, text, _) = score(folder.path(), &answers);
    assert!(text.starts_with("vqa 50.00, 95 % between 0.00 and 100.00, 2 examples"), "{text}");
    let labels = ["--metric", "roc-auc", "--refs", "labels.json", "--preds", "scores.json"];
    assert!(score(folder.path(), &labels).1.starts_with("roc-auc 87.50"));

    let file = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
    file(
        "people.json",
        r#"{"a": ["pan", "pan", "pot", "lid", "oil"], "b": ["pan", "pot", "lid", "oil", "egg"]}"#,
    );
    file("said.json", r#"{"a": "pan", "b": "egg"}"#);
    // Two of five said it, then one.
    let people = ["--metric", "ivqa", "--refs", "people.json", "--preds", "said.json"];
    assert!(score(folder.path(), &people).1.starts_with("ivqa 75.00"));
    file("classes.json", r#"{"a": 0, "b": 5}"#);
    file("ranked.json", r#"{"a": [0.9, 0.8, 0.7, 0.6, 0.5, 0.4], "b": [0.9, 0.8, 0.7, 0.6, 0.5, 0.55]}"#);
    // First of all, then fifth.
    let ranked = ["--metric", "top-1-and-5", "--refs", "classes.json", "--preds", "ranked.json"];
    assert!(score(folder.path(), &ranked).1.starts_with("top-1-and-5 75.00"));
}

#[test]
fn what_is_missing_is_named() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path());
    fs::write(folder.path().join("one.json"), r#"{"9": "a dog"}"#).unwrap();
    let args = ["--metric", "bleu-4", "--refs", "captions.json", "--preds", "one.json"];
    let (code, _, error) = score(folder.path(), &args);
    assert_eq!(code, 3);
    assert!(
        error.contains("1 of 2 references have no prediction: \"7\"") && error.contains("--subset"),
        "{error}"
    );
    let (code, text, _) = score(folder.path(), &[&args[..], &["--subset"]].concat());
    assert!(code == 0 && text.contains("1 references left out"), "{text}");
    let odd = r#"[{"image_id": 7, "caption": 3}]"#;
    fs::write(folder.path().join("odd.json"), odd).unwrap();
    let args = ["--metric", "cider", "--refs", "captions.json", "--preds", "odd.json"];
    let (code, _, error) = score(folder.path(), &args);
    assert!(code == 3 && error.contains("odd.json: [0].caption: 3: a text was expected"), "{error}");
}

#[test]
fn wrong_usage_is_told() {
    let with = |metric| ["eval", "score", "--metric", metric, "--refs", "r.json", "--preds", "p.json"];
    fails(&with("cidr"), 2, &["unknown metric \"cidr\"", "did you mean \"cider\"?"]);
    fails(&with("cider"), 3, &["cannot read r.json"]);
    fails(&with("wups"), 2, &["WordNet", "--wordnet", "wordnet-base"]);
}
