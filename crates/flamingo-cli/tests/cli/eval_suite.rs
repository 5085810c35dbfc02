//! `flamingo eval --suite fetchable` on small sets of the same form as the prepared ones, and a model that knows nothing.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Cursor;
use std::path::Path;

use image::codecs::gif::GifEncoder;
use image::{Frame, ImageFormat, Rgba, RgbaImage};
use serde_json::{Value, json};

use super::tiny::folder;
use super::{fails, flamingo};

type Entries = Vec<(String, Vec<u8>)>;

fn shard(path: &Path, entries: &Entries) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let mut archive = tar::Builder::new(File::create(path).unwrap());
    for (name, bytes) in entries {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        archive.append_data(&mut header, name, &bytes[..]).unwrap();
    }
    archive.finish().unwrap();
}

fn picture(seed: usize) -> RgbaImage {
    RgbaImage::from_fn(12, 12, |x, y| {
        Rgba([(seed * 37 % 256) as u8, (x * 20) as u8, (y as usize * seed % 256) as u8, 255])
    })
}

fn record(key: &str, seed: usize, description: &Value) -> Entries {
    let mut png = Cursor::new(Vec::new());
    picture(seed).write_to(&mut png, ImageFormat::Png).unwrap();
    let json = description.to_string().into_bytes();
    vec![(format!("{key}.png"), png.into_inner()), (format!("{key}.json"), json)]
}

fn clip(key: &str, seed: usize, description: &Value) -> Entries {
    let mut gif = Vec::new();
    let frames = (0..3).map(|frame| Frame::new(picture(seed + frame)));
    GifEncoder::new(&mut gif).encode_frames(frames).unwrap();
    vec![(format!("{key}.gif"), gif), (format!("{key}.json"), description.to_string().into_bytes())]
}

/// The sets of the suite, a few records each.
fn sets(folder: &Path) {
    let concept = |style: &str, index: usize, split: &str| {
        let description = json!({
            "concept": format!("c{index}"), "style": style, "name": format!("thing {index}"), "keywords": [],
            "group": "things", "subgroup": "all", "split": split,
        });
        record(&format!("{style}-{index}"), index * 3 + style.len(), &description)
    };
    let drawn = |styles: &[&str]| -> Entries {
        let splits = |index: usize, style: &str| match (index, style) {
            (0..24, _) => "heldout_concepts",
            (24..48, "noto") => "heldout_images",
            _ => "train",
        };
        let each = |style: &&str| {
            let style = (*style).to_owned();
            (0..60).flat_map(move |index| concept(&style, index, splits(index, &style)))
        };
        styles.iter().flat_map(each).collect()
    };
    shard(&folder.join("emoji-160/noto-000000.tar"), &drawn(&["noto", "fluent-flat"]));
    shard(&folder.join("openmoji-160/openmoji-000000.tar"), &drawn(&["openmoji"]));
    shard(&folder.join("emoji-more-160/fxemoji-000000.tar"), &drawn(&["fxemoji"]));

    let photo = |index: usize| {
        let (group, file, title) = match index % 2 {
            0 => ("categorization", "x/tools/a.webp", "Hammer"),
            _ => ("explore_farm_animals", "x/animals/b.webp", "Cow"),
        };
        record(&format!("p{index}"), index, &json!({"group": group, "file": file, "captions": [title]}))
    };
    shard(&folder.join("photos/evaluation-000000.tar"), &(0..30).flat_map(photo).collect());

    let stamp = |index: usize| {
        let group = ["animals", "food", "town"][index % 3];
        record(&format!("s{index}"), index, &json!({"group": group, "file": "a", "captions": ["A."]}))
    };
    shard(&folder.join("stamps/train-000000.tar"), &(0..20).flat_map(stamp).collect());
    shard(&folder.join("stamps/heldout-000000.tar"), &(20..32).flat_map(stamp).collect());

    let question = |index: usize| {
        let answer = ["yes", "no", "red"][index % 3];
        let pair = json!({"question": "is there a circle?", "answer": answer});
        record(&format!("q{index}"), index, &json!({"questions": [pair]}))
    };
    shard(&folder.join("easy-vqa/questions-train-000000.tar"), &(0..20).flat_map(question).collect());
    shard(&folder.join("easy-vqa/questions-test-000000.tar"), &(20..32).flat_map(question).collect());

    let video = |index: usize| clip(&format!("v{index}"), index, &json!({"name": format!("Clip {index}")}));
    shard(&folder.join("emoji-video/train-000000.tar"), &(0..20).flat_map(video).collect());
    shard(&folder.join("emoji-video/heldout_concepts-000000.tar"), &(20..30).flat_map(video).collect());
}

#[test]
fn every_task_is_asked_under_every_control() {
    let folder = folder();
    sets(&folder.path().join("sets"));
    let args = "eval --suite fetchable --model model --sets sets --out out --seeds 1,2 --trials 6 --queries 6 --controls 3 \
                --block 3 --device flex";
    let run = || flamingo(folder.path(), &args.split_whitespace().collect::<Vec<_>>());
    let output = run();
    let (table, log) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{log}");

    let read = || fs::read_to_string(folder.path().join("out/eval.json")).unwrap();
    let json = read();
    let figures: Vec<Value> = serde_json::from_str(&json).unwrap();
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for figure in &figures {
        let number = |key: &str| figure[key].as_f64().unwrap();
        assert!(number("low") <= number("score") && number("score") <= number("high"), "{figure}");
        let n = if figure["control"] == "images" { 6.0 } else { 3.0 };
        assert_eq!(number("n"), n, "{figure}");
        *counts.entry(figure["task"].as_str().unwrap()).or_default() += 1;
    }
    // Three numbers of examples, four ways to ask, two seeds.
    assert_eq!(counts.len(), 9, "{counts:?}");
    assert!(counts.values().all(|count| *count == 24), "{counts:?}");
    let chance =
        |task: &str| figures.iter().find(|it| it["task"] == task).unwrap()["chance"].as_f64().unwrap();
    assert_eq!(
        [chance("binding-5-way"), chance("naming-concepts"), chance("video-naming")],
        [0.2, 0.05, 0.1]
    );
    assert!(table.contains("binding-2-way") && table.contains("text-only"), "{table}");
    assert!(fs::read_to_string(folder.path().join("out/eval.html")).unwrap().matches("<svg").count() == 9);

    assert!(run().status.success());
    assert_eq!(read(), json, "the same seeds give the same figures");

    // What is there already is not asked again.
    let of_one = |figures: &[Value]| -> Vec<Value> {
        figures.iter().filter(|it| it["task"] == "questions").cloned().collect()
    };
    let others: Vec<&Value> = figures.iter().filter(|it| it["task"] != "questions").collect();
    fs::write(folder.path().join("out/eval.json"), serde_json::to_string(&others).unwrap()).unwrap();
    let again = flamingo(folder.path(), &[args, "--resume"].join(" ").split_whitespace().collect::<Vec<_>>());
    let log = String::from_utf8_lossy(&again.stderr);
    assert!(again.status.success(), "{log}");
    assert!(log.contains("questions") && !log.contains("binding"), "{log}");
    let whole: Vec<Value> = serde_json::from_str(&read()).unwrap();
    assert_eq!((whole.len(), of_one(&whole)), (figures.len(), of_one(&figures)));

    let other = args.replace("--model model", "--model another") + " --resume";
    let refused = flamingo(folder.path(), &other.split_whitespace().collect::<Vec<_>>());
    assert!(String::from_utf8_lossy(&refused.stderr).contains("the figures of model"), "{refused:?}");
}

#[test]
fn wrong_names_are_refused_before_anything_is_read() {
    fails(&["eval", "--suite", "fetchable", "--tasks", "namin-concepts"], 2, &["naming-concepts"]);
    fails(&["eval", "--suite", "fetchable", "--trials", "0"], 2, &["trials = 0"]);
    fails(&["eval"], 2, &["--suite fetchable"]);
}

#[test]
fn a_set_that_is_missing_is_named_with_its_command() {
    let folder = folder();
    let args = "eval --suite fetchable --model model --sets nowhere --device flex";
    let output = flamingo(folder.path(), &args.split_whitespace().collect::<Vec<_>>());
    assert_eq!(output.status.code(), Some(3));
    let message = String::from_utf8(output.stderr).unwrap();
    assert!(message.contains("cargo xtask data prepare emoji --side 160"), "{message}");
}
