//! What most tasks share: examples and queries drawn from pictures with texts.

use flamingo::prompt::{Example, Template};
use flamingo_core::seed::{derive, word};
use rand::seq::{IndexedRandom, SliceRandom};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::suite::SuiteSpec;
use crate::suite::pools::{Pool, Shown};
use crate::suite::probe::{Kind, Probe, Question};

/// What differs from task to task.
pub struct Asked<'a> {
    pub task: &'a str,
    pub kind: Kind,
    pub template: Template,
    /// Numbers of examples.
    pub shots: &'a [usize],
    /// The score of guessing.
    pub chance: f64,
    /// Examples without their images that stand before a query without examples: the paper's two, of texts that a model
    /// writes itself (appendix A.2).
    pub zero_shot: usize,
}

impl Asked<'_> {
    /// Queries are drawn without repetition. Examples are drawn anew for every block of queries, and are never one of
    /// these. `choices` says among which texts a query chooses.
    pub fn probes(
        &self,
        pool: &Pool,
        spec: &SuiteSpec,
        seed: u64,
        choices: impl Fn(&Shown, &mut ChaCha8Rng) -> Vec<String>,
    ) -> Vec<Probe> {
        let rng = |what: &str, index: usize| {
            ChaCha8Rng::seed_from_u64(derive(seed, [word(self.task), word(what), index as u64]))
        };
        let mut order: Vec<usize> = (0..pool.queries.len()).collect();
        order.shuffle(&mut rng("queries", 0));
        order.truncate(spec.queries);
        let probe = |shots: &usize| {
            let mut questions = Vec::with_capacity(order.len());
            for (block, members) in order.chunks(spec.block).enumerate() {
                let examples = self.examples(pool, members, *shots, &mut rng("examples", block));
                for &query in members {
                    let shown = &pool.queries[query];
                    let choices = choices(shown, &mut rng("choices", query));
                    let answer = choices.iter().position(|choice| *choice == shown.answer);
                    questions.push(Question {
                        shots: examples.clone(),
                        query: example(shown),
                        answer: answer.unwrap_or(0),
                        choices,
                    });
                }
            }
            Probe {
                task: self.task.to_owned(),
                shots: *shots,
                kind: self.kind,
                template: self.template.clone(),
                chance: self.chance,
                questions,
            }
        };
        self.shots.iter().map(probe).collect()
    }

    fn examples(&self, pool: &Pool, asked: &[usize], shots: usize, rng: &mut impl Rng) -> Vec<Example> {
        let candidates: Vec<&Shown> = match pool.support.is_empty() {
            false => pool.support.iter().collect(),
            true => (0..pool.queries.len())
                .filter(|index| !asked.contains(index))
                .map(|index| &pool.queries[index])
                .collect(),
        };
        // The same first examples for every number of shots: what differs is how many there are.
        let mut drawn: Vec<&Shown> =
            candidates.choose_multiple(rng, candidates.len().min(MOST)).copied().collect();
        drawn.shuffle(rng);
        let without_images = |shown: &Shown| Example { media: Vec::new(), ..example(shown) };
        match shots {
            0 => drawn.into_iter().take(self.zero_shot).map(without_images).collect(),
            _ => drawn.into_iter().take(shots).map(example).collect(),
        }
    }
}

/// More examples than any task shows.
const MOST: usize = 32;

fn example(shown: &Shown) -> Example {
    let Shown { medium, question, answer } = shown;
    Example { media: vec![medium.clone()], question: question.clone(), answer: answer.clone() }
}

/// The right answer among `count` in all, or as many as there are, the others drawn from `names`, in random order.
pub fn among(answer: &str, names: &[String], count: usize, rng: &mut impl Rng) -> Vec<String> {
    let others: Vec<&String> = names.iter().filter(|name| *name != answer).collect();
    let mut choices: Vec<String> =
        others.choose_multiple(rng, count - 1).map(|name| (*name).clone()).collect();
    choices.push(answer.to_owned());
    choices.shuffle(rng);
    choices
}

/// Each text once, in the order of the alphabet.
pub fn distinct(pool: &Pool) -> Vec<String> {
    let mut names: Vec<String> = pool.queries.iter().map(|shown| shown.answer.clone()).collect();
    names.sort();
    names.dedup();
    names
}

/// The share of the most frequent answer: what a model gets that always says the same.
pub fn most_frequent(pool: &Pool) -> f64 {
    let count = |name: &String| pool.queries.iter().filter(|shown| shown.answer == *name).count();
    let most = distinct(pool).iter().map(count).max().unwrap_or(0);
    most as f64 / pool.queries.len().max(1) as f64
}
