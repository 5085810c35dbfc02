//! Scores of predictions that were made elsewhere, from files.
//!
//! | metrics | references | predictions |
//! |---|---|---|
//! | `cider`, `bleu-1` to `bleu-4`, `rouge-l` | COCO captions (`annotations` with `image_id`, `caption`), or `{id: [captions]}` | COCO results (`image_id`, `caption`), or `{id: caption}` |
//! | `vqa`, `exact` | VQA annotations (`question_id`, `answers`), or `{id: [answers]}` | VQA results (`question_id`, `answer`), or `{id: answer}` |
//! | `wups` | `{id: [answers]}`, words in base form without stop words | `{id: answer}`, the same |
//! | `roc-auc` | `{id: 0 or 1}` | `{id: score}` |
//! | `top-1`, `top-5` | `{id: number of the class}` | `{id: [scores of all classes]}` |
//! | `ndcg` | `{id: [relevance of the candidates]}` | `{id: [scores of the candidates]}` |
//! | `mwap` | `rareact.csv` | `{id: [scores of all classes]}` |

mod join;
mod metric;
mod read;

use std::path::{Path, PathBuf};

use serde::Serialize;

pub use metric::Metric;

use crate::EvalError;
use crate::files::write_whole;
use crate::metrics::{Bootstrap, Interval, Measure};

/// What is to be scored.
#[derive(Debug, Clone)]
pub struct Request {
    /// By which metric.
    pub metric: Metric,
    /// The file of references.
    pub references: PathBuf,
    /// The file of predictions.
    pub predictions: PathBuf,
    /// Whether references without a prediction are left out instead of being an error.
    pub subset: bool,
    /// How the interval is computed.
    pub bootstrap: Bootstrap,
    /// A folder of WordNet's files, which `wups` needs.
    pub wordnet: Option<PathBuf>,
}

/// What came out.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// The metric's name.
    pub metric: &'static str,
    /// The score of all examples; 1 is everything right, but for CIDEr.
    pub score: f64,
    /// Its interval.
    pub interval: Option<Interval>,
    /// How that was computed.
    pub bootstrap: Bootstrap,
    /// Number of examples.
    pub examples: usize,
    /// References that were left out because they have no prediction.
    pub left_out: usize,
    /// The file of references.
    pub references: PathBuf,
    /// The file of predictions.
    pub predictions: PathBuf,
    /// The scores of examples, if the metric has them.
    #[serde(skip)]
    pub each: Option<Vec<Example>>,
}

/// The score of an example.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Example {
    /// Its id, or for `mwap` the action.
    pub id: String,
    /// Its score.
    pub score: f64,
}

/// Scores a file of predictions.
///
/// # Errors
///
/// If a file cannot be read or is not as said above, examples do not match, or the metric is not defined for them.
pub fn score(request: &Request) -> Result<Report, EvalError> {
    let scored = metric::measure(request)?;
    let measure: &dyn Measure = scored.measure.as_ref();
    let score = measure.score().ok_or_else(|| EvalError::Undefined {
        metric: request.metric.name(),
        what: format!("there is no example in {}", request.predictions.display()),
    })?;
    let each = measure.each().map(|scores| {
        scored.ids.iter().zip(scores).map(|(id, score)| Example { id: id.clone(), score: *score }).collect()
    });
    Ok(Report {
        metric: request.metric.name(),
        score,
        interval: request.bootstrap.interval(measure),
        bootstrap: request.bootstrap,
        examples: measure.len(),
        left_out: scored.left_out,
        references: request.references.clone(),
        predictions: request.predictions.clone(),
        each,
    })
}

impl Report {
    /// Writes the scores of all examples to a file, a line of JSON each. The file is whole or not there.
    ///
    /// # Errors
    ///
    /// If the metric has no such scores, or the file cannot be written.
    pub fn write_each(&self, path: &Path) -> Result<(), EvalError> {
        let each = self.each.as_ref().ok_or_else(|| EvalError::Undefined {
            metric: self.metric,
            what: "it is a number of all examples together, none of them has one".to_owned(),
        })?;
        write_whole(path, |file| {
            each.iter().try_for_each(|example| {
                serde_json::to_writer(&mut *file, example)?;
                file.write_all(b"\n")
            })
        })
    }
}
