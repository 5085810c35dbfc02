//! English answers against open_flamingo, nltk, inflection and pywsd, with the small WordNet and tagger of
//! `parity/english.py`.

use std::collections::BTreeMap;
use std::path::PathBuf;

use flamingo_eval::task::language::{Language, singular, stem, words};
use flamingo_eval::task::{PromptStyle, registry};
use flamingo_testkit::Origin;
use serde::Deserialize;

#[derive(Deserialize)]
struct File {
    part: String,
    reference: String,
    words: BTreeMap<String, Vec<String>>,
    tags: Vec<(String, String)>,
    singular: BTreeMap<String, String>,
    stem: BTreeMap<String, String>,
    okvqa: BTreeMap<String, String>,
    base: BTreeMap<String, Vec<String>>,
    captions: BTreeMap<String, String>,
    answers: BTreeMap<String, String>,
}

fn fixtures() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fixtures")
}

fn read() -> (File, Origin, Language) {
    let text = std::fs::read_to_string(fixtures().join("english.json")).unwrap();
    let file: File = serde_json::from_str(&text).unwrap();
    let origin = Origin::new("english", |key| match key {
        "part" => Some(file.part.clone()),
        "reference" => Some(file.reference.clone()),
        _ => None,
    });
    let folder = fixtures().join("english");
    (file, origin, Language::open(&folder.join("dict"), &folder.join("tagger")).unwrap())
}

/// Compares what is made of every text.
fn each<T: PartialEq + std::fmt::Debug + Clone>(
    origin: &Origin,
    key: &str,
    expected: &BTreeMap<String, T>,
    made: impl Fn(&str) -> T,
) {
    assert!(expected.len() > 100, "{key}");
    for (text, expected) in expected {
        // Shown if the test fails: the last one is where.
        println!("{key}: {text:?}");
        origin.assert_equal(key, &[made(text)], std::slice::from_ref(expected));
    }
}

#[test]
fn words_and_their_forms_are_those_of_nltk_and_inflection() {
    let (file, origin, language) = read();
    each(&origin, "words", &file.words, words);
    each(&origin, "singular", &file.singular, singular);
    each(&origin, "stem", &file.stem, stem);
    let tags: BTreeMap<String, String> = file.tags.into_iter().collect();
    each(&origin, "tags", &tags, |text| {
        let words: Vec<String> = text.split_whitespace().map(str::to_owned).collect();
        language.tags(&words).join(" ")
    });
}

#[test]
fn answers_are_cut_as_open_flamingo_and_pywsd_do() {
    let (file, origin, language) = read();
    let style = PromptStyle::OpenFlamingo;
    let [captions, answers, okvqa] = ["coco", "vqav2", "okvqa"].map(|name| registry::find(name).unwrap());
    each(&origin, "captions", &file.captions, |text| captions.clean(style, text));
    each(&origin, "answers", &file.answers, |text| answers.clean(style, text));
    each(&origin, "okvqa", &file.okvqa, |text| language.stem_answer(&okvqa.clean(style, text)));
    each(&origin, "base", &file.base, |text| language.base_words(text));
}
