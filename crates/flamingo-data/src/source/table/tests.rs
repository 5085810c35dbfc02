//! What comes out of tables, good and bad.

use std::io::Write;
use std::path::PathBuf;

use serde_json::{Value, json};
use tempfile::TempDir;

use super::*;
use crate::source::testing::{outcomes, spec};

/// A folder with a table and three files: 1, 2 and 3 bytes long.
fn folder(name: &str, table: &[u8]) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("sub")).unwrap();
    for (file, bytes) in [("cow.jpg", "1"), ("sub/pig.png", "22"), ("run.mp4", "333")] {
        std::fs::write(folder.path().join(file), bytes).unwrap();
    }
    let path = folder.path().join(name);
    std::fs::write(&path, table).unwrap();
    (folder, path)
}

fn read(name: &str, table: &[u8], options: Value) -> Vec<String> {
    let (_folder, path) = folder(name, table);
    outcomes(&spec("table", &path, options))
}

#[test]
fn all_layouts_say_the_same() {
    let expected = ["0: [1] a cow, grazing", "1: [2] two\npigs"];
    let csv = b"id,file_name,caption\n7,cow.jpg,\"a cow, grazing\"\n8,sub/pig.png,\"two\npigs\"\n";
    let tsv = b"\xef\xbb\xbffile_name\tcaption\r\ncow.jpg\ta cow, grazing\r\nsub/pig.png\t\"two\npigs\"\r\n";
    let lines = concat!(
        "{\"file_name\": \"cow.jpg\", \"caption\": \" a cow, grazing \"}\n\n",
        "{\"caption\": [\"two\\npigs\", \"\"], \"url\": null, \"path\": \"sub/pig.png\"}"
    );
    let list = r#"{"info": {}, "images": [
        {"filename": "cow.jpg", "sentences": [{"raw": "a cow, grazing", "tokens": ["a"]}]},
        {"filename": "sub/pig.png", "sentences": [{"raw": "two\npigs"}]}]}"#;
    assert_eq!(read("t.csv", csv, json!({})), expected);
    assert_eq!(read("t.tsv", tsv, json!({})), expected);
    assert_eq!(read("t.jsonl", lines.as_bytes(), json!({})), expected);
    assert_eq!(read("t.json", list.as_bytes(), json!({})), expected);
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packed.write_all(csv).unwrap();
    assert_eq!(read("t.csv.gz", &packed.finish().unwrap(), json!({})), expected);
    let utf16 = std::str::from_utf8(csv).unwrap().encode_utf16().flat_map(u16::to_le_bytes);
    let utf16: Vec<u8> = [0xff, 0xfe].into_iter().chain(utf16).collect();
    assert_eq!(read("t.csv", &utf16, json!({})), expected);
}

#[test]
fn columns_are_chosen_by_name() {
    let csv = b"image,where,de,en\nnone.jpg,cow.jpg,eine Kuh,a cow\n";
    let options = json!({"media": "where", "captions": ["en", "de", "fr"]});
    assert_eq!(read("t.csv", csv, options), ["0: [1] a cow|eine Kuh"]);
    assert_eq!(read("t.csv", csv, json!({"media": "where"})), ["0: missing"]);
}

#[test]
fn the_folder_may_be_another() {
    let (files, _) = folder("t.csv", b"");
    let (_other, path) = folder("t.csv", b"path,text\npig.png,two pigs\n");
    let options = json!({"folder": files.path().join("sub")});
    assert_eq!(outcomes(&spec("table", &path, options)), ["0: [2] two pigs"]);
}

#[test]
fn rows_may_differ_in_encoding() {
    let csv = "image,caption\ncow.jpg,Kühe auf der Weide\n".as_bytes();
    let latin = [csv, b"cow.jpg,K\xfche auf der gr\xfcnen Weide\n"].concat();
    let expected = ["0: [1] Kühe auf der Weide", "1: [1] Kühe auf der grünen Weide"];
    assert_eq!(read("t.csv", &latin, json!({})), expected);
    let cyrillic = [csv, b"cow.jpg,\xea\xee\xf0\xee\xe2\xe0\n"].concat();
    let read_as = read("t.csv", &cyrillic, json!({"encoding": "windows-1251"}));
    assert_eq!(read_as, [expected[0], "1: [1] корова"]);
}

#[test]
fn bad_rows_are_rejected_one_by_one() {
    let lines = concat!(
        "{\"image\": \"../cow.jpg\", \"text\": \"x\"}\n",
        "{\"image\": \"/etc/passwd\", \"text\": \"x\"}\n",
        "{\"image\": \"none.jpg\", \"text\": \"x\"}\n",
        "{\"image\": \"https://example.org/cow.jpg\", \"text\": \"x\"}\n",
        "{\"image\": \"cow.jpg\", \"text\": \" \"}\n",
        "{\"image\": \"cow.jpg\", \"text\": 7}\n",
        "{\"image\": \"cow.jpg\"}\n",
        "{\"text\": \"x\"}\n",
        "{\"image\": 7, \"text\": \"x\"}\n",
        "not json\n",
        "[1]\n",
        "{\"image\": \"run.mp4\", \"text\": \"over the limit\"}\n",
        "{\"image\": \"cow.jpg\", \"text\": \"good\"}\n",
    );
    let expected = [
        "unsafe-name",
        "unsafe-name",
        "missing",
        "missing",
        "empty",
        "bad-description",
        "missing",
        "missing",
        "bad-description",
        "bad-description",
        "bad-description",
        "too-large",
        "[1] good",
    ];
    let expected: Vec<String> =
        expected.iter().enumerate().map(|(row, what)| format!("{row}: {what}")).collect();
    assert_eq!(read("t.jsonl", lines.as_bytes(), json!({"max_file_bytes": 2})), expected);

    let csv = b"image,caption\ncow.jpg\ncow.jpg,a,b\ncow.jpg,\0\ncow.jpg,good\n";
    let expected = ["0: bad-description", "1: bad-description", "2: bad-text", "3: [1] good"];
    assert_eq!(read("t.csv", csv, json!({})), expected);
}

#[test]
fn bad_tables_are_rejected_as_a_whole() {
    for (name, table, expected) in [
        ("t.json", &b"{\"rows\": 1}"[..], "the table: corrupt-shard"),
        ("t.json", b"[", "the table: corrupt-shard"),
        ("t.txt", b"", "the table: unreadable-shard"),
        ("t.parquet", b"PAR1 no table PAR1", "the table: corrupt-shard"),
        ("t.csv", b"a\0,b\n1,2\n", "the first row: corrupt-shard"),
    ] {
        assert_eq!(read(name, table, json!({})), [expected], "{name}");
    }
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packed.write_all(b"image,caption\ncow.jpg,good\n").unwrap();
    let mut bytes = packed.finish().unwrap();
    bytes.truncate(bytes.len() - 6);
    assert_eq!(read("t.csv.gz", &bytes, json!({})).last().unwrap(), "1: truncated-shard");
}

/// As Hugging Face's `datasets` writes images: a structure of bytes and path.
#[cfg(feature = "parquet")]
#[test]
fn parquet_may_hold_the_images() {
    use crate::source::rows::fixture::{Column, write};

    let schema = "message schema {
        optional group image { optional binary bytes; optional binary path (UTF8); }
        optional binary text (UTF8);
        optional binary other;
    }";
    let group = |images: &[Option<&[u8]>], paths: &[Option<&[u8]>], texts: &[Option<&[u8]>]| {
        let none = vec![None; images.len()];
        vec![Column::flat(2, images), Column::flat(2, paths), Column::flat(1, texts), Column::flat(1, &none)]
    };
    let (_folder, path) = folder("t.parquet", b"");
    let groups = [
        group(&[Some(b"12345"), None], &[Some(b"a.png"), Some(b"cow.jpg")], &[Some(b"five"), Some(b"one")]),
        group(&[None], &[None], &[Some(b"nothing")]),
        group(&[Some(b"1"), Some(b"22")], &[None, None], &[None, Some("zwei Kühe".as_bytes())]),
    ];
    write(&path, schema, &groups);
    let expected = ["0: [5] five", "1: [1] one", "2: missing", "3: missing", "4: [2] zwei Kühe"];
    assert_eq!(outcomes(&spec("table", &path, json!({}))), expected);

    let whole = std::fs::read(&path).unwrap();
    for length in [whole.len() - 1, whole.len() / 2, 4, 0] {
        std::fs::write(&path, &whole[..length]).unwrap();
        assert_eq!(
            outcomes(&spec("table", &path, json!({}))),
            ["the table: corrupt-shard"],
            "{length} bytes"
        );
    }
}

#[test]
fn clips_stay_in_their_files() {
    let table =
        b"{\"video\": \"run.mp4\", \"caption\": \"runs\"}\n{\"video\": \"no.mp4\", \"caption\": \"x\"}\n";
    let (_folder, path) = folder("t.jsonl", table);
    assert_eq!(outcomes(&spec("video-table", &path, json!({}))), ["0: {run.mp4} runs", "1: missing"]);
}

#[test]
fn options_are_checked() {
    for (options, expected) in [
        (json!({"caption": "x"}), "did you mean \"captions\""),
        (json!({"encoding": "latin-nought"}), "windows-1252"),
        (json!({"begin": "from"}), "unknown key `begin`"),
        (json!({"start": "from", "whole": true}), "choose one"),
    ] {
        let error =
            spec("video-table", "x".as_ref(), options).open(&Store::default()).err().unwrap().to_string();
        assert!(error.contains(expected), "{error}");
    }
    for options in [json!({"start": "from"}), json!({"end": "to"}), json!({"whole": true})] {
        let error = spec("table", "x".as_ref(), options).open(&Store::default()).err().unwrap().to_string();
        assert!(error.contains("video-table"), "{error}");
    }
}

#[test]
fn clips_may_be_parts_of_longer_videos() {
    let csv = b"video,start,end,caption\nrun.mp4,12,20.5,a\nrun.mp4,1:02.5,1:01:10,b\nrun.mp4, ,7,c\n\
        run.mp4,7,,d\nrun.mp4,,,e\n";
    let (_folder, path) = folder("t.csv", csv);
    let clips = |options| outcomes(&spec("video-table", &path, options));
    let expected = [
        "0: {run.mp4@12-20.5} a",
        "1: {run.mp4@62.5-3670} b",
        "2: {run.mp4@0-7} c",
        "3: {run.mp4@7-} d",
        "4: {run.mp4} e",
    ];
    assert_eq!(clips(json!({})), expected);
    let whole: Vec<String> = ["a", "b", "c", "d", "e"]
        .iter()
        .enumerate()
        .map(|(row, text)| format!("{row}: {{run.mp4}} {text}"))
        .collect();
    assert_eq!(clips(json!({"whole": true})), whole);
    assert_eq!(clips(json!({"start": "from", "end": "to"})), whole, "other columns");

    let lines = concat!(
        "{\"video\": \"run.mp4\", \"from\": 1.25, \"end\": 2, \"caption\": \"a\"}\n",
        "{\"video\": \"run.mp4\", \"from\": null, \"end\": \"0:03\", \"caption\": \"b\"}\n",
    );
    let (_folder, path) = folder("t.jsonl", lines.as_bytes());
    let parts = outcomes(&spec("video-table", &path, json!({"start": "from"})));
    assert_eq!(parts, ["0: {run.mp4@1.25-2} a", "1: {run.mp4@0-3} b"]);
}

#[test]
fn bad_times_are_rejected_one_by_one() {
    let times = [
        r#""start": -1"#,
        r#""start": "NaN""#,
        r#""start": "inf""#,
        r#""start": 5, "end": 5"#,
        r#""start": 5, "end": 4.9"#,
        r#""end": 0"#,
        r#""start": "soon""#,
        r#""start": "1:75""#,
        r#""start": "1:2:3:4""#,
        r#""start": "-1:30""#,
        r#""start": "1.5:30""#,
        r#""start": [1, 2]"#,
        r#""start": true, "end": {"at": 2}"#,
    ];
    let row = |times: &str| format!("{{\"video\": \"run.mp4\", \"caption\": \"x\", {times}}}\n");
    let table: String = times.iter().copied().chain([r#""start": 1"#]).map(row).collect();
    let (_folder, path) = folder("t.jsonl", table.as_bytes());
    let spec = spec("video-table", &path, json!({}));
    let outcomes = outcomes(&spec);
    for (row, times) in times.iter().enumerate() {
        assert_eq!(outcomes[row], format!("{row}: bad-description"), "{times}");
    }
    assert_eq!(outcomes[times.len()], format!("{}: {{run.mp4@1-}} x", times.len()));

    let source = spec.open(&Store::default()).unwrap();
    let rows: Vec<String> = source
        .open(0, 0)
        .unwrap()
        .filter_map(|row| row.and_then(super::super::Unread::read).err())
        .map(|reject| reject.what)
        .collect();
    assert!(
        rows[4].contains("\"start\" and \"end\"") && rows[4].contains("from 5 s to 4.9 s"),
        "{}",
        rows[4]
    );
    assert!(rows[6].contains("\"start\"") && rows[6].contains("clock time"), "{}", rows[6]);
}
