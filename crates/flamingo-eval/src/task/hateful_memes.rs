//! HatefulMemes: whether a picture with a text on it is hateful, from the probability of "yes", scored by ROC AUC.

use std::path::Path;

use serde::Deserialize;

use super::outputs::{choices, named, odd, scores};
use super::read::{self, Given, Id, distinct, image, lines};
use super::{Ask, FileSpec, Files, Item, Items, Output, PromptStyle, Target, Task, Wording};
use crate::EvalError;
use crate::metrics::Measure;
use crate::metrics::roc_auc::RocAuc;

pub(super) struct HatefulMemes;

const FILES: [FileSpec; 3] = [
    FileSpec::required("train", "train.jsonl", "the training set"),
    FileSpec::required("queries", "test_seen.jsonl", "what is asked; the paper takes the seen test set"),
    FileSpec::required("images", "img/", "the folder of all images"),
];

/// In the order in which OpenFlamingo has them; a label is a place here.
const CHOICES: [&str; 2] = ["no", "yes"];

#[derive(Deserialize)]
struct Meme {
    id: Id,
    img: String,
    text: String,
    /// Not there in test sets as they were during the challenge.
    label: Option<usize>,
}

impl Task for HatefulMemes {
    fn name(&self) -> &'static str {
        "hateful-memes"
    }

    fn title(&self) -> &'static str {
        "HatefulMemes"
    }

    fn files(&self) -> &'static [FileSpec] {
        &FILES
    }

    fn metric(&self) -> &'static str {
        "roc-auc"
    }

    fn chance(&self, _items: &Items) -> Option<f64> {
        Some(0.5)
    }

    fn load(&self, files: &Files) -> Result<Items, EvalError> {
        let given = Given::to(self, files)?;
        let images = given.path("images");
        Ok(Items {
            support: memes(given.path("train"), images, true)?,
            queries: memes(given.path("queries"), images, false)?,
            choices: CHOICES.map(str::to_owned).to_vec(),
            ..Items::default()
        })
    }

    /// Paper: appendix B.1.5; OpenFlamingo: `get_hateful_memes_prompt`, with no new line behind it.
    fn wording(&self, style: PromptStyle) -> Wording {
        Wording::of(match style {
            PromptStyle::Paper => {
                "{image}is an image with written: \"{question}\" on it. Is it hateful? Answer: {answer}{eoc}"
            }
            PromptStyle::OpenFlamingo => {
                "{image}is an image with: '{question}' written on it. Is it hateful? Answer:{answer}{eoc}"
            }
        })
    }

    fn ask(&self, style: PromptStyle) -> Ask {
        Ask::Close { mean: style == PromptStyle::OpenFlamingo }
    }

    fn measure(&self, asked: &[(&Item, &Output)]) -> Result<Box<dyn Measure>, EvalError> {
        let labels: Vec<bool> = choices(asked)?.into_iter().map(|label| label == 1).collect();
        let yes = scores(asked)?.into_iter().zip(asked).map(|(scores, (item, _))| match scores[..] {
            [no, yes] => Ok(1.0 / (1.0 + (no - yes).exp())),
            _ => Err(odd(item, format!("{} scores; one of no and one of yes were expected", scores.len()))),
        });
        let yes: Vec<f64> = yes.collect::<Result<_, _>>()?;
        Ok(Box::new(named(asked, RocAuc::new(&yes, &labels))?))
    }
}

fn memes(path: &Path, images: &Path, labelled: bool) -> Result<Vec<Item>, EvalError> {
    let item = |(row, meme): (usize, Meme)| {
        let wrong = |what: String| read::odd(path, format!("record {row} (from 0), id {}", meme.id), what);
        let target = match meme.label {
            Some(label) if label < CHOICES.len() => Target::Choice(label),
            Some(label) => return Err(wrong(format!("label is {label}; 0 or 1 was expected"))),
            None if labelled => return Err(wrong("missing field `label`".to_owned())),
            None => Target::Hidden,
        };
        let name = meme.img.rsplit('/').next().unwrap_or(&meme.img);
        Ok(Item {
            id: meme.id.to_string(),
            media: vec![image(images, name)],
            question: meme.text.clone(),
            answer: CHOICES[meme.label.unwrap_or(0)].to_owned(),
            choices: Vec::new(),
            target,
        })
    };
    let items = lines(path)?.into_iter().enumerate().map(item).collect::<Result<Vec<_>, _>>()?;
    distinct(path, &items)?;
    Ok(items)
}

#[cfg(test)]
mod tests {
    use super::super::tests::{Folder, asked, path_of};
    use super::*;

    const TRAIN: &str = r#"{"id":42953,"img":"img/42953.png","label":0,"text":"its their character not their color that matters"}
{"id":23058,"img":"img/23058.png","label":1,"text":"don't be afraid to love again"}"#;
    const TEST: &str = r#"{"id":16395,"img":"img/16395.png","label":1,"text":"a meal for two"}
{"id":"05279","img":"img/05279.png","label":0,"text":"a {image} in braces"}"#;

    fn folder() -> Folder {
        Folder::with(&[("train", "train.jsonl", TRAIN), ("queries", "test_seen.jsonl", TEST)])
            .folder("images", "img")
    }

    #[test]
    fn memes_are_asked_with_their_text() {
        let folder = folder();
        let items = HatefulMemes.load(folder.files()).unwrap();
        assert_eq!(items.choices, ["no", "yes"]);
        let [first, second] = &items.support[..] else { panic!("{items:?}") };
        assert_eq!((first.answer.as_str(), second.answer.as_str()), ("no", "yes"));
        assert_eq!(items.queries[1].id, "05279");
        assert!(path_of(&items.queries[1]).ends_with("img/05279.png"));
        assert_eq!(items.queries[0].question, "a meal for two");
    }

    #[test]
    fn the_score_is_that_of_the_probability_of_yes() {
        let items = HatefulMemes.load(folder().files()).unwrap();
        let score = |scores: [[f64; 2]; 2]| {
            let outputs = scores.map(|it| Output::Scores(it.to_vec()));
            HatefulMemes.measure(&asked(&items, &outputs)).map(|it| it.score().unwrap())
        };
        // Sums are far apart, but what counts is yes against no.
        assert_eq!(score([[-9.0, -8.0], [-2.0, -1.5]]).unwrap(), 1.0);
        assert_eq!(score([[-2.0, -1.5], [-9.0, -8.0]]).unwrap(), 0.0);
        assert_eq!(score([[-1.0, -1.0], [-3.0, -3.0]]).unwrap(), 0.5);
        let error =
            HatefulMemes.measure(&asked(&items, &[Output::Scores(vec![0.0])])).err().unwrap().to_string();
        assert!(error.contains("\"16395\"") && error.contains("1 scores"), "{error}");
    }

    #[test]
    fn a_test_set_without_labels_can_be_asked_but_not_scored() {
        let folder = folder().file("queries", "test.jsonl", r#"{"id":1,"img":"img/00001.png","text":"a"}"#);
        let items = HatefulMemes.load(folder.files()).unwrap();
        assert_eq!(items.queries[0].target, Target::Hidden);
        let error = HatefulMemes
            .measure(&asked(&items, &[Output::Scores(vec![0.0, 1.0])]))
            .err()
            .unwrap()
            .to_string();
        assert!(error.contains("not published"), "{error}");
        let folder = folder.file("train", "train.jsonl", r#"{"id":1,"img":"img/00001.png","text":"a"}"#);
        let error = HatefulMemes.load(folder.files()).unwrap_err().to_string();
        assert!(error.contains("train.jsonl: record 0 (from 0), id 1: missing field `label`"), "{error}");
    }
}
