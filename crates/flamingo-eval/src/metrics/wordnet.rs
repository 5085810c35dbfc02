//! WordNet's files as Princeton publishes them: base forms of words, and how near two meanings are.
//!
//! Format: `wndb(5WN)`. The folder holds `index.*`, `data.*` and `*.exc` of nouns, verbs, adjectives and adverbs, as in
//! `dict/` of WordNet 3.0 or in Debian's package `wordnet-base`. Base forms and similarity are those of nltk's
//! `wordnet` reader, which the evaluations of NextQA and OKVQA use.

mod files;
mod similarity;

use std::collections::HashMap;
use std::path::Path;

use crate::EvalError;

/// A part of speech.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Pos {
    /// `index.noun`.
    Noun,
    /// `index.verb`.
    Verb,
    /// `index.adj`, satellites included.
    Adjective,
    /// `index.adv`.
    Adverb,
}

impl Pos {
    /// All, in the order in which meanings are listed.
    pub const ALL: [Self; 4] = [Self::Noun, Self::Verb, Self::Adjective, Self::Adverb];

    /// Endings, and what they are replaced by.
    fn endings(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::Noun => &[
                ("s", ""),
                ("ses", "s"),
                ("ves", "f"),
                ("xes", "x"),
                ("zes", "z"),
                ("ches", "ch"),
                ("shes", "sh"),
                ("men", "man"),
                ("ies", "y"),
            ],
            Self::Verb => &[
                ("s", ""),
                ("ies", "y"),
                ("es", "e"),
                ("es", ""),
                ("ed", "e"),
                ("ed", ""),
                ("ing", "e"),
                ("ing", ""),
            ],
            Self::Adjective => &[("er", ""), ("est", ""), ("er", "e"), ("est", "e")],
            Self::Adverb => &[],
        }
    }
}

/// A meaning: its part of speech, and where it begins in that part's data file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Synset {
    /// Part of speech.
    pub pos: Pos,
    /// Bytes before it.
    pub offset: u32,
}

/// All of WordNet that is asked for.
#[derive(Debug)]
pub struct WordNet {
    /// The meanings of words, by part of speech.
    senses: HashMap<Pos, HashMap<String, Vec<u32>>>,
    /// Base forms that no rule gives.
    exceptions: HashMap<Pos, HashMap<String, Vec<String>>>,
    meanings: HashMap<Synset, Meaning>,
}

/// What is known of a meaning.
#[derive(Debug)]
struct Meaning {
    /// Its first word, part of speech and number, by which meanings are sorted.
    name: String,
    /// What it is a kind or an instance of.
    hypernyms: Vec<Synset>,
}

impl WordNet {
    /// Reads a folder of WordNet's files.
    ///
    /// # Errors
    ///
    /// If a file is missing or not as `wndb(5WN)` says.
    pub fn open(folder: impl AsRef<Path>) -> Result<Self, EvalError> {
        files::read(folder.as_ref())
    }

    /// The base forms of a word in small letters that WordNet has: the word itself first, if it has it.
    pub fn base_forms(&self, word: &str, pos: Pos) -> Vec<String> {
        let listed = self.exceptions[&pos].get(word).cloned();
        let by_rule = || {
            let endings = pos.endings().iter();
            endings.filter_map(|(old, new)| Some(word.strip_suffix(old)?.to_owned() + new)).collect()
        };
        let mut forms = Vec::new();
        for form in std::iter::once(word.to_owned()).chain(listed.unwrap_or_else(by_rule)) {
            if self.senses[&pos].contains_key(&form) && !forms.contains(&form) {
                forms.push(form);
            }
        }
        forms
    }

    /// The shortest base form, or the word itself if WordNet has none.
    pub fn lemma(&self, word: &str, pos: Pos) -> String {
        let forms = self.base_forms(word, pos);
        forms.into_iter().min_by_key(|form| form.chars().count()).unwrap_or_else(|| word.to_owned())
    }

    /// The meanings of a word in any letters, those of nouns first, then by frequency.
    pub fn synsets(&self, word: &str) -> Vec<Synset> {
        let word = word.to_lowercase();
        let of = |pos| {
            let forms = self.base_forms(&word, pos).into_iter();
            forms.flat_map(move |form| {
                self.senses[&pos][&form].iter().map(move |offset| Synset { pos, offset: *offset })
            })
        };
        Pos::ALL.into_iter().flat_map(of).collect()
    }

    /// A meaning's name, such as `dog.n.01`.
    pub fn name(&self, synset: Synset) -> &str {
        &self.meanings[&synset].name
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::fmt::Write as _;
    use std::fs;

    use super::*;

    /// Part, word, and what it is a kind of; `@i` marks what it is an instance of.
    const MEANINGS: [(&str, &str, &[&str]); 17] = [
        ("n", "entity", &[]),
        ("n", "object", &["entity"]),
        ("n", "living_thing", &["object"]),
        ("n", "agent", &["entity"]),
        ("n", "person", &["living_thing", "agent"]),
        ("n", "animal", &["living_thing"]),
        ("n", "dog", &["animal", "pet"]),
        ("n", "pet", &["animal"]),
        ("n", "cat", &["animal"]),
        ("n", "chef", &["person"]),
        ("n", "Rex", &["@i dog"]),
        ("v", "move", &[]),
        ("v", "run", &["move"]),
        ("v", "dash", &["run"]),
        ("v", "think", &[]),
        ("a", "red", &[]),
        ("r", "fast", &[]),
    ];

    /// Writes a small WordNet in its own format.
    pub fn small(folder: &Path) {
        let files = [("noun", "n"), ("verb", "v"), ("adj", "a"), ("adv", "r")];
        let text = |letter: &str, offsets: &HashMap<&str, usize>| {
            let (mut data, mut places) = ("  1 A licence.\n".to_owned(), Vec::new());
            for (_, word, above) in MEANINGS.iter().filter(|(part, ..)| *part == letter) {
                places.push((*word, data.len()));
                write!(data, "{:08} 03 {letter} 01 {word} 0 {:03}", data.len(), above.len()).unwrap();
                for above in *above {
                    let (symbol, above) = above.split_once(' ').unwrap_or(("@", above));
                    let offset = offsets.get(above).copied().unwrap_or(0);
                    write!(data, " {symbol} {offset:08} {letter} 0000").unwrap();
                }
                data += " | a gloss  \n";
            }
            (data, places)
        };
        for (name, letter) in files {
            let places = text(letter, &HashMap::new()).1;
            let (data, _) = text(letter, &places.iter().copied().collect());
            let mut index = "  1 A licence.\n".to_owned();
            for (word, offset) in places {
                writeln!(index, "{} {letter} 1 0 1 0 {offset:08}  ", word.to_lowercase()).unwrap();
            }
            fs::write(folder.join(format!("data.{name}")), data).unwrap();
            fs::write(folder.join(format!("index.{name}")), index).unwrap();
            let exceptions = if name == "verb" { "ran run\n" } else { "" };
            fs::write(folder.join(format!("{name}.exc")), exceptions).unwrap();
        }
    }

    #[test]
    fn base_forms_are_listed_or_by_rule() {
        let folder = tempfile::tempdir().unwrap();
        small(folder.path());
        let wordnet = WordNet::open(folder.path()).unwrap();
        assert_eq!(wordnet.lemma("ran", Pos::Verb), "run");
        assert_eq!(wordnet.lemma("moving", Pos::Verb), "move");
        assert_eq!(wordnet.lemma("unheard", Pos::Verb), "unheard");
        assert_eq!(wordnet.base_forms("dogs", Pos::Noun), ["dog"]);
        let names: Vec<&str> = wordnet.synsets("REX").into_iter().map(|it| wordnet.name(it)).collect();
        assert_eq!(names, ["rex.n.01"]);
    }

    /// What nltk 3.10.4 says of the same files.
    #[test]
    fn similarity_is_nltks() {
        let folder = tempfile::tempdir().unwrap();
        small(folder.path());
        let wordnet = WordNet::open(folder.path()).unwrap();
        for (a, b, expected) in [
            ("dog", "cat", 0.8),
            ("dog", "dog", 1.0),
            ("dog", "pet", 10.0 / 11.0),
            ("chef", "dog", 0.6),
            ("chef", "person", 2.0 / 3.0),
            ("Rex", "cat", 8.0 / 11.0),
            ("rex", "dog", 12.0 / 13.0),
            ("run", "dash", 0.8),
            ("run", "think", 0.4),
            ("run", "dog", 2.0 / 9.0),
            ("red", "fast", 0.5),
            ("red", "red", 1.0),
            ("dogs", "cats", 0.8),
            ("ran", "move", 0.4),
            ("chef", "agent", 2.0 / 3.0),
        ] {
            let [x, y] = [a, b].map(|word| wordnet.synsets(word)[0]);
            let found = wordnet.wup_similarity(x, y).unwrap();
            assert!((found - expected).abs() < 1e-12, "{a}, {b}: {found} instead of {expected}");
        }
    }

    #[test]
    fn a_changed_file_and_a_missing_one_are_named() {
        let folder = tempfile::tempdir().unwrap();
        small(folder.path());
        let path = folder.path().join("data.noun");
        let text = fs::read_to_string(&path).unwrap();
        fs::write(&path, format!("  2 Another line.\n{text}")).unwrap();
        let error = WordNet::open(folder.path()).unwrap_err().to_string();
        assert!(error.contains("data.noun: line 3") && error.contains("the file was changed"), "{error}");
        fs::remove_file(&path).unwrap();
        let error = WordNet::open(folder.path()).unwrap_err().to_string();
        assert!(error.contains("cannot read") && error.contains("data.noun"), "{error}");
    }
}
