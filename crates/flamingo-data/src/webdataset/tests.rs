//! Shards good and bad, read strictly and read on.

mod grouping;
mod hostile;
mod strict;

use std::io::Cursor;

use super::*;
use crate::reject::Reject;
use crate::store::{ByteStream, Location};

/// The items of an archive.
fn items(archive: Vec<u8>) -> Vec<Result<Record, Reject>> {
    items_within(archive, Limits::default())
}

fn items_within(archive: Vec<u8>, limits: Limits) -> Vec<Result<Record, Reject>> {
    let stream = ByteStream::new(Cursor::new(archive)).unpacked().unwrap();
    ShardRecords::new(Location::from("s.tar"), stream, limits).collect()
}

/// Keys of good records, and `key: reason` of bad ones.
fn outline(items: &[Result<Record, Reject>]) -> Vec<String> {
    let line = |item: &Result<Record, Reject>| match item {
        Ok(record) => record.key.clone(),
        Err(reject) => format!("{}: {}", reject.record, reject.reason),
    };
    items.iter().map(line).collect()
}

/// A header of a member of this type, which claims to have `size` bytes.
fn header(name: &str, kind: tar::EntryType, size: u64) -> tar::Header {
    let mut header = tar::Header::new_gnu();
    header.as_gnu_mut().unwrap().name[..name.len()].copy_from_slice(name.as_bytes());
    header.set_entry_type(kind);
    header.set_size(size);
    header.set_cksum();
    header
}

/// A header and its contents, padded to whole blocks.
fn member(name: &str, kind: tar::EntryType, contents: &[u8]) -> Vec<u8> {
    let mut bytes = header(name, kind, contents.len() as u64).as_bytes().to_vec();
    bytes.extend_from_slice(contents);
    bytes.resize(bytes.len().next_multiple_of(512), 0);
    bytes
}

fn file(name: &str) -> Vec<u8> {
    member(name, tar::EntryType::Regular, name.as_bytes())
}

/// Members to an archive.
fn archive(members: &[Vec<u8>]) -> Vec<u8> {
    [members.concat(), vec![0; 1024]].concat()
}

/// Reading `count` items fewer gives the rest, from a file (which seeks) and from a flow.
fn assert_skips(bytes: &[u8]) {
    let all = items(bytes.to_vec());
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s.tar");
    std::fs::write(&path, bytes).unwrap();
    for skip in 0..all.len() + 2 {
        let streams = [ByteStream::new(Cursor::new(bytes.to_vec())), ByteStream::file(&path, 0).unwrap()];
        for stream in streams {
            let stream = stream.unpacked().unwrap();
            let records = ShardRecords::new(Location::from("s.tar"), stream, Limits::default());
            let rest: Vec<_> = records.skip(skip).collect();
            assert_eq!(outline(&rest), outline(&all[skip.min(all.len())..]), "{skip}");
        }
    }
}
