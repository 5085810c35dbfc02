//! The emoji datasets: which styles, which concepts, which files.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use anyhow::Context;
use rayon::prelude::*;

use crate::emojibase::{self, Concept};
use crate::iconify;
use crate::manifest::{FILE, Manifest, Shard};
use crate::openmoji;
use crate::package::{Package, hex};
use crate::raster;
use crate::shard::{Record, pack};
use crate::split::{HeldOut, Split, held_out, split_of};

/// A set of styles that is published together, because of its licence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Set {
    /// Noto and Fluent flat.
    Emoji,
    /// OpenMoji, apart because of its licence.
    Openmoji,
    /// Three styles more, that draw fewer concepts.
    EmojiMore,
}

/// The two styles of [`Set::Emoji`].
const STYLES: [&str; 2] = ["noto", "fluent-flat"];

impl Set {
    /// The packages that it is made from.
    pub fn packages(self) -> Vec<Package> {
        match self {
            Set::Emoji => vec![iconify::NOTO, iconify::FLUENT_FLAT, emojibase::PACKAGE],
            Set::Openmoji => vec![openmoji::PACKAGE, emojibase::PACKAGE],
            Set::EmojiMore => vec![iconify::NOTO_V1, iconify::EMOJIONE, iconify::FXEMOJI, emojibase::PACKAGE],
        }
    }
}

/// What is held out of which concept, by the concepts' own codes.
///
/// # Errors
///
/// If a package cannot be had.
pub fn roles() -> anyhow::Result<BTreeMap<String, HeldOut>> {
    let concepts = emojibase::concepts()?;
    let (noto, fluent) = (iconify::drawings(&iconify::NOTO)?, iconify::drawings(&iconify::FLUENT_FLAT)?);
    let shared = shared_concepts(&concepts, &noto, &fluent);
    Ok(held_out(&shared.values().copied().collect::<Vec<_>>(), STYLES))
}

/// Rebuilds a set's shards and manifest in `folder`, with pictures of `side` pixels.
///
/// Its concepts are those that both styles of [`Set::Emoji`] draw, whichever dataset is built: what is held out
/// there is held out everywhere.
///
/// # Errors
///
/// If a package cannot be had, a drawing is not valid, or a file cannot be written.
pub fn prepare(set: Set, side: u32, folder: &Path) -> anyhow::Result<Manifest> {
    let concepts = emojibase::concepts()?;
    let noto = iconify::drawings(&iconify::NOTO)?;
    let fluent = iconify::drawings(&iconify::FLUENT_FLAT)?;
    let shared = shared_concepts(&concepts, &noto, &fluent);
    let held_out = held_out(&shared.values().copied().collect::<Vec<_>>(), STYLES);
    let sources = match set {
        Set::Emoji => vec![(STYLES[0], noto), (STYLES[1], fluent)],
        Set::Openmoji => vec![("openmoji", openmoji::drawings()?)],
        Set::EmojiMore => {
            let named = |package| iconify::named_drawings(package, &concepts);
            vec![
                ("noto-v1", named(&iconify::NOTO_V1)?),
                ("emojione", named(&iconify::EMOJIONE)?),
                ("fxemoji", named(&iconify::FXEMOJI)?),
            ]
        }
    };
    let mut shards = Vec::new();
    for (style, drawings) in &sources {
        let drawn: Vec<(&Concept, &String)> =
            shared.iter().filter_map(|(code, concept)| Some((*concept, drawings.get(*code)?))).collect();
        let records = drawn
            .par_iter()
            .map(|(concept, svg)| {
                let png = raster::png(svg, side).with_context(|| format!("{style}: {}", concept.name))?;
                Ok(Record::new(concept, style, split_of(&held_out, &concept.code, style), png))
            })
            .collect::<anyhow::Result<Vec<Record>>>()?;
        shards.push((format!("{style}-000000.tar.gz"), without_twins(records)));
    }
    write(set, folder, &shards)
}

/// Drops training pictures that are, to the pixel, also a held-out picture under another name.
fn without_twins(records: Vec<Record>) -> Vec<Record> {
    let held_out: BTreeSet<Vec<u8>> = records
        .iter()
        .filter(|record| record.meta.split != Split::Train)
        .map(|record| record.png.clone())
        .collect();
    let keep = |record: &Record| record.meta.split != Split::Train || !held_out.contains(&record.png);
    records.into_iter().filter(keep).collect()
}

/// Concepts that both draw, each name once, by normalised code.
fn shared_concepts<'a>(
    concepts: &'a BTreeMap<String, Concept>,
    first: &BTreeMap<String, String>,
    second: &BTreeMap<String, String>,
) -> BTreeMap<&'a String, &'a Concept> {
    let mut names = BTreeSet::new();
    concepts
        .iter()
        .filter(|(code, concept)| {
            first.contains_key(*code) && second.contains_key(*code) && names.insert(&concept.name)
        })
        .collect()
}

fn write(set: Set, folder: &Path, shards: &[(String, Vec<Record>)]) -> anyhow::Result<Manifest> {
    let count = |key: &dyn Fn(&Record) -> String| {
        let mut counts = BTreeMap::new();
        for record in shards.iter().flat_map(|(_, records)| records) {
            *counts.entry(key(record)).or_insert(0) += 1;
        }
        counts
    };
    let split_name = |record: &Record| {
        serde_json::to_value(record.meta.split)
            .ok()
            .and_then(|name| Some(name.as_str()?.to_owned()))
            .unwrap_or_default()
    };
    let mut manifest = Manifest {
        packages: set.packages().iter().map(Package::record).collect(),
        splits: count(&split_name),
        styles: count(&|record| record.meta.style.to_owned()),
        groups: count(&|record| record.meta.group.clone()),
        ..Manifest::default()
    };
    fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))?;
    for (file, records) in shards {
        let bytes = pack(records)?;
        write_atomic(&folder.join(file), &bytes)?;
        manifest.shards.push(Shard {
            file: file.clone(),
            records: records.len(),
            bytes: bytes.len(),
            sha256: hex(&bytes),
        });
    }
    let mut json = serde_json::to_vec_pretty(&manifest)?;
    json.push(b'\n');
    write_atomic(&folder.join(FILE), &json)?;
    Ok(manifest)
}

/// Whole or not at all: to a temporary file beside it, then renamed.
fn write_atomic(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    let mut temporary = path.as_os_str().to_owned();
    temporary.push(".partial");
    fs::write(&temporary, bytes)
        .and_then(|()| fs::rename(&temporary, path))
        .with_context(|| format!("cannot write {}", path.display()))
}
