//! The splits of COCO and Flickr30k that captioning uses, Karpathy and Fei-Fei 2015: one file with all images, their split
//! and their captions (`dataset_coco.json`, `dataset_flickr30k.json`).

use std::collections::HashMap;
use std::path::Path;

use flamingo::prompt::Medium;
use serde::Deserialize;

use super::read::{Id, Records, distinct, json, odd};
use super::{Item, Items, Target};
use crate::EvalError;

/// An image of the file.
#[derive(Deserialize)]
pub(super) struct Image {
    pub split: String,
    pub filename: String,
    /// COCO: `train2014` or `val2014`.
    pub filepath: Option<String>,
    /// COCO: the image's number.
    pub cocoid: Option<u64>,
    sentences: Vec<Sentence>,
}

#[derive(Deserialize)]
struct Sentence {
    raw: String,
}

#[derive(Deserialize)]
struct File {
    images: Records<Image>,
}

/// Captions in COCO's own format, which OpenFlamingo scores against.
#[derive(Deserialize)]
struct Official {
    annotations: Records<Annotation>,
}

#[derive(Deserialize)]
struct Annotation {
    image_id: Id,
    caption: String,
}

/// Reads the file; split `train` for examples, as OpenFlamingo does, without COCO's `restval`, and `test` to be asked. The
/// references are those of `official` if there is such a file. `place` gives an image's id and where it lies.
pub(super) fn load(
    path: &Path,
    official: Option<&Path>,
    place: impl Fn(&Image) -> Result<(String, Medium), String>,
) -> Result<Items, EvalError> {
    let mut references = official.map(captions).transpose()?;
    let mut items = Items::default();
    for (row, image) in json::<File>(path)?.images.0.into_iter().enumerate() {
        let set = match image.split.as_str() {
            "train" => &mut items.support,
            "test" => &mut items.queries,
            _ => continue,
        };
        let wrong = |what: String| odd(path, format!("record {row} (from 0)"), what);
        let (id, medium) = place(&image).map_err(wrong)?;
        let Some(first) = image.sentences.first() else {
            return Err(wrong("it has no sentences".to_owned()));
        };
        let answer = first.raw.trim().to_owned();
        let texts = match (&mut references, image.split == "test", official) {
            (_, false, _) => vec![answer.clone()],
            (Some(references), true, Some(official)) => references.remove(&id).ok_or_else(|| {
                odd(
                    official,
                    format!("image {id}"),
                    format!("no caption, but {} asks for it", path.display()),
                )
            })?,
            _ => image.sentences.into_iter().map(|it| it.raw).collect(),
        };
        set.push(Item {
            id,
            media: vec![medium],
            question: String::new(),
            answer,
            choices: Vec::new(),
            target: Target::Texts(texts),
        });
    }
    distinct(path, &items.queries)?;
    distinct(path, &items.support)?;
    Ok(items)
}

fn captions(path: &Path) -> Result<HashMap<String, Vec<String>>, EvalError> {
    let mut captions: HashMap<String, Vec<String>> = HashMap::new();
    for annotation in json::<Official>(path)?.annotations.0 {
        captions.entry(annotation.image_id.to_string()).or_default().push(annotation.caption);
    }
    Ok(captions)
}
