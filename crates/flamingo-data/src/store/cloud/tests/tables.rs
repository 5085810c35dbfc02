//! Tables whose rows, images or clips are behind URLs.

use serde_json::{Value, json};

use super::*;
use crate::source::testing::{outcomes, spec};
use crate::source::{SourceSpec, Unread};

/// A source of one table behind a URL.
fn remote(format: &str, url: &str, options: Value) -> SourceSpec {
    SourceSpec { paths: vec![url.to_owned()], ..spec(format, "".as_ref(), options) }
}

/// The files of a small site: `(path, contents)`. Anything else is not there.
fn site(files: Vec<(&'static str, Vec<u8>)>) -> Server {
    Server::new(move |request: &Request, _| {
        let path = request.path.split('?').next().unwrap_or_default();
        match files.iter().find(|(name, _)| *name == path) {
            Some((_, bytes)) => Reply::file(bytes, request),
            None => Reply::status("404 Not Found"),
        }
    })
}

/// What is said about the bad rows of the first table.
fn complaints(spec: &SourceSpec) -> Vec<String> {
    let source = spec.open(&store(&[])).unwrap();
    source
        .open(0, 0)
        .unwrap()
        .filter_map(|row| row.and_then(Unread::read).err())
        .map(|it| it.to_string())
        .collect()
}

#[test]
fn images_of_a_table_are_downloaded() {
    let server = site(vec![("/cow.jpg", vec![1; 5]), ("/big.jpg", vec![2; 50]), ("/empty.jpg", vec![])]);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.csv");
    std::fs::write(folder.path().join("here.jpg"), [3; 7]).unwrap();
    let address = &server.address;
    let rows = [
        format!("{address}/cow.jpg,a cow"),
        format!("{address}/cow.jpg?sig=5ec2e7,signed"),
        format!("{address}/none.jpg?sig=5ec2e7,gone"),
        format!("{address}/big.jpg,large"),
        format!("{address}/empty.jpg,empty"),
        "here.jpg,beside the table".to_owned(),
        "ftp://host/a.jpg,of another kind".to_owned(),
    ];
    std::fs::write(&path, format!("url,caption\n{}\n", rows.join("\n"))).unwrap();
    let options = json!({"download": true, "max_file_bytes": 20});
    let expected = [
        "0: [5] a cow",
        "1: [5] signed",
        "2: missing",
        "3: too-large",
        "4: [0] empty",
        "5: [7] beside the table",
        "6: missing",
    ];
    assert_eq!(outcomes(&spec("table", &path, options.clone())), expected);
    let said = complaints(&spec("table", &path, options));
    assert!(said[0].contains("404") && said[0].contains("/none.jpg?sig=…"), "{}", said[0]);
    assert!(said.iter().all(|what| !what.contains("5ec2e7")), "{said:?}");
    assert!(
        server.requests().iter().any(|request| request.path == "/cow.jpg?sig=5ec2e7"),
        "asked for as it is"
    );

    let asked = server.requests().len();
    let refused = outcomes(&spec("table", &path, json!({"max_file_bytes": 20})));
    assert_eq!(refused.iter().filter(|row| row.ends_with(": missing")).count(), 6, "{refused:?}");
    assert_eq!(server.requests().len(), asked, "nothing is fetched unless that is wanted");
}

#[test]
fn clips_of_a_table_are_downloaded() {
    let server = site(vec![("/farm.mp4", vec![1; 9])]);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.jsonl");
    let row =
        json!({"video": format!("{}/farm.mp4", server.address), "start": 1.5, "end": 3, "caption": "pigs"});
    std::fs::write(&path, row.to_string()).unwrap();
    assert_eq!(outcomes(&spec("video-table", &path, json!({"download": true}))), ["0: {9@1.5-3} pigs"]);
}

#[test]
fn a_table_may_be_behind_a_signed_url() {
    let table = b"image,text\nnone.jpg,x\n".to_vec();
    let server = site(vec![("/t.csv", table)]);
    let options = json!({"folder": "/nowhere"});
    let spec = remote("table", &format!("{}/t.csv?sig=5ec2e7", server.address), options);
    let said = complaints(&spec);
    assert_eq!(said.len(), 1);
    assert!(said[0].contains("/t.csv?sig=…, 0") && !said[0].contains("5ec2e7"), "{}", said[0]);
    assert_eq!(server.requests()[0].path, "/t.csv?sig=5ec2e7");
}

#[cfg(feature = "parquet")]
mod parquet {
    use super::*;
    use crate::source::rows::fixture::{Column, write};

    const SCHEMA: &str = "message schema { optional binary image; optional binary text (UTF8); }";

    /// Three groups of rows, 250 kB each.
    fn table() -> Vec<u8> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("t.parquet");
        let images: Vec<Vec<u8>> = (0..3).map(|n| contents()[n * 250_000..][..250_000].to_vec()).collect();
        let texts = ["zero", "one", "two"];
        let groups: Vec<_> = images
            .iter()
            .zip(texts)
            .map(|(image, text)| {
                vec![
                    Column::flat(1, &[Some(image), None]),
                    Column::flat(1, &[Some(text.as_bytes()), Some(b"?")]),
                ]
            })
            .collect();
        write(&path, SCHEMA, &groups);
        std::fs::read(path).unwrap()
    }

    const EXPECTED: [&str; 6] =
        ["0: [250000] zero", "1: missing", "2: [250000] one", "3: missing", "4: [250000] two", "5: missing"];

    #[test]
    fn it_is_read_from_anywhere() {
        let whole = table();
        for knows_ranges in [true, false] {
            let bytes = whole.clone();
            let server = Server::new(move |request: &Request, number| {
                let reply = if knows_ranges { Reply::file(&bytes, request) } else { Reply::ok(&bytes) };
                // The first transfer breaks off, and goes on where it broke.
                if number == 0 { reply.breaking_off(300_000) } else { reply }
            });
            let spec = remote("table", &format!("{}/t.parquet?sig=5ec2e7", server.address), json!({}));
            let rows = |skip| -> Vec<String> {
                let source = spec.open(&store(&[])).unwrap();
                let rows = source.open(0, skip).unwrap();
                rows.map(|row| match row.and_then(Unread::read) {
                    Ok(sample) => format!("{}: [{}] {:?}", sample.key, sample.media[0].len(), sample.content),
                    Err(reject) => format!("{}: {}", reject.record, reject.reason),
                })
                .map(|line| line.replace("Pair([\"", "").replace("\"])", ""))
                .collect()
            };
            for skip in [0, 1, 3, 6] {
                assert_eq!(rows(skip), EXPECTED[skip..], "from row {skip} on");
            }
            if knows_ranges {
                assert_eq!(server.requests()[1].range, Some(300_000));
            }
        }
    }

    #[test]
    fn what_goes_wrong_is_one_reject() {
        let whole = table();
        let cut = whole[..whole.len() / 2].to_vec();
        let server = site(vec![("/cut.parquet", cut), ("/empty.parquet", Vec::new())]);
        let reject = |name: &str| {
            let spec = remote("table", &format!("{}/{name}?sig=5ec2e7", server.address), json!({}));
            spec.open(&store(&[])).unwrap().open(0, 0).err().unwrap()
        };
        for (name, reason) in [
            ("cut.parquet", Reason::CorruptShard),
            ("empty.parquet", Reason::CorruptShard),
            ("none.parquet", Reason::UnreadableShard),
        ] {
            let reject = reject(name);
            assert_eq!(reject.reason, reason, "{reject}");
            assert_eq!(reject.shard, format!("{}/{name}?sig=…", server.address));
        }
    }
}
