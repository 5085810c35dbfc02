//! `gimp-help`: the manual of GIMP, page by page, with its figures where the text has them.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, ensure};
use flamingo_data::interleave::{InterleaveSpec, Report, interleave};
use flamingo_data::{ShardReader, list_shards};
use serde_json::Value;

use crate::corpus::{Corpus, Record};
use crate::names;
use crate::package::{Archive, Package, Registry};
use crate::recipe::Recipe;

/// The recipe.
pub static RECIPE: Recipe = Recipe {
    version: 1,
    packages: &[
        Package {
            registry: Registry::Debian,
            name: "gimp-help-en",
            version: "2.10.34-2",
            sha256: "a2deec76763aaf2fcdd197bac0736cdcb0770ba993d48d233329e1c92b0bfe36",
            licence: "GFDL-1.2-no-invariants-or-later",
        },
        Package {
            registry: Registry::Debian,
            name: "gimp-help-common",
            version: "2.10.34-2",
            sha256: "5186e5ba19dfca73c141965abb6fbd8cc8abae4a623af5dfea03195e07c4bda8",
            licence: "GFDL-1.2-no-invariants-or-later",
        },
    ],
    build,
};

const SEED: &str = "flamingo gimp-help 1";
const FOLDER: &str = "usr/share/gimp/2.0/help/en/";

fn build(archives: &[Archive]) -> anyhow::Result<Corpus> {
    let folder = tempfile::tempdir()?;
    let (html, output) = (folder.path().join("html"), folder.path().join("documents"));
    for archive in archives {
        for (path, bytes) in archive.files(|path| path.starts_with(FOLDER))? {
            let path = html.join(&path[FOLDER.len()..]);
            fs::create_dir_all(path.parent().context("a file without a folder")?)?;
            fs::write(&path, bytes).with_context(|| format!("cannot write {}", path.display()))?;
        }
    }
    let report = interleave(&InterleaveSpec::new(&html), &output, 1.0, &|_| ())?;
    let mut corpus = Corpus { dropped: left_out(&report)?, ..Corpus::default() };
    split(&output, &mut corpus)?;
    Ok(corpus)
}

/// Pages and images that are in no document, by reason.
fn left_out(report: &Report) -> anyhow::Result<BTreeMap<String, usize>> {
    let report = serde_json::to_value(report)?;
    let mut dropped = BTreeMap::new();
    for (field, what) in [("pages_filtered", "pages"), ("images_filtered", "images"), ("rejects", "files")] {
        for (reason, count) in report[field].as_object().into_iter().flatten() {
            let count = count.as_u64().unwrap_or_default() as usize;
            dropped.insert(format!("{what}: {reason}"), count);
        }
    }
    Ok(dropped)
}

/// Takes the documents over; one page in ten, by a hash of its address, is held out.
fn split(output: &Path, corpus: &mut Corpus) -> anyhow::Result<()> {
    for shard in list_shards(output)? {
        for record in ShardReader::open(&shard)? {
            let record = record?;
            let mut description: Value = serde_json::from_slice(record.field("json")?)?;
            let url = description["url"].as_str().unwrap_or_default().to_owned();
            ensure!(!url.is_empty(), "the document {} has no address", record.key);
            let part = if names::is_held_out(SEED, &url) { "heldout" } else { "train" };
            description["split"] = part.into();
            let mut fields = vec![("json".to_owned(), serde_json::to_vec(&description)?)];
            fields.extend(record.fields.into_iter().filter(|(extension, _)| extension != "json"));
            corpus.records.push(Record { part, key: record.key, fields, group: "pages".to_owned() });
        }
    }
    Ok(())
}
