//! One text as an iterator, token by token, as it is decided.

use super::draft::{Generated, Rules};
use super::options::GenerateOptions;
use super::row::{Row, Token};
use super::scores::Scores;
use super::text::Decode;
use super::{Reader, one_row_each};
use crate::error::FlamingoError;

/// The tokens of one text; see [`stream`].
///
/// It ends behind the text's last token, or behind an error. The reader has then read every token but the last.
pub struct TokenStream<'a, R> {
    reader: R,
    scores: Scores,
    unread: Option<u32>,
    row: Row<'a>,
    failed: bool,
}

/// Continues one prompt, and gives out every token as soon as it is decided.
///
/// `reader` has read the prompt, which gave `first` `[1, V]`. Nothing is computed before it is asked for.
///
/// ```
/// use flamingo::generate::{GenerateOptions, Reader, Scores, stream};
///
/// /// A model that counts.
/// struct Counts;
/// impl Reader for Counts {
///     fn step(&mut self, _: &[usize], tokens: &[u32]) -> Result<Scores, flamingo::FlamingoError> {
///         let next = (tokens[0] as usize + 1).min(9);
///         Ok(Scores::new((0..10).map(|id| if id == next { 1.0 } else { 0.0 }).collect(), 10))
///     }
/// }
///
/// let first = Scores::new(vec![0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0], 10);
/// let options = GenerateOptions { stop_ids: vec![7], ..GenerateOptions::default() };
/// let digits = |ids: &[u32]| Ok(ids.iter().map(u32::to_string).collect());
/// let mut text = String::new();
/// for token in stream(Counts, first, &[2], &options, &digits)? {
///     text += &token?.text;
/// }
/// assert_eq!(text, "3456");
/// # Ok::<(), flamingo::FlamingoError>(())
/// ```
///
/// # Errors
///
/// As [`GenerateOptions::validate`], and if there is more than one beam: a beam search knows no token before its end.
///
/// # Panics
///
/// If `first` is not one row.
pub fn stream<'a, R: Reader>(
    reader: R,
    first: Scores,
    prompt: &[u32],
    options: &'a GenerateOptions,
    decode: &'a dyn Decode,
) -> Result<TokenStream<'a, R>, FlamingoError> {
    options.validate()?;
    if options.beams > 1 {
        let allowed = "1 to stream: a beam search knows no token before its end";
        return Err(FlamingoError::GenerateOption {
            field: "beams",
            value: options.beams.to_string(),
            allowed,
        });
    }
    one_row_each(&first, 1);
    let row = Row::new(prompt, 0, Rules { options, decode });
    Ok(TokenStream { reader, scores: first, unread: None, row, failed: false })
}

impl<R: Reader> TokenStream<'_, R> {
    /// The text as far as it has been decided.
    pub fn finish(self) -> Generated {
        self.row.draft.into_generated(None)
    }

    fn advance(&mut self) -> Result<Token, FlamingoError> {
        if let Some(token) = self.unread.take() {
            self.scores = self.reader.step(&[0], &[token])?;
            one_row_each(&self.scores, 1);
        }
        let token = self.row.choose(self.scores.row(0))?;
        self.unread = Some(token.id);
        Ok(token)
    }
}

impl<R: Reader> Iterator for TokenStream<'_, R> {
    type Item = Result<Token, FlamingoError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed || self.row.is_done() {
            return None;
        }
        let token = self.advance();
        self.failed = token.is_err();
        Some(token)
    }
}
