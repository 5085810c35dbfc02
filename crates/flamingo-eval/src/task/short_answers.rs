//! What MSVDQA and MSRVTTQA have in common: the files of Xu et al. 2017, questions about videos with one word as answer, made
//! from captions; and the share of answers that are that word.

use std::path::Path;

use flamingo::prompt::Medium;
use serde::Deserialize;

use super::outputs::{texts, unscored};
use super::read::{Given, Id, Records, distinct, json};
use super::{Ask, Item, Items, Output, PromptStyle, Target, questions};
use crate::EvalError;
use crate::metrics::{Measure, accuracy};

pub(super) use super::questions::wording;

/// The metric's name.
pub(super) const METRIC: &str = "exact";

/// OpenFlamingo evaluates no videos; this is how it asks VQAv2, whose answers are as short.
pub(super) fn ask(_style: PromptStyle) -> Ask {
    Ask::Open { max_tokens: 5, beams: 3, length_penalty: 0.0 }
}

/// As other answers, then in small letters without a full stop at the end, as all answers of these data sets are. The paper
/// does not say whether it does so.
pub(super) fn clean(style: PromptStyle, text: &str) -> String {
    let text = questions::clean(style, text);
    text.trim().trim_end_matches('.').trim_end().to_lowercase()
}

/// Whether an answer is the right one.
pub(super) fn measure(asked: &[(&Item, &Output)]) -> Result<Box<dyn Measure>, EvalError> {
    let accepted = asked.iter().map(|(item, _)| match &item.target {
        Target::Texts(texts) => Ok(texts.iter().map(String::as_str).collect()),
        target => Err(unscored(item, target)),
    });
    Ok(Box::new(accuracy::exact(&texts(asked)?, &accepted.collect::<Result<Vec<Vec<&str>>, _>>()?)))
}

/// A record of `train_qa.json` or `test_qa.json`.
#[derive(Deserialize)]
struct Question {
    id: Id,
    video_id: u64,
    question: String,
    answer: String,
}

/// Reads the files `train` and `queries`; `video` gives where a video of a number is.
pub(super) fn load(given: &Given<'_>, video: impl Fn(u64) -> Medium) -> Result<Items, EvalError> {
    let items = |path: &Path| {
        let item = |it: Question| Item {
            id: it.id.to_string(),
            media: vec![video(it.video_id)],
            question: it.question,
            answer: it.answer.clone(),
            choices: Vec::new(),
            target: Target::Texts(vec![it.answer]),
        };
        let items: Vec<Item> = json::<Records<Question>>(path)?.0.into_iter().map(item).collect();
        distinct(path, &items)?;
        Ok::<_, EvalError>(items)
    };
    Ok(Items {
        support: items(given.path("train"))?,
        queries: items(given.path("queries"))?,
        ..Items::default()
    })
}
