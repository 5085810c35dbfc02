//! Patterns, folders and files on this machine.

use super::*;

/// A folder with files of these names.
fn folder(names: &[&str]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for name in names {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, name).unwrap();
    }
    folder
}

/// The names that `patterns` give, below `folder`.
fn names(folder: &Path, list: Result<Vec<Location>, DataError>) -> Vec<String> {
    let relative = |location: &Location| {
        let path = location.path().unwrap().strip_prefix(folder).unwrap();
        path.to_string_lossy().replace('\\', "/")
    };
    list.unwrap().iter().map(relative).collect()
}

#[test]
fn patterns_are_expanded_in_their_order() {
    let dir = folder(&["b-01.tar", "b-02.tar", "b-10.tar", "a[1].tar", "deep/er/c.tar"]);
    let list = |patterns: &[&str]| {
        let patterns: Vec<String> =
            patterns.iter().map(|it| format!("{}/{it}", dir.path().display())).collect();
        names(dir.path(), Store::default().list(&patterns))
    };
    assert_eq!(list(&["b-{02..01}.tar"]), ["b-02.tar", "b-01.tar"]);
    assert_eq!(list(&["deep/**/*.tar", "b-?2.tar"]), ["deep/er/c.tar", "b-02.tar"]);
    assert_eq!(list(&["b-*.tar"]), ["b-01.tar", "b-02.tar", "b-10.tar"]);
    assert_eq!(list(&["b-[01]?.tar"]), ["b-01.tar", "b-02.tar", "b-10.tar"]);
    assert_eq!(list(&["a[1].tar"]), ["a[1].tar"], "a name is taken as it is if there is such a file");
    assert_eq!(list(&["deep"]), ["deep"]);
}

#[test]
fn what_is_missing_is_named_with_what_is_like_it() {
    let dir = folder(&["train/shard-000.tar", "train/shard-001.tar", "train/notes.txt"]);
    let hint = |pattern: &str| {
        let pattern = format!("{}/{pattern}", dir.path().display());
        Store::default().shards(&[pattern]).unwrap_err().to_string()
    };
    assert!(
        hint("train/shard-{000..002}.tar").contains("did you mean"),
        "{}",
        hint("train/shard-{000..002}.tar")
    );
    assert!(hint("trian/shard-000.tar").contains("did you mean"));
    assert!(hint("train/notes.txt/x.tar").contains("is a file, not a folder"));
    assert!(hint("train/*.zip").contains("notes.txt, shard-000.tar"));
    assert!(hint("tests/*.tar").contains("there is no \"tests\""));
    assert!(hint("train/[").contains("check the pattern"));
    assert!(hint("train/{1..9999999}").contains("more than 1000000"));
}

#[test]
fn a_folder_stands_for_its_shards() {
    let dir =
        folder(&["b.tar", "a.tar.gz", "c.tar.zst", "d.tgz", "notes.txt", "none/x.txt", "sub.tar/x.txt"]);
    let text = |path: &str| format!("{}/{path}", dir.path().display());
    let found = names(dir.path(), Store::default().shards(&[text("")]));
    assert_eq!(found, ["a.tar.gz", "b.tar", "c.tar.zst", "d.tgz"]);
    let error = Store::default().shards(&[text("none")]).unwrap_err().to_string();
    assert!(error.contains("expected .tar") && error.contains("x.txt"), "{error}");
}

#[test]
fn files_are_read_from_any_byte_and_within_a_limit() {
    let dir = folder(&["some.txt"]);
    let location = Location::from(dir.path().join("some.txt").as_path());
    let store = Store::default();
    let mut text = String::new();
    store.open(&location, 5).unwrap().read_to_string(&mut text).unwrap();
    assert_eq!(text, "txt");
    assert_eq!(store.read(&location, 8).unwrap(), b"some.txt");
    assert_eq!(store.read(&location, 7).unwrap_err().kind(), ErrorKind::FileTooLarge);
    assert!(store.read(&Location::from(dir.path()), 7).is_err());
}
