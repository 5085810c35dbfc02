//! VQA accuracy: an answer is right as far as three of ten people gave it.
//!
//! Antol et al. 2015, with the official evaluation's normalisation of answers, as open_flamingo's `eval/vqa_metric.py`
//! has it: every answer is normalised, also where all people agree. Each person's answer is left out in turn, and the
//! prediction is compared with the others'; the mean of these is the score.

mod contractions;

use std::sync::LazyLock;

use regex::Regex;

use super::Mean;
use super::tokens::words;
use crate::EvalError;

/// What one person answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// As given.
    pub text: String,
    /// What tells this answer from an equal one, such as its number. The official program leaves out, with a person's
    /// answer, all that are equal in every member of their record: VizWiz numbers no answers, so that there those with
    /// the same text and confidence are left out together.
    pub mark: String,
}

/// VQA accuracy of predictions, each from 0 to 1.
///
/// # Errors
///
/// If an example has no answer, or the numbers of predictions and lists of answers differ.
pub fn vqa_accuracy(predictions: &[&str], answers: &[Vec<Answer>]) -> Result<Mean, EvalError> {
    if predictions.len() != answers.len() {
        let what = format!("{} predictions, but answers to {} questions", predictions.len(), answers.len());
        return Err(EvalError::Undefined { metric: "VQA accuracy", what });
    }
    let each = predictions.iter().zip(answers).enumerate().map(|(example, (prediction, answers))| {
        one(prediction, answers).ok_or_else(|| EvalError::Example {
            example: example.to_string(),
            what: "nobody answered it; VQA accuracy needs at least one person's answer".to_owned(),
        })
    });
    Ok(Mean(each.collect::<Result<_, _>>()?))
}

fn one(prediction: &str, answers: &[Answer]) -> Option<f64> {
    let prediction = normalise(prediction);
    let answers: Vec<(String, &str)> =
        answers.iter().map(|answer| (normalise(&answer.text), answer.mark.as_str())).collect();
    let right = |left_out: &(String, &str)| {
        let same = answers.iter().filter(|it| *it != left_out && it.0 == prediction).count();
        (same as f64 / 3.0).min(1.0)
    };
    (!answers.is_empty()).then(|| answers.iter().map(right).sum::<f64>() / answers.len() as f64)
}

/// A comma between digits.
static THOUSANDS: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"\d,\d").expect("a pattern"));
/// A character that is a digit in any script.
static DIGIT: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"^\d").expect("a pattern"));

const PUNCTUATION: &str = ";/[]\"{}()=+\\_-><@`,?!";

/// So many full stops are removed, and no more: the official program passes the regular expressions' flag for Unicode
/// where the number of replacements is expected.
const MOST_STOPS: usize = 32;

/// An answer as it is compared: small letters, no punctuation, no articles, digits for small numbers, and apostrophes
/// where contractions have them.
pub fn normalise(answer: &str) -> String {
    let answer = answer.replace(['\n', '\t'], " ");
    let answer = without_stops(&without_punctuation(answer.trim_matches(super::tokens::is_space)));
    let mut normal = String::with_capacity(answer.len());
    for word in words(&answer.to_lowercase()) {
        let word = match word {
            "none" | "zero" => "0",
            "one" => "1",
            "two" => "2",
            "three" => "3",
            "four" => "4",
            "five" => "5",
            "six" => "6",
            "seven" => "7",
            "eight" => "8",
            "nine" => "9",
            "ten" => "10",
            "a" | "an" | "the" => continue,
            word => contractions::written_out(word),
        };
        if !normal.is_empty() {
            normal.push(' ');
        }
        normal += word;
    }
    normal
}

/// A mark that stands at a space, or in an answer with a number such as 1,000, is removed; others become spaces.
fn without_punctuation(answer: &str) -> String {
    let thousands = THOUSANDS.is_match(answer);
    let mut out = answer.to_owned();
    for mark in PUNCTUATION.chars().filter(|mark| answer.contains(*mark)) {
        let at_space = answer.contains(&format!("{mark} ")) || answer.contains(&format!(" {mark}"));
        out = out.replace(mark, if at_space || thousands { "" } else { " " });
    }
    out
}

/// Full stops go, but for those before a digit.
fn without_stops(answer: &str) -> String {
    let mut removed = 0;
    let stays = |(place, c): &(usize, char)| {
        let goes = *c == '.' && removed < MOST_STOPS && !DIGIT.is_match(&answer[place + 1..]);
        removed += usize::from(goes);
        !goes
    };
    answer.char_indices().filter(stays).map(|(_, c)| c).collect()
}

#[cfg(test)]
mod tests {
    use super::super::Measure;
    use super::*;

    fn answers(texts: &[&str]) -> Vec<Answer> {
        let answer =
            |(mark, text): (usize, &&str)| Answer { text: (*text).to_owned(), mark: mark.to_string() };
        texts.iter().enumerate().map(answer).collect()
    }

    fn score(prediction: &str, texts: &[&str]) -> f64 {
        vqa_accuracy(&[prediction], &[answers(texts)]).unwrap().score().unwrap()
    }

    #[test]
    fn three_of_ten_are_enough_when_one_of_the_others_is_left_out() {
        let people = |cats: usize| [vec!["cat"; cats], vec!["dog"; 10 - cats]].concat();
        let scores = [0, 1, 2, 3, 4].map(|cats| score("Cat.", &people(cats)));
        let expected = [0.0, 0.3, 0.6, 0.9, 1.0];
        assert!(scores.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-12), "{scores:?}");
    }

    #[test]
    fn records_that_are_equal_in_all_are_left_out_together() {
        let same = |mark: &str| Answer { text: "cat".to_owned(), mark: mark.to_owned() };
        let score =
            |marks: [&str; 4]| vqa_accuracy(&["cat"], &[marks.map(same).to_vec()]).unwrap().score().unwrap();
        assert_eq!(score(["0", "1", "2", "3"]), 1.0);
        assert_eq!(score([""; 4]), 0.0);
    }

    #[test]
    fn answers_are_normalised() {
        for (answer, normal) in [
            ("The  two\tcats ", "2 cats"),
            ("1,000 (about)", "1000 about"),
            ("red/blue", "red blue"),
            ("red / blue", "red blue"),
            ("p.m.", "pm"),
            ("3.5", "3.5"),
            ("isnt that one's", "isn't that one's"),
            ("An", ""),
            ("", ""),
            ("a_b-c", "b c"),
        ] {
            assert_eq!(normalise(answer), normal, "{answer:?}");
        }
        assert_eq!(normalise(&".".repeat(33)), ".");
    }

    #[test]
    fn a_question_that_nobody_answered_is_named() {
        let error = vqa_accuracy(&["a", "b"], &[answers(&["a"]), vec![]]).unwrap_err().to_string();
        assert!(error.contains("example 1: nobody answered"), "{error}");
    }
}
