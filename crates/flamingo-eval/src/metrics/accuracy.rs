//! Accuracy: whether the right class is among the k with the highest scores, or the answer is one of those accepted.

use super::Mean;
use crate::EvalError;

/// Top-k accuracy of examples, each with the scores of all classes and the right class.
///
/// Of equal scores the later class is taken first, as scikit-learn's `top_k_accuracy_score` does.
///
/// # Errors
///
/// If an example's class has no score, a score is NaN, or lengths differ.
///
/// # Panics
///
/// If `k` is 0.
pub fn top_k(k: usize, scores: &[Vec<f64>], classes: &[usize]) -> Result<Mean, EvalError> {
    assert!(k > 0, "top 0 holds nothing");
    if scores.len() != classes.len() {
        let what = format!("{} lists of scores, but {} classes", scores.len(), classes.len());
        return Err(EvalError::Undefined { metric: "top-k accuracy", what });
    }
    let each = scores.iter().zip(classes).enumerate().map(|(example, (scores, class))| {
        let wrong = |what| EvalError::Example { example: example.to_string(), what };
        let Some(&right) = scores.get(*class) else {
            return Err(wrong(format!(
                "its class is {class}, but there are scores of {} only",
                scores.len()
            )));
        };
        if scores.iter().any(|score| score.is_nan()) {
            return Err(wrong("a score is not a number".to_owned()));
        }
        let places = scores.iter().enumerate();
        let before = places.filter(|(other, score)| **score > right || **score == right && other > class);
        Ok(f64::from(u8::from(before.count() < k)))
    });
    Ok(Mean(each.collect::<Result<_, _>>()?))
}

/// The mean of [`top_k`] with 1 and with 5: the score of the Kinetics challenges.
///
/// # Errors
///
/// As [`top_k`].
pub fn top_1_and_5(scores: &[Vec<f64>], classes: &[usize]) -> Result<Mean, EvalError> {
    let (first, five) = (top_k(1, scores, classes)?, top_k(5, scores, classes)?);
    Ok(Mean(first.0.into_iter().zip(five.0).map(|(first, five)| f64::midpoint(first, five)).collect()))
}

/// Whether each answer is one of those accepted, letter by letter but for white space at its ends.
pub fn exact(answers: &[&str], accepted: &[Vec<&str>]) -> Mean {
    let right =
        |(answer, accepted): (&&str, &Vec<&str>)| accepted.iter().any(|it| it.trim() == answer.trim());
    Mean(answers.iter().zip(accepted).map(|pair| f64::from(u8::from(right(pair)))).collect())
}

/// How many of iVQA's five people must give an answer for it to be right (Yang et al. 2021).
pub const ENOUGH_IN_IVQA: usize = 2;

/// How far each answer is among those that people gave: one of them is right as far as `enough` gave it: iVQA's
/// accuracy, with [`ENOUGH_IN_IVQA`].
///
/// # Panics
///
/// If `enough` is 0.
pub fn shared(enough: usize, answers: &[&str], given: &[Vec<&str>]) -> Mean {
    assert!(enough > 0, "an answer that nobody gave is not right");
    let right = |(answer, given): (&&str, &Vec<&str>)| {
        let count = given.iter().filter(|it| it.trim() == answer.trim()).count();
        (count as f64 / enough as f64).min(1.0)
    };
    Mean(answers.iter().zip(given).map(right).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_right_class_must_be_among_the_first() {
        let scores = [vec![0.1, 0.7, 0.2], vec![0.1, 0.7, 0.2], vec![0.5, 0.5, 0.5]];
        assert_eq!(top_k(1, &scores, &[1, 2, 0]).unwrap().0, [1.0, 0.0, 0.0]);
        assert_eq!(top_k(2, &scores, &[1, 2, 1]).unwrap().0, [1.0, 1.0, 1.0]);
        assert_eq!(top_k(9, &scores, &[0, 0, 0]).unwrap().0, [1.0; 3]);
    }

    #[test]
    fn what_it_is_not_defined_for_is_told() {
        let message =
            |scores: &[Vec<f64>], classes: &[usize]| top_k(1, scores, classes).unwrap_err().to_string();
        assert!(message(&[vec![0.1]], &[1]).contains("example 0: its class is 1"));
        assert!(message(&[vec![f64::NAN]], &[0]).contains("not a number"));
        assert!(message(&[], &[0]).contains("0 lists of scores, but 1 classes"));
    }

    #[test]
    fn an_answer_is_right_as_far_as_enough_people_gave_it() {
        let given = ["a", "b", "b", "c", "c", "c"];
        let found = ["a", "b", "c", "d"].map(|answer| shared(2, &[answer], &[given.to_vec()]).0[0]);
        assert_eq!(found, [0.5, 1.0, 1.0, 0.0]);
    }

    #[test]
    fn an_answer_is_one_of_those_accepted() {
        assert_eq!(
            exact(&["cat ", "Cat", ""], &[vec!["dog", "cat"], vec!["cat"], vec![]]).0,
            [1.0, 0.0, 0.0]
        );
    }
}
