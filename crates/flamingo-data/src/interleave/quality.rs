//! Gopher's rules for documents that are worth reading (Rae et al. 2021, arXiv 2112.11446, appendix A.1.1 and table
//! A1), with the thresholds published there; MassiveWeb and M3W were made with them.
//!
//! All thresholds were compared with those of an open implementation, huggingface/datatrove at commit 06c98b0f:
//! `src/datatrove/pipeline/filters/gopher_quality_filter.py` and `gopher_repetition_filter.py`. Where the paper leaves a
//! choice: words are what stands between white space (datatrove: NLTK's tokens); shares of characters are of the words
//! without the space between them (datatrove: of the whole text); all copies of a repeated n-gram count, as the paper
//! says (datatrove: all but the first); lines that begin with `-` or `*` count as bullets, too.

use std::collections::{HashMap, HashSet};
use std::hash::Hash;

use super::report::PageFilter;

/// Words of which English text has at least two (appendix A.1.1).
const STOP_WORDS: [&str; 8] = ["the", "be", "to", "of", "and", "that", "have", "with"];

/// For n-grams of so many words, the most of a document's characters that the most frequent one may make up (table A1).
const TOP_NGRAMS: [(usize, f64); 3] = [(2, 0.20), (3, 0.18), (4, 0.16)];

/// For n-grams of so many words, the most of a document's characters that repeated ones may make up (table A1).
const REPEATED_NGRAMS: [(usize, f64); 6] =
    [(5, 0.15), (6, 0.14), (7, 0.13), (8, 0.12), (9, 0.11), (10, 0.10)];

/// Which of Gopher's rules a text breaks.
pub(crate) fn judge(text: &str) -> Option<PageFilter> {
    if !is_prose(text) {
        return Some(PageFilter::Quality);
    }
    is_repetitive(text).then_some(PageFilter::Repetition)
}

/// 50 to 100,000 words of 3 to 10 characters on average, most of them with a letter, among them two stop words; few
/// symbols, bullets and lines that end in an ellipsis (appendix A.1.1).
fn is_prose(text: &str) -> bool {
    let words: Vec<&str> = text.split_whitespace().collect();
    let share = |count: usize, of: usize| count as f64 / of.max(1) as f64;
    let lengths: usize = words.iter().map(|word| word.chars().count()).sum();
    let symbols = text.matches('#').count().max(text.matches("...").count() + text.matches('…').count());
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let bullets = lines.iter().filter(|line| line.starts_with(['-', '•', '*'])).count();
    let ellipses = lines.iter().filter(|line| line.ends_with("...") || line.ends_with('…')).count();
    let lettered = words.iter().filter(|word| word.contains(char::is_alphabetic)).count();
    let present: HashSet<String> = words.iter().map(|word| word.to_lowercase()).collect();
    let stops = STOP_WORDS.iter().filter(|stop| present.contains(**stop)).count();
    (50..=100_000).contains(&words.len())
        && (3.0..=10.0).contains(&share(lengths, words.len()))
        && share(symbols, words.len()) <= 0.1
        && share(bullets, lines.len()) <= 0.9
        && share(ellipses, lines.len()) <= 0.3
        && share(lettered, words.len()) >= 0.8
        && stops >= 2
}

/// Too many equal lines, paragraphs or n-grams (table A1).
fn is_repetitive(text: &str) -> bool {
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let paragraphs: Vec<&str> = text.split("\n\n").map(str::trim).filter(|part| !part.is_empty()).collect();
    let (line_share, line_characters) = duplicates(&lines);
    let (paragraph_share, paragraph_characters) = duplicates(&paragraphs);
    let words: Vec<&str> = text.split_whitespace().collect();
    line_share > 0.30
        || paragraph_share > 0.30
        || line_characters > 0.20
        || paragraph_characters > 0.20
        || TOP_NGRAMS.iter().any(|&(n, most)| top_ngram(&words, n) > most)
        || REPEATED_NGRAMS.iter().any(|&(n, most)| repeated_ngrams(&words, n) > most)
}

/// The share of parts that are equal to an earlier one, by number and by characters.
fn duplicates(parts: &[&str]) -> (f64, f64) {
    let (mut seen, mut count, mut repeated) = (HashSet::new(), 0, 0);
    for part in parts {
        if !seen.insert(part) {
            count += 1;
            repeated += part.len();
        }
    }
    let all: usize = parts.iter().map(|part| part.len()).sum();
    (count as f64 / parts.len().max(1) as f64, repeated as f64 / all.max(1) as f64)
}

/// The share of characters in the most frequent n-gram, of several the longest; 0 if none occurs twice.
fn top_ngram(words: &[&str], n: usize) -> f64 {
    let counts = count(words.windows(n)).into_iter().filter(|(_, count)| *count > 1);
    let top = counts.map(|(gram, count)| (count, length(gram))).max();
    top.map_or(0, |(count, length)| count * length) as f64 / length(words).max(1) as f64
}

/// The share of characters in n-grams that occur more than once, each word counted once.
fn repeated_ngrams(words: &[&str], n: usize) -> f64 {
    let counts = count(words.windows(n));
    let (mut covered, mut repeated) = (0, 0);
    for (start, gram) in words.windows(n).enumerate() {
        if counts[gram] > 1 {
            repeated += length(&words[covered.max(start)..start + n]);
            covered = start + n;
        }
    }
    repeated as f64 / length(words).max(1) as f64
}

fn count<T: Hash + Eq>(items: impl Iterator<Item = T>) -> HashMap<T, usize> {
    let mut counts = HashMap::new();
    for item in items {
        *counts.entry(item).or_default() += 1;
    }
    counts
}

fn length(words: &[&str]) -> usize {
    words.iter().map(|word| word.len()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sentences that share few words.
    fn prose(sentences: usize) -> String {
        let line =
            |n: usize| format!("The painter{n} added of colour{n} and light{n} with brush{n} that day{n}.");
        (0..sentences).map(line).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn prose_passes_and_lists_of_symbols_do_not() {
        assert_eq!(judge(&prose(10)), None);
        assert_eq!(judge(&prose(4)), Some(PageFilter::Quality), "fewer than 50 words");
        assert_eq!(judge(&prose(10).replace("colour", "# # ")), Some(PageFilter::Quality));
        assert_eq!(judge(&prose(10).replace("\n", "…\n")), Some(PageFilter::Quality));
        let foreign = prose(10).replace("The ", "Der ").replace(" of ", " von ").replace(" and ", " und ");
        let foreign = foreign.replace(" with ", " mit ").replace(" that ", " den ");
        assert_eq!(judge(&foreign), Some(PageFilter::Quality));
    }

    #[test]
    fn repetition_of_lines_and_of_words() {
        let twice = format!("{}\n{}", prose(8), prose(8));
        assert_eq!(judge(&twice), Some(PageFilter::Repetition));
        let words: String = (0..60).map(|n| format!("the other{n} ")).collect();
        assert_eq!(judge(&format!("{} and to {words}", "big cat ".repeat(40))), Some(PageFilter::Repetition));
    }

    #[test]
    fn shares_are_of_characters() {
        let words: Vec<&str> = "a b c d a b c d e f".split(' ').collect();
        assert_eq!(top_ngram(&words, 2), 0.4);
        let words: Vec<&str> = "a b a b a b longer words longer words".split(' ').collect();
        assert_eq!(top_ngram(&words, 2), 6.0 / 28.0, "the most frequent, not what takes the most characters");
        let words: Vec<&str> = "a b c d a b c d e f".split(' ').collect();
        assert_eq!(repeated_ngrams(&words, 4), 0.8);
        assert_eq!(duplicates(&["aa", "b", "aa", "aa"]), (0.5, 4.0 / 7.0));
    }
}
