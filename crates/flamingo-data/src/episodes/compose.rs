//! Training episodes.

use rand::Rng;
use rand::seq::SliceRandom;

use super::classes::{Class, Classes};
use super::{EpisodeSpec, Form, InventedWords, Naming, Purpose};
use crate::DataError;
use crate::concepts::{ConceptSet, Split};
use crate::document::{Chunk, Document};
use crate::encoder::TextEncoder;
use crate::sequence::{self, Sequence, SequenceSpec, WeightedDocument, chance};

/// An episode, and what it was made of.
#[derive(Debug, Clone, PartialEq)]
pub struct Episode {
    /// What the classes are called.
    pub words: Vec<String>,
    /// Whether the words are invented.
    pub naming: Naming,
    /// How a word stands beside its picture.
    pub form: Form,
    /// The pictures in their order.
    pub shown: Vec<Shown>,
    /// All of it as a page.
    pub page: WeightedDocument,
}

/// A picture of an episode.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shown {
    /// Its class, an index into the episode's words.
    pub class: usize,
    /// Index into the data set.
    pub image: usize,
    /// Whether it comes after all examples.
    pub query: bool,
}

/// Composes episodes of the training pictures of a data set; held-out pictures and names are in none.
#[derive(Debug, Clone)]
pub struct EpisodeComposer {
    spec: EpisodeSpec,
    classes: Classes,
    words: InventedWords,
}

/// Which styles the pictures of an episode have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Styles {
    OtherInQueries,
    Mixed,
    OnePicture,
}

/// Tries to find an episode that fits, once it is as small as it can be.
const TRIES: usize = 100;

impl EpisodeComposer {
    /// Gathers concepts with training pictures in two styles or more; the set itself is not kept.
    ///
    /// # Errors
    ///
    /// [`DataError::Episodes`] if `spec` makes no sense, or asks for more classes than there are such concepts.
    pub fn new(set: &ConceptSet, spec: EpisodeSpec) -> Result<Self, DataError> {
        spec.validate()?;
        let classes = Classes::gather(set, Split::Train, spec.ways.1)?;
        Ok(Self { classes, words: InventedWords::new(set), spec })
    }

    /// Never takes a word of `text` for an invented one: for every other text that is trained on.
    pub fn avoid(&mut self, text: &str) {
        self.words.avoid(text);
    }

    /// An episode of at most `most_images` pictures (and of at most [`EpisodeSpec::max_images`]), or the smallest one,
    /// if that is more.
    pub fn episode(
        &self,
        most_images: usize,
        tokenizer: &(impl TextEncoder + ?Sized),
        rng: &mut impl Rng,
    ) -> Episode {
        let [ways, shots, queries] = self.counts(most_images, rng);
        let styles = self.styles(rng);
        let naming = if chance(rng, self.spec.p_real_names) { Naming::Real } else { Naming::Invented };
        let form = self.spec.forms.draw(rng);
        let alike = chance(rng, self.spec.p_subgroup);
        let first = rng.random_range(0..self.classes.all.len());
        let chosen = self.classes.choose(first, ways, alike, rng);

        let mut decks: Vec<Deck> =
            chosen.iter().map(|class| Deck::new(&self.classes.all[*class], styles, shots, rng)).collect();
        let mut shown: Vec<Shown> = Vec::with_capacity(ways * shots + queries);
        for (class, deck) in decks.iter_mut().enumerate() {
            shown.extend((0..shots).map(|_| Shown { class, image: deck.example(), query: false }));
        }
        shown.shuffle(rng);
        for _ in 0..queries {
            let class = rng.random_range(0..ways);
            shown.push(Shown { class, image: decks[class].query(), query: true });
        }
        let words = match naming {
            Naming::Real => chosen.iter().map(|class| self.classes.all[*class].name.clone()).collect(),
            Naming::Invented => {
                let syllables = rng.random_range(self.spec.syllables.0..=self.spec.syllables.1);
                self.words.draw(ways, syllables, Purpose::Training, tokenizer, rng)
            }
        };
        let page = self.page(&words, &shown, form, naming);
        Episode { words, naming, form, shown, page }
    }

    /// An episode as a sequence of at most `spec.len` tokens, which holds all of it: a longer one is drawn again with
    /// fewer pictures. `spec` has a say in length and [`LossRule`](crate::LossRule) only.
    ///
    /// # Errors
    ///
    /// [`DataError::Episodes`] if the smallest episodes are longer, too.
    pub fn sequence(
        &self,
        tokenizer: &(impl TextEncoder + ?Sized),
        spec: &SequenceSpec,
        rng: &mut impl Rng,
    ) -> Result<Sequence, DataError> {
        let fewest = self.spec.fewest_images();
        let sizes = (fewest..=self.spec.max_images).rev().chain([fewest; TRIES]);
        for most in sizes {
            let episode = self.episode(most, tokenizer, rng);
            if let Some(sequence) = sequence::weighted(&episode.page, tokenizer, spec) {
                return Ok(sequence);
            }
        }
        Err(DataError::Episodes {
            what: format!(
                "{} tokens are too few for the smallest, of {fewest} images; make sequences longer, or ask for fewer",
                spec.len
            ),
        })
    }

    /// Ways, shots, queries: uniform, as far as the images go.
    fn counts(&self, most_images: usize, rng: &mut impl Rng) -> [usize; 3] {
        let spec = &self.spec;
        let most = most_images.min(spec.max_images).max(spec.fewest_images());
        let mut draw =
            |(fewest, most): (usize, usize), room: usize| rng.random_range(fewest..=most.min(room));
        let ways = draw(spec.ways, (most - spec.queries.0) / spec.shots.0);
        let shots = draw(spec.shots, (most - spec.queries.0) / ways);
        let queries = draw(spec.queries, most - ways * shots);
        [ways, shots, queries]
    }

    fn styles(&self, rng: &mut impl Rng) -> Styles {
        let place = rng.random::<f32>();
        let spec = &self.spec;
        match place {
            _ if place < spec.p_other_style => Styles::OtherInQueries,
            _ if place < spec.p_other_style + spec.p_mixed_styles => Styles::Mixed,
            _ => Styles::OnePicture,
        }
    }

    fn page(&self, words: &[String], shown: &[Shown], form: Form, naming: Naming) -> WeightedDocument {
        let parts = form.parts(naming);
        let first_weight = match naming {
            Naming::Invented => self.spec.first_weight,
            Naming::Real => self.spec.first_name_weight,
        };
        let mut page = WeightedDocument {
            document: Document { chunks: Vec::new(), tie: Some(flamingo_core::TextTie::Previous) },
            weights: Vec::new(),
        };
        let mut known = vec![false; words.len()];
        for Shown { class, image, .. } in shown {
            let weight = if std::mem::replace(&mut known[*class], true) { 1.0 } else { first_weight };
            let word = format!("{}{}", parts.space, words[*class]);
            page.push(Chunk::Image(*image), 0.0);
            page.push(Chunk::Text(parts.lead.to_owned()), self.spec.wording_weight);
            page.push(Chunk::Text(word), weight);
            page.push(Chunk::Text(parts.tail.to_owned()), weight);
        }
        page
    }
}

/// The pictures of a class, as an episode shows them. Both lists are circles: a picture comes again when all that may be
/// shown have been.
struct Deck {
    examples: Vec<usize>,
    queries: Vec<usize>,
    dealt: usize,
    asked: usize,
}

impl Deck {
    fn new(class: &Class, styles: Styles, shots: usize, rng: &mut impl Rng) -> Self {
        let mut pictures: Vec<usize> = class.pictures.iter().map(|(_, image)| *image).collect();
        pictures.shuffle(rng);
        let (examples, queries) = match styles {
            Styles::OtherInQueries => {
                let queries = pictures.split_off(shots.min(pictures.len() - 1));
                (pictures, queries)
            }
            Styles::Mixed => {
                let examples = pictures.clone();
                pictures.shuffle(rng);
                (examples, pictures)
            }
            Styles::OnePicture => (pictures[..1].to_vec(), pictures[..1].to_vec()),
        };
        Self { examples, queries, dealt: 0, asked: 0 }
    }

    fn example(&mut self) -> usize {
        self.dealt += 1;
        self.examples[(self.dealt - 1) % self.examples.len()]
    }

    fn query(&mut self) -> usize {
        self.asked += 1;
        self.queries[(self.asked - 1) % self.queries.len()]
    }
}
