//! The command as a person meets it: what it prints, and with which code it ends when something is wrong.

mod ask;
mod chat;
mod data_interleave;
mod data_stream;
mod doctor;
mod eval_run;
mod eval_score;
mod eval_suite;
mod runs;
mod tiny;

use std::path::Path;
use std::process::{Command, Output};

const WORKSPACE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");

fn flamingo(folder: &Path, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_flamingo")).current_dir(folder).args(args).output().unwrap()
}

/// Runs in an empty folder, where it must fail with `code`, say all of `parts`, and leave nothing behind.
fn fails(args: &[&str], code: i32, parts: &[&str]) {
    let dir = tempfile::tempdir().unwrap();
    let output = flamingo(dir.path(), args);
    let message = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(code), "{message}");
    for part in parts {
        assert!(message.contains(part), "{part:?} is not in: {message}");
    }
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0, "something was left behind");
}

#[test]
fn inspect_prints_eighty_billion_parameters_at_once() {
    let output = flamingo(Path::new(WORKSPACE), &["inspect", "--preset", "80b"]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success());
    for part in ["Perceiver Resampler", "before layers 0, 7, … 77", "435,286,116", "79.0 B"] {
        assert!(text.contains(part), "{text}");
    }
}

#[test]
fn an_unknown_setting_names_the_nearest() {
    let set = "flamingo.train.stesp=3";
    fails(&["train", "--set", set], 2, &["unknown key `flamingo.train.stesp`", "did you mean \"steps\"?"]);
}

#[test]
fn an_unknown_preset_names_the_nearest() {
    fails(&["inspect", "--preset", "nanno"], 2, &["unknown preset \"nanno\"", "\"nano\""]);
}

#[test]
fn what_exists_is_not_overwritten() {
    fails(&["convert", "some.gguf", "."], 2, &["exists already", "--force"]);
}

#[test]
fn a_device_that_is_not_there_says_how_to_add_it() {
    fails(&["train", "--device", "rocm"], 2, &["no rocm backend", "--features flamingo-cli/rocm"]);
    fails(&["train", "--device", "gpu"], 2, &["unknown device \"gpu\""]);
    fails(&["train", "--device", "flex,flex"], 2, &["no collective operations", "microbatches"]);
}

#[test]
fn a_dashboard_without_a_terminal_is_refused() {
    fails(&["train", "--progress", "dashboard"], 2, &["needs a terminal", "plain"]);
    fails(&["train", "--progress", "bar"], 2, &["none of auto, dashboard, plain, none"]);
}

#[test]
fn missing_data_is_named() {
    fails(&["train"], 3, &["datasets/emoji"]);
}

#[test]
fn a_damaged_shard_is_named_and_nothing_is_written() {
    let dir = tempfile::tempdir().unwrap();
    let emoji = dir.path().join("datasets/emoji");
    std::fs::create_dir_all(&emoji).unwrap();
    let shard = std::fs::read(Path::new(WORKSPACE).join("datasets/emoji/noto-000000.tar.gz")).unwrap();
    std::fs::write(emoji.join("noto-000000.tar.gz"), &shard[..shard.len() / 2]).unwrap();
    let output = flamingo(dir.path(), &["train", "--set", "data.folders=['datasets/emoji']"]);
    let message = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(3), "{message}");
    assert!(message.contains("noto-000000.tar.gz"), "{message}");
    assert!(!dir.path().join("runs").exists());
}

#[test]
fn a_folder_that_is_no_model_is_named() {
    let parts = ["nowhere", "no path that exists", "owner/name"];
    fails(&["caption", "--model", "nowhere", "x.png"], 4, &parts);
}

#[test]
fn wrong_prompts_and_options_are_named() {
    fails(&["score", "--prompt", "nowhere.json"], 3, &["nowhere.json"]);
    fails(&["classify", "--labels", "cat", "x.png"], 2, &["two labels"]);
}
