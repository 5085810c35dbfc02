//! [`ShardRecords`]: which members form records, what a flaw costs, and skipping.

use tar::EntryType;

use super::*;
use crate::fixtures::tar_bytes;

#[test]
fn a_flaw_costs_its_record_only() {
    let link = header("link.png", EntryType::Symlink, 0).as_bytes().to_vec();
    // A hard link may state its target's size, and has no contents all the same.
    let hard = header("hard.png", EntryType::Link, 5000).as_bytes().to_vec();
    let bytes = archive(&[
        file("a.png"),
        file("a.txt"),
        file("twice.png"),
        file("twice.PNG"),
        file("../up.png"),
        file("../up.txt"),
        file("/root.png"),
        link,
        file("link.txt"),
        hard,
        member("sparse.png", EntryType::GNUSparse, &[1; 700]),
        file("z.png"),
    ]);
    let items = items(bytes.clone());
    let expected = [
        "a",
        "twice: duplicate-field",
        "../up: unsafe-name",
        "/root: unsafe-name",
        "link: missing",
        "hard: missing",
        "sparse: missing",
        "z",
    ];
    assert_eq!(outline(&items), expected);
    assert_eq!(items[0].as_ref().unwrap().fields["txt"], b"a.txt");
    assert_skips(&bytes);
}

#[test]
fn a_name_that_is_not_unicode_costs_its_record() {
    let mut odd = header("bad?.png", EntryType::Regular, 0);
    odd.as_gnu_mut().unwrap().name[3] = 0xff;
    odd.set_cksum();
    let bytes = archive(&[odd.as_bytes().to_vec(), file("good.png")]);
    assert_eq!(outline(&items(bytes)), ["bad\\xff: bad-text", "good"]);
}

#[test]
fn long_names_are_read_in_both_dialects() {
    let long = format!("{}/1.png", "folder".repeat(40));
    let gnu = tar_bytes(&[(&long, b"gnu"), ("z.png", b"")]);
    let line = format!(" path={long}\n");
    let line = format!("{}{line}", line.len() + 3);
    let pax = archive(&[member("x", EntryType::XHeader, line.as_bytes()), file("short.png"), file("z.png")]);
    for bytes in [gnu, pax] {
        assert_eq!(outline(&items(bytes.clone())), [long.strip_suffix(".png").unwrap(), "z"]);
        assert_skips(&bytes);
    }
}

#[test]
fn a_size_in_an_extended_header_counts() {
    let contents = [vec![7; 600], vec![0; 424]].concat();
    let mut bytes = member("x", EntryType::XHeader, b"12 size=600\n");
    bytes.extend(header("a.png", EntryType::Regular, 0).as_bytes());
    bytes.extend(contents);
    let items = items(archive(&[bytes, file("b.png")]));
    assert_eq!(outline(&items), ["a", "b"]);
    assert_eq!(items[0].as_ref().unwrap().fields["png"], [7; 600]);
}

#[test]
fn what_is_no_file_is_passed_over() {
    let bytes = archive(&[
        member("global", EntryType::XGlobalHeader, b"19 comment=x.y.z.a\n"),
        header("pictures.d/", EntryType::Directory, 0).as_bytes().to_vec(),
        file("__meta__/a.json"),
        file("._a.png"),
        file("a.png"),
    ]);
    assert_eq!(outline(&items(bytes)), ["a"]);
}

#[test]
fn limits_hold_for_fields_and_for_records() {
    let big = member("big.bin", EntryType::Regular, &[1; 3000]);
    let three = [file("many.1"), file("many.2"), file("many.3")].concat();
    let wide = [
        member("wide.1", EntryType::Regular, &[1; 900]),
        member("wide.2", EntryType::Regular, &[1; 900]),
        member("wide.3", EntryType::Regular, &[1; 300]),
    ];
    let bytes = archive(&[
        file("a.png"),
        big,
        three,
        wide[..2].concat(),
        file("b.png"),
        wide.concat(),
        file("c.png"),
    ]);
    let limits = Limits { field: 1000, record: 2000, fields: 2 };
    let found = outline(&items_within(bytes.clone(), limits));
    let expected = ["a", "big: too-large", "many: too-large", "wide", "b", "wide: too-large", "c"];
    assert_eq!(found, expected);
    let limits = Limits { fields: 3, ..limits };
    assert_eq!(outline(&items_within(bytes, limits))[5], "wide: too-large");
}

#[test]
fn cut_shards_give_what_is_whole_and_one_reject() {
    let bytes = archive(&[file("a.png"), file("a.txt"), file("b.png"), file("c.png")]);
    for (length, expected) in [
        (bytes.len(), &["a", "b", "c"][..]),
        (4 * 1024 - 1, &["a", "b", "c: truncated-shard"]),
        // Between records, nobody knows whether `b` had more fields.
        (3 * 1024, &["a", "b: truncated-shard"]),
        (3 * 1024 - 500, &["a", "b: truncated-shard"]),
        (1024 + 100, &["a: truncated-shard"]),
        (0, &["entry 0 (counted from 0): truncated-shard"]),
    ] {
        assert_eq!(outline(&items(bytes[..length].to_vec())), expected, "{length}");
        assert_skips(&bytes[..length]);
    }
}

#[test]
fn what_follows_the_end_is_reported() {
    let one = archive(&[file("a.png")]);
    let two = [one.clone(), archive(&[file("b.png")])].concat();
    assert_eq!(outline(&items(two.clone())), ["a", "entry 1 (counted from 0): corrupt-shard"]);
    assert_skips(&two);
    let padded = [one, vec![0; 100_000]].concat();
    assert_eq!(outline(&items(padded)), ["a"]);
}
