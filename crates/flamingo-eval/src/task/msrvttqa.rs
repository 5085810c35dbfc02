//! MSRVTTQA: questions about the videos of MSR-VTT, answered with one word.

use super::read::{Clips, Given};
use super::{FileSpec, Files, Items, Task, short_answers};
use crate::EvalError;

pub(super) struct MsrvttQa;

const FILES: [FileSpec; 3] = [
    FileSpec::required("train", "train_qa.json", "the training questions"),
    FileSpec::required("queries", "test_qa.json", "the test questions"),
    FileSpec::required(
        "videos",
        "TrainValVideo/",
        "the folder of the videos of all splits, video0.mp4 and so on",
    ),
];

impl Task for MsrvttQa {
    fn name(&self) -> &'static str {
        "msrvttqa"
    }

    fn title(&self) -> &'static str {
        "MSRVTTQA"
    }

    fn files(&self) -> &'static [FileSpec] {
        &FILES
    }

    fn load(&self, files: &Files) -> Result<Items, EvalError> {
        let given = Given::to(self, files)?;
        let videos = Clips::of(given.path("videos"));
        short_answers::load(&given, |number| videos.get(&format!("video{number}")))
    }

    as_others!(short_answers);
}

#[cfg(test)]
mod tests {
    use super::super::tests::{Folder, asked, path_of};
    use super::super::{Output, PromptStyle};
    use super::*;

    const TRAIN: &str = r#"[{"answer": "couch", "category_id": 14, "id": 0, "question": "what are three people sitting on?", "video_id": 1}]"#;
    const TEST: &str = r#"[{"answer": "person", "category_id": 4, "id": 1, "question": "who is cutting?", "video_id": 7010},
        {"answer": "two", "category_id": 4, "id": 2, "question": "how many?", "video_id": 7010}]"#;

    #[test]
    fn one_word_is_right() {
        let folder = Folder::with(&[("train", "train_qa.json", TRAIN), ("queries", "test_qa.json", TEST)])
            .folder("videos", "v");
        let items = MsrvttQa.load(folder.files()).unwrap();
        assert_eq!(items.support[0].answer, "couch");
        assert!(path_of(&items.queries[0]).ends_with("v/video7010.mp4"));
        let said = [" Person.\n", " 2"].map(|it| Output::Text(MsrvttQa.clean(PromptStyle::Paper, it)));
        assert_eq!(MsrvttQa.measure(&asked(&items, &said)).unwrap().each().unwrap(), [1.0, 0.0]);
        let folder = folder.file("queries", "test_qa.json", &TEST.replace("\"id\": 2", "\"id\": 1"));
        let error = MsrvttQa.load(folder.files()).unwrap_err().to_string();
        assert!(error.contains("test_qa.json: \"1\": there are two records"), "{error}");
    }
}
