//! What comes out of MMC4 documents, good and bad.

use std::fmt::Write;

use serde_json::{Value, json};

use super::*;
use crate::fixtures::write_shard;
use crate::source::testing::{outcomes, spec};

fn image(bytes: usize) -> Value {
    json!({"image_name": format!("{bytes}.jpg"), "image_base64": BASE64_STANDARD.encode(vec![7; bytes])})
}

fn read(documents: &[Value], options: Value) -> Vec<String> {
    let texts: Vec<String> = documents.iter().map(Value::to_string).collect();
    read_texts(&texts, options)
}

fn read_texts(documents: &[String], mut options: Value) -> Vec<String> {
    let options_map = options.as_object_mut().unwrap();
    options_map.entry("min_image_bytes").or_insert(json!(1));
    let names: Vec<String> = (0..documents.len()).map(|index| format!("{index}.json")).collect();
    let files: Vec<(&str, &[u8])> =
        names.iter().zip(documents).map(|(name, text)| (name.as_str(), text.as_bytes())).collect();
    let folder = tempfile::tempdir().unwrap();
    let shard = write_shard(folder.path(), "s.tar", &files);
    outcomes(&spec("mmc4", &shard, options))
}

/// Three images whose sentences are in another order: image 0 (1 byte) belongs to sentence 2, image 1 to 0.
fn crossed() -> Value {
    json!({
        "text_list": ["Zero.", " One. ", "Two.", "Three."],
        "similarity_matrix": [[0.3, 0.1, 0.5, 0.1], [0.4, 0.1, 0.3, 0.1], [0.1, 0.2, 0.45, 0.23]],
        "image_info": [image(1), image(2), image(3)],
    })
}

#[test]
fn images_follow_their_sentences() {
    // Alone, images 0 and 2 would both want sentence 2.
    let document = [crossed()];
    let expected = "0: [2]Zero. One.[1]Two. Three. tie=previous (filtered)";
    assert_eq!(read(&document, json!({})), [expected]);
    let all = json!({"min_similarity": 0.0});
    assert_eq!(read(&document, all), ["0: [2]Zero. One.[1]Two.[3]Three. tie=previous"]);
    let after = json!({"min_similarity": 0.0, "placement": "after"});
    assert_eq!(read(&document, after), ["0: Zero.[2]One. Two.[1]Three.[3] tie=next"]);
    let drawn = json!({"placement": "drawn", "max_images": 1});
    assert_eq!(read(&document, drawn), ["0: [2]Zero. One. Two. Three. (filtered)"]);
    let shared = json!({"assignment": "most-similar"});
    assert_eq!(read(&document, shared), ["0: [2]Zero. One.[1][3]Two. Three. tie=previous"]);
}

#[test]
fn small_images_take_no_sentence() {
    let options = json!({"min_similarity": 0.0, "min_image_bytes": 2});
    let expected = "0: [2]Zero. One.[3]Two. Three. tie=previous (filtered)";
    assert_eq!(read(&[crossed()], options), [expected]);
    let (mut small, mut large) = (crossed(), crossed());
    small["image_info"][1] = image(10_999);
    large["image_info"][1] = image(11_000);
    let shard = read(&[small, large], json!({"min_image_bytes": Options::default().min_image_bytes}));
    assert_eq!(shard[0], "0: filtered");
    assert!(shard[1].starts_with("1: [11000]Zero."), "{}", shard[1]);
}

#[test]
fn there_may_be_more_images_than_sentences() {
    let document = json!({
        "text_list": ["Only."],
        "similarity_matrix": [[0.3], [0.5], [0.4]],
        "image_info": [image(1), image(2), image(3)],
    });
    assert_eq!(read(&[document], json!({})), ["0: [2]Only. tie=previous (filtered)"]);
    let none = json!({"text_list": ["Only."], "similarity_matrix": [], "image_info": []});
    assert_eq!(read(std::slice::from_ref(&none), json!({})), ["0: filtered"]);
    assert_eq!(read(&[none], json!({"min_images": 0})), ["0: Only. tie=previous"]);
}

#[test]
fn a_broken_image_costs_itself_only() {
    let mut document = crossed();
    document["image_info"][1]["image_base64"] = json!("not base64!");
    document["image_info"][2].as_object_mut().unwrap().remove("image_base64");
    let expected = "0: Zero. One.[1]Two. Three. tie=previous (bad-base64) (missing)";
    assert_eq!(read(std::slice::from_ref(&document), json!({})), [expected]);
    assert_eq!(read(&[document], json!({"min_images": 2})), ["0: bad-base64"]);
}

#[test]
fn wrong_shapes_are_rejected() {
    let with = |key: &str, value: Value| {
        let mut document = crossed();
        document[key] = value;
        document
    };
    let documents = [
        with("similarity_matrix", json!([[0.3, 0.1, 0.5, 0.1]])),
        with("similarity_matrix", json!([[0.3], [0.1], [0.2]])),
        with("similarity_matrix", json!([[null], [0.1], [0.2]])),
        with("similarity_matrix", json!("none")),
        with("text_list", Value::Null),
        json!([1, 2]),
        json!({"is_gpt": true, "example": "no map"}),
    ];
    let mut texts: Vec<String> = documents.iter().map(Value::to_string).collect();
    texts.push(crossed().to_string().replace("0.45", "NaN"));
    texts.push(crossed().to_string().replace("0.45", "1e999"));
    texts.push("{\"text_list\": [\"cut".to_owned());
    let expected: Vec<String> = (0..texts.len()).map(|index| format!("{index}: bad-description")).collect();
    assert_eq!(read_texts(&texts, json!({})), expected);
}

#[test]
fn what_would_take_hours_is_too_large() {
    let row = vec![0; 2000];
    let document = json!({
        "text_list": vec![""; 2000],
        "similarity_matrix": vec![row; 2000],
        "image_info": vec![image(1); 2000],
    });
    assert_eq!(read(&[document], json!({})), ["0: too-large"]);
}

#[test]
fn written_pages_have_tags() {
    let tagged = |bytes: usize| json!({"base64_image": image(bytes)["image_base64"]});
    let mut example = String::from("See _!_IMAGE2_!_ a cow, _!_IMAGEx_!_ and _!_IMAGE1_!_ ");
    write!(example, "two pigs. _!_IMAGE7_!_ End.").unwrap();
    let document = json!({
        "is_gpt": true,
        "example": example,
        "image_map": {"_!_IMAGE1_!_": tagged(1), "_!_IMAGE2_!_": tagged(2)},
    });
    let shown = "0: See[2]a cow, _!_IMAGEx_!_ and[1]two pigs.  End. tie=previous (missing)";
    assert_eq!(read(std::slice::from_ref(&document), json!({})), [shown]);
    let one = read(&[document], json!({"max_images": 1}));
    assert_eq!(one, ["0: See[2]a cow, _!_IMAGEx_!_ and  two pigs.  End. tie=previous (missing) (filtered)"]);
}

#[test]
fn senseless_options_are_refused() {
    for (options, expected) in [
        (json!({"max_images": 1, "min_images": 2}), "max_images"),
        (json!({"assignment": "hungarian"}), "one-to-one"),
        (json!({"min_similarty": 0.3}), "did you mean \"min_similarity\""),
    ] {
        let error = spec("mmc4", "x".as_ref(), options).open(&Store::default()).err().unwrap().to_string();
        assert!(error.contains(expected), "{error}");
    }
}
