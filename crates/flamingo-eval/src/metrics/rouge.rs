//! ROUGE-L: the longest sequence of words that a caption and a reference have in common.
//!
//! Lin and Och 2004, as `pycocoevalcap`'s `rouge.py` computes it for COCO: precision and recall are each the best over
//! all references, and beta is 1.2.

use super::tokens::{Caption, References};
use super::{Mean, Measure};
use crate::EvalError;

const BETA: f64 = 1.2;

/// The scores of captions, from 0 to 1.
#[derive(Debug, Clone, PartialEq)]
pub struct RougeL(Mean);

impl RougeL {
    /// Scores captions, each against its references.
    ///
    /// # Errors
    ///
    /// If an example has no reference, or numbers of captions and references differ.
    pub fn new(captions: &[Caption], references: &References) -> Result<Self, EvalError> {
        references.check("ROUGE-L", captions.len())?;
        let each = captions.iter().zip(references.iter()).map(|(caption, them)| one(caption, them));
        Ok(Self(Mean(each.collect())))
    }
}

impl Measure for RougeL {
    fn len(&self) -> usize {
        self.0.len()
    }

    fn of(&self, rows: &[usize]) -> Option<f64> {
        self.0.of(rows)
    }

    fn each(&self) -> Option<&[f64]> {
        self.0.each()
    }
}

fn one(caption: &Caption, references: &[Caption]) -> f64 {
    let caption = tokens(caption);
    let (mut precision, mut recall) = (0.0f64, 0.0f64);
    for reference in references.iter().map(tokens) {
        let common = longest_common(&caption, &reference) as f64;
        precision = precision.max(common / caption.len() as f64);
        recall = recall.max(common / reference.len() as f64);
    }
    if precision == 0.0 || recall == 0.0 {
        return 0.0;
    }
    let square = BETA * BETA;
    (1.0 + square) * precision * recall / (recall + square * precision)
}

/// As the reference has it, a caption without tokens has one that is empty: two of them are alike.
fn tokens(caption: &Caption) -> Vec<&str> {
    match caption.tokens() {
        [] => vec![""],
        tokens => tokens.iter().map(String::as_str).collect(),
    }
}

/// The length of the longest common subsequence.
fn longest_common(a: &[&str], b: &[&str]) -> usize {
    let mut row = vec![0; b.len() + 1];
    for word in a {
        let mut diagonal = 0;
        for (place, other) in b.iter().enumerate() {
            let above = row[place + 1];
            row[place + 1] = if word == other { diagonal + 1 } else { above.max(row[place]) };
            diagonal = above;
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn score(text: &str, references: &[&str]) -> f64 {
        let caption = |text: &str| Caption::from_tokens(text.split(' ').filter(|it| !it.is_empty()));
        let references = References::new(vec![references.iter().map(|it| caption(it)).collect()]);
        RougeL::new(&[caption(text)], &references).unwrap().score().unwrap()
    }

    #[test]
    fn gaps_are_allowed_and_order_counts() {
        assert_eq!(longest_common(&["a", "x", "b", "c"], &["a", "b", "y", "c"]), 3);
        assert_eq!(longest_common(&["a", "b"], &["b", "a"]), 1);
        assert_eq!(longest_common(&[], &["b"]), 0);
    }

    #[test]
    fn the_same_text_is_one_and_empty_texts_are_alike() {
        assert!((score("a dog runs", &["cats", "a dog runs"]) - 1.0).abs() < 1e-12);
        assert!((score("", &[""]) - 1.0).abs() < 1e-12);
        assert_eq!(score("", &["a dog"]), 0.0);
    }
}
