//! Which examples a query gets: an order of the support set for every query, of which its prompts take the first.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use flamingo::Medium;
use flamingo::prompt::Source;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::draw::Permutation;
use super::pooled::hex;
use super::rices::Rices;
use super::wording::TEXT_ONLY;
use crate::EvalError;
use crate::task::{Item, Items};

/// Examples by name: for each number of shots and each query's id, the ids of its examples in their order. At 0 shots
/// these are the ones without media.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Given(pub BTreeMap<usize, BTreeMap<String, Vec<String>>>);

impl Given {
    /// Reads a file of JSON, such as `{"4": {"query": ["example", …]}}`.
    ///
    /// # Errors
    ///
    /// If it cannot be read, or is of another form.
    pub fn open(path: &Path) -> Result<Self, EvalError> {
        let text = std::fs::read(path).map_err(EvalError::file("read", path))?;
        serde_json::from_slice(&text).map_err(|error| EvalError::Format {
            path: path.to_owned(),
            place: format!("line {}, column {}", error.line(), error.column()),
            what: format!("{error}: {{SHOTS: {{QUERY: [EXAMPLE, …]}}}} was expected"),
        })
    }

    /// SHA-256 of all of it.
    pub fn sha256(&self) -> String {
        hex(&Sha256::digest(serde_json::to_vec(self).expect("texts have a JSON form")))
    }
}

/// How a trial's examples are chosen.
pub(super) enum Chooser<'a> {
    /// By seed and query.
    Random(u64),
    /// By seed alone.
    Same(u64),
    /// Of each query the most similar, the most similar last; by its place.
    Similar(HashMap<usize, Vec<usize>>),
    /// By name; and the places of the support set's items by their ids.
    Given(&'a Given, HashMap<&'a str, usize>),
}

impl Chooser<'_> {
    /// The places of candidates for a prompt of `shots` examples, of which the first that can be used are taken, or those
    /// of a list that is whole as it is.
    pub(super) fn candidates<'s>(
        &self,
        items: &Items,
        support: &'s [usize],
        query: usize,
        shots: usize,
    ) -> Result<Candidates<'s>, EvalError> {
        let id = items.queries[query].id.as_str();
        let purpose = if shots == 0 { "text-only" } else { "examples" };
        Ok(match self {
            Self::Random(seed) => {
                Candidates::Order(Box::new(Permutation::new(support.len(), *seed, &[purpose, id])), support)
            }
            Self::Same(seed) => {
                Candidates::Order(Box::new(Permutation::new(support.len(), *seed, &[purpose])), support)
            }
            Self::Similar(nearest) => {
                let nearest = nearest.get(&query).map_or(&[][..], Vec::as_slice);
                let wanted = if shots == 0 { TEXT_ONLY } else { shots };
                Candidates::Whole(nearest[nearest.len().saturating_sub(wanted)..].to_vec())
            }
            Self::Given(given, places) => {
                let unknown = |what: String| EvalError::Example { example: id.to_owned(), what };
                let list = given.0.get(&shots).and_then(|queries| queries.get(id));
                let list =
                    list.ok_or_else(|| unknown(format!("no examples are named for it at {shots} shots")))?;
                let place = |name: &String| {
                    let place = places.get(name.as_str()).copied();
                    place.ok_or_else(|| unknown(format!("its example {name:?} is not in the support set")))
                };
                Candidates::Whole(list.iter().map(place).collect::<Result<_, _>>()?)
            }
        })
    }
}

/// Places in the support set.
pub(super) enum Candidates<'s> {
    /// All, in a random order.
    Order(Box<Permutation>, &'s [usize]),
    /// These and no others.
    Whole(Vec<usize>),
}

impl<'s> Candidates<'s> {
    /// One after the other.
    pub(super) fn places(self) -> Box<dyn Iterator<Item = usize> + 's> {
        match self {
            Self::Order(permutation, support) => Box::new(permutation.map(move |place| support[place])),
            Self::Whole(places) => Box::new(places.into_iter()),
        }
    }
}

/// The most similar of the support set for each query, both by their places, with a vector each.
pub(super) fn similar(
    queries: &[(usize, Vec<f32>)],
    support: &[(usize, &Vec<f32>)],
    count: usize,
) -> HashMap<usize, Vec<usize>> {
    let Some(width) = support.first().map(|(_, vector)| vector.len()) else { return HashMap::new() };
    let rices = Rices::new(support.iter().flat_map(|(_, vector)| vector.iter().copied()).collect(), width);
    let asked = queries.iter().flat_map(|(_, vector)| vector.iter().copied()).collect();
    let nearest = rices.nearest(asked, count);
    let places = nearest.into_iter().map(|near| near.into_iter().map(|place| support[place].0).collect());
    queries.iter().map(|(query, _)| *query).zip(places).collect()
}

/// The places of items whose files are there.
pub(super) fn usable(items: &[Item]) -> Vec<usize> {
    let there = |medium: &Medium| match medium {
        Medium::Image(Source::File(path)) | Medium::Video(Source::File(path)) => path.exists(),
        Medium::Image(_) | Medium::Video(_) => true,
    };
    (0..items.len()).into_par_iter().filter(|place| items[*place].media.iter().all(there)).collect()
}
