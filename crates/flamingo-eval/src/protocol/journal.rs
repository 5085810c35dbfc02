//! What a model has said so far, a line of JSON each, so that an evaluation goes on where it was interrupted.
//!
//! The first line has everything that decides a number; a journal that was begun with something else is refused. Lines
//! are written and synced in batches. A last line that was torn by a crash is dropped, and what it said is asked again.

use std::collections::HashMap;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::EvalError;
use crate::task::Output;

/// What a model said to a query.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Answer {
    /// The trial's seed.
    pub seed: u64,
    /// Examples that were asked for; at 0 there may be two without media.
    pub shots: usize,
    /// The query's id.
    pub query: String,
    /// The examples' ids, in their order; with several orders, before they were shuffled.
    pub examples: Vec<String>,
    /// The text as it was generated, or the log-likelihoods of the choices.
    pub said: Output,
}

/// What cannot be used, because its media cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeftOut {
    /// Whether it is a query, or of the support set.
    pub role: Role,
    /// The item's id.
    pub id: String,
    /// What is wrong.
    pub what: String,
}

/// What an item is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// It is asked.
    Query,
    /// It may be an example.
    Support,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Line {
    Decided(Value),
    Answer(Answer),
    LeftOut(LeftOut),
}

/// See the [module documentation](self).
#[derive(Debug)]
pub struct Journal {
    /// None for one that is not kept.
    file: Option<(PathBuf, File)>,
    answers: HashMap<(u64, usize), HashMap<String, Answer>>,
    left_out: Vec<LeftOut>,
}

impl Journal {
    /// One that is kept in memory only.
    pub fn forgetful() -> Self {
        Self { file: None, answers: HashMap::new(), left_out: Vec::new() }
    }

    /// Opens the journal at `path`, or begins it. `decided` is everything that decides a number.
    ///
    /// # Errors
    ///
    /// If it was begun with something else, another process writes it, or it cannot be read or written, or is none.
    pub fn open(path: &Path, decided: &Value) -> Result<Self, EvalError> {
        let file = OpenOptions::new().read(true).append(true).create(true).open(path);
        let mut file = file.map_err(EvalError::file("open", path))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(EvalError::Busy { path: path.to_owned() }),
            Err(TryLockError::Error(error)) => return Err(EvalError::file("lock", path)(error)),
        }
        let mut text = Vec::new();
        file.read_to_end(&mut text).map_err(EvalError::file("read", path))?;
        let mut journal = Self::forgetful();
        let mut whole = 0;
        let mut lines = text.split_inclusive(|byte| *byte == b'\n').enumerate().peekable();
        while let Some((number, line)) = lines.next() {
            match serde_json::from_slice::<Line>(line) {
                Ok(entry) if line.ends_with(b"\n") => journal.take(path, number, entry, decided)?,
                _ if lines.peek().is_none() => break,
                Ok(_) => unreachable!("only the last line has no end"),
                Err(error) => return Err(odd(path, number, &error.to_string())),
            }
            whole += line.len();
        }
        if whole < text.len() {
            file.set_len(whole as u64).map_err(EvalError::file("write", path))?;
        }
        file.seek(SeekFrom::End(0)).map_err(EvalError::file("write", path))?;
        journal.file = Some((path.to_owned(), file));
        if whole == 0 {
            journal.write(&[Line::Decided(decided.clone())])?;
        }
        Ok(journal)
    }

    fn take(&mut self, path: &Path, number: usize, line: Line, decided: &Value) -> Result<(), EvalError> {
        match (number, line) {
            (0, Line::Decided(then)) => match difference("", &then, decided) {
                None => Ok(()),
                Some((name, then, now)) => {
                    Err(EvalError::OtherSettings { path: path.to_owned(), name, then, now })
                }
            },
            (0, _) => Err(odd(path, 0, "a journal's settings were expected")),
            (_, Line::Decided(_)) => Err(odd(path, number, "an answer was expected")),
            (_, Line::Answer(answer)) => {
                self.remember(answer);
                Ok(())
            }
            (_, Line::LeftOut(item)) => {
                self.left_out.push(item);
                Ok(())
            }
        }
    }

    fn remember(&mut self, answer: Answer) {
        self.answers.entry((answer.seed, answer.shots)).or_default().insert(answer.query.clone(), answer);
    }

    /// What was said to a query.
    pub fn answer(&self, seed: u64, shots: usize, query: &str) -> Option<&Answer> {
        self.answers.get(&(seed, shots))?.get(query)
    }

    /// What cannot be used, in the order in which it was found.
    pub fn left_out(&self) -> &[LeftOut] {
        &self.left_out
    }

    /// Adds answers; they are on disk when this returns.
    ///
    /// # Errors
    ///
    /// If they cannot be written.
    pub fn add(&mut self, answers: Vec<Answer>) -> Result<(), EvalError> {
        let lines: Vec<Line> = answers.into_iter().map(Line::Answer).collect();
        self.write(&lines)?;
        for line in lines {
            if let Line::Answer(answer) = line {
                self.remember(answer);
            }
        }
        Ok(())
    }

    /// Adds what cannot be used, if it is not there yet.
    ///
    /// # Errors
    ///
    /// As [`Journal::add`].
    pub fn leave_out(&mut self, item: LeftOut) -> Result<(), EvalError> {
        if self.left_out.iter().any(|other| (other.role, &other.id) == (item.role, &item.id)) {
            return Ok(());
        }
        self.write(&[Line::LeftOut(item.clone())])?;
        self.left_out.push(item);
        Ok(())
    }

    fn write(&mut self, lines: &[Line]) -> Result<(), EvalError> {
        let Some((path, file)) = &mut self.file else { return Ok(()) };
        let mut text = Vec::new();
        for line in lines {
            serde_json::to_writer(&mut text, line).expect("texts and numbers have a JSON form");
            text.push(b'\n');
        }
        file.write_all(&text).and_then(|()| file.sync_data()).map_err(EvalError::file("write", path))
    }
}

fn odd(path: &Path, number: usize, what: &str) -> EvalError {
    EvalError::Format {
        path: path.to_owned(),
        place: format!("line {}", number + 1),
        what: format!("{what}; this is no journal of an evaluation, or a damaged one: name another file"),
    }
}

/// The first place at which two values differ, and both there.
fn difference(name: &str, then: &Value, now: &Value) -> Option<(String, String, String)> {
    let below = |key: &str| if name.is_empty() { key.to_owned() } else { format!("{name}.{key}") };
    match (then, now) {
        (Value::Object(then), Value::Object(now)) => {
            let keys = now.keys().chain(then.keys().filter(|key| !now.contains_key(*key)));
            let value = |map: &serde_json::Map<String, Value>, key: &String| {
                map.get(key).cloned().unwrap_or_default()
            };
            keys.into_iter().find_map(|key| difference(&below(key), &value(then, key), &value(now, key)))
        }
        (Value::Array(then), Value::Array(now)) if then.len() == now.len() => {
            let mut pairs = then.iter().zip(now).enumerate();
            pairs.find_map(|(place, (then, now))| difference(&below(&place.to_string()), then, now))
        }
        _ if then == now => None,
        _ => Some((name.to_owned(), then.to_string(), now.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn answer(shots: usize, query: &str) -> Answer {
        let said = Output::Text(format!("{query}, \"said\""));
        Answer { seed: 1, shots, query: query.to_owned(), examples: vec!["e".to_owned()], said }
    }

    #[test]
    fn what_was_said_is_found_again_and_a_torn_line_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.jsonl");
        let decided = json!({"settings": {"seed": 1}});
        let mut journal = Journal::open(&path, &decided).unwrap();
        journal.add(vec![answer(0, "a"), answer(4, "a")]).unwrap();
        let gone = LeftOut { role: Role::Query, id: "c".to_owned(), what: "no such file".to_owned() };
        journal.leave_out(gone.clone()).unwrap();
        journal.leave_out(gone.clone()).unwrap();
        assert!(matches!(Journal::open(&path, &decided), Err(EvalError::Busy { .. })));
        drop(journal);

        let whole = std::fs::read(&path).unwrap();
        let scores = Answer { said: Output::Scores(vec![-0.1, f64::from(-1.0f32 / 3.0)]), ..answer(4, "b") };
        let mut journal = Journal::open(&path, &decided).unwrap();
        journal.add(vec![scores.clone()]).unwrap();
        drop(journal);
        let longer = std::fs::read(&path).unwrap();
        for cut in whole.len()..longer.len() {
            std::fs::write(&path, &longer[..cut]).unwrap();
            let journal = Journal::open(&path, &decided).unwrap();
            assert_eq!(journal.answer(1, 4, "a"), Some(&answer(4, "a")));
            assert_eq!((journal.answer(1, 4, "b"), journal.left_out()), (None, &[gone.clone()][..]));
            assert_eq!(std::fs::read(&path).unwrap(), whole);
        }
        std::fs::write(&path, &longer).unwrap();
        assert_eq!(Journal::open(&path, &decided).unwrap().answer(1, 4, "b"), Some(&scores));
    }

    #[test]
    fn a_journal_that_died_in_its_first_line_begins_anew() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.jsonl");
        let decided = json!({"settings": {"seed": 1}});
        std::fs::write(&path, "{\"decided\": {\"set").unwrap();
        Journal::open(&path, &decided).unwrap().add(vec![answer(0, "a")]).unwrap();
        assert!(Journal::open(&path, &decided).unwrap().answer(1, 0, "a").is_some());
    }

    #[test]
    fn other_settings_are_refused_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.jsonl");
        let decided = |seed: u64, sha: &str| json!({"settings": {"seed": seed, "shots": [0]}, "files": [{"sha256": sha}]});
        Journal::open(&path, &decided(1, "aa")).unwrap();
        let error = Journal::open(&path, &decided(2, "aa")).unwrap_err().to_string();
        assert!(error.contains("settings.seed = 1, and now settings.seed = 2"), "{error}");
        let error = Journal::open(&path, &decided(1, "bb")).unwrap_err().to_string();
        assert!(error.contains("files.0.sha256 = \"aa\""), "{error}");
        let error = Journal::open(&path, &json!({"settings": {"seed": 1}, "files": []})).unwrap_err();
        assert!(matches!(error, EvalError::OtherSettings { .. }));
    }

    #[test]
    fn a_file_that_is_no_journal_is_left_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.jsonl");
        for text in ["{\"score\": 1}\n{\"score\": 2}\n", "a\nb\n"] {
            std::fs::write(&path, text).unwrap();
            let error = Journal::open(&path, &json!({})).unwrap_err().to_string();
            assert!(error.contains("line 1"), "{error}");
            assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
        }
    }
}
