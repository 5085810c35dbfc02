//! `flamingo eval run` and `flamingo eval tasks`, as a person meets them.

use std::path::Path;

use serde_json::Value;

use super::tiny::folder;
use super::*;

/// Memes that all show one picture.
fn memes(folder: &Path) {
    let line = |id: usize| format!(r#"{{"id":{id},"img":"img/two.png","label":{},"text":"a dog"}}"#, id % 2);
    let lines = |ids: std::ops::Range<usize>| ids.map(line).collect::<Vec<_>>().join("\n");
    std::fs::write(folder.join("train.jsonl"), lines(0..6)).unwrap();
    std::fs::write(folder.join("test.jsonl"), lines(10..14)).unwrap();
}

fn run(folder: &Path, more: &[&str]) -> Output {
    let files = ["--files", "train=train.jsonl", "queries=test.jsonl", "images=."];
    let args =
        ["eval", "run", "hateful-memes", "--model", "model", "--out", "r.json", "--allow-long", "--json"];
    flamingo(folder, &[&args[..], &files, more].concat())
}

fn json(path: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

#[test]
fn an_evaluation_leaves_scores_and_everything_that_decided_them() {
    let folder = folder();
    let folder = folder.path();
    memes(folder);
    let args = ["--shots", "0,2", "--trials", "2", "--ensemble", "2", "--predictions", "p.json"];
    let output = run(folder, &args);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let printed: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(printed["shots"][1]["trials"][1]["queries"], 4);
    assert!(printed["shots"][0]["mean"].is_f64() && printed["shots"][1]["trials"][0]["answers"].is_null());
    let result = json(&folder.join("r.json"));
    assert_eq!(result["shots"][1]["trials"][0]["answers"][0]["examples"].as_array().unwrap().len(), 2);
    let decided = &result["decided"];
    assert_eq!(
        (&decided["settings"]["seed"], &decided["files"][1]["name"]),
        (&42.into(), &"test.jsonl".into())
    );
    let sha256 = |value: &Value| value["sha256"].as_str().is_some_and(|digits| digits.len() == 64);
    assert!(sha256(&decided["files"][1]) && decided["model"]["files"].as_array().unwrap().iter().any(sha256));
    assert!(folder.join("p-2-shots-seed-43.json").is_file());

    // All is in the journal: the same again is the same, and something else is refused.
    std::fs::remove_file(folder.join("r.json")).unwrap();
    assert!(run(folder, &args).status.success());
    assert_eq!(json(&folder.join("r.json")), result);
    let output = run(folder, &["--shots", "0,2", "--trials", "2", "--ensemble", "3"]);
    let message = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(message.contains("settings.ensemble = 2, and now settings.ensemble = 3"), "{message}");
}

#[test]
fn what_does_not_fit_is_named() {
    let folder = folder();
    let folder = folder.path();
    memes(folder);
    for (more, part) in [
        (&["--beams", "3"][..], "beams = 3: must be left out with a close-ended task"),
        (&["--shots", "4,2"], "shots = [4, 2]"),
        (&["--files", "train"], "NAME=PATH was expected"),
        (&["--support", "some"], "32x"),
    ] {
        let output = run(folder, more);
        let message = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.code() == Some(2) && message.contains(part), "{message}");
    }
    assert!(!folder.join("r.json").exists() && !folder.join("r.json.journal.jsonl").exists());
}

#[test]
fn benchmarks_are_listed_with_their_files() {
    let output = flamingo(Path::new(WORKSPACE), &["eval", "tasks"]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("coco  COCO, cider") && text.contains("karpathy=dataset_coco.json"), "{text}");
    let output = flamingo(Path::new(WORKSPACE), &["eval", "tasks", "hateful-memes", "--json"]);
    let list: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&list[0]["metric"], &list[0]["files"][0]["name"]), (&"roc-auc".into(), &"train".into()));
    fails(&["eval", "tasks", "cocoa"], 2, &["did you mean \"coco\"?"]);
}
