//! mWAP: the mean over actions of the weighted average precision, by which RareAct is scored.
//!
//! Miech et al. 2020, and the script that comes with the data (`compute_score.py`). For each action, a verb and a noun,
//! clips are ranked by its score. Positive are the clips annotated with 1; against them stand those annotated otherwise,
//! and the positive clips of other actions. A clip's weight is one over the number of clips of its video in its list, so
//! that no video counts more than another.

use std::collections::{BTreeMap, HashMap};

use super::Measure;
use super::average_precision::{Ranked, average_precision};
use crate::EvalError;

/// An action's class, and the clips that show it, a part of it, and nothing of it.
type Lists = (usize, [Vec<usize>; 3]);

/// A row of `rareact.csv`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Clip {
    /// The video that it is of.
    pub video: String,
    /// Number of the action, from 0.
    pub class: usize,
    /// The action's verb.
    pub verb: String,
    /// The action's noun.
    pub noun: String,
    /// 1 if the action is in the clip, 2 to 4 if a part of it is, 0 if nothing is.
    pub annotation: u8,
}

/// The average precision of every action that has a positive clip; examples are actions.
#[derive(Debug, Clone, PartialEq)]
pub struct MeanWeightedAp {
    actions: Vec<(String, String)>,
    each: super::Mean,
}

impl MeanWeightedAp {
    /// From the clips, and each clip's scores of all classes.
    ///
    /// # Errors
    ///
    /// If the numbers of clips and lists of scores differ, a clip's class has no score, a score is not a number, or no
    /// clip is positive.
    pub fn new(clips: &[Clip], scores: &[Vec<f64>]) -> Result<Self, EvalError> {
        let undefined = |what| EvalError::Undefined { metric: "mWAP", what };
        if clips.len() != scores.len() {
            return Err(undefined(format!("{} clips, but scores of {}", clips.len(), scores.len())));
        }
        let classes = clips.iter().map(|clip| clip.class + 1).max().unwrap_or(0);
        for (example, scores) in scores.iter().enumerate() {
            if scores.len() < classes || scores.iter().any(|score| score.is_nan()) {
                let what =
                    format!("{} scores; {classes} numbers were expected, one for each class", scores.len());
                return Err(EvalError::Example { example: example.to_string(), what });
            }
        }
        let mut lists: BTreeMap<(&str, &str), Lists> = BTreeMap::new();
        for clip in clips {
            let action = (clip.verb.as_str(), clip.noun.as_str());
            lists.entry(action).or_insert_with(|| (clip.class, Default::default())).0 = clip.class;
        }
        for (row, clip) in clips.iter().enumerate() {
            let own = (clip.verb.as_str(), clip.noun.as_str());
            if clip.annotation == 1 {
                for (action, (_, [positive, part, none])) in &mut lists {
                    match usize::from(action.0 == own.0) + usize::from(action.1 == own.1) {
                        2 => positive.push(row),
                        1 => part.push(row),
                        _ => none.push(row),
                    }
                }
            } else if let Some((_, [_, part, none])) = lists.get_mut(&own) {
                if clip.annotation == 0 { none.push(row) } else { part.push(row) }
            }
        }
        let (mut actions, mut each) = (Vec::new(), Vec::new());
        for ((verb, noun), (class, rows)) in &lists {
            let mut ranked = Vec::new();
            for (kind, rows) in rows.iter().enumerate() {
                let mut of_video: HashMap<&str, f64> = HashMap::new();
                for row in rows {
                    *of_video.entry(clips[*row].video.as_str()).or_insert(0.0) += 1.0;
                }
                ranked.extend(rows.iter().map(|row| Ranked {
                    score: scores[*row][*class],
                    positive: kind == 0,
                    weight: 1.0 / of_video[clips[*row].video.as_str()],
                }));
            }
            if let Some(precision) = average_precision(ranked) {
                actions.push(((*verb).to_owned(), (*noun).to_owned()));
                each.push(precision);
            }
        }
        if each.is_empty() {
            return Err(undefined("no clip is positive (annotation 1)".to_owned()));
        }
        Ok(Self { actions, each: super::Mean(each) })
    }

    /// The actions, verb and noun, in the order of [`Measure::each`].
    pub fn actions(&self) -> &[(String, String)] {
        &self.actions
    }
}

impl Measure for MeanWeightedAp {
    fn len(&self) -> usize {
        self.each.len()
    }

    fn of(&self, rows: &[usize]) -> Option<f64> {
        self.each.of(rows)
    }

    fn each(&self) -> Option<&[f64]> {
        self.each.each()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clip(video: &str, class: usize, action: (&str, &str), annotation: u8) -> Clip {
        let (verb, noun) = (action.0.to_owned(), action.1.to_owned());
        Clip { video: video.to_owned(), class, verb, noun, annotation }
    }

    #[test]
    fn positives_of_other_actions_are_negatives_and_videos_count_once() {
        let clips = [
            clip("a", 0, ("cut", "car"), 1),
            clip("b", 1, ("wash", "cat"), 1),
            clip("b", 1, ("wash", "cat"), 1),
            clip("c", 0, ("cut", "car"), 2),
        ];
        // Class 0: the two clips of b, half each, are ranked before the positive clip, c behind it.
        let scores = [[0.5, 0.1], [0.9, 0.8], [0.8, 0.9], [0.1, 0.0]].map(Vec::from);
        let found = MeanWeightedAp::new(&clips, &scores).unwrap();
        assert_eq!(found.actions()[0].0, "cut");
        assert_eq!(found.each().unwrap(), [0.5, 1.0]);
        assert_eq!(found.score(), Some(0.75));
    }

    #[test]
    fn what_it_is_not_defined_for_is_told() {
        let clips = [clip("a", 1, ("cut", "car"), 0)];
        let message = |scores: &[Vec<f64>]| MeanWeightedAp::new(&clips, scores).unwrap_err().to_string();
        assert!(message(&[]).contains("1 clips, but scores of 0"));
        assert!(message(&[vec![0.1]]).contains("example 0: 1 scores; 2 numbers"));
        assert!(message(&[vec![0.1, 0.2]]).contains("no clip is positive"));
    }
}
