//! Captions as captioning metrics see them: tokens, and words.

use crate::EvalError;

/// A tokenised caption.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Caption {
    tokens: Vec<String>,
}

/// The references of every example.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct References(Vec<Vec<Caption>>);

impl Caption {
    /// A caption of these tokens.
    pub fn from_tokens<S: Into<String>>(tokens: impl IntoIterator<Item = S>) -> Self {
        Self { tokens: tokens.into_iter().map(Into::into).collect() }
    }

    /// Its tokens.
    pub fn tokens(&self) -> &[String] {
        &self.tokens
    }

    /// Its words: a token in which there is white space, such as the two parts of `1 1/2` with a space that must not
    /// break, is several. CIDEr and BLEU count words, ROUGE counts tokens.
    pub fn words(&self) -> impl Iterator<Item = &str> {
        self.tokens.iter().flat_map(|token| words(token))
    }
}

impl References {
    /// The references of examples in their order.
    pub fn new(references: Vec<Vec<Caption>>) -> Self {
        Self(references)
    }

    /// Those of each example.
    pub fn iter(&self) -> impl Iterator<Item = &[Caption]> {
        self.0.iter().map(Vec::as_slice)
    }

    /// Every one of `predictions` examples must have a reference.
    pub(crate) fn check(&self, metric: &'static str, predictions: usize) -> Result<(), EvalError> {
        if self.0.len() != predictions {
            let what = format!("{predictions} predictions, but references of {} examples", self.0.len());
            return Err(EvalError::Undefined { metric, what });
        }
        match self.0.iter().position(Vec::is_empty) {
            None => Ok(()),
            Some(example) => Err(EvalError::Example {
                example: example.to_string(),
                what: format!("no reference; {metric} needs one or more for each example"),
            }),
        }
    }
}

/// What Python's `str.split()` makes of a text.
pub fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(is_space).filter(|word| !word.is_empty())
}

/// Whether Python's `str.isspace()` is true for a character: Unicode's white space and four separators of ASCII.
pub fn is_space(c: char) -> bool {
    c.is_whitespace() || ('\x1c'..='\x1f').contains(&c)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn white_space_in_a_token_parts_words() {
        let caption = Caption::from_tokens(["add", "1\u{a0}1/2", "cups"]);
        assert_eq!(caption.tokens().len(), 3);
        assert_eq!(caption.words().collect::<Vec<_>>(), ["add", "1", "1/2", "cups"]);
        assert_eq!(words(" \u{2003}a\x1cb ").collect::<Vec<_>>(), ["a", "b"]);
    }
}
