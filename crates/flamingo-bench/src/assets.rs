//! Files that cases read, made anew for each run: photographs that nobody took, shards of them, a tokenizer.
//!
//! A picture is smooth noise of several scales, whose JPEG (quality 90, colours at full resolution) is about as large as a
//! photograph's, so that decoding costs about what it costs there.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use anyhow::Context;
use flamingo::data::TextTokenizer;
use image::codecs::jpeg::JpegEncoder;
use image::{Rgb, RgbImage};

/// The sides of a picture: COCO's usual ones.
const SIDES: [u32; 2] = [640, 480];
const QUALITY: u8 = 90;
/// Of the noise, in pixels; each has half the strength of the one before.
const SCALES: [u32; 5] = [160, 61, 23, 9, 3];
/// Pictures that differ.
const PICTURES: u32 = 48;
/// Shards, each with all pictures.
const SHARDS: usize = 4;
/// Tokens of the tokenizer.
const VOCABULARY: usize = 320;

const WORDS: [&str; 16] = [
    "a",
    "photograph",
    "of",
    "two",
    "old",
    "boats",
    "on",
    "the",
    "shore",
    "under",
    "heavy",
    "clouds",
    "near",
    "some",
    "red",
    "houses",
];

/// Writes everything into `folder`, which is there.
pub fn make(folder: &Path) -> anyhow::Result<()> {
    let captions: Vec<String> = (0..200).map(caption).collect();
    TextTokenizer::train(&captions, VOCABULARY)?.save(tokenizer(folder))?;
    fs::create_dir(folder.join("pictures"))?;
    fs::create_dir(shards(folder))?;
    let pictures: Vec<Vec<u8>> = (0..PICTURES).map(jpeg).collect::<anyhow::Result<_>>()?;
    for (number, bytes) in pictures.iter().enumerate() {
        fs::write(picture(folder, number), bytes)?;
    }
    for shard in 0..SHARDS {
        let path = shards(folder).join(format!("{shard:04}.tar"));
        write_shard(&path, shard, &pictures).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}

/// The tokenizer's file.
pub fn tokenizer(folder: &Path) -> PathBuf {
    folder.join("tokenizer.json")
}

/// The folder of the shards: pairs of a picture and a caption.
pub fn shards(folder: &Path) -> PathBuf {
    folder.join("shards")
}

/// A picture's file; there are 48 pictures.
pub fn picture(folder: &Path, number: usize) -> PathBuf {
    folder.join("pictures").join(format!("{number:02}.jpg"))
}

fn write_shard(path: &Path, shard: usize, pictures: &[Vec<u8>]) -> anyhow::Result<()> {
    let mut tar = tar::Builder::new(File::create(path)?);
    for (number, picture) in pictures.iter().enumerate() {
        let key = format!("{:06}", shard * pictures.len() + number);
        let text = caption(number as u32);
        for (name, bytes) in [("jpg", picture.as_slice()), ("txt", text.as_bytes())] {
            let mut header = tar::Header::new_ustar();
            header.set_size(bytes.len() as u64);
            header.set_mode(0o644);
            tar.append_data(&mut header, format!("{key}.{name}"), bytes)?;
        }
    }
    Ok(tar.into_inner()?.sync_all()?)
}

/// Ten to sixteen words.
fn caption(number: u32) -> String {
    let words = 10 + hash(number, 1) % 7;
    (0..words)
        .map(|word| WORDS[hash(number, 100 + word) as usize % WORDS.len()])
        .collect::<Vec<_>>()
        .join(" ")
}

fn jpeg(number: u32) -> anyhow::Result<Vec<u8>> {
    let [width, height] = SIDES;
    let pixel = |x: u32, y: u32| {
        let layer = |channel: u32, index: usize| {
            noise(number * 64 + channel * 16 + index as u32, x, y, SCALES[index]) / f64::from(1 << index)
        };
        // Colours differ over large areas, details in brightness.
        let colour = |channel: u32| layer(channel, 0) + layer(channel, 1);
        let details: f64 = (2..SCALES.len()).map(|index| layer(3, index)).sum();
        Rgb([0, 1, 2].map(|channel| ((colour(channel) + details) / 1.94 * 255.0) as u8))
    };
    let picture = RgbImage::from_fn(width, height, pixel);
    let mut bytes = Vec::new();
    JpegEncoder::new_with_quality(&mut bytes, QUALITY).encode_image(&picture)?;
    Ok(bytes)
}

/// Smooth noise from 0 to 1: random numbers at the corners of squares of `scale` pixels, linear between.
fn noise(seed: u32, x: u32, y: u32, scale: u32) -> f64 {
    let corner =
        |dx: u32, dy: u32| f64::from(hash(seed, (x / scale + dx) * 4099 + (y / scale + dy)) % 1024) / 1023.0;
    let (u, v) = (f64::from(x % scale) / f64::from(scale), f64::from(y % scale) / f64::from(scale));
    let top = corner(0, 0) * (1.0 - u) + corner(1, 0) * u;
    let bottom = corner(0, 1) * (1.0 - u) + corner(1, 1) * u;
    top * (1.0 - v) + bottom * v
}

/// A number that looks random: the finaliser of MurmurHash3.
fn hash(seed: u32, value: u32) -> u32 {
    let mut h = seed.wrapping_mul(0x9e37_79b9) ^ value;
    h = (h ^ (h >> 16)).wrapping_mul(0x85eb_ca6b);
    h = (h ^ (h >> 13)).wrapping_mul(0xc2b2_ae35);
    h ^ (h >> 16)
}

#[cfg(test)]
mod tests {
    use super::*;
    use flamingo::data::ShardReader;

    #[test]
    fn pictures_differ_and_are_as_large_as_photographs() {
        let [first, other] = [3, 4].map(|number| jpeg(number).unwrap());
        assert_ne!(first, other);
        assert!((30_000..200_000).contains(&first.len()), "{}", first.len());
    }

    #[test]
    fn shards_are_pairs_and_the_tokenizer_reads_their_captions() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.tar");
        write_shard(&path, 1, &[vec![1], vec![2]]).unwrap();
        let records: Vec<_> = ShardReader::open(&path).unwrap().map(Result::unwrap).collect();
        assert_eq!(records.len(), 2);
        assert_eq!((records[1].key.as_str(), records[1].field("jpg").unwrap()), ("000003", &[2u8][..]));
        let captions: Vec<String> = (0..50).map(caption).collect();
        let file = tokenizer(folder.path());
        TextTokenizer::train(&captions, 320).unwrap().save(&file).unwrap();
        let encoder = TextTokenizer::load(&file).unwrap();
        assert!((1..60).contains(&encoder.encode(&captions[0]).len()));
    }
}
