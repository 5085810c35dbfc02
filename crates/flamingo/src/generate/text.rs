//! Token ids to text, a token at a time.
//!
//! A token is not a text: a byte-level token may hold a part of a character, and a SentencePiece decoder takes away the
//! space at the beginning of what it is given. So each token is decoded behind a few before it, and only what is new is
//! given out, once it does not end in the middle of a character. The few are cut off again and again: the cost is
//! linear in the length of the text.

use flamingo_data::{PretrainedTokenizer, TextTokenizer};

use super::stop::StopFinder;
use crate::error::FlamingoError;

/// What decoders write for bytes that are no character, or not yet.
const UNFINISHED: char = char::REPLACEMENT_CHARACTER;

/// Bytes of the longest character, and so the most tokens that it can be cut into.
const LONGEST_CHARACTER: usize = 4;

/// If so many tokens pass without a character, only the last of them can still become one.
const LONGEST_WAIT: usize = 16;

/// Whatever turns ids into text: a tokenizer, or a closure.
pub trait Decode: Sync {
    /// The text of `ids`. Ids that are no text, such as special tokens, are left out.
    ///
    /// # Errors
    ///
    /// As the tokenizer's own.
    fn decode(&self, ids: &[u32]) -> Result<String, FlamingoError>;
}

impl<F: Fn(&[u32]) -> Result<String, FlamingoError> + Sync> Decode for F {
    fn decode(&self, ids: &[u32]) -> Result<String, FlamingoError> {
        self(ids)
    }
}

impl Decode for TextTokenizer {
    fn decode(&self, ids: &[u32]) -> Result<String, FlamingoError> {
        Ok(TextTokenizer::decode(self, ids))
    }
}

impl Decode for PretrainedTokenizer {
    fn decode(&self, ids: &[u32]) -> Result<String, FlamingoError> {
        Ok(PretrainedTokenizer::decode(self, ids)?)
    }
}

/// A text in the making: ids in, pieces of text out, until a stop string.
///
/// The pieces together are the text of all ids, cut before the stop string. This holds for ids that some text has; where
/// bytes that can be no character come in a row, a SentencePiece decoder changes its mind about earlier ones, and what
/// was given out stays.
#[derive(Debug, Clone)]
pub struct TextStream {
    /// The last tokens: those of `given`, and those that are not a whole character yet.
    window: Vec<u32>,
    /// How many tokens of the window were there when it was last cut.
    context: usize,
    /// What of the window's text has gone on to `stops`.
    given: String,
    stops: StopFinder,
    text: String,
}

impl TextStream {
    /// An empty text that will end before the first of `stops`.
    pub fn new(stops: &[String]) -> Self {
        Self {
            window: Vec::new(),
            context: 0,
            given: String::new(),
            stops: StopFinder::new(stops),
            text: String::new(),
        }
    }

    /// Adds a token and returns the piece of text that is certain now; often empty.
    ///
    /// # Errors
    ///
    /// As [`Decode::decode`].
    pub fn push(&mut self, id: u32, decode: &dyn Decode) -> Result<String, FlamingoError> {
        self.window.push(id);
        let text = decode.decode(&self.window)?;
        let waits = self.window.len() - self.context <= LONGEST_WAIT;
        let whole = match waits {
            true => text.trim_end_matches(UNFINISHED),
            false => text.strip_suffix(UNFINISHED).unwrap_or(&text),
        };
        let piece = new_part(&self.given, whole).to_owned();
        if whole.len() < text.len() {
            self.wait(whole, waits, decode)?;
        } else if whole == self.given {
            // The token is no text. At the beginning it may still decide about the first space.
            let keep = if text.is_empty() { LONGEST_WAIT } else { self.window.len() - 1 };
            self.window.truncate(keep);
        } else {
            self.cut(text, decode)?;
        }
        Ok(self.give(&piece))
    }

    /// The text is over: returns what was held back.
    ///
    /// # Errors
    ///
    /// As [`Decode::decode`].
    pub fn finish(&mut self, decode: &dyn Decode) -> Result<String, FlamingoError> {
        let text = decode.decode(&self.window)?;
        let piece = self.stops.push(new_part(&self.given, &text)) + &self.stops.finish();
        self.given = text;
        self.text.push_str(&piece);
        Ok(piece)
    }

    /// Whether a stop string has come.
    pub fn stopped(&self) -> bool {
        self.stops.found()
    }

    /// All pieces so far.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The window ends in the middle of a character; `whole` is its text before that.
    fn wait(&mut self, whole: &str, waits: bool, decode: &dyn Decode) -> Result<(), FlamingoError> {
        if waits {
            if whole.len() > self.given.len() {
                self.given = whole.to_owned();
            }
        } else {
            // Only the last bytes can still become a character.
            self.window.drain(..self.window.len() - LONGEST_CHARACTER);
            self.context = 0;
            let text = decode.decode(&self.window)?;
            self.given = text.strip_suffix(UNFINISHED).unwrap_or(&text).to_owned();
        }
        Ok(())
    }

    /// Forgets the window's older half, whose place the newer one takes, if that has any text to stand behind.
    fn cut(&mut self, text: String, decode: &dyn Decode) -> Result<(), FlamingoError> {
        let newer = decode.decode(&self.window[self.context..])?;
        if newer.is_empty() {
            self.given = text;
        } else {
            self.window.drain(..self.context);
            self.context = self.window.len();
            self.given = newer;
        }
        Ok(())
    }

    fn give(&mut self, piece: &str) -> String {
        let piece = self.stops.push(piece);
        self.text.push_str(&piece);
        piece
    }
}

/// What `text` has behind the part that both have.
fn new_part<'a>(given: &str, text: &'a str) -> &'a str {
    let same = given.chars().zip(text.chars()).take_while(|(a, b)| a == b);
    &text[same.map(|(c, _)| c.len_utf8()).sum()..]
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use proptest::prelude::*;

    use super::*;

    /// A byte-level decoder of these tokens.
    fn bytes(pieces: &[Vec<u8>]) -> impl Fn(&[u32]) -> Result<String, FlamingoError> {
        |ids| {
            let bytes: Vec<u8> = ids.iter().flat_map(|id| pieces[*id as usize].clone()).collect();
            Ok(String::from_utf8_lossy(&bytes).into_owned())
        }
    }

    /// A decoder like SentencePiece's: `▁` is a space, the first of which is left out; `<..>` are special.
    fn sentence_piece(pieces: &[&str]) -> impl Fn(&[u32]) -> Result<String, FlamingoError> {
        |ids| {
            let pieces = ids.iter().map(|id| pieces[*id as usize]).filter(|piece| !piece.starts_with('<'));
            let text = pieces.collect::<String>().replace('▁', " ");
            Ok(text.strip_prefix(' ').unwrap_or(&text).to_owned())
        }
    }

    fn streamed(tokens: usize, stops: &[String], decode: &dyn Decode) -> Vec<String> {
        let mut stream = TextStream::new(stops);
        let mut pieces: Vec<String> = (0..tokens as u32).map(|id| stream.push(id, decode).unwrap()).collect();
        pieces.push(stream.finish(decode).unwrap());
        assert_eq!(pieces.concat(), stream.text());
        pieces
    }

    /// Cuts `text` behind each of `lengths` bytes, and then into single bytes.
    fn cut_up(text: &str, lengths: &[usize]) -> Vec<Vec<u8>> {
        let mut rest = text.as_bytes();
        let mut tokens = Vec::new();
        for length in lengths.iter().copied().chain(std::iter::repeat(1)) {
            if rest.is_empty() {
                break;
            }
            let (token, behind) = rest.split_at(length.min(rest.len()));
            tokens.push(token.to_vec());
            rest = behind;
        }
        tokens
    }

    #[test]
    fn a_character_comes_when_it_is_whole() {
        let tokens = cut_up("a🙂é!", &[2, 2, 2, 2]);
        assert_eq!(streamed(tokens.len(), &[], &bytes(&tokens)), ["a", "", "🙂", "é!", ""]);
    }

    #[test]
    fn bytes_that_never_become_a_character_are_marked_as_such() {
        let tokens: Vec<Vec<u8>> =
            (0..50).map(|_| vec![0xff]).chain("né".bytes().map(|byte| vec![byte])).collect();
        let pieces = streamed(tokens.len(), &[], &bytes(&tokens));
        assert_eq!(pieces.concat(), "\u{fffd}".repeat(50) + "né");
        assert!(!pieces[..20].concat().is_empty(), "not all is held back until the end");
        let ends = [b"a".to_vec(), vec![0xe2, 0x82]];
        assert_eq!(streamed(2, &[], &bytes(&ends)), ["a", "", "\u{fffd}"]);
    }

    #[test]
    fn spaces_between_words_are_kept_and_the_first_is_not() {
        let pieces = ["▁The", "▁", "▁cat", "<s>", "▁sat", "</s>"];
        assert_eq!(streamed(6, &[], &sentence_piece(&pieces)), ["The", " ", " cat", "", " sat", "", ""]);
        let begins = ["<s>", "▁", "▁two", "s"];
        assert_eq!(streamed(4, &[], &sentence_piece(&begins)), ["", "", " two", "s", ""]);
    }

    #[test]
    fn the_cost_is_linear() {
        let calls = Cell::new(0);
        for (token, whole) in [("▁word", "word word"), ("<s>", "")] {
            let pieces = vec![token; 1000];
            let decode = sentence_piece(&pieces);
            let mut stream = TextStream::new(&[]);
            for id in 0..1000 {
                // The window is what is decoded, twice at most.
                stream.push(id, &decode).unwrap();
                calls.set(calls.get() + stream.window.len());
            }
            assert!(stream.text().starts_with(whole));
        }
        assert!(calls.get() < 2000 * (LONGEST_WAIT + 1), "{}", calls.get());
    }

    proptest! {
        #[test]
        fn the_pieces_together_are_the_text(
            text in "[a é€🙂\u{fffd}]{0,40}",
            lengths in prop::collection::vec(1usize..6, 0..30),
            stop in "[é€🙂]{2,3}",
        ) {
            let tokens = cut_up(&text, &lengths);
            let decode = bytes(&tokens);
            prop_assert_eq!(streamed(tokens.len(), &[], &decode).concat(), text.clone());
            let cut = text.split(stop.as_str()).next().unwrap_or_default();
            prop_assert_eq!(streamed(tokens.len(), std::slice::from_ref(&stop), &decode).concat(), cut);
        }

        #[test]
        fn any_bytes_give_the_text_that_they_give_at_once(
            tokens in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..4), 0..60),
        ) {
            let decode = bytes(&tokens);
            let all: Vec<u32> = (0..tokens.len() as u32).collect();
            prop_assert_eq!(streamed(tokens.len(), &[], &decode).concat(), decode(&all).unwrap());
        }
    }
}
