//! `easy-vqa`: questions about a coloured shape, as pages to train on and as records to ask.
//!
//! A page has up to [`PICTURES`] pictures, each followed by one of its questions in the wording of [`turn`]. Pages are made
//! in rounds: in each, every picture that has a question left is shown once, in another order, so that a page mixes
//! pictures and every question of the training split is on one page.

use std::collections::BTreeMap;

use anyhow::{Context, ensure};
use serde::Deserialize;
use serde_json::json;

use crate::corpus::{Corpus, Record};
use crate::names::number;
use crate::package::{Archive, Package, Registry};
use crate::recipe::Recipe;

/// The recipe.
pub static RECIPE: Recipe = Recipe {
    version: 1,
    packages: &[Package {
        registry: Registry::Python,
        name: "easy-vqa",
        version: "1.0",
        sha256: "fcb51b309b78c7b00f97b64cdbcbcf5c105f94da1b39c0796cee5a787c4f650f",
        licence: "MIT",
    }],
    build,
};

/// The most pictures on a page: those of the paper's training sequences.
pub const PICTURES: usize = 5;

const SEED: &str = "flamingo easy-vqa 1";
const FOLDER: &str = "easy_vqa/data/";

/// What stands behind a picture.
pub fn turn(question: &str, answer: &str) -> String {
    format!("Question: {question} Short answer: {answer}")
}

fn build(archives: &[Archive]) -> anyhow::Result<Corpus> {
    let [archive] = archives else { anyhow::bail!("one package was expected") };
    let files = archive.files(|path| path.starts_with(FOLDER))?;
    let (train, test) = (Split::read(&files, "train")?, Split::read(&files, "test")?);
    let mut corpus = Corpus::default();
    for page in pages(&train) {
        corpus.records.push(page_record(corpus.records.len(), &page, &train)?);
    }
    for (part, split) in [("questions-train", &train), ("questions-test", &test)] {
        for (id, questions) in &split.questions {
            let asked: Vec<_> =
                questions.iter().map(|it| json!({ "question": it.0, "answer": it.1 })).collect();
            let picture = ("png", split.picture(*id)?.clone());
            corpus.push(part, &format!("{part}-{id:05}"), part, picture, json!({ "questions": asked }))?;
        }
    }
    Ok(corpus)
}

/// Question, answer, number of the picture.
#[derive(Debug, Clone, Deserialize)]
struct Question(String, String, u32);

struct Split<'a> {
    name: &'static str,
    questions: BTreeMap<u32, Vec<Question>>,
    files: &'a BTreeMap<String, Vec<u8>>,
}

impl<'a> Split<'a> {
    fn read(files: &'a BTreeMap<String, Vec<u8>>, name: &'static str) -> anyhow::Result<Self> {
        let path = format!("{FOLDER}{name}/questions.json");
        let list: Vec<Question> =
            serde_json::from_slice(files.get(&path).with_context(|| format!("the package lacks {path}"))?)
                .with_context(|| path.clone())?;
        ensure!(!list.is_empty(), "{path} has no questions");
        let mut questions: BTreeMap<u32, Vec<Question>> = BTreeMap::new();
        for question in list {
            questions.entry(question.2).or_default().push(question);
        }
        Ok(Self { name, questions, files })
    }

    fn picture(&self, id: u32) -> anyhow::Result<&Vec<u8>> {
        let path = format!("{FOLDER}{}/images/{id}.png", self.name);
        self.files.get(&path).with_context(|| format!("the package lacks {path}"))
    }
}

/// All questions of a split, as pages.
fn pages<'a>(split: &'a Split<'_>) -> Vec<Vec<&'a Question>> {
    let mut queues: BTreeMap<u32, Vec<&Question>> = BTreeMap::new();
    for (id, questions) in &split.questions {
        let mut questions: Vec<&Question> = questions.iter().collect();
        questions.sort_by_cached_key(|it| number(SEED, &format!("{id}/{}", it.0)));
        queues.insert(*id, questions);
    }
    let mut pages = Vec::new();
    for round in 0.. {
        let mut shown: Vec<&Question> =
            queues.values().filter_map(|questions| questions.get(round).copied()).collect();
        if shown.is_empty() {
            break;
        }
        shown.sort_by_cached_key(|it| number(SEED, &format!("round {round}/{}", it.2)));
        pages.extend(shown.chunks(PICTURES).map(<[_]>::to_vec));
    }
    pages
}

fn page_record(index: usize, page: &[&Question], split: &Split<'_>) -> anyhow::Result<Record> {
    let mut chunks = Vec::new();
    let mut pictures = Vec::new();
    for (place, Question(question, answer, id)) in page.iter().enumerate() {
        let file = format!("{place}.png");
        chunks.push(json!({ "image": file, "width": 64, "height": 64 }));
        chunks.push(json!({ "text": turn(question, answer) }));
        pictures.push((file, split.picture(*id)?.clone()));
    }
    let document = json!({ "title": "easy-vqa", "language": "en", "tie": "previous", "chunks": chunks, "split": "train" });
    let mut fields = vec![("json".to_owned(), serde_json::to_vec(&document)?)];
    fields.extend(pictures);
    Ok(Record { part: "train", key: format!("page-{index:05}"), fields, group: "pages".to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_question_is_on_one_page_and_no_picture_twice_on_a_page_unless_it_is_alone() {
        let list: Vec<_> = (0..23).map(|index| (format!("what is {index}?"), "blue", index % 7)).collect();
        let mut files =
            BTreeMap::from([(format!("{FOLDER}train/questions.json"), serde_json::to_vec(&list).unwrap())]);
        for id in 0..7 {
            files.insert(format!("{FOLDER}train/images/{id}.png"), vec![id]);
        }
        let split = Split::read(&files, "train").unwrap();
        let pages = pages(&split);
        let mut asked: Vec<&str> = pages.iter().flatten().map(|it| it.0.as_str()).collect();
        asked.sort();
        asked.dedup();
        assert_eq!(asked.len(), 23);
        for page in &pages {
            let mut ids: Vec<u32> = page.iter().map(|it| it.2).collect();
            ids.sort();
            ids.dedup();
            assert!(ids.len() == page.len() && page.len() <= PICTURES);
        }
        let record = page_record(3, &pages[0], &split).unwrap();
        assert_eq!((record.key.as_str(), record.fields.len()), ("page-00003", 1 + PICTURES));
        assert!(String::from_utf8_lossy(&record.fields[0].1).contains("? Short answer: blue"));
        assert!(Split::read(&files, "test").is_err());
    }
}
