//! WebDataset shards: tar archives of `KEY.png` and `KEY.json`, compressed, the same bytes every time.

use std::collections::BTreeSet;
use std::io::{Read, Write};

use anyhow::Context;
use flate2::read::GzDecoder;
use flate2::{Compression, GzBuilder};
use serde::Serialize;

use crate::emojibase::Concept;
use crate::split::Split;

/// One picture and what is known of it.
#[derive(Debug, Clone)]
pub struct Record {
    /// Unique in the dataset; no dots.
    pub key: String,
    /// The picture.
    pub png: Vec<u8>,
    /// The rest.
    pub meta: Meta,
}

/// A record's JSON.
#[derive(Debug, Clone, Serialize)]
pub struct Meta {
    /// Code points in hexadecimal, joined by `-`.
    pub concept: String,
    /// The character itself.
    pub emoji: String,
    /// Who drew it.
    pub style: &'static str,
    /// English name.
    pub name: String,
    /// English keywords.
    pub keywords: Vec<String>,
    /// Such as "animals & nature".
    pub group: String,
    /// Such as "mammals".
    pub subgroup: String,
    /// What it may be used for.
    pub split: Split,
}

impl Record {
    /// The picture `png` of `concept` in `style`.
    pub fn new(concept: &Concept, style: &'static str, split: Split, png: Vec<u8>) -> Self {
        Self {
            key: format!("{style}-{}", concept.code),
            png,
            meta: Meta {
                concept: concept.code.clone(),
                emoji: concept.emoji.clone(),
                style,
                name: concept.name.clone(),
                keywords: concept.keywords.clone(),
                group: concept.group.clone(),
                subgroup: concept.subgroup.clone(),
                split,
            },
        }
    }
}

/// A `.tar.gz` of the records, in their order. Nothing in it depends on time, user or machine.
///
/// # Errors
///
/// If a record cannot be written.
pub fn pack(records: &[Record]) -> anyhow::Result<Vec<u8>> {
    let gzip = GzBuilder::new().mtime(0).operating_system(255).write(Vec::new(), Compression::best());
    let mut tar = tar::Builder::new(gzip);
    for record in records {
        let json = serde_json::to_vec(&record.meta)?;
        for (extension, bytes) in [("png", &record.png), ("json", &json)] {
            append(&mut tar, &format!("{}.{extension}", record.key), bytes)?;
        }
    }
    Ok(tar.into_inner()?.finish()?)
}

/// Adds a file of which nothing depends on time, user or machine.
pub(crate) fn append(tar: &mut tar::Builder<impl Write>, path: &str, bytes: &[u8]) -> anyhow::Result<()> {
    let mut header = tar::Header::new_ustar();
    header.set_size(bytes.len() as u64);
    header.set_mode(0o644);
    header.set_mtime(0);
    Ok(tar.append_data(&mut header, path, bytes)?)
}

/// How many records a shard holds, compressed or not.
///
/// # Errors
///
/// If it is no whole shard.
pub fn count(shard: &[u8]) -> anyhow::Result<usize> {
    let gzipped = shard.starts_with(&[0x1f, 0x8b]);
    let stream: Box<dyn Read> = if gzipped { Box::new(GzDecoder::new(shard)) } else { Box::new(shard) };
    let mut keys = BTreeSet::new();
    for entry in tar::Archive::new(stream).entries()? {
        let mut entry = entry?;
        let path = entry.path()?.to_string_lossy().into_owned();
        let key = path.split('.').next().context("a file without a name")?.to_owned();
        entry.read_to_end(&mut Vec::new()).with_context(|| path)?;
        keys.insert(key);
    }
    Ok(keys.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_records_make_the_same_bytes() {
        let concept = Concept {
            code: "1F42E".into(),
            emoji: "x".into(),
            name: "cow face".into(),
            keywords: vec!["moo".into()],
            group: "g".into(),
            subgroup: "s".into(),
        };
        let records = [Record::new(&concept, "noto", Split::Train, vec![1, 2, 3])];
        let shard = pack(&records).unwrap();
        assert_eq!(shard, pack(&records).unwrap());
        assert_eq!(count(&shard).unwrap(), 1);
        assert!(count(&shard[..shard.len() / 2]).is_err());
    }
}
