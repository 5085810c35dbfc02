//! MMC4 as OpenFlamingo packs it: WebDataset shards with one JSON a document, images inside as base64.
//!
//! ```text
//! {"text_list": ["A farm.", "A cow grazes."], "similarity_matrix": [[0.11, 0.31]],
//!  "image_info": [{"image_name": "a.jpg", "image_base64": "/9j/4AAQ…"}]}
//! ```
//!
//! MMC4 does not know where in its page an image stood. Each image is given to a sentence by how alike CLIP finds the
//! two: `similarity_matrix[image][sentence]`. Pages that a language model wrote (`is_gpt`) have tags in their text
//! (`example`) and images by tag (`image_map`).
//!
//! OpenFlamingo pairs images one to one with sentences, but then keeps the order of the *images* beside tags in the
//! order of the *sentences*, so that a tag may show another sentence's image. Here, images follow their sentences; and
//! of too many, the first in that order are kept.

use std::collections::BTreeMap;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use flamingo_core::TextTie;
use serde::{Deserialize, Serialize};

use super::assignment::largest_sum;
use super::page::Page;
use super::sharded::Sharded;
use super::{Format, Source, SourceSpec};
use crate::DataError;
use crate::reject::{Reason, Reject};
use crate::sample::Sample;
use crate::store::Store;
use crate::webdataset::{Limits, Record};

/// The format `mmc4`.
pub const FORMAT: Format = Format {
    name: "mmc4",
    summary: "WebDataset shards of MMC4 documents: sentences, base64 images and their similarities in one .json",
    open,
};

/// The most steps that an assignment may take: 1000 images in 1000 sentences.
const MAX_STEPS: usize = 1_000_000_000;

/// Options of the format.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Options {
    /// Images that are less like their sentence are left out.
    pub min_similarity: f64,
    /// The most images of a document.
    pub max_images: usize,
    /// Documents with fewer images are left out.
    pub min_images: usize,
    /// Images with fewer bytes are left out: most are logos and buttons.
    pub min_image_bytes: usize,
    /// Which sentence an image gets.
    pub assignment: Assignment,
    /// On which side of its sentence an image stands.
    pub placement: Placement,
}

impl Default for Options {
    /// OpenFlamingo's values. Its rule for small images is more than 10 kB in whole kB, which is 11,000 bytes.
    fn default() -> Self {
        Self {
            min_similarity: 0.24,
            max_images: 6,
            min_images: 1,
            min_image_bytes: 11_000,
            assignment: Assignment::OneToOne,
            placement: Placement::Before,
        }
    }
}

/// Which sentence an image gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Assignment {
    /// A sentence of its own, such that the sum of the similarities is largest.
    OneToOne,
    /// The most similar one, which it may share, as in the data of the released OpenFlamingo models.
    MostSimilar,
}

/// On which side of its sentence an image stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Placement {
    /// Before it; text belongs to the image before it. As OpenFlamingo does.
    Before,
    /// Behind it; text belongs to the image behind it.
    After,
    /// Before it; to which side text belongs is drawn for each page, as the paper does with pages from the web.
    Drawn,
}

#[derive(Deserialize)]
struct Description {
    #[serde(default)]
    is_gpt: bool,
    text_list: Option<Vec<String>>,
    similarity_matrix: Option<Vec<Vec<f64>>>,
    image_info: Option<Vec<ImageInfo>>,
    example: Option<String>,
    image_map: Option<BTreeMap<String, TaggedImage>>,
}

#[derive(Deserialize)]
struct ImageInfo {
    image_name: Option<String>,
    image_base64: Option<String>,
}

#[derive(Deserialize)]
struct TaggedImage {
    base64_image: String,
}

fn open(spec: &SourceSpec, store: &Store) -> Result<Box<dyn Source>, DataError> {
    let options: Options = spec.options()?;
    if !options.min_similarity.is_finite() {
        return Err(spec.bad_option("`min_similarity` must be a number, such as 0.24"));
    }
    if options.max_images < options.min_images {
        return Err(spec.bad_option("`max_images` is less than `min_images`: no document would be left"));
    }
    Sharded::open(spec, store, options, Limits::default(), sample)
}

/// A record of a shard as a document.
///
/// An image that is broken is left out and noted in [`Sample::losses`]; so is, in one note, how many were left out by
/// the options.
///
/// # Errors
///
/// [`Reason::Missing`] without a description; [`Reason::BadDescription`] if it is not one of MMC4, or if the matrix has
/// not one row an image and one column a sentence; [`Reason::TooLarge`] with too many of both to assign. With too few
/// images, the reason why the first one was lost, or [`Reason::Filtered`].
pub fn sample(record: Record, options: &Options) -> Result<Sample, Reject> {
    let Some(json) = record.fields.get("json") else {
        return Err(record.reject(Reason::Missing, "has no field \"json\" with the document"));
    };
    let bad = |what: String| record.reject(Reason::BadDescription, what);
    let described: Description = serde_json::from_slice(json)
        .map_err(|error| bad(format!("the JSON is no MMC4 document: {error}")))?;
    let mut page = Page::new(&record.shard, &record.key);
    match described {
        Description { is_gpt: true, example: Some(example), image_map: Some(images), .. } => {
            written(&mut page, &example, &images, options);
        }
        Description { is_gpt: true, .. } => {
            return Err(bad("`is_gpt`, but no `example` or `image_map`".to_owned()));
        }
        Description {
            text_list: Some(sentences),
            similarity_matrix: Some(matrix),
            image_info: Some(images),
            ..
        } => found(&mut page, &sentences, &matrix, images, options)?,
        _ => return Err(bad("needs `text_list`, `similarity_matrix` and `image_info`".to_owned())),
    }
    page.finish(options.min_images)
}

/// A page from the web: sentences, and images that are given to them.
fn found(
    page: &mut Page,
    sentences: &[String],
    matrix: &[Vec<f64>],
    images: Vec<ImageInfo>,
    options: &Options,
) -> Result<(), Reject> {
    check_matrix(page, matrix, images.len(), sentences.len())?;
    let (mut usable, mut similarities, mut small) = (Vec::new(), Vec::new(), 0);
    for (index, (image, row)) in images.into_iter().zip(matrix).enumerate() {
        let name = image.image_name.unwrap_or_else(|| format!("number {index}"));
        let Some(base64) = image.image_base64 else {
            page.lose(Reason::Missing, format!("image {name:?} has no `image_base64`"));
            continue;
        };
        match decode(page, &name, &base64) {
            Some(bytes) if bytes.len() < options.min_image_bytes => small += 1,
            Some(bytes) => {
                usable.push(bytes);
                similarities.push(row.clone());
            }
            None => {}
        }
    }

    let sentence_of = match options.assignment {
        Assignment::OneToOne => largest_sum(&similarities),
        Assignment::MostSimilar => similarities.iter().map(|row| most_similar(row)).collect(),
    };
    // (sentence, image): sorting them gives the order on the page.
    let mut pairs: Vec<(usize, usize)> = sentence_of
        .into_iter()
        .enumerate()
        .filter_map(|(image, sentence)| Some((sentence?, image)))
        .filter(|&(sentence, image)| similarities[image][sentence] >= options.min_similarity)
        .collect();
    pairs.sort_unstable();
    let unlike = usable.len() - pairs.len();
    let over = pairs.len().saturating_sub(options.max_images);
    pairs.truncate(options.max_images);
    note_filtered(page, small, unlike, over);
    lay_out(page, sentences, &pairs, usable, options.placement);
    Ok(())
}

fn check_matrix(page: &Page, matrix: &[Vec<f64>], images: usize, sentences: usize) -> Result<(), Reject> {
    let bad = |what| Err(page.reject(Reason::BadDescription, what));
    if matrix.len() != images {
        return bad(format!("the similarity matrix has {} rows, for {images} images", matrix.len()));
    }
    if let Some(row) = matrix.iter().find(|row| row.len() != sentences) {
        return bad(format!("the similarity matrix has a row of {}, for {sentences} sentences", row.len()));
    }
    if matrix.iter().flatten().any(|value| !value.is_finite()) {
        return bad("the similarity matrix has values that are no numbers".to_owned());
    }
    let (fewer, more) = (images.min(sentences), images.max(sentences));
    match fewer.saturating_mul(fewer).saturating_mul(more) > MAX_STEPS {
        true => Err(page.reject(Reason::TooLarge, format!("{images} images and {sentences} sentences"))),
        false => Ok(()),
    }
}

/// The first of the largest values.
fn most_similar(row: &[f64]) -> Option<usize> {
    (0..row.len()).reduce(|best, next| if row[next] > row[best] { next } else { best })
}

/// Sentences with spaces between them, and images at theirs. No space stands beside an image.
fn lay_out(
    page: &mut Page,
    sentences: &[String],
    pairs: &[(usize, usize)],
    images: Vec<Vec<u8>>,
    placement: Placement,
) {
    page.document().tie = match placement {
        Placement::Before => Some(TextTie::Previous),
        Placement::After => Some(TextTie::Next),
        Placement::Drawn => None,
    };
    let mut images: Vec<Option<Vec<u8>>> = images.into_iter().map(Some).collect();
    let mut run: Vec<&str> = Vec::new();
    let mut pairs = pairs.iter().peekable();
    for (index, sentence) in sentences.iter().enumerate() {
        let mut shown = Vec::new();
        while let Some((_, image)) = pairs.next_if(|(sentence, _)| *sentence == index) {
            shown.extend(images[*image].take());
        }
        let sentence = Some(sentence.trim()).filter(|sentence| !sentence.is_empty());
        if placement == Placement::After {
            run.extend(sentence);
        }
        if !shown.is_empty() {
            page.text(std::mem::take(&mut run).join(" "));
            for bytes in shown {
                let image = page.image(bytes);
                page.show(image);
            }
        }
        if placement != Placement::After {
            run.extend(sentence);
        }
    }
    page.text(run.join(" "));
}

/// A page that a language model wrote: text with tags. Text behind the last image that may be shown is kept.
fn written(page: &mut Page, example: &str, images: &BTreeMap<String, TaggedImage>, options: &Options) {
    page.document().tie = (options.placement != Placement::Drawn).then_some(TextTie::Previous);
    let (mut rest, mut text, mut shown) = (example, String::new(), 0);
    let (mut small, mut over) = (0, 0);
    while let Some((before, tag, after)) = next_tag(rest) {
        text.push_str(before);
        rest = after;
        let Some(image) = images.get(tag) else {
            page.lose(Reason::Missing, format!("`image_map` has no {tag:?}"));
            continue;
        };
        match decode(page, tag, &image.base64_image) {
            None => {}
            Some(bytes) if bytes.len() < options.min_image_bytes => small += 1,
            Some(_) if shown == options.max_images => over += 1,
            Some(bytes) => {
                page.text(std::mem::take(&mut text).trim());
                let image = page.image(bytes);
                page.show(image);
                shown += 1;
            }
        }
    }
    text.push_str(rest);
    page.text(text.trim());
    note_filtered(page, small, 0, over);
}

/// Text before the next tag `_!_IMAGEn_!_`, the tag, and what follows.
fn next_tag(text: &str) -> Option<(&str, &str, &str)> {
    const START: &str = "_!_IMAGE";
    const END: &str = "_!_";
    let mut from = 0;
    while let Some(found) = text[from..].find(START) {
        let (start, number) = (from + found, from + found + START.len());
        let digits = text[number..].bytes().take_while(u8::is_ascii_digit).count();
        if digits > 0 && text[number + digits..].starts_with(END) {
            let end = number + digits + END.len();
            return Some((&text[..start], &text[start..end], &text[end..]));
        }
        from = number;
    }
    None
}

/// The bytes of an image, unless they are not there, which is noted.
fn decode(page: &mut Page, name: &str, base64: &str) -> Option<Vec<u8>> {
    match BASE64_STANDARD.decode(base64.trim_ascii()) {
        Ok(bytes) if bytes.is_empty() => {
            page.lose(Reason::BadImage, format!("image {name:?} is empty"));
            None
        }
        Ok(bytes) => Some(bytes),
        Err(error) => {
            page.lose(Reason::BadBase64, format!("image {name:?} is no base64: {error}"));
            None
        }
    }
}

fn note_filtered(page: &mut Page, small: usize, unlike: usize, over: usize) {
    if small + unlike + over > 0 {
        let what = format!(
            "images left out: {small} with too few bytes, {unlike} not alike any free sentence, {over} over `max_images`"
        );
        page.lose(Reason::Filtered, what);
    }
}

#[cfg(test)]
mod tests;
