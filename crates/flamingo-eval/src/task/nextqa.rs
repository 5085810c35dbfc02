//! NextQA, open-ended: why and how things happen in videos, answered with a few words and scored by WUPS on the test split.
//!
//! As NExT-OE's `eval_oe.py`: words are brought to base form and the data set's own stop words left out; counts, and yes or no,
//! must then be the same; other answers count by how near their words are in meaning, at threshold 0. Where a second answer
//! is published the better one counts.

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::sync::Arc;

use serde::Deserialize;

use super::language::{Language, words};
use super::okvqa::{TAGGER, WORDNET, language, needs_language};
use super::outputs::{named, odd, texts, unscored};
use super::read::{Clips, Given, distinct, json, table, text};
use super::{Ask, FileSpec, Files, Item, Items, Output, PromptStyle, Target, Task, Wording, short_answers};
use crate::EvalError;
use crate::metrics::wups::wups;
use crate::metrics::{Mean, Measure};

pub(super) struct NextQa;

const FILES: [FileSpec; 7] = [
    FileSpec::required("train", "train.csv", "the training questions of the open-ended version"),
    FileSpec::required("queries", "test.csv", "the test questions of the open-ended version"),
    FileSpec::optional(
        "more-answers",
        "add_reference_answer_test.json",
        "a second right answer to each of them",
    ),
    FileSpec::required("stop-words", "stopwords.txt", "the words that do not count, one in each line"),
    FileSpec::required("videos", "NExTVideo/", "the folder of the videos, or of folders of them"),
    WORDNET,
    TAGGER,
];

/// More tokens than one-word answers have, as OpenFlamingo gives TextVQA's; the paper does not say.
const MAX_TOKENS: usize = 10;

#[derive(Deserialize)]
struct Row {
    video: String,
    question: String,
    answer: String,
    qid: String,
    r#type: String,
}

impl Task for NextQa {
    fn name(&self) -> &'static str {
        "nextqa"
    }

    fn title(&self) -> &'static str {
        "NextQA"
    }

    fn files(&self) -> &'static [FileSpec] {
        &FILES
    }

    fn metric(&self) -> &'static str {
        "wups"
    }

    fn load(&self, files: &Files) -> Result<Items, EvalError> {
        let given = Given::to(self, files)?;
        let videos = Clips::of(given.path("videos"));
        let support = items(given.path("train"), &videos, &HashMap::new())?;
        let more = given.optional("more-answers").map(json).transpose()?.unwrap_or_default();
        let queries = items(given.path("queries"), &videos, &more)?;
        let stop_words = stop_words(given.path("stop-words"))?;
        let language = Some(Arc::new(language(&given)?.with_stop_words(stop_words)));
        Ok(Items { support, queries, language, ..Items::default() })
    }

    fn wording(&self, style: PromptStyle) -> Wording {
        short_answers::wording(style)
    }

    fn ask(&self, style: PromptStyle) -> Ask {
        match short_answers::ask(style) {
            Ask::Open { beams, length_penalty, .. } => {
                Ask::Open { max_tokens: MAX_TOKENS, beams, length_penalty }
            }
            ask => ask,
        }
    }

    fn clean(&self, style: PromptStyle, text: &str) -> String {
        short_answers::clean(style, text)
    }

    fn measure(&self, _asked: &[(&Item, &Output)]) -> Result<Box<dyn Measure>, EvalError> {
        Err(needs_language("WUPS"))
    }

    fn measure_in(&self, items: &Items, asked: &[(&Item, &Output)]) -> Result<Box<dyn Measure>, EvalError> {
        let language = items.language.as_deref().ok_or_else(|| needs_language("WUPS"))?;
        let prepared = |text: &str| prepared(language, text);
        let mut scores = Vec::with_capacity(asked.len());
        // Of those that count by nearness: the place, what was said, what is right.
        let (mut places, mut answers, mut right) = (Vec::new(), Vec::new(), Vec::new());
        for (place, (said, (item, _))) in texts(asked)?.into_iter().zip(asked).enumerate() {
            let Target::Meaning { texts, exact } = &item.target else {
                return Err(unscored(item, &item.target));
            };
            if texts.is_empty() {
                return Err(odd(item, "there is no answer to it"));
            }
            let said = prepared(said);
            let mut accepted = texts.iter().map(|text| prepared(text));
            if *exact {
                scores.push(f64::from(u8::from(accepted.any(|text| text == said))));
            } else {
                scores.push(0.0);
                places.push(place);
                right.push(accepted.map(|text| words(&text)).collect::<Vec<_>>());
                answers.push(words(&said));
            }
        }
        let near = named(asked, wups(language.wordnet(), 0.0, &answers, &right))?;
        for (place, score) in places.into_iter().zip(near.0) {
            scores[place] = score;
        }
        Ok(Box::new(Mean(scores)))
    }
}

/// NExT-OE's `remove_stop`.
fn prepared(language: &Language, text: &str) -> String {
    let words = language.base_words(text).into_iter().filter(|word| !language.is_stop_word(word));
    words.collect::<Vec<_>>().join(" ")
}

fn stop_words(path: &Path) -> Result<HashSet<String>, EvalError> {
    Ok(text(path)?.lines().map(str::to_owned).collect())
}

/// Answers by video and by the question's number there.
type More = HashMap<String, HashMap<String, String>>;

fn items(path: &Path, videos: &Clips<'_>, more: &More) -> Result<Vec<Item>, EvalError> {
    let item = |(_, row): (u64, Row)| {
        let second = more.get(&row.video).and_then(|of_video| of_video.get(&row.qid)).cloned();
        Item {
            id: format!("{}_{}", row.video, row.qid),
            media: vec![videos.get(&row.video)],
            question: row.question,
            answer: row.answer.clone(),
            choices: Vec::new(),
            target: Target::Meaning {
                texts: std::iter::once(row.answer).chain(second).collect(),
                exact: ["DC", "DB"].contains(&row.r#type.as_str()),
            },
        }
    };
    let items: Vec<Item> = table(path)?.into_iter().map(item).collect();
    distinct(path, &items)?;
    Ok(items)
}

#[cfg(test)]
mod tests {
    use super::super::tests::{Folder, asked, path_of, with_language};
    use super::*;

    const HEADER: &str = "video,frame_count,width,height,question,answer,qid,type\n";

    fn folder() -> Folder {
        let test = HEADER.to_owned()
            + "4924794333,1058,640,360,how many animals are there,the dog,4,DC\n\
               4924794333,1152,640,360,what is it,a dog,8,DO\n\
               4924794333,1152,640,360,what runs,persons,9,TC\n";
        let train = HEADER.to_owned() + "3606518674,2622,640,480,is he proficient,yes,1,DB\n";
        with_language(Folder::with(&[
            ("train", "train.csv", &train),
            ("queries", "test.csv", &test),
            ("stop-words", "stopwords.txt", "a\nthe\n"),
            ("more-answers", "more.json", r#"{"4924794333": {"4": "pets", "8": "cat", "9": "cat"}}"#),
        ]))
        .folder("videos", "videos")
        .file("video", "videos/0001/4924794333.avi", "")
    }

    fn load(folder: &Folder) -> Result<Items, EvalError> {
        NextQa.load(&folder.files().clone().into_iter().filter(|(name, _)| name != "video").collect())
    }

    #[test]
    fn answers_count_by_meaning() {
        let folder = folder();
        let items = load(&folder).unwrap();
        assert!(path_of(&items.queries[0]).ends_with("videos/0001/4924794333.avi"));
        assert_eq!((items.queries[1].id.as_str(), items.support[0].answer.as_str()), ("4924794333_8", "yes"));
        let score = |said: [&str; 3]| {
            let outputs = said.map(|it| Output::Text(NextQa.clean(PromptStyle::Paper, it)));
            NextQa.measure_in(&items, &asked(&items, &outputs)).unwrap().each().unwrap().to_vec()
        };
        // "Dogs" is the dog in base form; "pet" is not the same; a chef is near a person.
        assert_eq!(score(["A dogs", "the cats", "person"]), [1.0, 1.0, 1.0]);
        let found = score(["cat", "pet", "chef"]);
        assert!(
            found[0] == 0.0 && (found[1] - 10.0 / 11.0).abs() < 1e-12 && (found[2] - 2.0 / 3.0).abs() < 1e-12,
            "{found:?}"
        );
        assert!(NextQa.measure(&[]).is_err());
    }

    #[test]
    fn a_record_that_is_wrong_is_named() {
        let broken = folder().file("queries", "test.csv", "video,question,answer,type\n1,a,b,DO\n");
        let error = load(&broken).unwrap_err().to_string();
        assert!(error.contains("test.csv: line 2: missing field `qid`"), "{error}");
        let broken = folder().file("more-answers", "more.json", r#"{"1": ["a"]}"#);
        let error = load(&broken).unwrap_err().to_string();
        assert!(error.contains("more.json: line 1"), "{error}");
    }
}
