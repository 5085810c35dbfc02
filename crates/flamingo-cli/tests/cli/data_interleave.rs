//! `flamingo data interleave`, as a person meets it.

use std::fs;

use super::{fails, flamingo};

#[test]
fn pages_become_documents() {
    let folder = tempfile::tempdir().unwrap();
    let pages = folder.path().join("pages");
    fs::create_dir(&pages).unwrap();
    let picture = image::RgbaImage::from_fn(80, 80, |x, y| image::Rgba([x as u8 * 3, y as u8 * 3, 0, 255]));
    picture.save(pages.join("owl.png")).unwrap();
    fs::write(pages.join("owls.html"), "<p>An owl: <img src=owl.png> it sees well.").unwrap();
    fs::write(pages.join("mice.html"), "<p>No mouse in sight.").unwrap();
    let output = flamingo(
        folder.path(),
        &["data", "interleave", "--html", "pages", "--out", "made", "--compress", "gz"],
    );
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    for part in ["1 in 1 shards", "1 no-images", "1 of 1", "rejects            0"] {
        assert!(text.contains(part), "{part:?} is not in: {text}");
    }
    for file in ["documents-000000.tar.gz", "report.json", "rejects.jsonl"] {
        assert!(folder.path().join("made").join(file).is_file(), "{file}");
    }
}

#[test]
fn a_folder_without_pages_is_told() {
    fails(&["data", "interleave", "--html", ".", "--out", "made"], 3, &[".html", ".xhtml"]);
    let klingon = ["data", "interleave", "--html", ".", "--out", "made", "--language", "klingon"];
    fails(&klingon, 2, &["klingon", "en or eng"]);
}
