//! The committed data sets are what their manifests, their READMEs and the split function say. Offline.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use flamingo_recipes::emojibase::Concept;
use flamingo_recipes::recipe::verify;
use flamingo_recipes::split::{HELD_OUT, held_out, split_of};
use flate2::read::GzDecoder;
use serde::Deserialize;

const SETS: [&str; 2] = ["emoji", "openmoji"];
const STYLES: [&str; 2] = ["noto", "fluent-flat"];

/// `KEY.json`, read without the types that wrote it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Label {
    concept: String,
    emoji: String,
    style: String,
    name: String,
    keywords: Vec<String>,
    group: String,
    subgroup: String,
    split: String,
}

fn folder(set: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(set)
}

/// The files of all shards of a data set, by path inside the shard.
fn files(set: &str) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    for shard in verify(&folder(set)).unwrap().shards {
        let file = File::open(folder(set).join(&shard.file)).unwrap();
        for entry in tar::Archive::new(GzDecoder::new(file)).entries().unwrap() {
            let mut entry = entry.unwrap();
            let path = entry.path().unwrap().to_string_lossy().into_owned();
            let mut bytes = Vec::new();
            entry.read_to_end(&mut bytes).unwrap();
            assert!(files.insert(path.clone(), bytes).is_none(), "{path} twice in {set}");
        }
    }
    files
}

fn labels(set: &str) -> Vec<Label> {
    let json = |(path, bytes): (String, Vec<u8>)| path.ends_with(".json").then_some(bytes);
    files(set).into_iter().filter_map(json).map(|bytes| serde_json::from_slice(&bytes).unwrap()).collect()
}

fn copy_of(set: &str) -> tempfile::TempDir {
    let copy = tempfile::tempdir().unwrap();
    for file in verify(&folder(set)).unwrap().shards.into_iter().map(|shard| shard.file) {
        fs::copy(folder(set).join(&file), copy.path().join(&file)).unwrap();
    }
    fs::copy(folder(set).join("manifest.json"), copy.path().join("manifest.json")).unwrap();
    copy
}

#[test]
fn manifests_count_what_is_there() {
    for set in SETS {
        let manifest = verify(&folder(set)).unwrap();
        let labels = labels(set);
        let count = |key: fn(&Label) -> &str| {
            labels.iter().fold(BTreeMap::<String, usize>::new(), |mut counts, label| {
                *counts.entry(key(label).to_owned()).or_default() += 1;
                counts
            })
        };
        assert_eq!(count(|label| &label.split), manifest.splits, "{set}");
        assert_eq!(count(|label| &label.style), manifest.styles, "{set}");
        assert_eq!(count(|label| &label.group), manifest.groups, "{set}");
    }
}

#[test]
fn every_shard_on_disk_is_in_the_manifest_and_small_enough() {
    let limits = [("emoji", 8_000_000), ("openmoji", 4_000_000)];
    for (set, limit) in limits {
        let listed: BTreeSet<String> =
            verify(&folder(set)).unwrap().shards.into_iter().map(|s| s.file).collect();
        let entries = || fs::read_dir(folder(set)).unwrap().map(Result::unwrap);
        let names = entries().map(|entry| entry.file_name().to_string_lossy().into_owned());
        assert_eq!(names.filter(|name| name.ends_with(".tar.gz")).collect::<BTreeSet<_>>(), listed);
        let bytes: u64 = entries().map(|entry| entry.metadata().unwrap().len()).sum();
        assert!(bytes <= limit, "{set} has {bytes} bytes");
    }
}

#[test]
fn splits_are_those_of_the_split_function() {
    let emoji = labels("emoji");
    let concept = |label: &Label| Concept {
        code: label.concept.clone(),
        emoji: label.emoji.clone(),
        name: label.name.clone(),
        keywords: label.keywords.clone(),
        group: label.group.clone(),
        subgroup: label.subgroup.clone(),
    };
    let concepts: Vec<Concept> = emoji.iter().filter(|label| label.style == STYLES[0]).map(concept).collect();
    let roles = held_out(&concepts.iter().collect::<Vec<_>>(), STYLES);
    for label in emoji.iter().chain(&labels("openmoji")) {
        let split = serde_json::to_value(split_of(&roles, &label.concept, &label.style)).unwrap();
        assert_eq!(split, label.split.as_str(), "{} {}", label.style, label.name);
    }
}

#[test]
fn held_out_means_held_out() {
    let mut splits: BTreeMap<String, BTreeMap<String, String>> = BTreeMap::new();
    for label in labels("emoji").into_iter().chain(labels("openmoji")) {
        splits.entry(label.concept).or_default().insert(label.style, label.split);
    }
    let with = |split: &str| {
        let has = |styles: &&BTreeMap<String, String>| styles.values().any(|other| other == split);
        splits.values().filter(has).collect::<Vec<_>>()
    };
    let concepts = with("heldout_concepts");
    assert_eq!(concepts.len(), HELD_OUT);
    assert!(concepts.iter().all(|styles| styles.values().all(|split| split == "heldout_concepts")));
    let images = with("heldout_images");
    assert_eq!(images.len(), HELD_OUT);
    for styles in images {
        // One style of the emoji set stays in training, so the concept is known without OpenMoji.
        let trained = STYLES.iter().filter(|style| styles[**style] == "train").count();
        assert_eq!(trained, 1, "{styles:?}");
    }
}

#[test]
fn names_tell_concepts_apart() {
    let mut codes = BTreeMap::new();
    for label in labels("emoji").into_iter().chain(labels("openmoji")) {
        assert_eq!(label.name, label.name.to_lowercase());
        assert!(
            !label.keywords.is_empty() && !label.emoji.is_empty() && !label.subgroup.is_empty(),
            "{label:?}"
        );
        let code = codes.entry(label.name.clone()).or_insert(label.concept.clone());
        assert_eq!(*code, label.concept, "two concepts are named {}", label.name);
    }
}

#[test]
fn every_record_has_a_picture_of_64_pixels_with_a_background_that_can_vary() {
    for set in SETS {
        let files = files(set);
        let mut pictures = 0;
        for (path, bytes) in files.iter().filter(|(path, _)| path.ends_with(".png")) {
            let picture = image::load_from_memory(bytes).unwrap().to_rgba8();
            assert_eq!(picture.dimensions(), (64, 64), "{path}");
            assert!(picture.pixels().any(|pixel| pixel.0[3] > 0), "{path} is empty");
            assert!(files.contains_key(&path.replace(".png", ".json")), "{path} has no label");
            pictures += 1;
        }
        assert_eq!(2 * pictures, files.len(), "{set}");
    }
}

#[test]
fn a_changed_shard_is_named() {
    let copy = copy_of("openmoji");
    let shard = copy.path().join("openmoji-000000.tar.gz");
    let mut bytes = fs::read(&shard).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&shard, bytes).unwrap();
    let error = format!("{:#}", verify(copy.path()).unwrap_err());
    assert!(error.contains("openmoji-000000.tar.gz") && error.contains("SHA-256"), "{error}");
}

#[test]
fn a_missing_shard_is_named() {
    let copy = copy_of("openmoji");
    fs::remove_file(copy.path().join("openmoji-000000.tar.gz")).unwrap();
    let error = format!("{:#}", verify(copy.path()).unwrap_err());
    assert!(error.contains("openmoji-000000.tar.gz"), "{error}");
}
