//! VQAv2: questions about photographs of COCO, with the answers of ten people each. Those of the paper's split, test-dev, are
//! not published: it can be asked, and its predictions sent to the benchmark's server; the validation split can be scored.

use std::path::Path;

use flamingo::prompt::Medium;

use super::read::{Given, Id, image};
use super::vqa::{self, Question};
use super::{FileSpec, Files, Items, Task};
use crate::EvalError;

pub(super) struct Vqav2;

const FILES: [FileSpec; 6] = with_images(vqa::files(
    [
        "v2_OpenEnded_mscoco_train2014_questions.json",
        "v2_mscoco_train2014_annotations.json",
        "v2_OpenEnded_mscoco_test-dev2015_questions.json",
        "v2_mscoco_val2014_annotations.json",
    ],
    false,
));

/// The files of a task of COCO's images.
pub(super) const fn with_images([a, b, c, d]: [FileSpec; 4]) -> [FileSpec; 6] {
    let train = FileSpec::required("train-images", "train2014/", "the folder of COCO's training images");
    let about = "the folder of the images that are asked about: val2014/, or test2015/ for test-dev";
    [a, b, c, d, train, FileSpec::required("images", "val2014/", about)]
}

/// Reads the files of a task of COCO's images.
pub(super) fn load(task: &dyn Task, files: &Files) -> Result<Items, EvalError> {
    let given = Given::to(task, files)?;
    let (train, asked) = (given.path("train-images"), given.path("images"));
    vqa::load(&given, |training, subtype, question| {
        picture(if training { train } else { asked }, subtype, question)
    })
}

/// The name has the split in it: that of the folder, as in OpenFlamingo, or else the questions'.
fn picture(folder: &Path, subtype: Option<&str>, question: &Question) -> Result<Medium, String> {
    let splits = ["train2014", "val2014", "test2015"];
    let named = folder.file_name().and_then(|name| name.to_str()).filter(|name| splits.contains(name));
    let split = match (named, subtype) {
        (Some(name), _) => name,
        (None, Some("test-dev2015")) => "test2015",
        (None, Some(subtype)) if splits.contains(&subtype) => subtype,
        (None, other) => {
            return Err(format!(
                "the images' split is not known: the folder is not named as one of {splits:?}, and data_subtype is {other:?}"
            ));
        }
    };
    let Id::Number(number) = question.image else {
        return Err(format!("image_id is {:?}; a number was expected", question.image.to_string()));
    };
    Ok(image(folder, format!("COCO_{split}_{number:012}.jpg")))
}

impl Task for Vqav2 {
    fn name(&self) -> &'static str {
        "vqav2"
    }

    fn title(&self) -> &'static str {
        "VQAv2"
    }

    fn files(&self) -> &'static [FileSpec] {
        &FILES
    }

    fn load(&self, files: &Files) -> Result<Items, EvalError> {
        load(self, files)
    }

    as_others!(vqa);
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::tests::{Folder, asked, path_of};
    use super::super::{Output, PromptStyle, Target};
    use super::*;

    /// An annotation as VQA has it, with so many answers of one kind and of another.
    pub fn annotation(question: u64, image: u64, [first, second]: [(&str, usize); 2]) -> String {
        let texts = [vec![first.0; first.1], vec![second.0; second.1]].concat();
        let answers = texts.iter().enumerate().map(|(number, text)| {
            format!(r#"{{"answer": "{text}", "raw_answer": "{text}s", "answer_confidence": "yes", "answer_id": {}}}"#, number + 1)
        });
        format!(
            r#"{{"question_type": "what", "multiple_choice_answer": "{}", "answers": [{}], "image_id": {image}, "answer_type": "other", "question_id": {question}}}"#,
            first.0,
            answers.collect::<Vec<_>>().join(", ")
        )
    }

    /// A file of annotations.
    pub fn annotations(all: &[String]) -> String {
        format!(
            r#"{{"info": {{}}, "license": {{}}, "data_subtype": "val2014", "annotations": [{}], "data_type": "mscoco"}}"#,
            all.join(", ")
        )
    }

    /// A file of questions, each with its image.
    pub fn questions(subtype: &str, all: &[(u64, u64, &str)]) -> String {
        let all = all.iter().map(|(id, image, text)| {
            format!(r#"{{"image_id": {image}, "question": "{text}", "question_id": {id}}}"#)
        });
        format!(
            r#"{{"info": {{}}, "task_type": "Open-Ended", "data_type": "mscoco", "license": {{}}, "data_subtype": "{subtype}", "questions": [{}]}}"#,
            all.collect::<Vec<_>>().join(", ")
        )
    }

    /// Files of two questions to train with and two to ask.
    pub fn folder() -> Folder {
        let train =
            [(458752000, 458752, "What is this photo taken looking through?"), (458752001, 458752, "Who?")];
        let asked = [(262148000, 262148, "Where is he looking?"), (262148001, 262148, "How many?")];
        Folder::with(&[
            ("train-questions", "train_q.json", &questions("train2014", &train)),
            (
                "train-annotations",
                "train_a.json",
                &annotations(&[
                    annotation(458752001, 458752, [("pitcher", 6), ("man", 4)]),
                    annotation(458752000, 458752, [("net", 10), ("", 0)]),
                ]),
            ),
            ("questions", "val_q.json", &questions("val2014", &asked)),
            (
                "annotations",
                "val_a.json",
                &annotations(&[
                    annotation(262148000, 262148, [("down", 8), ("at table", 2)]),
                    annotation(262148001, 262148, [("2", 2), ("two", 8)]),
                ]),
            ),
        ])
        .folder("train-images", "train2014")
        .folder("images", "val2014")
    }

    #[test]
    fn questions_are_joined_with_their_answers() {
        let folder = folder();
        let items = Vqav2.load(folder.files()).unwrap();
        assert_eq!(items.support.iter().map(|it| it.answer.as_str()).collect::<Vec<_>>(), ["net", "pitcher"]);
        assert!(path_of(&items.support[0]).ends_with("train2014/COCO_train2014_000000458752.jpg"));
        assert!(path_of(&items.queries[0]).ends_with("val2014/COCO_val2014_000000262148.jpg"));
        assert_eq!(
            (items.queries[1].id.as_str(), items.queries[1].question.as_str()),
            ("262148001", "How many?")
        );
        let said = [" Down, he", " two Question:"]
            .map(|it| Output::Text(Vqav2.clean(PromptStyle::OpenFlamingo, it)));
        let measure = Vqav2.measure(&asked(&items, &said)).unwrap();
        assert_eq!(measure.each().unwrap(), [1.0, 1.0]);
        let measure = Vqav2.measure(&asked(&items, &[Output::Text("at table".to_owned())])).unwrap();
        assert!((measure.each().unwrap()[0] - 0.6).abs() < 1e-12);
    }

    #[test]
    fn the_test_split_is_asked_without_answers() {
        let asked_of = questions("test-dev2015", &[(262144007, 262144, "Is it?")]);
        let folder = folder().file("questions", "q.json", &asked_of).folder("images", "test2015");
        let files = folder.files().clone().into_iter().filter(|(name, _)| name != "annotations").collect();
        let items = Vqav2.load(&files).unwrap();
        assert_eq!(items.queries[0].target, Target::Hidden);
        assert!(path_of(&items.queries[0]).ends_with("test2015/COCO_test2015_000000262144.jpg"));
        let elsewhere = folder.folder("images", "pictures");
        let files = elsewhere.files().clone().into_iter().filter(|(name, _)| name != "annotations").collect();
        assert!(
            path_of(&Vqav2.load(&files).unwrap().queries[0])
                .ends_with("pictures/COCO_test2015_000000262144.jpg")
        );
    }

    #[test]
    fn a_record_that_is_wrong_is_named() {
        let error = |folder: Folder| Vqav2.load(folder.files()).unwrap_err().to_string();
        let text = error(folder().file("annotations", "a.json", &annotations(&[])));
        assert!(text.contains("a.json: question 262148000: there is no answer to it"), "{text}");
        let text = error(folder().file("questions", "q.json", "{\"question\": []}"));
        assert!(text.contains("q.json: at the top: \"questions\" (VQA)"), "{text}");
        let elsewhere =
            folder().file("questions", "q.json", &questions("val", &[(1, 2, "a")])).folder("images", "x");
        let files = elsewhere.files().clone().into_iter().filter(|(name, _)| name != "annotations").collect();
        let text = Vqav2.load(&files).unwrap_err().to_string();
        assert!(
            text.contains("q.json: record 0 (from 0), question 1: the images' split is not known"),
            "{text}"
        );
        let twice = annotation(262148000, 1, [("a", 1), ("b", 0)]);
        let text = error(folder().file("annotations", "a.json", &annotations(&[twice.clone(), twice])));
        assert!(text.contains("question 262148000: it is there twice"), "{text}");
    }
}
