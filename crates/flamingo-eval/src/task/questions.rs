//! What tasks with a question and a short answer have in common: the wording and the clean-up.

use super::{PromptStyle, Wording};

/// Paper: section 3 and appendix B.1.5; OpenFlamingo: `get_vqa_prompt`, and the new line that its `evaluate.py` adds.
pub(super) fn wording(style: PromptStyle) -> Wording {
    Wording::of(match style {
        PromptStyle::Paper => "{image}Question: {question} Answer: {answer}{eoc}",
        PromptStyle::OpenFlamingo => "{image}Question:{question} Short answer:{answer}{eoc}\n",
    })
}

/// OpenFlamingo: what is before the next word of its prompt, and before a comma (`postprocess_vqa_generation`). The paper's
/// models end with their token.
pub(super) fn clean(style: PromptStyle, text: &str) -> String {
    match style {
        PromptStyle::Paper => text.trim().to_owned(),
        PromptStyle::OpenFlamingo => {
            let next = ["Question", "Answer", "Short"].iter().filter_map(|word| text.find(word)).min();
            let answer = &text[..next.unwrap_or(text.len())];
            answer.split_once(", ").map_or(answer, |(first, _)| first).to_owned()
        }
    }
}

/// Of several people's answers the one that most gave, the first of such.
pub(super) fn most_frequent<'a>(answers: impl Iterator<Item = &'a str> + Clone) -> Option<&'a str> {
    let times = |answer| answers.clone().filter(|it| *it == answer).count();
    let most = answers.clone().map(times).max()?;
    answers.clone().find(|answer| times(answer) == most)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_most_people_said_is_shown() {
        assert_eq!(most_frequent(["b", "a", "a", "c", "c"].into_iter()), Some("a"));
        assert_eq!(most_frequent(["b", "a"].into_iter()), Some("b"));
        assert_eq!(most_frequent([].into_iter()), None);
    }

    #[test]
    fn answers_end_where_the_prompt_goes_on() {
        for (text, expected) in [
            (" cat", " cat"),
            (" cat, dog", " cat"),
            ("cat,dog", "cat,dog"),
            ("a Short answer: Question", "a "),
            ("Answerable", ""),
            ("two, Question: x", "two"),
        ] {
            assert_eq!(clean(PromptStyle::OpenFlamingo, text), expected, "{text:?}");
        }
        assert_eq!(clean(PromptStyle::Paper, " cat, dog "), "cat, dog");
    }
}
