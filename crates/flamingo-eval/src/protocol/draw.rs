//! Random choices, each a pure function of a seed and of what it is for: neither the order nor the number of those who ask
//! changes any.

use std::collections::HashMap;

use flamingo_core::seed::{derive, word};
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::settings::Support;
use crate::task::{Item, Target};

/// A random order of the numbers below a length, of which only as many are drawn as are asked for (Fisher and Yates).
#[derive(Debug, Clone)]
pub struct Permutation {
    random: ChaCha8Rng,
    /// What stands at places where something else was once.
    moved: HashMap<usize, usize>,
    next: usize,
    len: usize,
}

impl Permutation {
    /// Of `0..len`, as `seed` and `purpose` say.
    pub fn new(len: usize, seed: u64, purpose: &[&str]) -> Self {
        let random = ChaCha8Rng::seed_from_u64(derive(seed, purpose.iter().map(|name| word(name))));
        Self { random, moved: HashMap::new(), next: 0, len }
    }
}

impl Iterator for Permutation {
    type Item = usize;

    fn next(&mut self) -> Option<usize> {
        if self.next == self.len {
            return None;
        }
        // u64, so that 32-bit machines draw the same.
        let place = self.random.random_range(self.next as u64..self.len as u64) as usize;
        let here = self.moved.remove(&self.next).unwrap_or(self.next);
        let drawn = if place == self.next { here } else { self.moved.insert(place, here).unwrap_or(place) };
        self.next += 1;
        Some(drawn)
    }
}

/// The places of `count` of `len` queries, ascending.
pub fn queries(len: usize, count: Option<usize>, seed: u64) -> Vec<usize> {
    let Some(count) = count.filter(|count| *count < len) else { return (0..len).collect() };
    let mut chosen: Vec<usize> = Permutation::new(len, seed, &["queries"]).take(count).collect();
    chosen.sort_unstable();
    chosen
}

/// The places of a trial's support set among `items`, of which only those of `usable` count, ascending.
pub fn support(items: &[Item], usable: &[usize], size: Support, seed: u64) -> Vec<usize> {
    let order = Permutation::new(usable.len(), seed, &["support"]).map(|place| usable[place]);
    let mut chosen: Vec<usize> = match size {
        Support::Usual | Support::All => usable.to_vec(),
        Support::Items(count) => order.take(count).collect(),
        Support::PerClass(count) => {
            let mut of_class: HashMap<usize, usize> = HashMap::new();
            let wanted = |place: &usize| {
                let Target::Choice(class) = items[*place].target else { return false };
                let taken = of_class.entry(class).or_default();
                *taken += 1;
                *taken <= count
            };
            order.filter(wanted).collect()
        }
    };
    chosen.sort_unstable();
    chosen
}

/// A random order of examples; it can be drawn again and again, each time another one.
pub fn shuffled(examples: &[usize], seed: u64, query: &str, number: u64) -> Vec<usize> {
    let path = [word("order"), word(query), number];
    let mut examples = examples.to_vec();
    examples.shuffle(&mut ChaCha8Rng::seed_from_u64(derive(seed, path)));
    examples
}

/// `count` different random orders of examples; all there are if these are fewer.
pub fn orders(examples: &[usize], count: usize, seed: u64, query: &str) -> Vec<Vec<usize>> {
    let possible = (1..=examples.len()).try_fold(1usize, |product, n| product.checked_mul(n));
    let count = count.min(possible.unwrap_or(usize::MAX));
    let mut orders: Vec<Vec<usize>> = Vec::with_capacity(count);
    for number in 0.. {
        if orders.len() == count {
            break;
        }
        let order = shuffled(examples, seed, query, number);
        if !orders.contains(&order) {
            orders.push(order);
        }
    }
    orders
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_permutation_has_every_number_once_and_its_beginning_does_not_depend_on_its_end() {
        let all: Vec<usize> = Permutation::new(100, 1, &["a"]).collect();
        let mut sorted = all.clone();
        sorted.sort_unstable();
        assert_eq!(sorted, (0..100).collect::<Vec<_>>());
        assert_ne!(all, sorted);
        assert_eq!(Permutation::new(100, 1, &["a"]).take(7).collect::<Vec<_>>(), all[..7]);
        assert_ne!(Permutation::new(100, 1, &["b"]).take(7).collect::<Vec<_>>(), all[..7]);
        assert_ne!(Permutation::new(100, 2, &["a"]).take(7).collect::<Vec<_>>(), all[..7]);
        assert_eq!(Permutation::new(0, 1, &[]).next(), None);
    }

    #[test]
    fn every_place_is_as_likely_as_any_other() {
        let mut first = [[0; 5]; 5];
        for seed in 0..5000 {
            for (place, drawn) in Permutation::new(5, seed, &["q"]).enumerate() {
                first[place][drawn] += 1;
            }
        }
        // 1000 each; 5 standard deviations are 141.
        assert!(first.iter().flatten().all(|count| (859..=1141).contains(count)), "{first:?}");
    }

    #[test]
    fn classes_are_all_in_the_support_set() {
        let item = |class: usize| Item {
            id: String::new(),
            media: Vec::new(),
            question: String::new(),
            answer: String::new(),
            choices: Vec::new(),
            target: Target::Choice(class),
        };
        // A rare class among a frequent one.
        let items: Vec<Item> = (0..60).map(|place| item(usize::from(place % 20 == 0))).collect();
        let usable: Vec<usize> = (0..60).filter(|place| *place != 3).collect();
        let chosen = support(&items, &usable, Support::PerClass(2), 7);
        let rare = chosen.iter().filter(|place| *place % 20 == 0).count();
        assert_eq!((chosen.len(), rare), (4, 2));
        assert_eq!(support(&items, &usable, Support::Items(5), 7).len(), 5);
        assert_eq!(support(&items, &usable, Support::All, 7), usable);
        assert_ne!(
            support(&items, &usable, Support::Items(5), 7),
            support(&items, &usable, Support::Items(5), 8)
        );
    }

    #[test]
    fn orders_are_different_and_no_more_than_there_are() {
        assert_eq!(orders(&[], 6, 1, "q"), [Vec::<usize>::new()]);
        assert_eq!(orders(&[4], 6, 1, "q"), [[4]]);
        let mut two = orders(&[4, 9], 6, 1, "q");
        two.sort_unstable();
        assert_eq!(two, [[4, 9], [9, 4]]);
        let six = orders(&[1, 2, 3, 4], 6, 1, "q");
        let distinct: std::collections::HashSet<_> = six.iter().collect();
        assert_eq!((six.len(), distinct.len()), (6, 6));
        assert_eq!(six, orders(&[1, 2, 3, 4], 6, 1, "q"));
        assert_ne!(six, orders(&[1, 2, 3, 4], 6, 1, "other"));
    }
}
