//! An answer on its way to standard output: without the spaces and new lines around it.

use std::io;

use crate::verbs::output::print;

/// Prints pieces as they come; spaces wait until something comes behind them.
#[derive(Debug, Default)]
pub struct Printer {
    held: String,
    begun: bool,
}

impl Printer {
    /// Prints the next piece.
    pub fn push(&mut self, piece: &str) -> io::Result<()> {
        let text = self.certain(piece);
        if text.is_empty() { Ok(()) } else { print(&text) }
    }

    /// Ends the answer's last line, also if the answer is empty.
    pub fn finish(self) -> io::Result<()> {
        print("\n")
    }

    /// There is no answer: ends its line, if it had begun.
    pub fn drop_answer(self) -> io::Result<()> {
        if self.begun { print("\n") } else { Ok(()) }
    }

    /// What can be printed now.
    fn certain(&mut self, piece: &str) -> String {
        self.held.push_str(piece);
        let text = self.held.trim_end();
        let spaces = self.held[text.len()..].to_owned();
        let text = if self.begun { text } else { text.trim_start() }.to_owned();
        if self.begun || !text.is_empty() {
            self.begun = true;
            self.held = spaces;
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spaces_around_an_answer_are_not_printed() {
        let mut printer = Printer::default();
        let pieces = ["", " ", "\n A", " ", " cat", ".\n\n", "", "Yes", "\n", " "];
        let printed: Vec<String> = pieces.iter().map(|piece| printer.certain(piece)).collect();
        assert_eq!(printed, ["", "", "A", "", "  cat", ".", "", "\n\nYes", "", ""]);
    }
}
