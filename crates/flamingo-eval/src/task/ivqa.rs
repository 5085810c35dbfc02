//! iVQA: questions about instructional videos, with the answers of five people each. An answer that two gave is right, one
//! that one gave is half right.

use std::path::Path;

use serde::Deserialize;

use super::outputs::{texts, unscored};
use super::read::{Clips, Given, table};
use super::{
    Ask, FileSpec, Files, Item, Items, Output, PromptStyle, Target, Task, Wording, questions, short_answers,
};
use crate::EvalError;
use crate::metrics::Measure;
use crate::metrics::accuracy::{ENOUGH_IN_IVQA, shared};

pub(super) struct Ivqa;

const FILES: [FileSpec; 3] = [
    FileSpec::required("train", "train.csv", "the training questions"),
    FileSpec::required("queries", "test.csv", "the test questions"),
    FileSpec::required("clips", "clips/", "the folder of the clips, each named by its video_id"),
];

#[derive(Deserialize)]
struct Row {
    video_id: String,
    question: String,
    answer1: String,
    answer2: String,
    answer3: String,
    answer4: String,
    answer5: String,
}

impl Task for Ivqa {
    fn name(&self) -> &'static str {
        "ivqa"
    }

    fn title(&self) -> &'static str {
        "iVQA"
    }

    fn files(&self) -> &'static [FileSpec] {
        &FILES
    }

    fn metric(&self) -> &'static str {
        "ivqa"
    }

    fn load(&self, files: &Files) -> Result<Items, EvalError> {
        let given = Given::to(self, files)?;
        let clips = Clips::of(given.path("clips"));
        let items =
            |path: &Path| Ok::<_, EvalError>(table(path)?.into_iter().map(|row| item(row, &clips)).collect());
        Ok(Items {
            support: items(given.path("train"))?,
            queries: items(given.path("queries"))?,
            ..Items::default()
        })
    }

    fn wording(&self, style: PromptStyle) -> Wording {
        short_answers::wording(style)
    }

    fn ask(&self, style: PromptStyle) -> Ask {
        short_answers::ask(style)
    }

    fn clean(&self, style: PromptStyle, text: &str) -> String {
        short_answers::clean(style, text)
    }

    fn measure(&self, asked: &[(&Item, &Output)]) -> Result<Box<dyn Measure>, EvalError> {
        let given = asked.iter().map(|(item, _)| match &item.target {
            Target::Texts(texts) => Ok(texts.iter().map(String::as_str).collect()),
            target => Err(unscored(item, target)),
        });
        let given = given.collect::<Result<Vec<Vec<&str>>, _>>()?;
        Ok(Box::new(shared(ENOUGH_IN_IVQA, &texts(asked)?, &given)))
    }
}

/// A question has no id: its line is taken. What is shown is the answer that most people gave, the first of several.
fn item((line, row): (u64, Row), clips: &Clips<'_>) -> Item {
    let answers = [row.answer1, row.answer2, row.answer3, row.answer4, row.answer5];
    let most = questions::most_frequent(answers.iter().map(String::as_str)).unwrap_or_default().to_owned();
    Item {
        id: format!("{}-{line}", row.video_id),
        media: vec![clips.get(&row.video_id)],
        question: row.question,
        answer: most,
        choices: Vec::new(),
        target: Target::Texts(answers.to_vec()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{Folder, asked, path_of};
    use super::*;

    const TRAIN: &str = "video_id,start,end,question,answer1,answer2,answer3,answer4,answer5
oWCVUdzlo6k,32,40,\"What is he cutting, slowly?\",lime,onion,onion,lime,garlic
";

    #[test]
    fn two_people_are_enough() {
        let test = TRAIN.to_owned() + "abc,0,9,Where?,bowl,a bowl,bowl,pan,bowl\nabc,9,18,Why?,a,b,c,d,e\n";
        let folder = Folder::with(&[("train", "train.csv", TRAIN), ("queries", "test.csv", &test)])
            .folder("clips", "clips");
        let items = Ivqa.load(folder.files()).unwrap();
        assert_eq!((items.support[0].answer.as_str(), items.queries[2].answer.as_str()), ("lime", "a"));
        assert_eq!(items.queries[1].id, "abc-3");
        assert!(path_of(&items.queries[0]).ends_with("clips/oWCVUdzlo6k.mp4"));
        let said = ["Garlic.", "bowl", "f"].map(|it| Output::Text(Ivqa.clean(PromptStyle::Paper, it)));
        assert_eq!(Ivqa.measure(&asked(&items, &said)).unwrap().each().unwrap(), [0.5, 1.0, 0.0]);
        let folder = folder.file("train", "train.csv", &TRAIN.replace("answer5", "answer6"));
        let error = Ivqa.load(folder.files()).unwrap_err().to_string();
        assert!(error.contains("train.csv: line 2: missing field `answer5`"), "{error}");
    }
}
