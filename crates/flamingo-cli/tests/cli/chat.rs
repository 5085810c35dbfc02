//! Conversations through a pipe, with a tiny model that was never trained: what it says makes no sense, and is the same
//! each time.

use std::fs::File;
use std::path::Path;

use super::tiny::folder;
use super::*;

/// Answers to lines, and what was told beside them.
struct Told {
    answers: String,
    notes: String,
    code: Option<i32>,
}

fn chat(folder: &Path, args: &[&str], lines: &str) -> Told {
    let input = folder.join("lines");
    std::fs::write(&input, lines).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_flamingo"))
        .current_dir(folder)
        .args(["chat", "--model", "model", "--max-new-tokens", "4"])
        .args(args)
        .stdin(File::open(&input).unwrap())
        .output()
        .unwrap();
    let [answers, notes] = [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap());
    Told { answers, notes, code: output.status.code() }
}

#[test]
fn what_is_taken_back_changes_nothing() {
    let folder = folder();
    let chat = |lines: &str| {
        let told = chat(folder.path(), &[], lines);
        assert_eq!(told.code, Some(0), "{}", told.notes);
        told.answers
    };
    let first = chat("a cat\n");
    assert!(first.ends_with('\n'));
    assert_eq!(chat("a cat\n/undo\na cat"), first.repeat(2));
    let three = chat("a cat\nand a dog\n/reset\na cat\n/quit\nnever said\n");
    assert!(three.starts_with(&first) && three.ends_with(&first), "{three:?}");
    let two = chat("a cat\nand a dog\n");
    assert_eq!(three, two.clone() + &first);
    let second = two.strip_prefix(&first).unwrap();
    let undone = chat("a cat\nmore\n/undo\nand a dog\n");
    assert!(undone.starts_with(&first) && undone.ends_with(second), "{undone:?}");
    assert_eq!(chat("\n\n/help\n/undo\n"), "");
}

#[test]
fn images_go_with_the_next_message() {
    let folder = folder();
    let told =
        chat(folder.path(), &[], "/image two.png\n/image two.png\nthe same twice\n/undo\n/image 'two.png'\n");
    assert_eq!(told.code, Some(0), "{}", told.notes);
    assert_eq!(told.notes.matches("two.png is attached").count(), 3, "{}", told.notes);
    assert!(told.notes.contains("has no messages"), "{}", told.notes);
    // The second answer: to an image alone, which is sent at the end of the input.
    assert!(told.answers.lines().count() >= 2, "{:?}", told.answers);
    // What is attached is taken back first.
    let told = chat(folder.path(), &[], "/image two.png\n/undo\n\n");
    assert_eq!((told.code, told.answers.as_str()), (Some(0), ""), "{}", told.notes);
    // The file may go: it was read when it was attached.
    let clip =
        chat(folder.path(), &["--dialogue", "--preamble", "Two speak."], "/video two.png\nwhat moves?\n");
    assert_eq!(clip.code, Some(0), "{}", clip.notes);
}

#[test]
fn what_cannot_be_is_told_in_a_line_and_the_rest_goes_on() {
    let folder = folder();
    let first = chat(folder.path(), &[], "a cat\n").answers;
    for (line, part, code) in [
        ("/image nowhere.png", "nowhere.png", 3),
        ("/image broken.png", "broken.png", 3),
        ("/video broken.png", "broken.png", 3),
        ("/imgae two.png", "did you mean \"/image\"?", 2),
        ("/image", "/image PATH", 2),
    ] {
        let told = chat(folder.path(), &[], &format!("{line}\na cat\n"));
        assert_eq!((told.code, &told.answers), (Some(code), &first), "{}", told.notes);
        assert!(told.notes.starts_with("error: ") && told.notes.contains(part), "{}", told.notes);
        let lines = told.notes.lines().filter(|line| line.contains("error")).count();
        assert_eq!(lines, 2, "when it came, and at the end: {}", told.notes);
    }
}

#[test]
fn a_conversation_that_is_too_long_can_begin_anew() {
    let folder = folder();
    let long = "word ".repeat(80);
    let told = chat(folder.path(), &[], &format!("/image two.png\n{long}\n/reset\na cat\n"));
    assert_eq!(told.code, Some(3), "{}", told.notes);
    for part in ["tokens, and the model reads 128", "/reset"] {
        assert!(told.notes.contains(part), "{}", told.notes);
    }
    // Its image is still attached.
    let with_image = chat(folder.path(), &[], "/image two.png\na cat\n").answers;
    assert_eq!(told.answers, with_image);
    let told = chat(folder.path(), &["--allow-long"], &long);
    assert_eq!(told.code, Some(0), "{}", told.notes);
}
