//! [`ShardReader`]: the first trouble is an error that names shard and place.

use std::path::Path;

use super::super::*;
use crate::DataError;
use crate::fixtures::{tar_bytes, write_shard};

fn read_all(path: &Path) -> Result<Vec<Record>, DataError> {
    ShardReader::open(path)?.collect()
}

#[test]
fn neighbours_with_one_key_form_a_record() {
    let files: [(&str, &[u8]); 6] = [
        ("./a/1.png", b"P"),
        ("./a/1.json", b"J"),
        ("README", b"no dot"),
        (".hidden", b"no key"),
        ("a/2.seg.png", &[7; 1000]),
        ("b/1.png", b""),
    ];
    let folder = tempfile::tempdir().unwrap();
    for name in ["s.tar", "s.tar.gz"] {
        let path = write_shard(folder.path(), name, &files);
        let records = read_all(&path).unwrap();
        let keys: Vec<&str> = records.iter().map(|record| record.key.as_str()).collect();
        assert_eq!(keys, ["a/1", "a/2", "b/1"], "{name}");
        assert_eq!(records[0].field("json").unwrap(), b"J");
        assert_eq!(records[1].field("seg.png").unwrap(), [7; 1000]);
        let error = records[2].field("json").unwrap_err().to_string();
        assert!(error.contains("b/1") && error.contains("json"), "{error}");
    }
}

#[test]
fn a_shard_that_is_not_there_is_named() {
    let error = ShardReader::open("no/such/c.tar").err().unwrap().to_string();
    assert!(error.contains("c.tar") && error.contains("check the path"), "{error}");
}

#[test]
fn a_duplicate_field_is_corrupt() {
    let folder = tempfile::tempdir().unwrap();
    let path = write_shard(folder.path(), "s.tar", &[("a.png", b"1"), ("a.png", b"2"), ("b.png", b"3")]);
    let mut reader = ShardReader::open(&path).unwrap();
    let error = reader.next().unwrap().unwrap_err().to_string();
    assert!(error.contains("s.tar") && error.contains("a:") && error.contains("png"), "{error}");
    assert!(reader.next().is_none(), "nothing follows an error");
}

#[test]
fn truncated_shards_name_the_file_and_the_entry() {
    let folder = tempfile::tempdir().unwrap();
    let files: [(&str, &[u8]); 2] = [("a.png", &[1; 600]), ("b.png", &[2; 600])];
    let bytes = tar_bytes(&files);
    // Header and contents of `a.png` take 512 + 1024 bytes.
    for (length, place) in [(1536 + 512 + 100, "b: field \"png\""), (1536 + 100, "a:"), (200, "entry 0")] {
        let path = folder.path().join("cut.tar");
        std::fs::write(&path, &bytes[..length]).unwrap();
        let error = read_all(&path).unwrap_err().to_string();
        assert!(error.contains("cut.tar") && error.contains(place), "{length}: {error}");
    }
    let whole = std::fs::read(write_shard(folder.path(), "cut.tar.gz", &files)).unwrap();
    let path = folder.path().join("cut.tar.gz");
    std::fs::write(&path, &whole[..whole.len() - 12]).unwrap();
    assert!(matches!(read_all(&path), Err(DataError::CorruptShard { .. })));
}

#[test]
fn a_flipped_bit_in_a_compressed_shard_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let path = write_shard(folder.path(), "s.tar.gz", &[("a.txt", b"some text that is long enough")]);
    let mut bytes = std::fs::read(&path).unwrap();
    let checksum = bytes.len() - 6;
    bytes[checksum] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    assert!(matches!(read_all(&path), Err(DataError::CorruptShard { .. })));
}

#[test]
fn what_is_no_archive_is_an_error_not_an_empty_shard() {
    let folder = tempfile::tempdir().unwrap();
    for (name, contents) in [("s.tar", "no archive at all ".repeat(100)), ("s.tar.gz", String::new())] {
        let path = folder.path().join(name);
        std::fs::write(&path, contents).unwrap();
        assert!(matches!(read_all(&path), Err(DataError::CorruptShard { .. })), "{name}");
    }
}
