//! Words as nltk's `NLTKWordTokenizer` parts them, for a text of one sentence.
//!
//! Its rules are replacements, one after another: each puts spaces around something, and what is between spaces in the
//! end is a word. Robert MacIntyre's tokenizer for the Penn Treebank is where they come from.

use std::sync::LazyLock;

use regex::{Captures, Regex};

/// A pattern and what it is replaced by.
type Rules = Vec<(Regex, &'static str)>;

fn rules(rules: &[(&str, &'static str)]) -> Rules {
    rules.iter().map(|(pattern, with)| (Regex::new(pattern).expect("a pattern"), *with)).collect()
}

/// Quotation marks at a beginning.
static OPENING: LazyLock<Rules> = LazyLock::new(|| {
    rules(&[
        ("([«“‘„]|[`]+)", " $1 "),
        (r#"^""#, "``"),
        ("(``)", " $1 "),
        (r#"([ (\[{<])("|'{2})"#, "$1 `` "),
    ])
});

/// A quotation mark of one stroke before a word, or what a contraction begins with, which stays.
static STROKE: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"(?i)'(?P<part>(?:re|ve|ll|m|t|s|d|n)\b)?").expect("a pattern"));

static PUNCTUATION: LazyLock<Rules> = LazyLock::new(|| {
    rules(&[
        (r#"([^.])(\.)([\])}>"'»”’ ]*)\s*$"#, "$1 $2 $3 "),
        (r"([:,])([^\d])", " $1 $2"),
        (r"([:,])$", " $1 "),
        (r"\.{2,}", " $0 "),
        (r"[;@#$%&]", " $0 "),
        (r"[\u{2012}-\u{2015}]", " $0 "),
        (r#"([^.])(\.)([\])}>"']*)\s*$"#, "$1 $2$3 "),
        (r"[?!]", " $0 "),
        (r"([^'])' ", "$1 ' "),
        (r"[*]", " $0 "),
        (r"[\]\[(){}<>]", " $0 "),
        (r"--", " -- "),
    ])
});

/// Quotation marks at an end, and contractions.
static CLOSING: LazyLock<Rules> = LazyLock::new(|| {
    rules(&[
        ("([»”’])", " $1 "),
        ("''", " '' "),
        (r#"""#, " '' "),
        (r"\s+", " "),
        (r"([^' ])('[sS]|'[mM]|'[dD]|') ", "$1 $2 "),
        (r"([^' ])('ll|'LL|'re|'RE|'ve|'VE|n't|N'T) ", "$1 $2 "),
        (r"(?i)\b(can)(not)\b", " $1 $2 "),
        (r"(?i)\b(d)('ye)\b", " $1 $2 "),
        (r"(?i)\b(gim)(me)\b", " $1 $2 "),
        (r"(?i)\b(gon)(na)\b", " $1 $2 "),
        (r"(?i)\b(got)(ta)\b", " $1 $2 "),
        (r"(?i)\b(lem)(me)\b", " $1 $2 "),
        (r"(?i)\b(more)('n)\b", " $1 $2 "),
        (r"(?i)\b(wan)(na)(\s)", " $1 $2 $3"),
        (r"(?i) ('t)(is)\b", " $1 $2 "),
        (r"(?i) ('t)(was)\b", " $1 $2 "),
    ])
});

/// The words of a sentence.
pub fn words(text: &str) -> Vec<String> {
    let text = applied(&OPENING, text.trim_end().to_owned());
    let text = applied(&PUNCTUATION, parted_strokes(&text));
    applied(&CLOSING, format!(" {text} ")).split_whitespace().map(str::to_owned).collect()
}

fn applied(rules: &Rules, text: String) -> String {
    rules.iter().fold(text, |text, (pattern, with)| pattern.replace_all(&text, *with).into_owned())
}

/// A stroke is parted from a word that it stands before, if no word stands before it.
fn parted_strokes(text: &str) -> String {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let part = |found: &Captures<'_>| {
        let stroke = found.get(0).expect("all of it");
        let behind = text[stroke.start() + 1..].chars().next().is_some_and(is_word);
        let before = text[..stroke.start()].chars().next_back().is_some_and(is_word);
        match found.name("part").is_none() && behind && !before {
            true => "' ".to_owned(),
            false => stroke.as_str().to_owned(),
        }
    };
    STROKE.replace_all(text, part).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What nltk 3.10.4 says of the same, its `word_tokenize` with `preserve_line`.
    #[test]
    fn words_are_nltks() {
        for (text, expected) in [
            ("", ""),
            (" a  man's hat. ", "a|man|'s|hat|."),
            ("can't, cannot wanna go", "ca|n't|,|can|not|wan|na|go"),
            ("'hello' (it's \"red\")", "'|hello|'|(|it|'s|``|red|''|)"),
            ("'tis 5:30, 1,000; a...b", "'|tis|5:30|,|1,000|;|a|...|b"),
            ("st. louis -- what?", "st.|louis|--|what|?"),
        ] {
            assert_eq!(words(text).join("|"), expected, "{text:?}");
        }
    }
}
