//! Predictions and references of the same examples, brought together.

use std::collections::BTreeMap;

use crate::EvalError;

/// So many ids are shown.
const SHOWN: usize = 10;

/// Examples with a reference and a prediction each.
#[derive(Debug)]
pub(super) struct Joined<R, P> {
    /// In the order of the file of predictions.
    pub ids: Vec<String>,
    pub references: Vec<R>,
    pub predictions: Vec<P>,
    /// References without a prediction.
    pub left_out: usize,
}

/// Every prediction must have a reference, and every reference a prediction unless `subset`.
pub(super) fn join<R, P>(
    mut references: BTreeMap<String, R>,
    predictions: Vec<(String, P)>,
    subset: bool,
) -> Result<Joined<R, P>, EvalError> {
    let of = predictions.len();
    let strangers: Vec<&str> =
        predictions.iter().map(|(id, _)| id.as_str()).filter(|id| !references.contains_key(*id)).collect();
    if !strangers.is_empty() {
        return Err(EvalError::Unmatched {
            count: strangers.len(),
            of,
            kind: "predictions",
            missing: "reference",
            ids: first(&strangers),
            hint: "are both files of the same split?",
        });
    }
    let mut joined = Joined { ids: Vec::new(), references: Vec::new(), predictions: Vec::new(), left_out: 0 };
    let of = references.len();
    for (id, prediction) in predictions {
        joined.references.extend(references.remove(&id));
        joined.predictions.push(prediction);
        joined.ids.push(id);
    }
    joined.left_out = references.len();
    if joined.left_out > 0 && !subset {
        let ids: Vec<&str> = references.keys().map(String::as_str).collect();
        return Err(EvalError::Unmatched {
            count: ids.len(),
            of,
            kind: "references",
            missing: "prediction",
            ids: first(&ids),
            hint: "make them too, or score the rest with --subset",
        });
    }
    Ok(joined)
}

fn first(ids: &[&str]) -> String {
    let shown = ids.iter().take(SHOWN).map(|id| format!("{id:?}")).collect::<Vec<_>>().join(", ");
    match ids.len().checked_sub(SHOWN) {
        None | Some(0) => shown,
        Some(more) => format!("{shown} and {more} more"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn references(ids: &[&str]) -> BTreeMap<String, usize> {
        ids.iter().enumerate().map(|(place, id)| ((*id).to_owned(), place)).collect()
    }

    fn predictions(ids: &[&str]) -> Vec<(String, ())> {
        ids.iter().map(|id| ((*id).to_owned(), ())).collect()
    }

    #[test]
    fn the_order_is_that_of_the_predictions() {
        let joined = join(references(&["a", "b", "c"]), predictions(&["c", "a"]), true).unwrap();
        assert_eq!((joined.references, joined.left_out), (vec![2, 0], 1));
        assert_eq!(joined.ids, ["c", "a"]);
    }

    #[test]
    fn what_is_missing_is_named() {
        let message = |ids: &[&str], subset| {
            join(references(&["a", "b", "c"]), predictions(ids), subset).unwrap_err().to_string()
        };
        let text = message(&["a"], false);
        assert!(text.starts_with("2 of 3 references have no prediction: \"b\", \"c\"; make"), "{text}");
        let text = message(&["a", "x"], true);
        assert!(text.starts_with("1 of 2 predictions have no reference: \"x\"; are both"), "{text}");
        let many: Vec<String> = (0..12).map(|id| id.to_string()).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        assert!(message(&many, false).contains("\"9\" and 2 more"));
    }
}
