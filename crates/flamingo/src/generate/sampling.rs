//! One token from a row of scores: the best one, or one that is drawn.
//!
//! Scores are divided by the temperature, then unlikely tokens leave: by `top_k`, `top_p` and `min_p`, in this order, as
//! transformers has it (`TemperatureLogitsWarper`, `TopKLogitsWarper`, `TopPLogitsWarper`, `MinPLogitsWarper`). Among
//! equal scores the lower id counts as the better one.

use std::cmp::Ordering;

use flamingo_core::seed::derive;
use rand::{RngCore, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::options::GenerateOptions;

/// A token that can be drawn.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Candidate {
    /// The token.
    pub id: u32,
    /// How probable it is among those that can be drawn.
    pub probability: f64,
}

/// The best token of `scores` `[V]`, or `None` if all are minus infinity.
pub fn best(scores: &[f32]) -> Option<u32> {
    let mut best = (None, f32::NEG_INFINITY);
    for (id, score) in (0..).zip(scores) {
        if *score > best.1 {
            best = (Some(id), *score);
        }
    }
    best.0
}

/// What can be drawn from `scores` `[V]` at a temperature above 0, the most probable first; probabilities add up to 1.
///
/// Empty if all scores are minus infinity.
pub fn candidates(scores: &[f32], options: &GenerateOptions) -> Vec<Candidate> {
    let mut kept: Vec<(u32, f32)> =
        (0..).zip(scores.iter().copied()).filter(|(_, score)| *score > f32::NEG_INFINITY).collect();
    if options.top_k > 0 && options.top_k < kept.len() {
        // Those as good as the last of them stay too.
        let least = kept.select_nth_unstable_by(options.top_k - 1, better_first).1.1;
        kept.retain(|(_, score)| *score >= least);
    }
    kept.sort_unstable_by(better_first);
    let Some((_, highest)) = kept.first().copied() else {
        return Vec::new();
    };
    let weight = |score: f32| ((f64::from(score) - f64::from(highest)) / options.temperature).exp();
    let mut candidates: Vec<Candidate> =
        kept.into_iter().map(|(id, score)| Candidate { id, probability: weight(score) }).collect();
    normalise(&mut candidates);
    if options.top_p < 1.0 {
        let mut before = 0.0;
        let enough = candidates.iter().position(|candidate| {
            before += candidate.probability;
            before >= options.top_p
        });
        candidates.truncate(enough.map_or(candidates.len(), |last| last + 1));
    }
    let least = options.min_p * candidates[0].probability;
    candidates.retain(|candidate| candidate.probability >= least);
    normalise(&mut candidates);
    candidates
}

fn better_first(a: &(u32, f32), b: &(u32, f32)) -> Ordering {
    b.1.total_cmp(&a.1).then(a.0.cmp(&b.0))
}

fn normalise(candidates: &mut [Candidate]) {
    let sum: f64 = candidates.iter().map(|candidate| candidate.probability).sum();
    candidates.iter_mut().for_each(|candidate| candidate.probability /= sum);
}

/// Draws the tokens of one text: one number for each token, from ChaCha8.
///
/// The numbers are a function of the seed, the text's place among those of the same call, and the token's place in the
/// text; neither the other texts nor the machine have a part in it.
#[derive(Debug, Clone)]
pub struct Dice(ChaCha8Rng);

impl Dice {
    /// Those of the `row`-th text.
    pub fn new(seed: u64, row: usize) -> Self {
        Self(ChaCha8Rng::seed_from_u64(derive(seed, [row as u64])))
    }

    /// One of `candidates`, or `None` if there are none.
    pub fn draw(&mut self, candidates: &[Candidate]) -> Option<u32> {
        // 53 random bits: every f64 of this spacing in [0, 1).
        let mut rest = (self.0.next_u64() >> 11) as f64 / (1u64 << 53) as f64;
        let drawn = candidates.iter().find(|candidate| {
            rest -= candidate.probability;
            rest < 0.0
        });
        // Rounding may leave a little of the last one's share.
        drawn.or(candidates.last()).map(|candidate| candidate.id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawing() -> GenerateOptions {
        GenerateOptions { temperature: 1.0, ..GenerateOptions::default() }
    }

    fn ids(scores: &[f32], options: GenerateOptions) -> Vec<u32> {
        candidates(scores, &options).iter().map(|candidate| candidate.id).collect()
    }

    #[test]
    fn the_lowest_id_wins_among_the_best() {
        assert_eq!(best(&[1.0, 3.0, 3.0, 2.0]), Some(1));
        assert_eq!(best(&[f32::NEG_INFINITY; 2]), None);
    }

    #[test]
    fn unlikely_tokens_leave() {
        // Probabilities 0.4, 0.3, 0.2, 0.1 and none.
        let scores = [0.2f32.ln(), 0.4f32.ln(), f32::NEG_INFINITY, 0.1f32.ln(), 0.3f32.ln()];
        assert_eq!(ids(&scores, drawing()), [1, 4, 0, 3]);
        assert_eq!(ids(&scores, GenerateOptions { top_k: 2, ..drawing() }), [1, 4]);
        assert_eq!(ids(&scores, GenerateOptions { top_p: 0.65, ..drawing() }), [1, 4]);
        assert_eq!(ids(&scores, GenerateOptions { top_p: 0.75, ..drawing() }), [1, 4, 0]);
        assert_eq!(ids(&scores, GenerateOptions { top_p: 1e-9, ..drawing() }), [1]);
        assert_eq!(ids(&scores, GenerateOptions { min_p: 0.45, ..drawing() }), [1, 4, 0]);
        assert_eq!(ids(&[2.0, 1.0, 1.0, 0.0], GenerateOptions { top_k: 2, ..drawing() }), [0, 1, 2]);
        assert_eq!(ids(&[f32::NEG_INFINITY; 3], drawing()), [0u32; 0]);
    }

    #[test]
    fn draws_follow_the_probabilities_and_the_seed() {
        let scores = [0.2f32.ln(), 0.5f32.ln(), 0.3f32.ln()];
        let candidates = candidates(&scores, &drawing());
        let draws = |seed, row| {
            let mut dice = Dice::new(seed, row);
            (0..10_000).filter_map(|_| dice.draw(&candidates)).collect::<Vec<_>>()
        };
        let drawn = draws(1, 0);
        for (id, expected) in [(0, 0.2), (1, 0.5), (2, 0.3)] {
            let share = drawn.iter().filter(|drawn| **drawn == id).count() as f64 / 10_000.0;
            assert!((share - expected).abs() < 0.02, "{id}: {share}");
        }
        assert_eq!(drawn[..20], draws(1, 0)[..20]);
        assert_ne!(drawn[..20], draws(2, 0)[..20]);
        assert_ne!(drawn[..20], draws(1, 1)[..20]);
    }

    #[test]
    fn a_seed_means_the_same_for_ever() {
        let even: Vec<Candidate> = (0..10).map(|id| Candidate { id, probability: 0.1 }).collect();
        let mut dice = Dice::new(7, 0);
        let drawn: Vec<u32> = (0..8).filter_map(|_| dice.draw(&even)).collect();
        assert_eq!(drawn, [7, 5, 5, 8, 1, 9, 4, 4]);
    }
}
