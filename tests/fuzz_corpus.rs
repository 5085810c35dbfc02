//! The fuzz targets of `flamingo-data`, over their corpora: what was once found stays mended.

#[path = "../crates/flamingo-data/fuzz/src/lib.rs"]
mod targets;

use std::path::Path;

/// Runs `target` over every file of its corpus.
fn replay(name: &str, target: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates/flamingo-data/fuzz/corpus").join(name);
    let files: Vec<_> = folder.read_dir().unwrap().map(|file| file.unwrap().path()).collect();
    assert!(files.len() > 3, "{} has {} files", folder.display(), files.len());
    for file in files {
        target(&std::fs::read(file).unwrap());
    }
}

#[test]
fn tar_grouping() {
    replay("tar_grouping", targets::tar_grouping);
}

#[test]
fn json_members() {
    replay("json_members", targets::json_members);
}

#[test]
fn html() {
    replay("html", targets::html);
}

#[test]
fn pictures() {
    replay("pictures", targets::pictures);
}
