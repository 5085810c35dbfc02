//! YouCook2: what is done in each step of a cooking video, one sentence each, scored by CIDEr on the validation split.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::read::{Clips, Given, distinct, json};
use super::{FileSpec, Files, Item, Items, Target, Task};
use crate::EvalError;

pub(super) struct YouCook2;

const FILES: [FileSpec; 2] = [
    FileSpec::required(
        "annotations",
        "youcookii_annotations_trainval.json",
        "the steps of the training and validation videos",
    ),
    FileSpec::required(
        "clips",
        "clips/",
        "the folder of the steps, cut out of the videos, named VIDEO_ID as in xHr8X2Wpmno_0",
    ),
];

#[derive(Deserialize)]
struct File {
    database: BTreeMap<String, Video>,
}

#[derive(Deserialize)]
struct Video {
    subset: String,
    annotations: Vec<Step>,
}

#[derive(Deserialize)]
struct Step {
    id: u64,
    sentence: String,
}

impl Task for YouCook2 {
    fn name(&self) -> &'static str {
        "youcook2"
    }

    fn title(&self) -> &'static str {
        "YouCook2"
    }

    fn files(&self) -> &'static [FileSpec] {
        &FILES
    }

    fn load(&self, files: &Files) -> Result<Items, EvalError> {
        let given = Given::to(self, files)?;
        let clips = Clips::of(given.path("clips"));
        let path = given.path("annotations");
        let mut items = Items::default();
        for (name, video) in json::<File>(path)?.database {
            let set = match video.subset.as_str() {
                "training" => &mut items.support,
                "validation" => &mut items.queries,
                _ => continue,
            };
            set.extend(video.annotations.into_iter().map(|step| {
                let id = format!("{name}_{}", step.id);
                let answer = step.sentence.trim().to_owned();
                Item {
                    media: vec![clips.get(&id)],
                    id,
                    question: String::new(),
                    target: Target::Texts(vec![answer.clone()]),
                    answer,
                    choices: Vec::new(),
                }
            }));
        }
        distinct(path, &items.support)?;
        distinct(path, &items.queries)?;
        Ok(items)
    }

    as_others!(captions);
}

#[cfg(test)]
mod tests {
    use super::super::Output;
    use super::super::tests::{Folder, asked, path_of};
    use super::*;

    const FILE: &str = r#"{"database": {
        "xHr8X2Wpmno": {"duration": 311.77, "subset": "training", "recipe_type": "127", "video_url": "u", "annotations": [
            {"segment": [41, 54], "id": 0, "sentence": "place the bacon slices on a baking pan and cook them in an oven"}]},
        "GLd3aX16zBg": {"duration": 241.62, "subset": "validation", "recipe_type": "113", "video_url": "u", "annotations": [
            {"segment": [90, 102], "id": 0, "sentence": "spread margarine on two slices of white bread"},
            {"segment": [114, 127], "id": 1, "sentence": "place a slice of cheese on the bread"}]}}}"#;

    #[test]
    fn steps_are_captioned() {
        let folder = Folder::with(&[("annotations", "youcookii_annotations_trainval.json", FILE)])
            .folder("clips", "clips");
        let items = YouCook2.load(folder.files()).unwrap();
        assert_eq!((items.support.len(), items.queries.len()), (1, 2));
        assert!(path_of(&items.queries[1]).ends_with("clips/GLd3aX16zBg_1.mp4"));
        let said = ["spread margarine on two slices of white bread", "nothing"]
            .map(|it| Output::Text(it.to_owned()));
        let measure = YouCook2.measure(&asked(&items, &said)).unwrap();
        assert!((measure.each().unwrap()[0] - 10.0).abs() < 1e-9 && measure.each().unwrap()[1] == 0.0);
        let folder = folder.file("annotations", "y.json", &FILE.replace("\"id\": 1", "\"id\": 0"));
        assert!(
            YouCook2
                .load(folder.files())
                .unwrap_err()
                .to_string()
                .contains("\"GLd3aX16zBg_0\": there are two")
        );
        let folder = folder.file("annotations", "y.json", &FILE.replace("\"subset\"", "\"set\""));
        let error = YouCook2.load(folder.files()).unwrap_err().to_string();
        assert!(error.contains("y.json: line") && error.contains("missing field `subset`"), "{error}");
    }
}
