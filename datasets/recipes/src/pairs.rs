//! Pictures with a title: held out by title, each picture once.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use crate::corpus::Corpus;
use crate::names::{self, HeldOutNames};
use crate::package::hex;

/// A picture with its texts.
#[derive(Debug, Clone)]
pub struct Pair {
    /// Its path in the package: the record's key is made of it.
    pub path: String,
    /// Its group, for the counts.
    pub group: String,
    /// The picture.
    pub png: Vec<u8>,
    /// What it shows.
    pub title: String,
    /// Words that go with it.
    pub keywords: Vec<String>,
    /// More fields of the description.
    pub more: Map<String, Value>,
}

/// Adds the pairs to the corpus, as `train` and `heldout`.
///
/// One title in ten is held out, with all its pictures. A training pair whose title has such a title in it is left out,
/// and so are its keywords that have. Of pictures that are equal to the pixel only the first is kept.
///
/// # Errors
///
/// If a description cannot be written.
pub fn add(corpus: &mut Corpus, seed: &str, pairs: Vec<Pair>) -> anyhow::Result<()> {
    let held_out = |pair: &Pair| names::is_held_out(seed, &names::name(&pair.title));
    let secret =
        HeldOutNames::new(pairs.iter().filter(|pair| held_out(pair)).map(|pair| names::name(&pair.title)));
    let mut seen = BTreeSet::new();
    for mut pair in pairs {
        if !seen.insert(hex(&pair.png)) {
            corpus.drop("the same picture again");
            continue;
        }
        let part = if held_out(&pair) { "heldout" } else { "train" };
        if part == "train" && secret.named_in(&pair.title) {
            corpus.drop("names something held out");
            continue;
        }
        if part == "train" {
            pair.keywords.retain(|keyword| !secret.named_in(keyword));
        }
        let mut description = pair.more;
        let mut captions = vec![pair.title.clone()];
        if !pair.keywords.is_empty() {
            captions.push(format!("{}: {}", pair.title, pair.keywords.join(", ")));
            description.insert("keywords".to_owned(), pair.keywords.into());
        }
        description.insert("captions".to_owned(), captions.into());
        description.insert("group".to_owned(), pair.group.clone().into());
        description.insert("file".to_owned(), pair.path.clone().into());
        corpus.push(part, &pair.path, &pair.group, ("png", pair.png), Value::Object(description))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(index: usize, title: &str, keywords: &[&str]) -> Pair {
        Pair {
            path: format!("folder/{index}"),
            group: "things".to_owned(),
            png: index.to_le_bytes().to_vec(),
            title: title.to_owned(),
            keywords: keywords.iter().map(|keyword| (*keyword).to_owned()).collect(),
            more: Map::new(),
        }
    }

    #[test]
    fn what_is_held_out_is_not_named_in_training() {
        let things = (0..).map(|index| format!("thing{index}"));
        let (held, free): (Vec<String>, Vec<String>) =
            things.take(50).partition(|name| names::is_held_out("seed", name));
        let titles = [
            format!("A {}.", held[0]),
            held[0].to_uppercase(),
            format!("A {} on a {}", free[0], held[0]),
            format!("The {}", free[0]),
        ];
        let mut pairs: Vec<Pair> =
            titles.iter().enumerate().map(|(index, title)| pair(index, title, &[&held[0], "blue"])).collect();
        pairs.push(Pair { path: "again".to_owned(), ..pairs[3].clone() });
        // A title of two things is one of its own, and this one is not held out itself.
        assert!(!names::is_held_out("seed", &names::name(&titles[2])));
        let mut corpus = Corpus::default();
        add(&mut corpus, "seed", pairs).unwrap();
        let parts: Vec<&str> = corpus.records.iter().map(|record| record.part).collect();
        assert_eq!(parts, ["heldout", "heldout", "train"]);
        assert_eq!(corpus.dropped.values().sum::<usize>(), 2);
        let description: Value = serde_json::from_slice(&corpus.records[2].fields[1].1).unwrap();
        assert_eq!(description["captions"][1], format!("{}: blue", titles[3]));
        assert_eq!(description["split"], "train");
    }
}
