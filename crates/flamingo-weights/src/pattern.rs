//! Name patterns of a key map: `{}` stands for one path segment or a part of one.

use std::fmt;

/// A dot-separated name with holes: `blocks.{}.norm.weight`; `**` at the end stands for any rest.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Pattern {
    /// The text around the holes; one more than there are holes.
    literals: Vec<String>,
    /// Whether anything may follow.
    open: bool,
}

impl Pattern {
    pub(crate) fn new(text: &str) -> Self {
        let (text, open) = text.strip_suffix("**").map_or((text, false), |text| (text, true));
        Self { literals: text.split("{}").map(str::to_owned).collect(), open }
    }

    /// Number of `{}`.
    pub(crate) fn holes(&self) -> usize {
        self.literals.len() - 1
    }

    /// What stands in the holes of `name`, or `None` if it is not of this form.
    pub(crate) fn captures<'a>(&self, name: &'a str) -> Option<Vec<&'a str>> {
        let (first, rest) = self.literals.split_first()?;
        let mut captured = Vec::with_capacity(rest.len());
        fill_holes(name.strip_prefix(first.as_str())?, rest, self.open, &mut captured).then_some(captured)
    }

    pub(crate) fn matches(&self, name: &str) -> bool {
        self.captures(name).is_some()
    }

    /// The name with `values` in its holes.
    pub(crate) fn with(&self, values: &[&str]) -> String {
        let mut name = self.literals[0].clone();
        for (value, literal) in values.iter().zip(&self.literals[1..]) {
            name.push_str(value);
            name.push_str(literal);
        }
        name
    }

    /// Puts `prefix`, itself without holes, in front.
    pub(crate) fn prefix(&mut self, prefix: &str) {
        self.literals[0].insert_str(0, prefix);
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.literals.join("{}"), if self.open { "**" } else { "" })
    }
}

/// Matches `text`, which begins with a hole, against the literals behind each hole; the shortest fill first.
fn fill_holes<'a>(text: &'a str, literals: &[String], open: bool, captured: &mut Vec<&'a str>) -> bool {
    let Some((literal, later)) = literals.split_first() else {
        return open || text.is_empty();
    };
    let segment = text.find('.').unwrap_or(text.len());
    for (end, _) in
        text.char_indices().map(|(at, c)| (at + c.len_utf8(), c)).take_while(|(end, _)| *end <= segment)
    {
        if let Some(rest) = text[end..].strip_prefix(literal.as_str()) {
            captured.push(&text[..end]);
            if fill_holes(rest, later, open, captured) {
                return true;
            }
            captured.pop();
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn captures<'a>(pattern: &str, name: &'a str) -> Option<Vec<&'a str>> {
        Pattern::new(pattern).captures(name)
    }

    #[test]
    fn holes_are_segments_or_parts_of_one() {
        assert_eq!(captures("h.{}.w", "h.12.w"), Some(vec!["12"]));
        assert_eq!(captures("h.{}.{}.w", "h.1.23.w"), Some(vec!["1", "23"]));
        assert_eq!(captures("conv{}.w", "conv3.w"), Some(vec!["3"]));
        assert_eq!(captures("{}.{}", "a.bc"), Some(vec!["a", "bc"]));
        assert_eq!(captures("h.{}.w", "h.1.2.w"), None, "a hole never spans a dot");
        assert_eq!(captures("h.{}.w", "h..w"), None, "a hole is never empty");
        assert_eq!(captures("h.{}", "h.é"), Some(vec!["é"]));
        assert_eq!(captures("w", "w.x"), None);
    }

    #[test]
    fn two_stars_take_any_rest() {
        assert_eq!(captures("lm.{}.**", "lm.3.a.b"), Some(vec!["3"]));
        assert_eq!(captures("**", "anything.at.all"), Some(vec![]));
        assert_eq!(captures("lm.**", "lmx.a"), None);
    }

    #[test]
    fn names_are_filled_in_order() {
        assert_eq!(Pattern::new("a.{}.b.{}").with(&["1", "2"]), "a.1.b.2");
        let mut pattern = Pattern::new("a.{}");
        pattern.prefix("x.");
        assert_eq!(pattern.with(&["1"]), "x.a.1");
        assert_eq!(pattern.to_string(), "x.a.{}");
    }
}
