//! Counts of word n-grams, of 1 to 4 words.

use std::collections::HashMap;

/// The longest n-gram that is counted.
pub const MAX: usize = 4;

/// Numbers for words, so that n-grams are small and quick to compare.
#[derive(Debug, Default)]
pub struct Words(HashMap<String, u32>);

/// Up to [`MAX`] words; the places behind are 0, which is no word.
pub type Ngram = [u32; MAX];

/// How often each n-gram is in a text, and how many words the text has.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Counts {
    /// Occurrences; the n-grams of all sizes together.
    pub grams: HashMap<Ngram, u32>,
    /// Words of the text.
    pub words: usize,
}

impl Words {
    /// Counts the n-grams of a text.
    pub fn count<'a>(&mut self, words: impl IntoIterator<Item = &'a str>) -> Counts {
        let ids: Vec<u32> = words.into_iter().map(|word| self.id(word)).collect();
        let mut grams = HashMap::new();
        for first in 0..ids.len() {
            for size in 1..=MAX.min(ids.len() - first) {
                let mut gram = [0; MAX];
                gram[..size].copy_from_slice(&ids[first..first + size]);
                *grams.entry(gram).or_insert(0) += 1;
            }
        }
        Counts { grams, words: ids.len() }
    }

    fn id(&mut self, word: &str) -> u32 {
        if let Some(id) = self.0.get(word) {
            return *id;
        }
        let id = self.0.len() as u32 + 1;
        self.0.insert(word.to_owned(), id);
        id
    }
}

/// How many words an n-gram has, less one: its place in a list by size.
pub fn place(gram: &Ngram) -> usize {
    gram.iter().filter(|word| **word != 0).count() - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_sizes_are_counted() {
        let mut words = Words::default();
        let counts = words.count(["a", "b", "a", "b", "c"]);
        assert_eq!(counts.words, 5);
        assert_eq!(counts.grams[&[1, 0, 0, 0]], 2);
        assert_eq!(counts.grams[&[1, 2, 0, 0]], 2);
        assert_eq!(counts.grams[&[2, 1, 2, 3]], 1);
        let sizes = |size| counts.grams.keys().filter(|gram| place(gram) + 1 == size).count();
        assert_eq!([1, 2, 3, 4].map(sizes), [3, 3, 3, 2]);
        assert_eq!(words.count([]), Counts::default());
    }
}
