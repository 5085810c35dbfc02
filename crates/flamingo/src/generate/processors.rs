//! Changes to a row's scores before a token is chosen, in the order and with the meaning that transformers gives them.
//!
//! Its names: `RepetitionPenaltyLogitsProcessor`, `NoRepeatNGramLogitsProcessor`, `MinNewTokensLengthLogitsProcessor`,
//! `SuppressTokensLogitsProcessor`. As there, greedy search and drawing change the model's scores, a beam search changes
//! log-probabilities, and the prompt counts as text.

use super::options::GenerateOptions;

/// Changes the `scores` `[V]` of the token behind `history`, whose last `generated` tokens are not the prompt's.
pub fn process(scores: &mut [f32], history: &[u32], generated: usize, options: &GenerateOptions) {
    if options.repetition_penalty != 1.0 {
        penalise(scores, history, options.repetition_penalty as f32);
    }
    if options.no_repeat_ngram > 0 {
        forbid_ngrams(scores, history, options.no_repeat_ngram);
    }
    if generated < options.min_new_tokens {
        forbid(scores, &options.stop_ids);
    }
    forbid(scores, &options.banned_ids);
}

/// Once for each token of `history`, however often it came.
fn penalise(scores: &mut [f32], history: &[u32], penalty: f32) {
    let mut seen = history.to_vec();
    seen.sort_unstable();
    seen.dedup();
    for id in seen {
        if let Some(score) = scores.get_mut(id as usize) {
            *score = if *score < 0.0 { *score * penalty } else { *score / penalty };
        }
    }
}

/// Forbids the tokens that came behind the last `n - 1` tokens before.
fn forbid_ngrams(scores: &mut [f32], history: &[u32], n: usize) {
    let Some(start) = (history.len() + 1).checked_sub(n) else {
        return;
    };
    let beginning = &history[start..];
    for run in history.windows(n).filter(|run| run.starts_with(beginning)) {
        forbid(scores, &run[n - 1..]);
    }
}

fn forbid(scores: &mut [f32], ids: &[u32]) {
    for id in ids {
        if let Some(score) = scores.get_mut(*id as usize) {
            *score = f32::NEG_INFINITY;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GONE: f32 = f32::NEG_INFINITY;

    fn processed<const N: usize>(
        mut scores: [f32; N],
        history: &[u32],
        options: GenerateOptions,
    ) -> [f32; N] {
        process(&mut scores, history, 1, &options);
        scores
    }

    #[test]
    fn repeated_tokens_lose_once_whatever_their_sign() {
        let options = GenerateOptions { repetition_penalty: 2.0, ..GenerateOptions::default() };
        assert_eq!(processed([3.0, -3.0, 1.0, -1.0], &[0, 1, 1, 0, 99], options), [1.5, -6.0, 1.0, -1.0]);
    }

    #[test]
    fn runs_do_not_come_twice() {
        let of = |n, history: &[u32]| {
            let options = GenerateOptions { no_repeat_ngram: n, ..GenerateOptions::default() };
            processed([0.0; 4], history, options)
        };
        assert_eq!(of(1, &[2, 3]), [0.0, 0.0, GONE, GONE]);
        assert_eq!(of(2, &[1, 2, 1, 3, 1]), [0.0, 0.0, GONE, GONE]);
        assert_eq!(of(3, &[1, 2, 3, 1, 2]), [0.0, 0.0, 0.0, GONE]);
        assert_eq!(of(3, &[1]), [0.0; 4]);
    }

    #[test]
    fn stop_ids_wait_for_the_least_length_and_banned_ids_for_ever() {
        let options = |min_new_tokens| GenerateOptions {
            min_new_tokens,
            stop_ids: vec![0],
            banned_ids: vec![2, 7],
            ..GenerateOptions::default()
        };
        assert_eq!(processed([0.0; 3], &[1], options(2)), [GONE, 0.0, GONE]);
        assert_eq!(processed([0.0; 3], &[1], options(1)), [0.0, 0.0, GONE]);
    }
}
