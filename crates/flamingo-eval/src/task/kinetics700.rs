//! Kinetics-700-2020: which of 700 actions ten seconds of video show, scored by the mean of top-1 and top-5 accuracy on the
//! validation split.

use std::collections::BTreeSet;
use std::path::Path;

use serde::Deserialize;

use super::outputs::{choices, named, scores};
use super::read::{Clips, Given, distinct, odd, table};
use super::{Ask, FileSpec, Files, Item, Items, Output, PromptStyle, Target, Task, Wording, captions};
use crate::EvalError;
use crate::metrics::{Measure, accuracy};

pub(super) struct Kinetics700;

const FILES: [FileSpec; 4] = [
    FileSpec::required("train", "train.csv", "the training clips"),
    FileSpec::required("queries", "val.csv", "the validation clips"),
    FileSpec::required(
        "train-clips",
        "train/",
        "the folder of the training clips, or of a folder of them for each action",
    ),
    FileSpec::required("clips", "val/", "the same of the validation clips"),
];

#[derive(Deserialize)]
struct Row {
    label: String,
    youtube_id: String,
    time_start: u64,
    time_end: u64,
}

impl Task for Kinetics700 {
    fn name(&self) -> &'static str {
        "kinetics700"
    }

    fn title(&self) -> &'static str {
        "Kinetics-700"
    }

    fn files(&self) -> &'static [FileSpec] {
        &FILES
    }

    fn metric(&self) -> &'static str {
        "top-1-and-5"
    }

    fn chance(&self, items: &Items) -> Option<f64> {
        let classes = items.choices.len() as f64;
        (classes > 0.0).then(|| f64::midpoint(1.0 / classes, (5.0 / classes).min(1.0)))
    }

    fn load(&self, files: &Files) -> Result<Items, EvalError> {
        let given = Given::to(self, files)?;
        let (train, asked) = (table(given.path("train"))?, table::<Row>(given.path("queries"))?);
        let labels: BTreeSet<&str> =
            train.iter().chain(&asked).map(|(_, row): &(u64, Row)| row.label.as_str()).collect();
        let choices: Vec<String> = labels.into_iter().map(str::to_owned).collect();
        let items = |path: &Path, rows, folder| {
            let items = clips(path, rows, &Clips::of(folder), &choices)?;
            distinct(path, &items)?;
            Ok::<_, EvalError>(items)
        };
        let support = items(given.path("train"), train, given.path("train-clips"))?;
        let queries = items(given.path("queries"), asked, given.path("clips"))?;
        Ok(Items { support, queries, choices, ..Items::default() })
    }

    /// That of captions, without a new line behind it, as OpenFlamingo asks ImageNet.
    fn wording(&self, style: PromptStyle) -> Wording {
        captions::without_new_line(style)
    }

    fn ask(&self, style: PromptStyle) -> Ask {
        Ask::Close { mean: style == PromptStyle::OpenFlamingo }
    }

    fn measure(&self, asked: &[(&Item, &Output)]) -> Result<Box<dyn Measure>, EvalError> {
        let measured = accuracy::top_1_and_5(&scores(asked)?, &choices(asked)?);
        Ok(Box::new(named(asked, measured)?))
    }
}

/// Files are named as the tools that fetch them name them: `0wR5jVB-WPk_000417_000427`.
fn clips(
    path: &Path,
    rows: Vec<(u64, Row)>,
    clips: &Clips<'_>,
    labels: &[String],
) -> Result<Vec<Item>, EvalError> {
    let item = |(line, row): (u64, Row)| {
        let Ok(class) = labels.binary_search(&row.label) else {
            return Err(odd(path, format!("line {line}"), format!("the label {:?} is not known", row.label)));
        };
        let id = format!("{}_{:06}_{:06}", row.youtube_id, row.time_start, row.time_end);
        Ok(Item {
            media: vec![clips.get(&id)],
            id,
            question: String::new(),
            answer: row.label,
            choices: Vec::new(),
            target: Target::Choice(class),
        })
    };
    rows.into_iter().map(item).collect()
}

#[cfg(test)]
mod tests {
    use super::super::tests::{Folder, asked, path_of};
    use super::*;

    #[test]
    fn the_first_and_the_first_five_count() {
        let row = |label: &str, id: &str| format!("{label},{id},417,427,train\n");
        let labels = ["g", "f", "e", "d", "c", "b", "a"];
        let train = labels.iter().map(|label| row(label, label)).collect::<String>();
        let header = "label,youtube_id,time_start,time_end,split\n";
        let folder = Folder::with(&[
            ("train", "train.csv", &(header.to_owned() + &train)),
            (
                "queries",
                "val.csv",
                &(header.to_owned() + &row("b", "0wR5jVB-WPk") + &row("b", "x") + &row("b", "y")),
            ),
        ])
        .folder("train-clips", "train")
        .folder("clips", "val");
        let items = Kinetics700.load(folder.files()).unwrap();
        assert_eq!(items.choices, ["a", "b", "c", "d", "e", "f", "g"]);
        assert_eq!((items.support[1].answer.as_str(), &items.support[1].target), ("f", &Target::Choice(5)));
        assert!(path_of(&items.queries[0]).ends_with("val/0wR5jVB-WPk_000417_000427.mp4"));
        let scores = [
            [0.0, 9.0, 1.0, 1.0, 1.0, 1.0, 1.0],
            [4.0, 1.0, 3.0, 2.0, 0.0, 0.0, 0.0],
            [1.0, 0.0, 1.0, 1.0, 1.0, 1.0, 1.0],
        ];
        let outputs = scores.map(|it| Output::Scores(it.to_vec()));
        assert_eq!(Kinetics700.measure(&asked(&items, &outputs)).unwrap().each().unwrap(), [1.0, 0.5, 0.0]);
        assert!((Kinetics700.chance(&items).unwrap() - 3.0 / 7.0).abs() < 1e-12);
        let folder = folder.file("queries", "val.csv", &(header.to_owned() + "b,x,1.5,2,val\n"));
        let error = Kinetics700.load(folder.files()).unwrap_err().to_string();
        assert!(error.contains("val.csv: line 2: column time_start"), "{error}");
    }
}
