//! What must hold whatever a file holds. Each function is a fuzz target, and is replayed over its corpus by
//! `tests/fuzz_corpus.rs`.

use std::io::{Cursor, Read};

use flamingo_data::source::documents::DocumentRecord;
use flamingo_data::webdataset::{Limits, ShardRecords};
use flamingo_data::{Location, Record, Reject, Stream};

/// More than this of a decompressed archive only takes time.
const MOST: u64 = 32 << 20;
const LIMITS: Limits = Limits { field: 1 << 16, record: 1 << 18, fields: 16 };

/// Grouping a tar archive, compressed or not, ends without a panic; records keep to the limits and have safe keys;
/// skipping counts what reading counts.
pub fn tar_grouping(bytes: &[u8]) {
    let records = || -> Option<ShardRecords> {
        let unpacked = Stream::new(Cursor::new(bytes.to_vec())).unpacked().ok()?;
        Some(ShardRecords::new(Location::from("fuzz.tar"), Stream::new(unpacked.take(MOST)), LIMITS))
    };
    let Some(all) = records().map(Iterator::collect::<Vec<_>>) else { return };
    for record in all.iter().flatten() {
        assert!(record.len() as u64 <= LIMITS.record && record.fields.len() <= LIMITS.fields);
        assert!(record.fields.values().all(|field| field.len() as u64 <= LIMITS.field));
        assert!(!record.key.starts_with('/') && record.key.split(['/', '\\']).all(|part| part != ".."));
    }
    let names = |items: &[Result<Record, Reject>]| -> Vec<String> {
        let name = |item: &Result<Record, Reject>| match item {
            Ok(record) => record.key.clone(),
            Err(reject) => reject.record.clone(),
        };
        items.iter().map(name).collect()
    };
    let skip = all.len() / 2;
    let rest = records().map(|records| records.skip(skip).collect::<Vec<_>>()).unwrap_or_default();
    assert_eq!(names(&rest), names(&all[skip..]));
}

/// A description of a document is refused, or is written as it was read.
pub fn json_members(bytes: &[u8]) {
    if let Ok(document) = DocumentRecord::parse(bytes) {
        let written = document.to_json();
        let again = DocumentRecord::parse(&written).map(|document| document.to_json());
        assert_eq!(again, Ok(written));
    }
}
