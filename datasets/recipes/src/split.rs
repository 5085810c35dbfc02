//! What is held out: a pure function of a seed and the concepts.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::emojibase::Concept;

/// Held-out concepts, and held-out images.
pub const HELD_OUT: usize = 200;

const SEED: &str = "flamingo emoji 1";

/// Which part of the data a picture belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Split {
    /// For training.
    Train,
    /// A concept that is trained on in another style.
    HeldoutImages,
    /// A concept that is not trained on in any style.
    HeldoutConcepts,
}

/// What is held out of a concept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HeldOut {
    /// Every style.
    Concept,
    /// One style.
    Style(&'static str),
}

/// Chooses [`HELD_OUT`] concepts to hold out whole, and as many of which to hold out one of `styles`, from each group
/// in proportion. `concepts` are those that are drawn in all of `styles`.
pub fn held_out(concepts: &[&Concept], styles: [&'static str; 2]) -> BTreeMap<String, HeldOut> {
    let mut groups: BTreeMap<&str, Vec<&Concept>> = BTreeMap::new();
    for concept in concepts {
        groups.entry(&concept.group).or_default().push(concept);
    }
    let sizes: Vec<usize> = groups.values().map(Vec::len).collect();
    let mut held_out = BTreeMap::new();
    for (members, quota) in groups.values_mut().zip(proportional(&sizes, HELD_OUT)) {
        members.sort_by_key(|concept| number("order", &concept.code));
        for concept in &members[..quota] {
            held_out.insert(concept.code.clone(), HeldOut::Concept);
        }
        for concept in &members[quota..2 * quota] {
            let style = styles[(number("style", &concept.code) % 2) as usize];
            held_out.insert(concept.code.clone(), HeldOut::Style(style));
        }
    }
    held_out
}

/// Which split the picture of `code` in `style` belongs to.
pub fn split_of(held_out: &BTreeMap<String, HeldOut>, code: &str, style: &str) -> Split {
    match held_out.get(code) {
        Some(HeldOut::Concept) => Split::HeldoutConcepts,
        Some(HeldOut::Style(held)) if *held == style => Split::HeldoutImages,
        _ => Split::Train,
    }
}

/// Shares of `total` in proportion to `sizes`, by largest remainder; earlier groups first among equals.
fn proportional(sizes: &[usize], total: usize) -> Vec<usize> {
    let all: usize = sizes.iter().sum::<usize>().max(1);
    let mut shares: Vec<usize> = sizes.iter().map(|size| size * total / all).collect();
    let mut by_remainder: Vec<usize> = (0..sizes.len()).collect();
    by_remainder.sort_by_key(|index| std::cmp::Reverse(sizes[*index] * total % all));
    let missing = total - shares.iter().sum::<usize>();
    for index in by_remainder.into_iter().take(missing) {
        shares[index] += 1;
    }
    shares
}

fn number(what: &str, code: &str) -> u64 {
    let digest = Sha256::digest(format!("{SEED}/{what}/{code}"));
    digest.iter().take(8).fold(0, |number, byte| number << 8 | u64::from(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn concepts() -> Vec<Concept> {
        let concept = |index: usize| Concept {
            code: format!("{index:X}"),
            emoji: String::new(),
            name: format!("thing {index}"),
            keywords: Vec::new(),
            group: ["a", "b", "c"][index % 7 % 3].to_owned(),
            subgroup: String::new(),
        };
        (0..1000).map(concept).collect()
    }

    #[test]
    fn exactly_as_many_as_promised_whatever_the_order() {
        let concepts = concepts();
        let mut list: Vec<&Concept> = concepts.iter().collect();
        let first = held_out(&list, ["x", "y"]);
        list.reverse();
        assert_eq!(first, held_out(&list, ["x", "y"]));
        let whole = first.values().filter(|held| **held == HeldOut::Concept).count();
        assert_eq!((whole, first.len() - whole), (HELD_OUT, HELD_OUT));
    }

    #[test]
    fn one_style_of_a_held_out_image_stays_in_training() {
        let held =
            BTreeMap::from([("A".to_owned(), HeldOut::Style("x")), ("B".to_owned(), HeldOut::Concept)]);
        assert_eq!(split_of(&held, "A", "x"), Split::HeldoutImages);
        assert_eq!(split_of(&held, "A", "y"), Split::Train);
        assert_eq!(split_of(&held, "B", "z"), Split::HeldoutConcepts);
        assert_eq!(split_of(&held, "C", "x"), Split::Train);
    }

    #[test]
    fn shares_are_proportional_and_add_up() {
        assert_eq!(proportional(&[10, 10, 11], 10), [3, 3, 4]);
    }
}
