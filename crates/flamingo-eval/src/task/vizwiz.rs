//! VizWiz: questions that blind people asked about photographs that they took, with the answers of ten people each, "unanswerable"
//! among them. The answers of the paper's split, test-dev, are not published; the validation split can be scored.

use super::read::{Given, Id, image};
use super::{FileSpec, Files, Items, Task, vqa};
use crate::EvalError;

pub(super) struct VizWiz;

const FILES: [FileSpec; 6] = {
    let [a, b, c, d] = vqa::files(
        ["train.json", "train_annotations_vqa_format.json", "val.json", "val_annotations_vqa_format.json"],
        true,
    );
    let train = FileSpec::required("train-images", "train/", "the folder of the training images");
    [a, b, c, d, train, FileSpec::required("images", "val/", "the folder of the images that are asked about")]
};

impl Task for VizWiz {
    fn name(&self) -> &'static str {
        "vizwiz"
    }

    fn title(&self) -> &'static str {
        "VizWiz"
    }

    fn files(&self) -> &'static [FileSpec] {
        &FILES
    }

    fn load(&self, files: &Files) -> Result<Items, EvalError> {
        let given = Given::to(self, files)?;
        let (train, asked) = (given.path("train-images"), given.path("images"));
        vqa::load(&given, |training, _, question| match &question.image {
            Id::Text(name) => Ok(image(if training { train } else { asked }, name)),
            Id::Number(number) => Err(format!("the image is {number}; its name was expected")),
        })
    }

    as_others!(vqa);
}

#[cfg(test)]
mod tests {
    use super::super::tests::{Folder, asked, path_of};
    use super::super::{Output, Target};
    use super::*;

    fn record(image: &str, answers: &[(&str, &str)]) -> String {
        let answers: Vec<String> = answers
            .iter()
            .map(|(text, sure)| format!(r#"{{"answer_confidence": "{sure}", "answer": "{text}"}}"#))
            .collect();
        format!(
            r#"{{"image": "{image}", "question": "What's the name of this product?", "answers": [{}], "answer_type": "other", "answerable": 1}}"#,
            answers.join(", ")
        )
    }

    fn folder() -> Folder {
        let train = record("VizWiz_train_00000000.jpg", &[("basil leaves", "yes"), ("basil", "maybe")]);
        let val = record(
            "VizWiz_val_00000000.jpg",
            &[("cat", "yes"), ("cat", "yes"), ("cat", "no"), ("dog", "yes")],
        );
        Folder::with(&[
            ("train-questions", "train.json", &format!("[{train}]")),
            ("questions", "val.json", &format!("\n[{val}]")),
        ])
        .folder("train-images", "train")
        .folder("images", "val")
    }

    #[test]
    fn its_own_files_have_questions_and_answers_together() {
        let items = VizWiz.load(folder().files()).unwrap();
        assert_eq!(items.support[0].answer, "basil leaves");
        assert!(path_of(&items.support[0]).ends_with("train/VizWiz_train_00000000.jpg"));
        assert_eq!(items.queries[0].id, "VizWiz_val_00000000.jpg");
        let measure = VizWiz.measure(&asked(&items, &[Output::Text("cat".to_owned())])).unwrap();
        // Leaving out a sure "cat" leaves out both, which leaves one; the unsure one leaves two; "dog" leaves three.
        let expected = (1.0 + 1.0 + 2.0 + 3.0) / 3.0 / 4.0;
        assert!((measure.score().unwrap() - expected).abs() < 1e-12);
    }

    #[test]
    fn files_of_open_flamingo_have_them_apart() {
        let folder = folder()
            .file("questions", "q.json", r#"{"questions": [{"question": "What is this?", "image_id": "VizWiz_val_00000007.jpg", "question_id": 7}]}"#)
            .file("annotations", "a.json", r#"{"annotations": [{"question_id": 7, "image_id": "VizWiz_val_00000007.jpg", "question_type": "other", "answers": [{"answer": "a cup", "answer_confidence": "yes"}]}]}"#);
        let items = VizWiz.load(folder.files()).unwrap();
        assert_eq!((items.queries[0].id.as_str(), items.queries[0].answer.as_str()), ("7", "a cup"));
        assert!(path_of(&items.queries[0]).ends_with("val/VizWiz_val_00000007.jpg"));
    }

    #[test]
    fn the_test_split_has_no_answers() {
        let folder = folder().file(
            "questions",
            "test.json",
            r#"[{"image": "VizWiz_test_00000000.jpg", "question": "What is this?"}]"#,
        );
        assert_eq!(VizWiz.load(folder.files()).unwrap().queries[0].target, Target::Hidden);
        let folder = folder.file(
            "train-questions",
            "train.json",
            r#"[{"image": "VizWiz_test_00000000.jpg", "question": "What is this?"}]"#,
        );
        let error = VizWiz.load(folder.files()).unwrap_err().to_string();
        assert!(
            error.contains("train.json: question VizWiz_test_00000000.jpg: there is no answer"),
            "{error}"
        );
    }
}
