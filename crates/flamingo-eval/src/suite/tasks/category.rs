//! Categories of photographs and of stamps: which of the set's categories a picture is of.

use flamingo::dialect::Style;
use flamingo::prompt::{self, Template};
use flamingo::{Medium, Source};
use serde::Deserialize;

use super::ShownTask;
use super::shown::{Asked, most_frequent};
use crate::EvalError;
use crate::suite::Sets;
use crate::suite::pools::{Pool, Shown};
use crate::suite::probe::Kind;

#[derive(Deserialize)]
struct Described {
    group: String,
    file: String,
}

/// Categories of the photographs, by the beginning of a file's path below its game's folder: the games' own sorting.
const PHOTOS: [(&str, &str, &str); 9] = [
    ("categorization", "tools", "tool"),
    ("categorization", "renewable", "energy"),
    ("categorization", "fishes", "fish"),
    ("categorization", "monuments", "monument"),
    ("explore_monuments", "", "monument"),
    ("explore_world_animals", "", "animal"),
    ("explore_farm_animals", "", "animal"),
    ("explore_world_music", "", "music"),
    ("categorization", "animals", "animal"),
];

pub struct Category {
    name: &'static str,
    set: &'static str,
    /// What the names of the archives of queries begin with.
    queries: &'static str,
    /// Those of examples; none if these are other queries.
    support: Option<&'static str>,
    of: fn(&Described) -> Option<String>,
}

impl Category {
    pub const PHOTOS: Self = Self {
        name: "category-photos",
        set: "photos",
        queries: "evaluation",
        support: None,
        of: |described| {
            let folder = described.file.rsplit('/').nth(1).unwrap_or_default();
            let own = |(group, part, _): &&(&str, &str, &str)| {
                *group == described.group && (part.is_empty() || *part == folder)
            };
            PHOTOS.iter().find(own).map(|(_, _, category)| (*category).to_owned())
        },
    };
    pub const STAMPS: Self = Self {
        name: "category-stamps",
        set: "stamps",
        queries: "heldout",
        support: Some("train"),
        of: |described| Some(described.group.clone()),
    };

    fn shown(&self, sets: &Sets, prefix: &str) -> Result<Vec<Shown>, EvalError> {
        sets.records(self.set, prefix, |described: Described, source: Source| {
            let shown = |answer| Shown { medium: Medium::Image(source), question: String::new(), answer };
            (self.of)(&described).map(shown).into_iter().collect()
        })
    }
}

impl ShownTask for Category {
    fn name(&self) -> &'static str {
        self.name
    }

    fn pool(&self, sets: &Sets) -> Result<Pool, EvalError> {
        let support = self.support.map(|prefix| self.shown(sets, prefix)).transpose()?.unwrap_or_default();
        Ok(Pool { queries: self.shown(sets, self.queries)?, support })
    }

    fn asked(&self, pool: &Pool) -> Result<Asked<'static>, EvalError> {
        Ok(Asked {
            task: self.name,
            kind: Kind::Choice,
            template: Template::of(Style::Paper, prompt::Task::Caption),
            shots: &[0, 4, 8],
            chance: most_frequent(pool),
            zero_shot: 0,
        })
    }
}
