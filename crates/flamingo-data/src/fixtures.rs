//! Small shards and data sets for this crate's own tests.

use std::io::{Cursor, Write};
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::GzEncoder;
use image::{ImageFormat, Rgba, RgbaImage};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use crate::{ConceptImage, ConceptSet, MediaKey, Split};

/// A generator with a fixed seed.
pub fn rng(seed: u64) -> ChaCha8Rng {
    ChaCha8Rng::seed_from_u64(seed)
}

/// A tar archive of `files`.
pub fn tar_bytes(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (name, bytes) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        builder.append_data(&mut header, name, *bytes).unwrap();
    }
    builder.into_inner().unwrap()
}

/// Writes `files` as a shard, compressed if its name ends in `gz`.
pub fn write_shard(folder: &Path, name: &str, files: &[(&str, &[u8])]) -> PathBuf {
    let path = folder.join(name);
    let mut bytes = tar_bytes(files);
    if name.ends_with("gz") {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(&bytes).unwrap();
        bytes = encoder.finish().unwrap();
    }
    std::fs::write(&path, bytes).unwrap();
    path
}

/// `image` as a PNG file.
pub fn png(image: &RgbaImage) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    image.write_to(&mut bytes, ImageFormat::Png).unwrap();
    bytes.into_inner()
}

/// A picture of one concept.
pub fn picture(concept: &str, style: &str, name: &str, keywords: &[&str], split: Split) -> ConceptImage {
    let shade =
        concept.bytes().chain(style.bytes()).fold(0u8, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte));
    let image = RgbaImage::from_pixel(4, 4, Rgba([shade, 128, 255 - shade, 255]));
    ConceptImage {
        concept: concept.to_owned(),
        style: style.to_owned(),
        name: name.to_owned(),
        keywords: keywords.iter().map(|&keyword| keyword.to_owned()).collect(),
        group: "Animals & Nature".to_owned(),
        subgroup: "animal-mammal".to_owned(),
        split,
        key: MediaKey::image(&png(&image)),
        image,
    }
}

/// Eight concepts in two styles: six to train on (two of which with one style held out), two held out.
pub fn menagerie() -> ConceptSet {
    let concepts: [(&str, &[&str], Split); 8] = [
        ("cow face", &["moo", "animal", "milk"], Split::Train),
        ("pig face", &["oink", "animal", "qwertyx"], Split::Train),
        ("dog", &["pet", "animal"], Split::Train),
        ("horse", &["racing", "animal", "farm"], Split::Train),
        ("goat", &["farm", "animal"], Split::HeldoutImages),
        ("ram", &["farm", "animal", "wool"], Split::HeldoutImages),
        ("qwertyx", &["secretword"], Split::HeldoutConcepts),
        ("zyxxy face", &["animal", "otherword"], Split::HeldoutConcepts),
    ];
    let mut images = Vec::new();
    for (index, (name, keywords, split)) in concepts.into_iter().enumerate() {
        let concept = format!("1F{index:03}");
        let first = if split == Split::HeldoutImages { Split::Train } else { split };
        images.push(picture(&concept, "noto", name, keywords, first));
        images.push(picture(&concept, "fluent", name, keywords, split));
    }
    ConceptSet::new(images)
}
