//! What came out, and everything that decided it.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Serialize;
use serde_json::{Value, json};

use super::journal::LeftOut;
use crate::EvalError;
use crate::files::write_whole;
use crate::metrics::Interval;
use crate::task::Output;

/// A task's scores.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TaskResult {
    /// The task's name.
    pub task: String,
    /// The metric's name.
    pub metric: String,
    /// Everything that decided the scores but for the examples: version, task, files, model, settings, wording.
    pub decided: Value,
    /// The score of guessing blindly, if there is such a thing.
    pub chance: Option<f64>,
    /// Items whose media cannot be read, as they were met.
    pub left_out: Vec<LeftOut>,
    /// Items of the support set that have no part in it, because their files are not there.
    pub support_missing: usize,
    /// By number of examples.
    pub shots: Vec<ShotsResult>,
}

/// The scores with so many examples.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ShotsResult {
    /// So many.
    pub shots: usize,
    /// The mean over trials; none where answers are not published.
    pub mean: Option<f64>,
    /// The trials' standard deviation (of the population, as `numpy.std`).
    pub deviation: Option<f64>,
    /// The first query's prompt in the first trial, for people: `<image>` for a medium, `<EOC>` for the end of a chunk.
    pub first_prompt: String,
    /// One for each seed.
    pub trials: Vec<TrialResult>,
}

/// The scores with other examples.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TrialResult {
    /// It decided the examples.
    pub seed: u64,
    /// Queries that were answered.
    pub queries: usize,
    /// Items of the support set.
    pub support: usize,
    /// The score, if there is one.
    pub score: Option<f64>,
    /// Why there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unscored: Option<String>,
    /// Its bootstrap interval.
    pub interval: Option<Interval>,
    /// In the order of the queries.
    pub answers: Vec<AnswerResult>,
}

/// One answer.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AnswerResult {
    /// The query's id.
    pub query: String,
    /// The examples' ids.
    pub examples: Vec<String>,
    /// The text as it was generated.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub raw: Option<String>,
    /// The text as it was scored.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cleaned: Option<String>,
    /// The likeliest choice.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub choice: Option<String>,
    /// The log-likelihoods of the choices, if they are not very many.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scores: Option<Vec<f64>>,
    /// Its own score, if the metric has such scores.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub score: Option<f64>,
    /// What is scored.
    #[serde(skip)]
    pub output: Output,
}

impl TaskResult {
    /// Writes everything as one file of JSON, whole or not there.
    ///
    /// # Errors
    ///
    /// If it cannot be written.
    pub fn write(&self, path: &Path) -> Result<(), EvalError> {
        write_whole(path, |file| {
            serde_json::to_writer_pretty(&mut *file, self)?;
            file.write_all(b"\n")
        })
    }

    /// The predictions of a trial as benchmarks' servers take them: `[{"image_id", "caption"}]` for captions (CIDEr),
    /// `[{"question_id", "answer"}]` for VQA accuracy, and `{id: text}` or `{id: [scores]}` for all else, as
    /// [`score`](crate::score) reads them. Ids that are whole numbers are written as numbers.
    pub fn predictions(&self, trial: &TrialResult) -> Value {
        let keys = match self.metric.as_str() {
            "cider" => Some(("image_id", "caption")),
            "vqa" => Some(("question_id", "answer")),
            _ => None,
        };
        let said = |answer: &AnswerResult| match &answer.output {
            Output::Text(text) => json!(text),
            Output::Scores(scores) => json!(scores),
        };
        match keys {
            Some((id, text)) => trial
                .answers
                .iter()
                .map(|answer| json!({id: number(&answer.query), text: said(answer)}))
                .collect(),
            None => {
                let all: BTreeMap<&String, Value> =
                    trial.answers.iter().map(|answer| (&answer.query, said(answer))).collect();
                json!(all)
            }
        }
    }

    /// Writes the predictions of all trials: to `path` if there is one, else each to a file beside it whose name says its
    /// shots and seed, such as `coco-8-shots-seed-42.json`. Returns the number of files.
    ///
    /// # Errors
    ///
    /// If one cannot be written.
    pub fn write_predictions(&self, path: &Path) -> Result<usize, EvalError> {
        let trials: Vec<(usize, &TrialResult)> =
            self.shots.iter().flat_map(|it| it.trials.iter().map(|trial| (it.shots, trial))).collect();
        let stem = path.file_stem().unwrap_or_default().to_string_lossy();
        let end = path.extension().map_or_else(String::new, |end| format!(".{}", end.to_string_lossy()));
        for (shots, trial) in &trials {
            let path = match trials.len() {
                1 => path.to_owned(),
                _ => path.with_file_name(format!("{stem}-{shots}-shots-seed-{}{end}", trial.seed)),
            };
            write_whole(&path, |file| Ok(serde_json::to_writer(file, &self.predictions(trial))?))?;
        }
        Ok(trials.len())
    }
}

fn number(id: &str) -> Value {
    match id.parse::<i64>() {
        Ok(number) if number.to_string() == id => json!(number),
        _ => json!(id),
    }
}

/// Mean and standard deviation (of the population); none of nothing.
pub(super) fn mean_and_deviation(scores: &[f64]) -> Option<(f64, f64)> {
    let count = scores.len() as f64;
    let mean = scores.iter().sum::<f64>() / count;
    let variance = scores.iter().map(|score| (score - mean).powi(2)).sum::<f64>() / count;
    (!scores.is_empty()).then(|| (mean, variance.sqrt()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deviations_are_those_of_numpy() {
        // numpy.mean and numpy.std of [1, 2, 4].
        let (mean, deviation) = mean_and_deviation(&[1.0, 2.0, 4.0]).unwrap();
        assert!((mean - 7.0 / 3.0).abs() < 1e-12 && (deviation - 1.247_219_128_924_647).abs() < 1e-12);
        assert_eq!(mean_and_deviation(&[]), None);
    }

    fn result(metric: &str, outputs: [(&str, Output); 2]) -> TaskResult {
        let answers = outputs.map(|(query, output)| AnswerResult {
            query: query.to_owned(),
            examples: Vec::new(),
            raw: None,
            cleaned: None,
            choice: None,
            scores: None,
            score: None,
            output,
        });
        let trial = TrialResult {
            seed: 3,
            queries: 2,
            support: 0,
            score: None,
            unscored: None,
            interval: None,
            answers: answers.into(),
        };
        let shots = |shots| ShotsResult {
            shots,
            mean: None,
            deviation: None,
            first_prompt: String::new(),
            trials: vec![trial.clone()],
        };
        TaskResult {
            task: "x".to_owned(),
            metric: metric.to_owned(),
            decided: Value::Null,
            chance: None,
            left_out: Vec::new(),
            support_missing: 0,
            shots: vec![shots(0), shots(8)],
        }
    }

    #[test]
    fn predictions_are_as_servers_take_them() {
        let texts = || [("12", Output::Text("a".to_owned())), ("x1", Output::Text("b".to_owned()))];
        let of = |result: TaskResult| result.predictions(&result.shots[0].trials[0]);
        let coco = json!([{"image_id": 12, "caption": "a"}, {"image_id": "x1", "caption": "b"}]);
        assert_eq!(of(result("cider", texts())), coco);
        let vqa = json!([{"question_id": 12, "answer": "a"}, {"question_id": "x1", "answer": "b"}]);
        assert_eq!(of(result("vqa", texts())), vqa);
        let scores = [("12", Output::Scores(vec![-1.0])), ("x1", Output::Scores(vec![-2.0]))];
        assert_eq!(of(result("roc-auc", scores)), json!({"12": [-1.0], "x1": [-2.0]}));

        let folder = tempfile::tempdir().unwrap();
        assert_eq!(result("vqa", texts()).write_predictions(&folder.path().join("a.json")).unwrap(), 2);
        for name in ["a-0-shots-seed-3.json", "a-8-shots-seed-3.json"] {
            let written = std::fs::read(folder.path().join(name)).unwrap();
            assert_eq!(serde_json::from_slice::<Value>(&written).unwrap(), vqa);
        }
    }
}
