//! VATEX: captions of ten seconds of video, ten in English each, scored by CIDEr.

use std::path::Path;

use serde::Deserialize;

use super::read::{Clips, Given, Records, distinct, json, odd};
use super::{FileSpec, Files, Item, Items, Target, Task};
use crate::EvalError;

pub(super) struct Vatex;

const FILES: [FileSpec; 3] = [
    FileSpec::required("train", "vatex_training_v1.0.json", "the training captions"),
    FileSpec::required(
        "queries",
        "vatex_public_test_english_v1.1.json",
        "what is asked; the public test set has captions",
    ),
    FileSpec::required("clips", "clips/", "the folder of the clips, each named by its videoID"),
];

#[derive(Deserialize)]
struct Video {
    #[serde(rename = "videoID")]
    id: String,
    /// Not there in the private test set.
    #[serde(rename = "enCap")]
    captions: Option<Vec<String>>,
}

impl Task for Vatex {
    fn name(&self) -> &'static str {
        "vatex"
    }

    fn title(&self) -> &'static str {
        "VATEX"
    }

    fn files(&self) -> &'static [FileSpec] {
        &FILES
    }

    fn load(&self, files: &Files) -> Result<Items, EvalError> {
        let given = Given::to(self, files)?;
        let clips = Clips::of(given.path("clips"));
        Ok(Items {
            support: videos(given.path("train"), &clips, true)?,
            queries: videos(given.path("queries"), &clips, false)?,
            ..Items::default()
        })
    }

    as_others!(captions);
}

fn videos(path: &Path, clips: &Clips<'_>, training: bool) -> Result<Vec<Item>, EvalError> {
    let item = |video: Video| {
        let captions = video.captions.unwrap_or_default();
        let answer = captions.first().map(|it| it.trim().to_owned());
        let target = match &answer {
            None if training => {
                return Err(odd(path, format!("video {}", video.id), "it has no English caption (enCap)"));
            }
            None => Target::Hidden,
            Some(answer) if training => Target::Texts(vec![answer.clone()]),
            Some(_) => Target::Texts(captions),
        };
        let media = vec![clips.get(&video.id)];
        let answer = answer.unwrap_or_default();
        Ok(Item { id: video.id, media, question: String::new(), answer, choices: Vec::new(), target })
    };
    let items = json::<Records<Video>>(path)?.0.into_iter().map(item).collect::<Result<Vec<_>, _>>()?;
    distinct(path, &items)?;
    Ok(items)
}

#[cfg(test)]
mod tests {
    use super::super::Output;
    use super::super::tests::{Folder, asked, path_of};
    use super::*;

    const TRAIN: &str = r#"[{"videoID": "Ptf_2VRj-V0_000122_000132", "enCap": ["A person wearing a bear costume is inside an inflatable play area. ", "Two."], "chCap": ["一"]}]"#;
    const TEST: &str =
        r#"[{"videoID": "G9zN5TTuGO4_000179_000189", "enCap": ["A man is dancing.", "Someone dances."]}]"#;

    #[test]
    fn videos_are_captioned() {
        let folder = Folder::with(&[("train", "train.json", TRAIN), ("queries", "test.json", TEST)])
            .folder("clips", "clips");
        let items = Vatex.load(folder.files()).unwrap();
        assert_eq!(
            items.support[0].answer,
            "A person wearing a bear costume is inside an inflatable play area."
        );
        assert_eq!(items.queries[0].target.texts().len(), 2);
        assert!(path_of(&items.queries[0]).ends_with("clips/G9zN5TTuGO4_000179_000189.mp4"));
        assert_eq!(Vatex.measure(&asked(&items, &[Output::Text("a man".to_owned())])).unwrap().len(), 1);
        let folder = folder.file("queries", "private.json", r#"[{"videoID": "a"}]"#);
        let items = Vatex.load(folder.files()).unwrap();
        assert!(Vatex.measure(&asked(&items, &[Output::Text("a man".to_owned())])).is_err());
        let folder = folder.file("train", "train.json", r#"[{"videoID": "a", "chCap": []}]"#);
        let error = Vatex.load(folder.files()).unwrap_err().to_string();
        assert!(error.contains("train.json: video a: it has no English caption"), "{error}");
    }
}
