//! TextVQA: questions about texts in photographs of Open Images, with the answers of ten people each; the paper asks the
//! validation split.

use super::read::{Given, image};
use super::{Ask, FileSpec, Files, Item, Items, Output, PromptStyle, Task, Wording, vqa};
use crate::EvalError;
use crate::metrics::Measure;

pub(super) struct TextVqa;

const FILES: [FileSpec; 5] = {
    let [a, b, c, d] = vqa::files(
        [
            "TextVQA_0.5.1_train.json",
            "train_annotations_vqa_format.json",
            "TextVQA_0.5.1_val.json",
            "val_annotations_vqa_format.json",
        ],
        true,
    );
    [a, b, c, d, FileSpec::required("images", "train_images/", "the folder of the images of both splits")]
};

impl Task for TextVqa {
    fn name(&self) -> &'static str {
        "textvqa"
    }

    fn title(&self) -> &'static str {
        "TextVQA"
    }

    fn files(&self) -> &'static [FileSpec] {
        &FILES
    }

    fn metric(&self) -> &'static str {
        vqa::METRIC
    }

    fn load(&self, files: &Files) -> Result<Items, EvalError> {
        let given = Given::to(self, files)?;
        let folder = given.path("images");
        vqa::load(&given, |_, _, question| Ok(image(folder, format!("{}.jpg", question.image))))
    }

    fn wording(&self, style: PromptStyle) -> Wording {
        vqa::wording(style)
    }

    /// Texts are longer than other answers: twice as many tokens, as in OpenFlamingo's `evaluate.py`.
    fn ask(&self, style: PromptStyle) -> Ask {
        match vqa::ask(style) {
            Ask::Open { max_tokens, beams, length_penalty } => {
                Ask::Open { max_tokens: 2 * max_tokens, beams, length_penalty }
            }
            ask => ask,
        }
    }

    fn clean(&self, style: PromptStyle, text: &str) -> String {
        vqa::clean(style, text)
    }

    fn measure(&self, asked: &[(&Item, &Output)]) -> Result<Box<dyn Measure>, EvalError> {
        vqa::measure(asked)
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{Folder, asked, path_of};
    use super::*;

    fn record(id: u64, image: &str, answers: &str) -> String {
        format!(
            r#"{{"dataset_type": "x", "dataset_version": "0.5.1", "data": [{{"question": "what is the brand of phone?", "image_id": "{image}",
            "image_classes": ["Mobile phone"], "flickr_original_url": "u", "flickr_300k_url": "u", "image_width": 1024, "image_height": 664,
            {answers} "question_tokens": ["what"], "question_id": {id}, "set_name": "train"}}]}}"#
        )
    }

    #[test]
    fn its_own_files_have_answers_as_texts() {
        let folder = Folder::with(&[
            (
                "train-questions",
                "train.json",
                &record(0, "0054c91397f2fe05", r#""answers": ["nokia", "toshiba"],"#),
            ),
            (
                "questions",
                "val.json",
                &record(
                    34602,
                    "003a8ae2ef43b901",
                    r#""answers": ["dakota", "dakota", "dakota", "clos culombu"],"#,
                ),
            ),
        ])
        .folder("images", "train_images");
        let items = TextVqa.load(folder.files()).unwrap();
        assert_eq!(items.support[0].answer, "nokia");
        assert!(path_of(&items.queries[0]).ends_with("train_images/003a8ae2ef43b901.jpg"));
        let measure = TextVqa.measure(&asked(&items, &[Output::Text("Dakota".to_owned())])).unwrap();
        assert!((measure.score().unwrap() - (3.0 * 2.0 / 3.0 + 1.0) / 4.0).abs() < 1e-12);
        assert!(matches!(TextVqa.ask(PromptStyle::OpenFlamingo), Ask::Open { max_tokens: 10, beams: 3, .. }));
    }
}
