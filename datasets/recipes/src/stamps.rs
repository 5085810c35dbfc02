//! `stamps`: the pictures that children put into drawings with Tux Paint, each with a sentence.

use std::collections::BTreeMap;

use anyhow::Context;
use rayon::prelude::*;
use serde_json::Map;

use crate::corpus::Corpus;
use crate::package::{Archive, Package, Registry};
use crate::pairs::{self, Pair};
use crate::picture;
use crate::recipe::Recipe;

/// The recipe.
pub static RECIPE: Recipe = Recipe {
    version: 1,
    packages: &[Package {
        registry: Registry::Debian,
        name: "tuxpaint-stamps-default",
        version: "2022.06.04-1",
        sha256: "6db6c1bfc870a47f1499d6203b083522eacb57c5f9c87d468f2e92eb6d9d5f34",
        licence: "GPL-2.0-or-later",
    }],
    build,
};

const SEED: &str = "flamingo stamps 1";
const FOLDER: &str = "usr/share/tuxpaint/stamps/";
/// Drawings come first: some stamps are there as a drawing and, for old programs, as pixels.
const PICTURES: [&str; 2] = ["svg", "png"];

fn build(archives: &[Archive]) -> anyhow::Result<Corpus> {
    let [archive] = archives else { anyhow::bail!("one package was expected") };
    let wanted = |path: &str| {
        let extension = path.rsplit_once('.').map_or("", |(_, extension)| extension);
        path.starts_with(FOLDER) && (extension == "txt" || PICTURES.contains(&extension))
    };
    let files = archive.files(wanted)?;
    let mut corpus = Corpus::default();
    let stamps = stamps(&files, &mut corpus);
    let pairs = stamps.par_iter().map(|stamp| {
        let png = pixels(stamp).with_context(|| stamp.path.to_owned());
        png.map(|png| Pair {
            path: stamp.path.to_owned(),
            group: stamp.path.split('/').next().unwrap_or_default().to_owned(),
            png,
            title: stamp.caption.clone(),
            keywords: Vec::new(),
            more: Map::new(),
        })
    });
    let mut drawn = Vec::new();
    for pair in pairs.collect::<Vec<_>>() {
        match pair {
            Ok(pair) => drawn.push(pair),
            Err(_) => corpus.drop("no picture that can be drawn"),
        }
    }
    pairs::add(&mut corpus, SEED, drawn)?;
    Ok(corpus)
}

struct Stamp<'a> {
    /// Below [`FOLDER`], without extension.
    path: &'a str,
    caption: String,
    /// In the order of [`PICTURES`].
    pictures: [Option<&'a Vec<u8>>; 2],
}

/// All stamps that have a caption, by path.
fn stamps<'a>(files: &'a BTreeMap<String, Vec<u8>>, corpus: &mut Corpus) -> Vec<Stamp<'a>> {
    let mut by_path: BTreeMap<&str, BTreeMap<&str, &Vec<u8>>> = BTreeMap::new();
    for (file, bytes) in files {
        if let Some((path, extension)) = file[FOLDER.len()..].rsplit_once('.') {
            by_path.entry(path).or_default().insert(extension, bytes);
        }
    }
    let mut stamps = Vec::new();
    for (path, fields) in by_path {
        let pictures = PICTURES.map(|extension| fields.get(extension).copied());
        match fields.get("txt").and_then(|text| caption(text)) {
            _ if pictures == [None, None] => corpus.drop("no picture"),
            None => corpus.drop("no description"),
            Some(caption) => stamps.push(Stamp { path, caption, pictures }),
        }
    }
    stamps
}

/// The first line, which is English; the others are translations (`de.utf8=…`).
fn caption(text: &[u8]) -> Option<String> {
    let text = String::from_utf8(text.to_vec()).ok()?;
    let line = text.trim_start_matches('\u{feff}').lines().next()?.trim();
    (line.chars().any(char::is_alphanumeric) && !line.contains(".utf8=")).then(|| line.to_owned())
}

fn pixels(stamp: &Stamp<'_>) -> anyhow::Result<Vec<u8>> {
    let [svg, png] = stamp.pictures;
    let drawing = svg.context("no drawing").and_then(|svg| picture::draw(svg));
    let picture = drawing.or_else(|error| {
        let decoded = flamingo_data::image::decode(png.ok_or(error)?, stamp.path)?;
        anyhow::Ok(picture::shrink(decoded))
    })?;
    picture::png(&picture)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_caption_is_the_english_line() {
        assert_eq!(caption("A rat.\nde.utf8=Eine Ratte.\n".as_bytes()).unwrap(), "A rat.");
        for none in ["", "\nde.utf8=Eine Ratte.", "de.utf8=Eine Ratte.", " . "] {
            assert!(caption(none.as_bytes()).is_none(), "{none:?}");
        }
    }

    #[test]
    fn drawings_come_before_pixels_and_stamps_without_a_text_are_counted() {
        let file = |name: &str, bytes: &[u8]| (format!("{FOLDER}{name}"), bytes.to_vec());
        let png = picture::png(&image::RgbaImage::new(3, 2)).unwrap();
        let files = BTreeMap::from([
            file("a/rat.txt", b"A rat."),
            file("a/rat.svg", b"no drawing"),
            file("a/rat.png", &png),
            file("a/cat.png", &png),
            file("a/dog.txt", b"A dog."),
        ]);
        let mut corpus = Corpus::default();
        let stamps = stamps(&files, &mut corpus);
        assert_eq!((stamps.len(), stamps[0].path), (1, "a/rat"));
        assert_eq!(corpus.dropped.len(), 2);
        assert_eq!(pixels(&stamps[0]).unwrap(), png, "the pixels where the drawing is broken");
    }
}
