//! VisDial: the next answer of a dialog about a photograph, among a hundred; scored by NDCG on those rounds of the validation
//! split of which people said how well each candidate suits.

use std::collections::HashMap;
use std::path::Path;

use flamingo::prompt::{Medium, Source};
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::outputs::{named, scores, unscored};
use super::read::{Given, Records, distinct, image, json, odd};
use super::{Ask, FileSpec, Files, Item, Items, Output, PromptStyle, Target, Task, Wording};
use crate::EvalError;
use crate::metrics::Measure;
use crate::metrics::ndcg::{self, Ndcg};

pub(super) struct VisDial;

const FILES: [FileSpec; 6] = [
    FileSpec::required("train", "visdial_1.0_train.json", "the training dialogs"),
    FileSpec::required("queries", "visdial_1.0_val.json", "the validation dialogs"),
    FileSpec::required(
        "relevance",
        "visdial_1.0_val_dense_annotations.json",
        "how well each candidate suits, of one round of each",
    ),
    FileSpec::required("train-images", "train2014/", "the folder of COCO's training images"),
    FileSpec::required(
        "train-images-2",
        "val2014/",
        "the folder of COCO's validation images, which are trained on too",
    ),
    FileSpec::required("images", "VisualDialog_val2018/", "the folder of the validation images"),
];

/// Of a training dialog the candidates are not kept: `A` is [`IgnoredAny`].
#[derive(Deserialize)]
#[serde(bound = "A: Deserialize<'de>")]
struct File<A> {
    data: Data<A>,
}

#[derive(Deserialize)]
#[serde(bound = "A: Deserialize<'de>")]
struct Data<A> {
    questions: Vec<String>,
    answers: Vec<String>,
    dialogs: Records<Dialog<A>>,
}

#[derive(Deserialize)]
struct Dialog<A> {
    image_id: u64,
    caption: String,
    dialog: Vec<Round<A>>,
}

#[derive(Deserialize)]
struct Round<A> {
    question: usize,
    answer: usize,
    answer_options: A,
}

/// Of the round that is counted from 1.
#[derive(Deserialize)]
struct Dense {
    image_id: u64,
    round_id: usize,
    gt_relevance: Vec<f64>,
}

impl Task for VisDial {
    fn name(&self) -> &'static str {
        "visdial"
    }

    fn title(&self) -> &'static str {
        "VisDial"
    }

    fn files(&self) -> &'static [FileSpec] {
        &FILES
    }

    fn metric(&self) -> &'static str {
        "ndcg"
    }

    /// The mean over all orders of the candidates.
    fn chance(&self, items: &Items) -> Option<f64> {
        let blind = items.queries.iter().filter_map(|item| match &item.target {
            Target::Relevance(relevance) => ndcg::expected(relevance),
            _ => None,
        });
        let blind: Vec<f64> = blind.collect();
        (!blind.is_empty()).then(|| blind.iter().sum::<f64>() / blind.len() as f64)
    }

    fn load(&self, files: &Files) -> Result<Items, EvalError> {
        let given = Given::to(self, files)?;
        let support =
            support(given.path("train"), [given.path("train-images"), given.path("train-images-2")])?;
        let queries = queries(given.path("queries"), given.path("relevance"), given.path("images"))?;
        Ok(Items { support, queries, ..Items::default() })
    }

    /// Paper, appendix B.1.5: the caption stands bare before the dialog, which is written as questions are. A round that was
    /// answered is written in an item's question. OpenFlamingo does not evaluate it; no space is written before its answer.
    fn wording(&self, style: PromptStyle) -> Wording {
        Wording::of(match style {
            PromptStyle::Paper => "{image}{question} Answer: {answer}{eoc}",
            PromptStyle::OpenFlamingo => "{image}{question} Answer:{answer}{eoc}\n",
        })
    }

    fn ask(&self, style: PromptStyle) -> Ask {
        Ask::Close { mean: style == PromptStyle::OpenFlamingo }
    }

    fn measure(&self, asked: &[(&Item, &Output)]) -> Result<Box<dyn Measure>, EvalError> {
        let relevance = asked.iter().map(|(item, _)| match &item.target {
            Target::Relevance(relevance) => Ok(relevance.clone()),
            target => Err(unscored(item, target)),
        });
        let relevance = relevance.collect::<Result<Vec<_>, _>>()?;
        Ok(Box::new(named(asked, Ndcg::new(&scores(asked)?, &relevance))?))
    }
}

/// A dialog up to a round's question: `CAPTION Question: … Answer: … Question: …`. Questions are kept without their mark; it is
/// put back, as VisDial's starter code does.
fn dialog<A>(data: &Data<A>, of: &Dialog<A>, rounds: usize) -> Result<String, String> {
    let mut text = of.caption.trim().to_owned();
    for (place, round) in of.dialog[..rounds].iter().enumerate() {
        let question = data.questions.get(round.question).ok_or_else(|| {
            format!("question {} of round {place} is not among the {}", round.question, data.questions.len())
        })?;
        let question = question.trim();
        let mark = if question.ends_with('?') { "" } else { "?" };
        text += &format!(" Question: {question}{mark}");
        if place + 1 < rounds {
            text += &format!(" Answer: {}", answer(data, round.answer)?);
        }
    }
    Ok(text)
}

fn answer<A>(data: &Data<A>, place: usize) -> Result<&str, String> {
    let answer = data.answers.get(place).map(|it| it.trim());
    answer.ok_or_else(|| format!("answer {place} is not among the {}", data.answers.len()))
}

/// A training dialog is shown whole; what is answered is its last question.
fn support(path: &Path, folders: [&Path; 2]) -> Result<Vec<Item>, EvalError> {
    let data = json::<File<IgnoredAny>>(path)?.data;
    let item = |of: &Dialog<IgnoredAny>| {
        let wrong = |what| odd(path, format!("dialog of image {}", of.image_id), what);
        let last = of.dialog.last().ok_or_else(|| wrong("it has no rounds".to_owned()))?;
        let question = dialog(&data, of, of.dialog.len()).map_err(wrong)?;
        let answer = answer(&data, last.answer).map_err(wrong)?.to_owned();
        // An id does not say in which of COCO's two folders its image is.
        let name = |split: &str| format!("COCO_{split}_{:012}.jpg", of.image_id);
        let second = folders[1].join(name("val2014"));
        let media = match second.exists() {
            true => Medium::Image(Source::File(second)),
            false => image(folders[0], name("train2014")),
        };
        Ok(Item {
            id: of.image_id.to_string(),
            media: vec![media],
            question,
            target: Target::Texts(vec![answer.clone()]),
            answer,
            choices: Vec::new(),
        })
    };
    let items = data.dialogs.0.iter().map(item).collect::<Result<Vec<_>, EvalError>>()?;
    distinct(path, &items)?;
    Ok(items)
}

/// What is asked is one round of each dialog.
fn queries(path: &Path, relevance: &Path, folder: &Path) -> Result<Vec<Item>, EvalError> {
    let data = json::<File<Vec<usize>>>(path)?.data;
    let dialogs: HashMap<u64, &Dialog<Vec<usize>>> =
        data.dialogs.0.iter().map(|it| (it.image_id, it)).collect();
    let item = |dense: Dense| {
        let id = format!("{}-{}", dense.image_id, dense.round_id);
        let wrong =
            |what| odd(relevance, format!("image {}, round {}", dense.image_id, dense.round_id), what);
        let of =
            dialogs.get(&dense.image_id).ok_or_else(|| wrong(format!("it is not in {}", path.display())))?;
        let round = dense.round_id.checked_sub(1).and_then(|place| of.dialog.get(place));
        let round = round.ok_or_else(|| wrong(format!("the dialog has rounds 1 to {}", of.dialog.len())))?;
        if round.answer_options.len() != dense.gt_relevance.len() {
            let (relevance, options) = (dense.gt_relevance.len(), round.answer_options.len());
            return Err(wrong(format!(
                "there are {relevance} numbers in gt_relevance, but {options} candidates"
            )));
        }
        let wrong = |what| odd(path, format!("dialog of image {}", of.image_id), what);
        let option = |place: &usize| answer(&data, *place).map(str::to_owned);
        Ok(Item {
            id,
            media: vec![image(folder, format!("VisualDialog_val2018_{:012}.jpg", of.image_id))],
            question: dialog(&data, of, dense.round_id).map_err(wrong)?,
            answer: answer(&data, round.answer).map_err(wrong)?.to_owned(),
            choices: round.answer_options.iter().map(option).collect::<Result<_, _>>().map_err(wrong)?,
            target: Target::Relevance(dense.gt_relevance),
        })
    };
    let items = json::<Records<Dense>>(relevance)?.0.into_iter().map(item).collect::<Result<Vec<_>, _>>()?;
    distinct(relevance, &items)?;
    Ok(items)
}

#[cfg(test)]
mod tests {
    use super::super::tests::{Folder, asked, path_of};
    use super::*;

    fn dialogs(split: &str, image: u64) -> String {
        format!(
            r#"{{"version": "1.0", "split": "{split}", "data": {{"questions": ["is it sunny", "how many dogs"], "answers": ["yes", "2", "no", "a few"],
            "dialogs": [{{"image_id": {image}, "caption": "dogs on a beach ", "dialog": [
                {{"question": 0, "answer": 2, "gt_index": 1, "answer_options": [0, 2]}},
                {{"question": 1, "answer": 1, "gt_index": 0, "answer_options": [1, 3, 2]}}]}}]}}}}"#
        )
    }

    const DENSE: &str = r#"[{"image_id": 185565, "round_id": 2, "gt_relevance": [1.0, 0.4, 0.0]}]"#;

    fn folder() -> Folder {
        Folder::with(&[
            ("train", "train.json", &dialogs("train", 378466)),
            ("queries", "val.json", &dialogs("val2018", 185565)),
            ("relevance", "dense.json", DENSE),
        ])
        .folder("train-images", "train2014")
        .folder("train-images-2", "val2014")
        .folder("images", "VisualDialog_val2018")
    }

    #[test]
    fn a_round_is_asked_with_what_was_said_before() {
        let folder = folder();
        let items = VisDial.load(folder.files()).unwrap();
        let [query] = &items.queries[..] else { panic!("{items:?}") };
        assert_eq!(
            query.question,
            "dogs on a beach Question: is it sunny? Answer: no Question: how many dogs?"
        );
        assert_eq!(query.choices, ["2", "a few", "no"]);
        assert!(path_of(query).ends_with("VisualDialog_val2018/VisualDialog_val2018_000000185565.jpg"));
        assert_eq!(
            (items.support[0].question.as_str(), items.support[0].answer.as_str()),
            (query.question.as_str(), "2")
        );
        assert!(path_of(&items.support[0]).ends_with("train2014/COCO_train2014_000000378466.jpg"));
        let score = |scores: [f64; 3]| {
            VisDial.measure(&asked(&items, &[Output::Scores(scores.to_vec())])).unwrap().score()
        };
        assert_eq!(score([-1.0, -2.0, -3.0]), Some(1.0));
        assert!(score([-2.0, -3.0, -1.0]).unwrap() < 0.6);
        assert!(
            (VisDial.chance(&items).unwrap()
                - (1.4 / 3.0) * (1.0 + 1.0 / 3f64.log2()) / (1.0 + 0.4 / 3f64.log2()))
            .abs()
                < 1e-12
        );
    }

    #[test]
    fn an_image_may_be_in_cocos_second_folder() {
        let folder = folder().file("there", "val2014/COCO_val2014_000000378466.jpg", "");
        let files = folder.files().clone().into_iter().filter(|(name, _)| name != "there").collect();
        assert!(
            path_of(&VisDial.load(&files).unwrap().support[0])
                .ends_with("val2014/COCO_val2014_000000378466.jpg")
        );
    }

    #[test]
    fn a_record_that_is_wrong_is_named() {
        let error = |name: &str, file: &str, text: &str| {
            let error = VisDial.load(folder().file(name, file, text).files()).unwrap_err().to_string();
            assert!(error.contains(file), "{error}");
            error
        };
        let dense = |from: &str, to: &str| error("relevance", "dense.json", &DENSE.replace(from, to));
        assert!(dense("185565", "5").contains("image 5, round 2: it is not in"));
        assert!(
            dense("\"round_id\": 2", "\"round_id\": 0").contains("round 0: the dialog has rounds 1 to 2")
        );
        assert!(dense("0.4, ", "").contains("2 numbers in gt_relevance, but 3 candidates"));
        let val = dialogs("val2018", 185565);
        assert!(
            error("queries", "val.json", &val.replace("[1, 3, 2]", "[1, 9, 2]"))
                .contains("image 185565: answer 9 is not among the 4")
        );
        assert!(
            error("train", "train.json", &val.replace("\"question\": 1", "\"question\": 7"))
                .contains("question 7 of round 1")
        );
        assert!(
            error("train", "train.json", &val.replace("\"caption\"", "\"title\""))
                .contains("record 0 (from 0): missing field `caption`")
        );
    }
}
