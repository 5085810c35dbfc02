//! What VQAv2, OKVQA, VizWiz and TextVQA have in common: files of questions and answers, and VQA accuracy.
//!
//! Three formats are read, each where a task's file has it: that of VQA (`questions` in one file, `annotations` in
//! another), in which OpenFlamingo publishes VizWiz and TextVQA too; TextVQA's own (`data`, with the answers); and VizWiz's
//! own (a list, with the answers). What an example of a prompt shows is the most
//! frequent answer, but with OpenFlamingo the first one, which is kept as what is right of it.

use std::collections::HashMap;
use std::path::Path;

use flamingo::prompt::Medium;
use serde::Deserialize;

use super::outputs::{named, texts, unscored};
use super::read::{Given, Id, Records, bytes, distinct, json, odd};
use super::{Ask, FileSpec, Item, Items, Output, PromptStyle, Target};
use crate::EvalError;
use crate::metrics::Measure;
use crate::metrics::vqa::{Answer, vqa_accuracy};

use super::questions::most_frequent;
pub(super) use super::questions::{clean, wording};

/// The metric's name.
pub(super) const METRIC: &str = "vqa";

/// As OpenFlamingo's `evaluate_vqa`; of the paper's numbers only the three beams are known.
pub(super) fn ask(_style: PromptStyle) -> Ask {
    Ask::Open { max_tokens: 5, beams: 3, length_penalty: 0.0 }
}

/// VQA accuracy.
pub(super) fn measure(asked: &[(&Item, &Output)]) -> Result<Box<dyn Measure>, EvalError> {
    measure_texts(asked, &texts(asked)?)
}

/// VQA accuracy of answers that were made of what the model said.
pub(super) fn measure_texts(
    asked: &[(&Item, &Output)],
    texts: &[&str],
) -> Result<Box<dyn Measure>, EvalError> {
    let answers = asked.iter().map(|(item, _)| match &item.target {
        Target::Answers(answers) => Ok(answers.clone()),
        target => Err(unscored(item, target)),
    });
    let answers = answers.collect::<Result<Vec<_>, _>>()?;
    Ok(Box::new(named(asked, vqa_accuracy(texts, &answers))?))
}

/// Names of the files that [`load`] reads.
pub(super) const fn files(
    [train_questions, train_annotations, questions, annotations]: [&'static str; 4],
    with_answers: bool,
) -> [FileSpec; 4] {
    [
        FileSpec::required("train-questions", train_questions, "the training questions"),
        FileSpec {
            name: "train-annotations",
            official: train_annotations,
            about: "the training answers, where they are not beside the questions",
            optional: with_answers,
        },
        FileSpec::required("questions", questions, "the questions that are asked"),
        FileSpec::optional(
            "annotations",
            annotations,
            "their answers, where they are not beside the questions; without any nothing can be scored",
        ),
    ]
}

/// A question.
pub(super) struct Question {
    id: String,
    /// The image's id, or its name.
    pub image: Id,
    text: String,
    /// None if they are not published.
    answers: Option<Vec<Answer>>,
}

/// Reads the files of [`files`]; `picture` gives where a question's image lies, of training or not, in a file whose
/// `data_subtype` is as said.
pub(super) fn load(
    given: &Given<'_>,
    picture: impl Fn(bool, Option<&str>, &Question) -> Result<Medium, String>,
) -> Result<Items, EvalError> {
    let item = |train, path: &Path, subtype: Option<&str>, row, question: Question| {
        let wrong = |what| odd(path, format!("record {row} (from 0), question {}", question.id), what);
        let media = vec![picture(train, subtype, &question).map_err(wrong)?];
        let texts = question.answers.iter().flatten().map(|it| it.text.as_str());
        let first = texts.clone().next().map(str::to_owned);
        let answer = most_frequent(texts).unwrap_or_default().to_owned();
        let target = match (&first, question.answers) {
            (Some(first), _) if train => Target::Texts(vec![first.clone()]),
            (Some(_), Some(answers)) => Target::Answers(answers),
            (None, None) if !train => Target::Hidden,
            _ => {
                let what = "there is no answer to it; at least one was expected".to_owned();
                return Err(odd(path, format!("question {}", question.id), what));
            }
        };
        Ok(Item { id: question.id, media, question: question.text, answer, choices: Vec::new(), target })
    };
    let items = |train, questions, annotations| {
        let path = given.path(questions);
        let (subtype, all) = read(path, given.optional(annotations))?;
        let all = all.into_iter().enumerate();
        let items = all.map(|(row, question)| item(train, path, subtype.as_deref(), row, question));
        let items = items.collect::<Result<Vec<_>, EvalError>>()?;
        distinct(path, &items)?;
        Ok::<_, EvalError>(items)
    };
    Ok(Items {
        support: items(true, "train-questions", "train-annotations")?,
        queries: items(false, "questions", "annotations")?,
        ..Items::default()
    })
}

/// VQA's file of questions, or TextVQA's file.
#[derive(Deserialize)]
struct File {
    questions: Option<Records<VqaQuestion>>,
    data_subtype: Option<String>,
    data: Option<Records<TextVqaQuestion>>,
}

#[derive(Deserialize)]
struct VqaQuestion {
    question_id: Id,
    image_id: Id,
    question: String,
}

#[derive(Deserialize)]
struct TextVqaQuestion {
    question_id: Id,
    image_id: Id,
    question: String,
    answers: Option<Vec<String>>,
}

#[derive(Deserialize)]
struct VizWizQuestion {
    image: String,
    question: String,
    answers: Option<Vec<OneAnswer>>,
}

#[derive(Deserialize)]
struct Annotations {
    annotations: Records<Annotation>,
}

#[derive(Deserialize)]
struct Annotation {
    question_id: Id,
    answers: Vec<OneAnswer>,
}

/// What one person answered.
#[derive(Deserialize)]
struct OneAnswer {
    answer: String,
    answer_id: Option<Id>,
    answer_confidence: Option<String>,
}

fn read(path: &Path, annotations: Option<&Path>) -> Result<(Option<String>, Vec<Question>), EvalError> {
    if bytes(path)?.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'[') {
        let questions = json::<Records<VizWizQuestion>>(path)?.0.into_iter().map(|it| Question {
            id: it.image.clone(),
            image: Id::Text(it.image),
            text: it.question,
            answers: it.answers.map(marked),
        });
        return Ok((None, questions.collect()));
    }
    let file: File = json(path)?;
    match (file.questions, file.data) {
        (Some(questions), None) => {
            let mut answers = annotations.map(answers).transpose()?;
            let question = |it: VqaQuestion| {
                let given = match (&mut answers, annotations) {
                    (Some(answers), Some(path)) => {
                        Some(answers.remove(&it.question_id).ok_or_else(|| {
                            odd(
                                path,
                                format!("question {}", it.question_id),
                                "there is no answer to it".to_owned(),
                            )
                        })?)
                    }
                    _ => None,
                };
                let id = it.question_id.to_string();
                Ok(Question { id, image: it.image_id, text: it.question, answers: given })
            };
            let questions = questions.0.into_iter().map(question).collect::<Result<_, EvalError>>()?;
            Ok((file.data_subtype, questions))
        }
        (None, Some(data)) => {
            let questions = data.0.into_iter().map(|it| Question {
                id: it.question_id.to_string(),
                image: it.image_id,
                text: it.question,
                answers: it.answers.map(|answers| {
                    let answer = |(place, text): (usize, String)| Answer { text, mark: place.to_string() };
                    answers.into_iter().enumerate().map(answer).collect()
                }),
            });
            Ok((None, questions.collect()))
        }
        _ => {
            let what = "\"questions\" (VQA), \"data\" (TextVQA) or a list (VizWiz) was expected";
            Err(odd(path, "at the top", what))
        }
    }
}

fn answers(path: &Path) -> Result<HashMap<Id, Vec<Answer>>, EvalError> {
    let mut all = HashMap::new();
    for annotation in json::<Annotations>(path)?.annotations.0 {
        let id = annotation.question_id;
        if all.insert(id.clone(), marked(annotation.answers)).is_some() {
            return Err(odd(path, format!("question {id}"), "it is there twice"));
        }
    }
    Ok(all)
}

/// Answers are told apart by what else their records say: their numbers, or with VizWiz only how sure people were.
fn marked(answers: Vec<OneAnswer>) -> Vec<Answer> {
    let mark = |it: &OneAnswer| {
        let id = it.answer_id.as_ref().map(Id::to_string).unwrap_or_default();
        id + " " + it.answer_confidence.as_deref().unwrap_or("")
    };
    answers.into_iter().map(|it| Answer { mark: mark(&it), text: it.answer }).collect()
}
