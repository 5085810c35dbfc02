//! Concepts that an episode can be about, and their pictures by style.

use std::collections::{BTreeMap, HashSet};

use rand::Rng;
use rand::seq::SliceRandom;

use crate::DataError;
use crate::concepts::{ConceptImage, ConceptSet, Split};

/// A concept with pictures in two styles or more.
#[derive(Debug, Clone)]
pub(super) struct Class {
    pub name: String,
    /// Style and picture (index into the data set), one of each style.
    pub pictures: Vec<(usize, usize)>,
    subgroup: usize,
}

/// Those of one split. No two have the same picture: sets draw some concepts alike, and the second of them is left out.
#[derive(Debug, Clone)]
pub(super) struct Classes {
    pub all: Vec<Class>,
    /// How many styles there are; a style is its number.
    pub styles: usize,
    subgroups: Vec<Vec<usize>>,
}

impl Classes {
    /// At least `fewest` of them.
    pub fn gather(set: &ConceptSet, split: Split, fewest: usize) -> Result<Self, DataError> {
        let images = set.images();
        let (mut styles, mut names) = (BTreeMap::new(), BTreeMap::new());
        let mut seen: HashSet<(u32, &[u8])> = HashSet::new();
        let mut classes = Self { all: Vec::new(), styles: 0, subgroups: Vec::new() };
        for indices in set.by_concept().into_values() {
            let mut pictures: Vec<(usize, usize)> = Vec::new();
            for index in indices.into_iter().filter(|index| images[*index].split == split) {
                let known = styles.len();
                let style = *styles.entry(images[index].style.as_str()).or_insert(known);
                if pictures.iter().all(|(other, _)| *other != style) {
                    pictures.push((style, index));
                }
            }
            let looks: Vec<(u32, &[u8])> = pictures.iter().map(|(_, index)| look(&images[*index])).collect();
            if pictures.len() < 2 || looks.iter().any(|look| seen.contains(look)) {
                continue;
            }
            seen.extend(looks);
            let first = &images[pictures[0].1];
            let known = names.len();
            let subgroup = *names.entry((first.group.as_str(), first.subgroup.as_str())).or_insert(known);
            if subgroup == known {
                classes.subgroups.push(Vec::new());
            }
            classes.subgroups[subgroup].push(classes.all.len());
            classes.all.push(Class { name: first.name.clone(), pictures, subgroup });
        }
        classes.styles = styles.len();
        match classes.all.len() {
            found if found < fewest => Err(DataError::Episodes {
                what: format!(
                    "{fewest} classes need as many concepts with pictures in two styles, but the split {} has {found}; \
                     add a data set that draws the same concepts in another style, or ask for fewer ways",
                    split.name()
                ),
            }),
            _ => Ok(classes),
        }
    }

    /// `count` classes in random order: `first`, and any others, or as many of its subgroup as there are.
    pub fn choose(&self, first: usize, count: usize, alike: bool, rng: &mut impl Rng) -> Vec<usize> {
        let mut chosen = vec![first];
        if alike {
            let mut members = self.subgroups[self.all[first].subgroup].clone();
            members.retain(|member| *member != first);
            members.shuffle(rng);
            chosen.extend(members.into_iter().take(count - 1));
        }
        while chosen.len() < count {
            let other = rng.random_range(0..self.all.len());
            if !chosen.contains(&other) {
                chosen.push(other);
            }
        }
        chosen.shuffle(rng);
        chosen
    }
}

fn look(image: &ConceptImage) -> (u32, &[u8]) {
    (image.image.width(), image.image.as_raw())
}
