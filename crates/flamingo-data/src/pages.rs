//! Interleaved pages and plain texts composed from named pictures.
//!
//! A page has a theme, which is a subgroup of the data set or a keyword that concepts share. It opens with a
//! heading, may name related things, and goes on with items: a picture and, right beside it, its name, alone or in a
//! sentence. On some pages the name comes before its picture, for the whole page. Things may repeat, if asked to.
//!
//! Only training pictures are shown, and only concepts with a training picture are named: what is held out appears
//! in no text and on no page.

use std::collections::{BTreeMap, BTreeSet};

use flamingo_core::TextTie;
use rand::Rng;
use rand::seq::{IndexedRandom, SliceRandom};
use serde::{Deserialize, Serialize};

use crate::concepts::{ConceptImage, ConceptSet, Split};
use crate::document::{Chunk, Document};
use crate::sequence::chance;
use crate::{DataError, wording};

/// How pages and texts are composed. Probabilities lie in `0..=1`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PageSpec {
    /// Fewest and most pictures on a page.
    pub images: (usize, usize),
    /// Probability that a page's theme is a keyword rather than a subgroup.
    pub p_keyword_theme: f32,
    /// Probability that names stand before their pictures, drawn once a page.
    pub p_name_first: f32,
    /// Probability that an item's text is the name alone.
    pub p_bare_name: f32,
    /// Probability of each paragraph without a picture: the introduction, and one after each item.
    pub p_paragraph: f32,
    /// Probability that the text after a picture, or a plain caption, starts with a space.
    pub p_leading_space: f32,
    /// Probability, for each picture but the first, that it shows a thing that the page has shown before, in another
    /// picture as long as there is one. What repeats within a text is what in-context learning comes from ("burstiness",
    /// Chan et al. 2022).
    #[serde(default)]
    pub p_repeat: f32,
}

impl Default for PageSpec {
    fn default() -> Self {
        Self {
            images: (2, 5),
            p_keyword_theme: 0.5,
            p_name_first: 0.5,
            p_bare_name: 0.6,
            p_paragraph: 0.15,
            p_leading_space: 0.5,
            p_repeat: 0.0,
        }
    }
}

/// Composes pages and texts from the training part of a data set.
#[derive(Debug, Clone)]
pub struct PageComposer {
    spec: PageSpec,
    concepts: Vec<Concept>,
    subgroups: Vec<Theme>,
    keywords: Vec<Theme>,
}

/// A concept that may be shown.
#[derive(Debug, Clone)]
struct Concept {
    name: String,
    keywords: Vec<String>,
    /// Its training pictures, as indices into the data set.
    pictures: Vec<usize>,
}

/// Concepts that go on a page together.
#[derive(Debug, Clone)]
struct Theme {
    title: String,
    members: Vec<usize>,
}

/// A keyword is a theme if at least so many concepts share it.
const SMALLEST_KEYWORD_THEME: usize = 3;

impl PageComposer {
    /// Gathers what may be shown; the set itself is not kept.
    ///
    /// # Errors
    ///
    /// [`DataError::Empty`] if the set has no training picture.
    pub fn new(set: &ConceptSet, spec: PageSpec) -> Result<Self, DataError> {
        let images = set.images();
        let heldout: BTreeSet<&str> = images
            .iter()
            .filter(|image| image.split == Split::HeldoutConcepts)
            .map(|i| i.name.as_str())
            .collect();
        let mut concepts = Vec::new();
        let mut subgroups: BTreeMap<String, Vec<usize>> = BTreeMap::new();
        let mut keywords: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
        for styles in set.by_concept().into_values() {
            let pictures: Vec<usize> =
                styles.into_iter().filter(|index| images[*index].split == Split::Train).collect();
            let Some(first) = pictures.first().map(|index| &images[*index]) else { continue };
            let titles = [&first.subgroup, &first.group].map(|name| wording::title(name));
            if let Some(title) = titles.into_iter().find(|title| !heldout.contains(title.as_str())) {
                subgroups.entry(title).or_default().push(concepts.len());
            }
            for keyword in &first.keywords {
                keywords.entry(keyword).or_default().push(concepts.len());
            }
            concepts.push(Concept { name: first.name.clone(), keywords: first.keywords.clone(), pictures });
        }
        if concepts.is_empty() {
            let hint = "pages are composed from records whose split is \"train\"";
            return Err(DataError::Empty { what: "training pictures", hint });
        }
        if subgroups.is_empty() {
            subgroups.insert("things".to_owned(), (0..concepts.len()).collect());
        }
        let subgroups = subgroups.into_iter().map(|(title, members)| Theme { title, members }).collect();
        let keywords = keywords
            .into_iter()
            .filter(|(_, members)| members.len() >= SMALLEST_KEYWORD_THEME)
            .map(|(title, members)| Theme { title: title.to_owned(), members })
            .collect();
        Ok(Self { spec, concepts, subgroups, keywords })
    }

    /// An interleaved page.
    pub fn page(&self, rng: &mut impl Rng) -> Document {
        let theme = self.theme(rng);
        let (fewest, most) = self.spec.images;
        let count = rng.random_range(fewest.max(1)..=most.max(fewest).max(1));
        let mut items = self.pick(theme, count, rng);
        // Without repetition nothing is drawn for it: pages stay what they were before there was any.
        if self.spec.p_repeat > 0.0 {
            self.repeat(&mut items, rng);
        }
        let name_first = chance(rng, self.spec.p_name_first);

        let mut chunks: Vec<Chunk> = Vec::new();
        let mut text = wording::heading(&theme.title, rng);
        if chance(rng, self.spec.p_paragraph) {
            let others: Vec<&str> =
                self.pick(theme, 3, rng).into_iter().map(|concept| concept.name.as_str()).collect();
            text.push(' ');
            text.push_str(&wording::introduction(&theme.title, &others, rng));
        }
        for concept in items {
            let mut pictures = concept.pictures.clone();
            pictures.retain(|picture| !chunks.contains(&Chunk::Image(*picture)));
            let picture = pictures.choose(rng).or_else(|| concept.pictures.choose(rng));
            let picture = *picture.expect("a concept is kept for its pictures");
            let mut item = self.item(concept, rng);
            if chance(rng, self.spec.p_paragraph) {
                item.push(' ');
                item.push_str(&wording::aside(&concept.keywords, rng));
            }
            if name_first {
                text.push_str(if text.is_empty() { "" } else { " " });
                text.push_str(&item);
                chunks.extend([Chunk::Text(std::mem::take(&mut text)), Chunk::Image(picture)]);
            } else {
                chunks.extend([Chunk::Text(std::mem::take(&mut text)), Chunk::Image(picture)]);
                text = self.spaced(item, rng);
            }
        }
        chunks.push(Chunk::Text(text));
        chunks.retain(|chunk| !matches!(chunk, Chunk::Text(text) if text.is_empty()));
        let tie = if name_first { TextTie::Next } else { TextTie::Previous };
        Document { chunks, tie: Some(tie) }
    }

    /// A text without pictures: a name, a name with keywords, a sentence, or a page's text.
    pub fn text(&self, rng: &mut impl Rng) -> String {
        let concept = &self.concepts[rng.random_range(0..self.concepts.len())];
        match rng.random_range(0..10) {
            0..4 => self.spaced(concept.name.clone(), rng),
            4..6 => self.spaced(wording::with_keywords(&concept.name, &concept.keywords, rng), rng),
            6..8 => self.spaced(wording::sentence(&concept.name, &concept.keywords, rng), rng),
            _ => self.page(rng).text(),
        }
    }

    fn theme(&self, rng: &mut impl Rng) -> &Theme {
        let by_keyword = chance(rng, self.spec.p_keyword_theme) && !self.keywords.is_empty();
        let themes = if by_keyword { &self.keywords } else { &self.subgroups };
        &themes[rng.random_range(0..themes.len())]
    }

    fn pick(&self, theme: &Theme, count: usize, rng: &mut impl Rng) -> Vec<&Concept> {
        theme.members.choose_multiple(rng, count).map(|index| &self.concepts[*index]).collect()
    }

    fn repeat(&self, items: &mut [&Concept], rng: &mut impl Rng) {
        for index in 1..items.len() {
            if chance(rng, self.spec.p_repeat) {
                items[index] = items[rng.random_range(0..index)];
            }
        }
    }

    fn item(&self, concept: &Concept, rng: &mut impl Rng) -> String {
        if chance(rng, self.spec.p_bare_name) {
            concept.name.clone()
        } else {
            wording::sentence(&concept.name, &concept.keywords, rng)
        }
    }

    fn spaced(&self, text: String, rng: &mut impl Rng) -> String {
        if chance(rng, self.spec.p_leading_space) { format!(" {text}") } else { text }
    }
}

/// A text for contrastive training: the name, then a random half of the keywords in random order; now and then the
/// name alone, which is what retrieval asks for.
pub fn contrastive_text(image: &ConceptImage, rng: &mut impl Rng) -> String {
    if chance(rng, 0.2) {
        return image.name.clone();
    }
    let half = image.keywords.len().div_ceil(2);
    let mut parts: Vec<&str> = image.keywords.choose_multiple(rng, half).map(String::as_str).collect();
    parts.shuffle(rng);
    parts.insert(0, &image.name);
    parts.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{menagerie, rng};

    fn composer() -> (ConceptSet, PageComposer) {
        let set = menagerie();
        let composer = PageComposer::new(&set, PageSpec::default()).unwrap();
        (set, composer)
    }

    #[test]
    fn nothing_held_out_is_ever_shown_or_named() {
        let (set, composer) = composer();
        let mut rng = rng(1);
        for _ in 0..2000 {
            let page = composer.page(&mut rng);
            assert!(page.images().all(|image| set.images()[image].split == Split::Train));
            for text in [page.text(), composer.text(&mut rng)] {
                for secret in ["qwertyx", "zyxxy", "secretword", "otherword"] {
                    assert!(!text.contains(secret), "{text}");
                }
            }
        }
    }

    #[test]
    fn every_picture_stands_beside_its_name() {
        let (set, composer) = composer();
        let mut rng = rng(2);
        let mut name_first = 0;
        for _ in 0..500 {
            let page = composer.page(&mut rng);
            name_first += usize::from(page.tie == Some(TextTie::Next));
            for (index, chunk) in page.chunks.iter().enumerate() {
                let Chunk::Image(image) = chunk else { continue };
                let beside = if page.tie == Some(TextTie::Next) { index - 1 } else { index + 1 };
                let Chunk::Text(text) = &page.chunks[beside] else { panic!("{page:?}") };
                assert!(text.contains(&set.images()[*image].name), "{page:?}");
            }
        }
        assert!((200..300).contains(&name_first), "{name_first}");
    }

    #[test]
    fn pages_have_a_heading_and_the_wanted_number_of_pictures() {
        let (_, composer) = composer();
        let mut rng = rng(3);
        let counts: BTreeSet<usize> = (0..200)
            .map(|_| {
                let page = composer.page(&mut rng);
                assert!(
                    matches!(&page.chunks[0], Chunk::Text(text) if text.chars().any(char::is_alphabetic))
                );
                page.images().count()
            })
            .collect();
        assert_eq!(counts, BTreeSet::from([2, 3, 4, 5]));
    }

    #[test]
    fn things_repeat_as_often_as_asked_in_other_pictures_where_there_are_any() {
        let set = menagerie();
        let spec = |p_repeat| PageSpec { images: (3, 3), p_repeat, ..PageSpec::default() };
        let page_names = |p_repeat| {
            let composer = PageComposer::new(&set, spec(p_repeat)).unwrap();
            let mut rng = rng(7);
            let page = || {
                let images: Vec<usize> = composer.page(&mut rng).images().collect();
                let names: BTreeSet<&str> = images.iter().map(|i| set.images()[*i].name.as_str()).collect();
                let distinct = BTreeSet::from_iter(&images).len();
                (names.into_iter().map(str::to_owned).collect::<Vec<String>>(), distinct)
            };
            std::iter::repeat_with(page).take(400).collect::<Vec<_>>()
        };
        assert!(page_names(0.0).iter().all(|(names, distinct)| names.len() == 3 && *distinct == 3));
        for (names, distinct) in page_names(1.0) {
            let pictures = set.images().iter().filter(|i| i.split == Split::Train && i.name == names[0]);
            assert_eq!((names.len(), distinct), (1, pictures.count()));
        }
        // Neither of two chances in three comes true.
        let all_different = page_names(1.0 / 3.0).iter().filter(|(names, _)| names.len() == 3).count();
        assert!((140..215).contains(&all_different), "{all_different}");
    }

    #[test]
    fn plain_captions_are_frequent_and_seeds_decide() {
        let (set, composer) = composer();
        let texts = |seed| -> Vec<String> {
            let mut rng = rng(seed);
            (0..300).map(|_| composer.text(&mut rng)).collect()
        };
        assert_eq!(texts(4), texts(4));
        assert_ne!(texts(4), texts(5));
        let bare = texts(4).iter().filter(|text| set.images().iter().any(|i| i.name == text.trim())).count();
        assert!((80..160).contains(&bare), "{bare}");
    }

    #[test]
    fn contrastive_texts_have_the_name_and_half_of_the_keywords() {
        let set = menagerie();
        let cow = &set.images()[0];
        let mut rng = rng(6);
        let texts: BTreeSet<String> = (0..300).map(|_| contrastive_text(cow, &mut rng)).collect();
        assert!(texts.contains("cow face"));
        for text in &texts {
            let parts: Vec<&str> = text.split(", ").collect();
            assert_eq!(parts[0], "cow face", "{text}");
            assert!(parts.len() == 1 || parts.len() == 3, "{text}");
        }
        // The name alone, and before 3 * 2 ordered pairs of keywords.
        assert_eq!(texts.len(), 1 + 6);
    }

    #[test]
    fn a_set_without_training_pictures_is_an_error() {
        let heldout = menagerie().images().iter().filter(|i| i.split != Split::Train).cloned().collect();
        let error = PageComposer::new(&ConceptSet::new(heldout), PageSpec::default()).err().unwrap();
        assert!(matches!(error, DataError::Empty { .. }));
    }
}
