//! STAR: questions about situations in videos, with four choices. The answers of the paper's split, test, are not published; the
//! validation split can be scored.

use std::path::Path;

use serde::Deserialize;

use super::outputs::top_1;
use super::read::{Clips, Given, Id, Records, distinct, json, odd};
use super::{Ask, FileSpec, Files, Item, Items, Output, PromptStyle, Target, Task, Wording, questions};
use crate::EvalError;
use crate::metrics::Measure;

pub(super) struct Star;

const FILES: [FileSpec; 3] = [
    FileSpec::required("train", "STAR_train.json", "the training questions"),
    FileSpec::required("queries", "STAR_val.json", "the questions that are asked, or STAR_test.json"),
    FileSpec::required(
        "clips",
        "clips/",
        "the folder of the clips, cut out of Charades, each named by its question_id",
    ),
];

#[derive(Deserialize)]
struct Question {
    question_id: Id,
    question: String,
    choices: Vec<Choice>,
    /// Not there in the test split.
    answer: Option<String>,
}

#[derive(Deserialize)]
struct Choice {
    choice: String,
}

impl Task for Star {
    fn name(&self) -> &'static str {
        "star"
    }

    fn title(&self) -> &'static str {
        "STAR"
    }

    fn files(&self) -> &'static [FileSpec] {
        &FILES
    }

    fn metric(&self) -> &'static str {
        "top-1"
    }

    fn chance(&self, items: &Items) -> Option<f64> {
        let of = items.queries.len();
        let sum: f64 = items.queries.iter().map(|item| 1.0 / item.choices.len() as f64).sum();
        (of > 0).then(|| sum / of as f64)
    }

    fn load(&self, files: &Files) -> Result<Items, EvalError> {
        let given = Given::to(self, files)?;
        let clips = Clips::of(given.path("clips"));
        Ok(Items {
            support: questions_of(given.path("train"), &clips, true)?,
            queries: questions_of(given.path("queries"), &clips, false)?,
            ..Items::default()
        })
    }

    fn wording(&self, style: PromptStyle) -> Wording {
        questions::wording(style)
    }

    fn ask(&self, style: PromptStyle) -> Ask {
        Ask::Close { mean: style == PromptStyle::OpenFlamingo }
    }

    fn measure(&self, asked: &[(&Item, &Output)]) -> Result<Box<dyn Measure>, EvalError> {
        Ok(Box::new(top_1(asked)?))
    }
}

fn questions_of(path: &Path, clips: &Clips<'_>, answered: bool) -> Result<Vec<Item>, EvalError> {
    let item = |it: Question| {
        let id = it.question_id.to_string();
        let wrong = |what: String| odd(path, format!("question {id}"), what);
        let choices: Vec<String> = it.choices.into_iter().map(|it| it.choice).collect();
        if choices.is_empty() {
            return Err(wrong("it has no choices".to_owned()));
        }
        let target = match &it.answer {
            None if answered => return Err(wrong("missing field `answer`".to_owned())),
            None => Target::Hidden,
            Some(answer) => {
                let place = choices.iter().position(|choice| choice == answer);
                Target::Choice(
                    place.ok_or_else(|| wrong(format!("the answer {answer:?} is not among its choices")))?,
                )
            }
        };
        let media = vec![clips.get(&id)];
        Ok(Item { id, media, question: it.question, answer: it.answer.unwrap_or_default(), choices, target })
    };
    let items = json::<Records<Question>>(path)?.0.into_iter().map(item).collect::<Result<Vec<_>, _>>()?;
    distinct(path, &items)?;
    Ok(items)
}

#[cfg(test)]
mod tests {
    use super::super::tests::{Folder, asked, path_of};
    use super::*;

    fn record(id: &str, answer: &str) -> String {
        let choices = ["The door.", "The book.", "The bag.", "The cup."]
            .map(|text| format!(r#"{{"choice_id": 0, "choice": "{text}", "choice_program": []}}"#));
        format!(
            r#"[{{"question_id": "{id}", "question": "Which object was tidied up by the person?", "video_id": "6H78U",
            "start": 11.1, "end": 19.6, {answer} "question_program": [], "choices": [{}], "situations": {{}}}}]"#,
            choices.join(", ")
        )
    }

    #[test]
    fn the_likeliest_of_four_is_taken() {
        let (train, val) = (
            record("Interaction_T1_13", r#""answer": "The bag.","#),
            record("Interaction_T1_14", r#""answer": "The book.","#),
        );
        let folder =
            Folder::with(&[("train", "STAR_train.json", &train), ("queries", "STAR_val.json", &val)])
                .folder("clips", "clips");
        let items = Star.load(folder.files()).unwrap();
        assert_eq!((items.support[0].answer.as_str(), Star.chance(&items)), ("The bag.", Some(0.25)));
        assert!(path_of(&items.queries[0]).ends_with("clips/Interaction_T1_14.mp4"));
        let score = |scores: [f64; 4]| {
            Star.measure(&asked(&items, &[Output::Scores(scores.to_vec())])).unwrap().score()
        };
        assert_eq!(score([-2.0, -1.0, -3.0, -4.0]), Some(1.0));
        assert_eq!(score([-1.0, -2.0, -3.0, -4.0]), Some(0.0));
        let folder = folder.file("queries", "STAR_test.json", &record("x", ""));
        assert_eq!(Star.load(folder.files()).unwrap().queries[0].target, Target::Hidden);
        let folder = folder.file("queries", "STAR_val.json", &record("x", r#""answer": "The cat.","#));
        let error = Star.load(folder.files()).unwrap_err().to_string();
        assert!(error.contains("STAR_val.json: question x: the answer \"The cat.\" is not among"), "{error}");
    }
}
