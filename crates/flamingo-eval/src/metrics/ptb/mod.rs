//! Captions to tokens as the Penn Treebank has them, small letters, without punctuation.
//!
//! What the COCO caption evaluation does before it counts anything: `pycocoevalcap` runs the tokenizer of Stanford
//! CoreNLP 3.4.1 (`-preserveLines -lowerCase`) and leaves out a list of punctuation. This is another tokenizer that gives
//! the same tokens, its rules fitted to what comes out of that program; `tests/parity/metrics.py` compares the two.
//!
//! Where they are known to differ (33 of 4,000 texts of odd words without spaces between them): an abbreviation, a file's name
//! or an address glued to the next word may be cut elsewhere ("Fla.Q&A"). Letters that came to Unicode after that program was made are letters here, while it
//! drops them; and a line break inside of a caption is a space here, while there a carriage return, a form feed or one of
//! Unicode's line separators puts all later captions one place off.

mod abbreviations;
mod classes;
mod lexer;
mod rules;

use super::tokens::{Caption, References};

/// What is left out, as `pycocoevalcap`'s `ptbtokenizer.py` lists it. That list also has `-LRB-` and other brackets, in
/// capitals, which tokens in small letters never are: brackets stay.
const PUNCTUATION: [&str; 15] =
    ["''", "'", "``", "`", ".", "?", "!", ",", ":", "-", "--", "...", ";", "", " "];

/// The tokens of a caption.
pub fn tokenize(caption: &str) -> Caption {
    before(caption, None)
}

/// The tokens of each caption of a list. `pycocoevalcap` has its tokenizer read all of them as one text, in which a "no." at
/// the end of a caption keeps its full stop if the next caption begins with a digit.
pub fn tokenize_all<'a>(captions: impl IntoIterator<Item = &'a str>) -> Vec<Caption> {
    let mut captions = captions.into_iter().peekable();
    let mut tokenized = Vec::new();
    while let Some(caption) = captions.next() {
        tokenized.push(before(caption, captions.peek().and_then(|next| next.chars().next())));
    }
    tokenized
}

/// The tokens of every example's references, read as one text like those of [`tokenize_all`].
pub fn references(references: &[Vec<&str>]) -> References {
    let mut all = tokenize_all(references.iter().flatten().copied()).into_iter();
    References::new(references.iter().map(|them| all.by_ref().take(them.len()).collect()).collect())
}

/// The tokens of a caption, before another one that begins with `next`.
fn before(caption: &str, next: Option<char>) -> Caption {
    let line = caption.replace(['\n', '\r', '\u{b}', '\u{c}', '\u{85}', '\u{2028}', '\u{2029}'], " ");
    Caption::from_tokens(
        lexer::tokens(&line, next).into_iter().filter(|token| !PUNCTUATION.contains(&token.as_str())),
    )
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn tokens(caption: &str) -> String {
        tokenize(caption).tokens().join("|")
    }

    #[test]
    fn contractions_are_parted_and_punctuation_left_out() {
        assert_eq!(
            tokens("A man's dog isn't here, can't go; I'm gone..."),
            "a|man|'s|dog|is|n't|here|ca|n't|go|i|'m|gone"
        );
        assert_eq!(tokens("\"Hello\" - said `he' -- (twice)."), "hello|said|he|-lrb-|twice|-rrb-");
        assert_eq!(tokens("cannot gonna 'twas rock'n'roll"), "can|not|gon|na|'t|was|rock|'n'|roll");
    }

    #[test]
    fn what_belongs_together_stays() {
        assert_eq!(
            tokens("Mr. Smith at 5:30 p.m. in the U.S. and a T-shirt"),
            "mr.|smith|at|5:30|p.m.|in|the|u.s.|and|a|t-shirt"
        );
        assert_eq!(
            tokens("1 1/2 cups and/or 1,000.50 of 12/25/2010"),
            "1\u{a0}1/2|cups|and/or|1,000.50|of|12/25/2010"
        );
        assert_eq!(
            tokens("see www.a.org/x_y or me@b.com AT&T :-D"),
            "see|www.a.org/x_y|or|me@b.com|at&t|:-d"
        );
    }

    #[test]
    fn the_next_caption_is_seen() {
        let all = |captions: [&str; 3]| {
            tokenize_all(captions).iter().map(|it| it.tokens().join("|")).collect::<Vec<_>>()
        };
        assert_eq!(all(["Fig.", "5 dogs", "no."]), ["fig.", "5|dogs", "no"]);
        assert_eq!(all(["no.", "", "5"]), ["no", "", "5"]);
    }

    #[test]
    fn nothing_comes_of_nothing() {
        for nothing in ["", " ", ".", "...", "\n", "😀", "\u{200b}", "''"] {
            assert_eq!(tokens(nothing), "", "{nothing:?}");
        }
    }

    proptest! {
        #[test]
        fn any_text_gives_tokens_without_plain_spaces(text in "\\PC{0,40}") {
            prop_assert!(tokenize(&text).tokens().iter().all(|it| !it.is_empty() && !it.contains([' ', '\n'])));
        }
    }
}
