//! Splits by name: what is held out is not named in training text either.

use std::collections::BTreeSet;

use sha2::{Digest, Sha256};

/// One name in so many is held out.
const ONE_IN: u64 = 10;

/// A number that depends on `seed` and `id` only, and looks random.
pub fn number(seed: &str, id: &str) -> u64 {
    let digest = Sha256::digest(format!("{seed}/{id}"));
    digest.iter().take(8).fold(0, |number, byte| number << 8 | u64::from(*byte))
}

/// Whether the thing with this name is held out.
pub fn is_held_out(seed: &str, name: &str) -> bool {
    number(seed, name).is_multiple_of(ONE_IN)
}

/// A text's words in lower case, without punctuation.
pub fn words(text: &str) -> Vec<String> {
    let lower = text.to_lowercase();
    let words = lower.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
    words.map(str::to_owned).collect()
}

/// The name in a caption: its words without the article in front, `A green hat.` as `green hat`.
pub fn name(caption: &str) -> String {
    let words = words(caption);
    let article = words.len() > 1 && ["a", "an", "the", "some"].contains(&words[0].as_str());
    words[usize::from(article)..].join(" ")
}

/// Names that no training text may have.
#[derive(Debug, Clone, Default)]
pub struct HeldOutNames {
    names: BTreeSet<String>,
    longest: usize,
}

impl HeldOutNames {
    /// Names as [`name`] gives them.
    pub fn new(names: impl IntoIterator<Item = String>) -> Self {
        let names: BTreeSet<String> = names.into_iter().filter(|name| !name.is_empty()).collect();
        let longest = names.iter().map(|name| name.split(' ').count()).max().unwrap_or(0);
        Self { names, longest }
    }

    /// Whether one of the names is in `text`, as whole words.
    pub fn named_in(&self, text: &str) -> bool {
        let words = words(text);
        (0..words.len()).any(|start| {
            let ends = start + 1..=words.len().min(start + self.longest);
            ends.into_iter().any(|end| self.names.contains(&words[start..end].join(" ")))
        })
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.names.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_captions_without_articles_and_stops() {
        assert_eq!(name("A green hat."), "green hat");
        assert_eq!(name("The letter A"), "letter a");
        assert_eq!(name("A"), "a");
    }

    #[test]
    fn whole_names_are_found_in_texts() {
        let held_out = HeldOutNames::new(["green hat".to_owned(), "rat".to_owned()]);
        for text in ["A big green hat!", "rat", "a Rat's tail"] {
            assert!(held_out.named_in(text), "{text}");
        }
        for text in ["a green, tall hat", "rats", "operating", ""] {
            assert!(!held_out.named_in(text), "{text}");
        }
        assert!(!HeldOutNames::default().named_in("rat"));
    }

    #[test]
    fn about_one_in_ten_is_held_out() {
        let held_out = (0..2000).filter(|index| is_held_out("seed", &format!("thing {index}"))).count();
        assert!((150..250).contains(&held_out), "{held_out}");
    }
}
