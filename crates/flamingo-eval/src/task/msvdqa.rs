//! MSVDQA: questions about the short videos of MSVD, answered with one word.

use std::collections::HashMap;
use std::path::Path;

use super::read::{Clips, Given, odd, text};
use super::{FileSpec, Files, Items, Task, short_answers};
use crate::EvalError;

pub(super) struct MsvdQa;

const FILES: [FileSpec; 4] = [
    FileSpec::required("train", "train_qa.json", "the training questions"),
    FileSpec::required("queries", "test_qa.json", "the test questions"),
    FileSpec::required("videos", "YouTubeClips/", "the folder of all videos"),
    FileSpec::optional(
        "mapping",
        "youtube_mapping.txt",
        "the names of the videos' files; without it they are vid1, vid2 and so on",
    ),
];

impl Task for MsvdQa {
    fn name(&self) -> &'static str {
        "msvdqa"
    }

    fn title(&self) -> &'static str {
        "MSVDQA"
    }

    fn files(&self) -> &'static [FileSpec] {
        &FILES
    }

    fn load(&self, files: &Files) -> Result<Items, EvalError> {
        let given = Given::to(self, files)?;
        let videos = Clips::of(given.path("videos"));
        let names = given.optional("mapping").map(mapping).transpose()?.unwrap_or_default();
        short_answers::load(&given, |number| {
            let name = format!("vid{number}");
            videos.get(names.get(&name).unwrap_or(&name))
        })
    }

    as_others!(short_answers);
}

/// Lines of a file's name and `vid` with its number.
fn mapping(path: &Path) -> Result<HashMap<String, String>, EvalError> {
    let text = text(path)?;
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    let pair = |(row, line): (usize, &str)| match line.split_whitespace().collect::<Vec<_>>()[..] {
        [file, name] if name.starts_with("vid") => Ok((name.to_owned(), file.to_owned())),
        _ => Err(odd(
            path,
            format!("line {}", row + 1),
            "a file's name and vid1, vid2 and so on were expected",
        )),
    };
    lines.map(pair).collect()
}

#[cfg(test)]
mod tests {
    use super::super::tests::{Folder, path_of};
    use super::*;

    #[test]
    fn videos_have_names_of_their_own() {
        let train = r#"[{"answer": "slice", "id": 0, "question": "what is a man doing?", "video_id": 1}]"#;
        let test = r#"[{"answer": "man", "id": 36000, "question": "who is it?", "video_id": 1301}]"#;
        let folder = Folder::with(&[("train", "train_qa.json", train), ("queries", "test_qa.json", test)])
            .folder("videos", "v");
        let items = MsvdQa.load(folder.files()).unwrap();
        assert!(path_of(&items.queries[0]).ends_with("v/vid1301.mp4"));
        let folder = folder
            .file("mapping", "youtube_mapping.txt", "-4wsuPCjDBc_5_15 vid1\nmv89psg6zh4_33_46 vid1301\n")
            .file("there", "v/mv89psg6zh4_33_46.avi", "");
        let files = folder.files().clone().into_iter().filter(|(name, _)| name != "there").collect();
        let items = MsvdQa.load(&files).unwrap();
        assert!(path_of(&items.queries[0]).ends_with("v/mv89psg6zh4_33_46.avi"));
        let folder = folder.file("mapping", "youtube_mapping.txt", "vid1\n");
        let error =
            MsvdQa.load(&folder.files().clone().into_iter().filter(|(name, _)| name != "there").collect());
        assert!(error.unwrap_err().to_string().contains("youtube_mapping.txt: line 1"));
    }
}
