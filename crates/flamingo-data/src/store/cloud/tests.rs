//! Transfers from a server on this machine, which breaks off, refuses and stalls as it is told.

mod server;
mod tables;

use std::io::{ErrorKind, Read};
use std::time::{Duration, Instant};

use server::{Reply, Request, Server};

use crate::fixtures::tar_bytes;
use crate::reject::Reason;
use crate::store::{ByteStream, Location, Patience, Settings, Store};
use crate::webdataset::{Limits, ShardRecords};

/// More than is fetched ahead, and different everywhere.
fn contents() -> Vec<u8> {
    (0..6_000_000u32).map(|at| (at.wrapping_mul(2_654_435_761) >> 24) as u8).collect()
}

fn store(settings: &[(&str, &str)]) -> Store {
    let patience =
        Patience { silence: Duration::from_millis(300), attempts: 4, pause: Duration::from_millis(5) };
    let settings: Settings =
        settings.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    Store::new(patience, settings)
}

fn read(store: &Store, url: &str, offset: u64) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    store.open(&Location::from(url), offset)?.read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[test]
fn a_web_server_is_read_from_any_byte() {
    let whole = contents();
    for knows_ranges in [true, false] {
        let bytes = whole.clone();
        let server = Server::new(move |request: &Request, _| match knows_ranges {
            true => Reply::file(&bytes, request),
            false => Reply::ok(&bytes),
        });
        let url = format!("{}/a.bin?signature=secret", server.address);
        let store = store(&[]);
        assert!(read(&store, &url, 0).unwrap() == whole);
        assert!(read(&store, &url, 5_000_000).unwrap() == whole[5_000_000..]);
        assert_eq!(server.requests()[1].range, Some(5_000_000));
        let error = read(&store, &url, 7_000_000).unwrap_err().to_string();
        assert!(!error.contains("secret"), "{error}");
    }
}

#[test]
fn a_broken_transfer_goes_on_where_it_broke() {
    let whole = contents();
    let bytes = whole.clone();
    let server = Server::new(move |request: &Request, number| {
        let reply = Reply::file(&bytes, request);
        match number {
            0 | 1 => reply.breaking_off(2_000_000),
            2 => Reply::status("503 Service Unavailable"),
            3 => reply.stalling(100_000),
            _ => reply,
        }
    });
    assert!(read(&store(&[]), &format!("{}/a.bin", server.address), 0).unwrap() == whole);
    let ranges: Vec<_> = server.requests().iter().map(|request| request.range.unwrap_or(0)).collect();
    assert_eq!(ranges, [0, 2_000_000, 4_000_000, 4_000_000, 4_100_000]);
}

#[test]
fn refusals_and_endless_trouble_are_errors() {
    for (status, kind, requests) in [
        ("404 Not Found", ErrorKind::NotFound, 1),
        ("403 Forbidden", ErrorKind::PermissionDenied, 1),
        ("500 Internal Server Error", ErrorKind::ResourceBusy, 4),
        ("429 Too Many Requests", ErrorKind::ResourceBusy, 4),
    ] {
        let server = Server::new(move |_: &Request, _| Reply::status(status));
        let error = read(&store(&[]), &format!("{}/a.bin", server.address), 0).unwrap_err();
        assert_eq!((error.kind(), server.requests().len()), (kind, requests), "{error}");
        assert!(error.to_string().contains(&status[..3]), "{error}");
    }
    let server = Server::new(|request: &Request, _| Reply::file(&[7; 1000], request).stalling(10));
    let started = Instant::now();
    let error = read(&store(&[]), &format!("{}/a.bin", server.address), 0).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TimedOut, "{error}");
    assert!(started.elapsed() < Duration::from_secs(20));
    drop(server);
    // Nobody listens.
    let error = read(&store(&[]), "http://127.0.0.1:9/a.bin", 0).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionAborted, "{error}");
}

#[test]
fn a_file_that_changes_is_noticed() {
    let server = Server::new(|request: &Request, number| {
        let reply =
            Reply::file(&vec![number as u8; 2_000_000], request).header("etag", &format!("\"{number}\""));
        reply.breaking_off(600_000)
    });
    let error = read(&store(&[]), &format!("{}/a.bin", server.address), 0).unwrap_err().to_string();
    assert!(error.contains("replaced"), "{error}");
}

#[test]
fn a_reader_may_go_before_the_end() {
    let bytes = contents();
    let server = Server::new(move |request: &Request, _| Reply::file(&bytes, request));
    let mut stream = store(&[]).open(&Location::from(format!("{}/a.bin", server.address)), 0).unwrap();
    let mut few = [0; 10];
    stream.read_exact(&mut few).unwrap();
    drop(stream);
}

#[test]
fn a_shard_that_stays_broken_is_one_reject() {
    let shard = tar_bytes(&[("a.png", &[1; 600]), ("b.png", &[2; 600]), ("c.png", &[3; 600])]);
    let server = Server::new(move |request: &Request, number| match number {
        0 => Reply::file(&shard, request).breaking_off(3 * 1024),
        _ => Reply::status("404 Not Found"),
    });
    let location = Location::from(format!("{}/s.tar", server.address));
    let mut records = ShardRecords::open(&store(&[]), &location, Limits::default()).unwrap();
    assert_eq!(records.next().unwrap().unwrap().key, "a");
    let reject = records.next().unwrap().unwrap_err();
    assert_eq!(reject.reason, Reason::UnreadableShard, "{reject}");
    assert!(records.next().is_none());
    let reject = ShardRecords::open(&store(&[]), &location, Limits::default()).err().unwrap();
    assert!(reject.to_string().contains("404"), "{reject}");
}

/// As S3 answers, and Google Cloud Storage likewise through its XML interface.
fn bucket(request: &Request, keys: &[&str], bytes: &[u8]) -> Reply {
    let path = request.path.split('?').next().unwrap_or_default();
    // Google's client writes every other character so.
    let path = path.replace("%2F", "/").replace("%2D", "-").replace("%2E", ".");
    if path.trim_end_matches('/') == "/things" {
        let entry = |key: &&str| {
            format!(
                "<Contents><Key>{key}</Key><LastModified>2024-01-01T00:00:00.000Z</LastModified>\
                 <ETag>&quot;1&quot;</ETag><Size>{}</Size></Contents>",
                bytes.len()
            )
        };
        let entries: String = keys.iter().filter(|key| key.starts_with("web/")).map(entry).collect();
        let list = format!("<?xml version=\"1.0\"?><ListBucketResult>{entries}</ListBucketResult>");
        return Reply::ok(list.as_bytes());
    }
    match path.strip_prefix("/things/").filter(|key| keys.contains(key)) {
        Some(_) => Reply::file(bytes, request).header("last-modified", "Mon, 01 Jan 2024 00:00:00 GMT"),
        None => Reply::status("404 Not Found"),
    }
}

#[test]
fn buckets_are_listed_and_read() {
    let keys = ["web/b-1.tar", "web/b-0.tar", "web/notes.txt", "web/deep/b-2.tar"];
    let whole = contents();
    for scheme in ["s3", "gs"] {
        let bytes = whole.clone();
        let server = Server::new(move |request: &Request, number| match number {
            0 => Reply::status("503 Service Unavailable"),
            3 => bucket(request, &keys, &bytes).breaking_off(3_000_000),
            _ => bucket(request, &keys, &bytes),
        });
        let address = server.address.as_str();
        let store = match scheme {
            "s3" => store(&[
                ("aws_endpoint", address),
                ("aws_allow_http", "true"),
                ("aws_access_key_id", "key"),
                ("aws_secret_access_key", "secret"),
            ]),
            _ => store(&[("google_base_url", address), ("google_skip_signature", "true")]),
        };
        let list = |pattern: &str| {
            let found = store.shards(&[format!("{scheme}://things/{pattern}")]);
            found.map(|found| found.iter().map(|it| it.as_str()[16..].to_owned()).collect::<Vec<_>>())
        };
        assert_eq!(list("web/").unwrap(), ["b-0.tar", "b-1.tar"], "after one failure");
        assert_eq!(list("web/b-?.tar").unwrap(), ["b-0.tar", "b-1.tar"]);
        assert!(
            read(&store, &format!("{scheme}://things/web/b-0.tar"), 1_000_000).unwrap() == whole[1_000_000..]
        );
        assert_eq!(server.requests()[4].range, Some(4_000_000));
        assert_eq!(list("web/**/*.tar").unwrap(), ["b-0.tar", "b-1.tar", "deep/b-2.tar"]);
        assert_eq!(list("web/x-{0..1}.tar").unwrap(), ["x-0.tar", "x-1.tar"], "not looked for");
        let error = list("web/*.zip").unwrap_err().to_string();
        assert!(error.contains("4 files"), "{error}");
        let error = read(&store, &format!("{scheme}://things/web/none.tar"), 0).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
        let signed = server.requests()[0].headers.contains_key("authorization");
        assert_eq!(signed, scheme == "s3");
    }
}

#[test]
fn nonsense_is_refused_without_a_request() {
    let list = |store: &Store, pattern: &str| store.shards(&[pattern.to_owned()]).unwrap_err().to_string();
    assert!(list(&store(&[]), "ftp://host/a.tar").contains("known: http"));
    assert!(list(&store(&[]), "http://host/folder/").contains("name the files"));
    assert!(list(&store(&[]), "s3:///a.tar").contains("BUCKET"));
    assert!(list(&store(&[("aws_endpiont", "x")]), "s3://b/*.tar").contains("aws_endpiont"));
}

#[test]
fn compressed_shards_come_through() {
    let shard = zstd::encode_all(&tar_bytes(&[("a.png", &[1; 600])])[..], 3).unwrap();
    let server = Server::new(move |request: &Request, number| match number {
        0 => Reply::file(&shard, request).breaking_off(20),
        _ => Reply::file(&shard, request),
    });
    let stream = store(&[]).open(&Location::from(format!("{}/s.tar.zst", server.address)), 0).unwrap();
    let records =
        ShardRecords::new(Location::from("s"), ByteStream::unpacked(stream).unwrap(), Limits::default());
    let keys: Vec<_> = records.map(|record| record.unwrap().key).collect();
    assert_eq!(keys, ["a"]);
}
