//! Stop strings in a text that arrives in pieces.
//!
//! What may be the beginning of a stop string is held back until it is clear whether it is one, so that what was given
//! out never has to be taken back. Whatever the pieces, the result is the same: the text ends before the stop string
//! that is complete first (the longest, if several are at once).

/// Looks for stop strings.
#[derive(Debug, Clone)]
pub struct StopFinder {
    stops: Vec<String>,
    held: String,
    found: bool,
}

impl StopFinder {
    /// Looks for `stops`; an empty one is never found.
    pub fn new(stops: &[String]) -> Self {
        let stops = stops.iter().filter(|stop| !stop.is_empty()).cloned().collect();
        Self { stops, held: String::new(), found: false }
    }

    /// Takes the next piece and returns what is certain to belong to the text. Nothing after a stop string.
    pub fn push(&mut self, piece: &str) -> String {
        if self.found {
            return String::new();
        }
        self.held.push_str(piece);
        let certain = match self.first_stop() {
            Some(start) => {
                self.found = true;
                start
            }
            None => self.held.len() - self.possible_beginning(),
        };
        let rest = self.held.split_off(certain);
        std::mem::replace(&mut self.held, rest)
    }

    /// Whether a stop string has come.
    pub fn found(&self) -> bool {
        self.found
    }

    /// The text is over: returns what was held back and turned out to be no stop string.
    pub fn finish(&mut self) -> String {
        let rest = std::mem::take(&mut self.held);
        if self.found { String::new() } else { rest }
    }

    /// Where the stop string begins that is complete first.
    fn first_stop(&self) -> Option<usize> {
        let starts = self.stops.iter().filter_map(|stop| Some((self.held.find(stop.as_str())?, stop.len())));
        starts.min_by_key(|(start, len)| (start + len, *start)).map(|(start, _)| start)
    }

    /// Length in bytes of the longest end of what is held that a stop string begins with.
    fn possible_beginning(&self) -> usize {
        let beginnings = |stop: &String| {
            let lengths = stop.char_indices().map(|(length, _)| length);
            lengths.filter(|length| self.held.ends_with(&stop[..*length])).max()
        };
        self.stops.iter().filter_map(beginnings).max().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn stops(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|text| (*text).to_owned()).collect()
    }

    /// The rule, without pieces: the shortest beginning of `text` that ends with a stop string, less the longest such.
    fn cut<'a>(text: &'a str, stops: &[String]) -> &'a str {
        let ends = text.char_indices().map(|(start, c)| start + c.len_utf8());
        let so_far = ends.map(|end| &text[..end]);
        let cut = |text: &'a str| {
            stops.iter().filter_map(|stop| text.strip_suffix(stop.as_str())).min_by_key(|t| t.len())
        };
        so_far.filter_map(cut).next().unwrap_or(text)
    }

    #[test]
    fn beginnings_are_held_back_until_it_is_clear() {
        let mut finder = StopFinder::new(&stops(&["\nQuestion:", "\n\n"]));
        assert_eq!(finder.push("a cat\n"), "a cat");
        assert_eq!(finder.push("Que"), "");
        assert_eq!(finder.push("en\nQ"), "\nQueen");
        assert_eq!(finder.push("uestion: what"), "");
        assert!(finder.found());
        assert_eq!(finder.push("more") + &finder.finish(), "");
    }

    #[test]
    fn the_stop_that_is_complete_first_counts() {
        let mut finder = StopFinder::new(&stops(&["abc", "b"]));
        assert_eq!(finder.push("xabc"), "xa");
        assert!(finder.found());
    }

    #[test]
    fn what_was_no_stop_string_comes_at_the_end() {
        let mut finder = StopFinder::new(&stops(&["END"]));
        assert_eq!(finder.push("the EN"), "the ");
        assert_eq!(finder.finish(), "EN");
        assert!(!finder.found());
    }

    proptest! {
        #[test]
        fn pieces_do_not_matter(
            pieces in prop::collection::vec("[abé🙂]{0,4}", 0..12),
            stops in prop::collection::vec("[abé🙂]{1,4}", 0..4),
        ) {
            let text = pieces.concat();
            let mut finder = StopFinder::new(&stops);
            let mut streamed: String = pieces.iter().map(|piece| finder.push(piece)).collect();
            streamed += &finder.finish();
            prop_assert_eq!(&streamed, cut(&text, &stops));
            prop_assert_eq!(finder.found(), stops.iter().any(|stop| text.contains(stop.as_str())));
        }
    }
}
