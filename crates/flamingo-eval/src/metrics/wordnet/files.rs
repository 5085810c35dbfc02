//! Reading WordNet's files.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use super::{Meaning, Pos, Synset, WordNet};
use crate::EvalError;

const NAMES: [(Pos, &str); 4] =
    [(Pos::Noun, "noun"), (Pos::Verb, "verb"), (Pos::Adjective, "adj"), (Pos::Adverb, "adv")];

/// A file and its text; it is ASCII.
struct File {
    path: PathBuf,
    text: String,
}

impl File {
    fn read(folder: &Path, name: &str) -> Result<Self, EvalError> {
        let path = folder.join(name);
        match fs::read_to_string(&path) {
            Ok(text) => Ok(Self { path, text }),
            Err(source) => Err(EvalError::File { action: "read", path, source }),
        }
    }

    /// Lines that are not the licence's, with their place in bytes.
    fn lines(&self) -> impl Iterator<Item = (usize, &str)> {
        let mut place = 0;
        self.text.split_inclusive('\n').filter_map(move |line| {
            let here = place;
            place += line.len();
            (!line.starts_with(' ') && !line.trim().is_empty()).then_some((here, line))
        })
    }

    fn odd(&self, place: usize, expected: &str) -> EvalError {
        let line = self.text[..place].matches('\n').count() + 1;
        let what = format!("{expected}; is this WordNet's own file, as in dict/ of WordNet 3.0?");
        EvalError::Format { path: self.path.clone(), place: format!("line {line}"), what }
    }
}

pub(super) fn read(folder: &Path) -> Result<WordNet, EvalError> {
    let mut wordnet =
        WordNet { senses: HashMap::new(), exceptions: HashMap::new(), meanings: HashMap::new() };
    for (pos, name) in NAMES {
        let file = File::read(folder, &format!("index.{name}"))?;
        let mut senses = HashMap::new();
        for (place, line) in file.lines() {
            let (word, offsets) = index(line).ok_or_else(|| {
                file.odd(place, "word, part, synset count, pointers, counts, offsets were expected")
            })?;
            senses.insert(word, offsets);
        }
        let file = File::read(folder, &format!("{name}.exc"))?;
        let exceptions = file.lines().filter_map(|(_, line)| {
            let mut words = line.split_ascii_whitespace().map(str::to_owned);
            Some((words.next()?, words.collect()))
        });
        wordnet.exceptions.insert(pos, exceptions.collect());
        let file = File::read(folder, &format!("data.{name}"))?;
        for (place, line) in file.lines() {
            let (offset, first, letter, hypernyms) = data(line)
                .ok_or_else(|| file.odd(place, "offset, file, type, words, pointers were expected"))?;
            if offset as usize != place {
                return Err(
                    file.odd(place, &format!("offset {offset} is at byte {place}: the file was changed"))
                );
            }
            // As nltk: the number of this meaning among those of its first word.
            let number =
                senses.get(&first).and_then(|them: &Vec<u32>| them.iter().position(|it| *it == offset));
            let name = format!("{first}.{letter}.{:02}", number.map_or(0, |number| number + 1));
            wordnet.meanings.insert(Synset { pos, offset }, Meaning { name, hypernyms });
        }
        wordnet.senses.insert(pos, senses);
    }
    let known = |it: &Synset| wordnet.meanings.contains_key(it);
    if let Some((synset, _)) = wordnet.meanings.iter().find(|(_, it)| !it.hypernyms.iter().all(known)) {
        let place = format!("{:?} at {}", synset.pos, synset.offset);
        let what = "points to a meaning that is not there: are all files of one version?".to_owned();
        return Err(EvalError::Format { path: folder.to_owned(), place, what });
    }
    Ok(wordnet)
}

/// A line of an index file: a word and the offsets of its meanings.
fn index(line: &str) -> Option<(String, Vec<u32>)> {
    let mut fields = line.split_ascii_whitespace();
    let word = fields.next()?.to_owned();
    let _part = fields.next()?;
    let count: usize = fields.next()?.parse().ok()?;
    let pointers: usize = fields.next()?.parse().ok()?;
    let mut fields = fields.skip(pointers + 2);
    let offsets = fields.by_ref().take(count).map(|it| it.parse().ok()).collect::<Option<Vec<u32>>>()?;
    (offsets.len() == count && count > 0).then_some((word, offsets))
}

/// A line of a data file: offset, first word in small letters, letter of the part, and the hypernyms.
fn data(line: &str) -> Option<(u32, String, String, Vec<Synset>)> {
    let mut fields = line.split_ascii_whitespace();
    let offset = fields.next()?.parse().ok()?;
    let _file = fields.next()?;
    let letter = fields.next()?.to_owned();
    let words = usize::from_str_radix(fields.next()?, 16).ok()?;
    // An adjective may have its position behind it, such as `(p)`.
    let first = fields.next()?.split('(').next()?.to_lowercase();
    let mut fields = fields.skip((2 * words).checked_sub(1)?);
    let pointers: usize = fields.next()?.parse().ok()?;
    let mut hypernyms = Vec::new();
    let mut instances = Vec::new();
    for _ in 0..pointers {
        let symbol = fields.next()?;
        let offset = fields.next()?.parse().ok()?;
        let pos = match fields.next()? {
            "n" => Pos::Noun,
            "v" => Pos::Verb,
            "a" | "s" => Pos::Adjective,
            "r" => Pos::Adverb,
            _ => return None,
        };
        let _ends = fields.next()?;
        match symbol {
            "@" => hypernyms.push(Synset { pos, offset }),
            "@i" => instances.push(Synset { pos, offset }),
            _ => {}
        }
    }
    hypernyms.append(&mut instances);
    Some((offset, first, letter, hypernyms))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_taken_apart() {
        let (word, offsets) = index("dog n 3 5 @ ~ #m #p %p 3 1 02084071 10114209 10023039  \n").unwrap();
        assert_eq!((word.as_str(), offsets), ("dog", vec![2084071, 10114209, 10023039]));
        assert_eq!(index("dog n 2 0 2 1 02084071"), None);
        let line = "00001930 03 n 02 physical_entity 0 Thing 1 003 @ 00001740 n 0000 ~ 00002452 n 0000 \
            @i 00002684 n 0000 | an entity\n";
        let (offset, first, letter, hypernyms) = data(line).unwrap();
        assert_eq!((offset, first.as_str(), letter.as_str()), (1930, "physical_entity", "n"));
        assert_eq!(hypernyms.iter().map(|it| it.offset).collect::<Vec<_>>(), [1740, 2684]);
        assert!(data("00001930 03 n 02 a 0").is_none());
    }
}
