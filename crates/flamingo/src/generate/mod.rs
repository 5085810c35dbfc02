//! Decoding: from what a model says about the next token to texts.
//!
//! Nothing here knows the model. A [`Reader`] has read one or more prompts and reads on, token by token; [`generate`]
//! tells it what, for many prompts at once, and [`stream`] does it for one, as an iterator. Both take the best token,
//! or draw one; [`generate`] also searches with beams. Texts are the same whichever way they are made: alone or beside
//! others, whole or as a stream.
//!
//! | file | what it does |
//! |---|---|
//! | `options` | every choice, checked |
//! | `processors` | penalties and bans |
//! | `sampling` | the best token, or a drawn one |
//! | `beams` | beam search |
//! | `text`, `stop` | tokens to text, whole characters only, up to a stop string |

mod beams;
mod draft;
pub mod options;
pub mod processors;
mod row;
pub mod sampling;
mod scores;
pub mod stop;
mod stream;
pub mod text;

pub use draft::{Ending, Generated};
pub use options::{BeamRules, EarlyStopping, GenerateOptions};
pub use row::Token;
pub use scores::Scores;
pub use stream::{TokenStream, stream};
pub use text::{Decode, TextStream};

use beams::BeamSearch;
use draft::Rules;
use row::Row;

use crate::error::FlamingoError;

/// A model that has read prompts and can read on.
///
/// It has rows, at first one for each prompt. Each step makes new rows from them: a row may go on in one new row, in
/// several (beams that part), or in none (a text that is finished).
pub trait Reader {
    /// Reads one token in each new row, and returns the scores of the token behind it, `[new rows, V]`.
    ///
    /// New row `i` goes on from the row `parents[i]` of before, with `tokens[i]`; there is at least one. With several
    /// prompts, the new rows of an earlier prompt come before those of a later one.
    ///
    /// # Errors
    ///
    /// As the model's own: a text that grows longer than the model can read, for one.
    fn step(&mut self, parents: &[usize], tokens: &[u32]) -> Result<Scores, FlamingoError>;
}

impl<R: Reader + ?Sized> Reader for &mut R {
    fn step(&mut self, parents: &[usize], tokens: &[u32]) -> Result<Scores, FlamingoError> {
        (**self).step(parents, tokens)
    }
}

/// The best continuation of each prompt, in their order.
///
/// `reader` has read the prompts, which gave `first` `[prompts, V]`. Prompts may have different lengths, and each
/// leaves the reader's rows as soon as its text is finished. The prompts' tokens matter to repetition penalties.
///
/// # Errors
///
/// As [`GenerateOptions::validate`], [`Reader::step`] and [`Decode::decode`];
/// [`FlamingoError::Scores`] if the model's scores are not finite, [`FlamingoError::NoToken`] if bans leave no token.
///
/// # Panics
///
/// If there are not as many rows of scores as prompts, at first, or as tokens, later.
pub fn generate(
    reader: &mut impl Reader,
    first: Scores,
    prompts: &[impl AsRef<[u32]>],
    options: &GenerateOptions,
    decode: &dyn Decode,
) -> Result<Vec<Generated>, FlamingoError> {
    let found = generate_n_best(reader, first, prompts, options, decode)?;
    Ok(found.into_iter().filter_map(|texts| texts.into_iter().next()).collect())
}

/// All continuations that were found of each prompt, the best first: with beams as many as beams, else one.
///
/// # Errors
///
/// As [`generate`].
///
/// # Panics
///
/// As [`generate`].
pub fn generate_n_best(
    reader: &mut impl Reader,
    first: Scores,
    prompts: &[impl AsRef<[u32]>],
    options: &GenerateOptions,
    decode: &dyn Decode,
) -> Result<Vec<Vec<Generated>>, FlamingoError> {
    options.validate()?;
    one_row_each(&first, prompts.len());
    let rules = Rules { options, decode };
    if options.beams > 1 {
        let searches = prompts.iter().map(|prompt| BeamSearch::new(prompt.as_ref(), rules)).collect();
        return search(reader, first, searches);
    }
    let place = |(place, prompt): (usize, &_)| Row::new(AsRef::as_ref(prompt), place, rules);
    let rows = follow(reader, first, prompts.iter().enumerate().map(place).collect())?;
    Ok(rows.into_iter().map(|row| vec![row.draft.into_generated(None)]).collect())
}

/// Follows one text for each prompt to its end.
fn follow<'a>(
    reader: &mut impl Reader,
    mut scores: Scores,
    mut rows: Vec<Row<'a>>,
) -> Result<Vec<Row<'a>>, FlamingoError> {
    let mut live: Vec<&mut Row<'a>> = rows.iter_mut().collect();
    while !live.is_empty() {
        let (mut parents, mut tokens, mut going) = (Vec::new(), Vec::new(), Vec::new());
        for (place, row) in live.into_iter().enumerate() {
            let token = row.choose(scores.row(place))?;
            if !row.is_done() {
                parents.push(place);
                tokens.push(token.id);
                going.push(row);
            }
        }
        live = going;
        scores = read(reader, scores, &parents, &tokens)?;
    }
    Ok(rows)
}

/// Follows several texts for each prompt until the best are known.
fn search(
    reader: &mut impl Reader,
    mut scores: Scores,
    mut searches: Vec<BeamSearch<'_>>,
) -> Result<Vec<Vec<Generated>>, FlamingoError> {
    while searches.iter().any(|search| search.width() > 0) {
        let (mut parents, mut tokens, mut row) = (Vec::new(), Vec::new(), 0);
        for search in searches.iter_mut().filter(|search| search.width() > 0) {
            let rows = row..row + search.width();
            for step in search.advance(scores.some(rows.clone()))? {
                parents.push(row + step.parent);
                tokens.push(step.token);
            }
            row = rows.end;
        }
        scores = read(reader, scores, &parents, &tokens)?;
    }
    Ok(searches.into_iter().map(BeamSearch::into_texts).collect())
}

/// One step, if any row goes on.
fn read(
    reader: &mut impl Reader,
    scores: Scores,
    parents: &[usize],
    tokens: &[u32],
) -> Result<Scores, FlamingoError> {
    if tokens.is_empty() {
        return Ok(scores);
    }
    let scores = reader.step(parents, tokens)?;
    one_row_each(&scores, tokens.len());
    Ok(scores)
}

fn one_row_each(scores: &Scores, rows: usize) {
    assert_eq!(scores.rows(), rows, "{} rows of scores for {rows} rows of text", scores.rows());
}
