//! Text as a browser lays it out: spaces collapsed, blocks on lines of their own.

/// Characters that show nothing and only tell where a word may break.
const INVISIBLE: [char; 4] = ['\u{ad}', '\u{200b}', '\u{2060}', '\u{feff}'];

/// Builds a page's text piece by piece. What separates two pieces is only written when the second one comes, so the
/// text has no space at its start or end, and none doubled.
#[derive(Debug, Default)]
pub(crate) struct Flow {
    text: String,
    space: bool,
    /// Line ends to come: 1 for a new line, 2 for a blank line between.
    breaks: usize,
    /// A bullet to come.
    bullet: Option<Bullet>,
    /// A cell's border to come.
    border: bool,
    /// Where the text was when each open row began.
    rows: Vec<usize>,
    preformatted: usize,
}

#[derive(Debug)]
struct Bullet {
    text: String,
    is_first: bool,
}

impl Flow {
    /// Bytes so far.
    pub fn len(&self) -> usize {
        self.text.len()
    }

    /// Adds inline text.
    pub fn push(&mut self, text: &str) {
        if self.preformatted > 0 {
            return self.push_lines(text);
        }
        let visible: String;
        let text = match text.contains(INVISIBLE) {
            true => {
                visible = text.replace(INVISIBLE, "");
                visible.as_str()
            }
            false => text,
        };
        let is_space = |c: char| c.is_ascii_whitespace() || c == '\u{a0}';
        self.space |= text.starts_with(is_space);
        for word in text.split(is_space).filter(|word| !word.is_empty()) {
            self.separate();
            self.text.push_str(word);
            self.space = true;
        }
        self.space = text.ends_with(is_space) || (self.space && text.chars().all(is_space));
    }

    /// Adds text whose line ends and spaces count.
    fn push_lines(&mut self, text: &str) {
        let blank = text.trim().is_empty();
        if blank && (self.breaks > 0 || self.text.is_empty()) {
            return;
        }
        self.separate();
        self.text.push_str(text);
    }

    /// Ends the line; `breaks` is 2 for a blank line.
    pub fn break_line(&mut self, breaks: usize) {
        self.breaks = self.breaks.max(breaks);
    }

    /// `<br>`: ends the line, or leaves one blank.
    pub fn line_end(&mut self) {
        match self.preformatted {
            0 => self.breaks = (self.breaks + 1).min(2),
            _ => self.push_lines("\n"),
        }
    }

    /// Begins an item of a list `depth` lists deep (from 0).
    pub fn item(&mut self, mark: &str, depth: usize, is_first: bool) {
        self.break_line(1);
        let text = format!("{}{mark} ", "  ".repeat(depth));
        self.bullet = Some(Bullet { text, is_first });
    }

    /// Ends an item; if it had no text, its bullet goes.
    pub fn item_end(&mut self) {
        self.bullet = None;
        self.break_line(1);
    }

    /// Begins a row of a table.
    pub fn row(&mut self) {
        self.break_line(1);
        self.rows.push(self.text.len());
    }

    /// Ends a row.
    pub fn row_end(&mut self) {
        self.rows.pop();
        self.border = false;
        self.break_line(1);
    }

    /// Begins a cell: ` | ` between it and a cell with text before it in the row.
    pub fn cell(&mut self) {
        self.border = self.rows.last().is_some_and(|&start| self.text.len() > start);
    }

    /// Begins text whose spaces count.
    pub fn preformatted(&mut self) {
        self.break_line(2);
        self.preformatted += 1;
    }

    /// Ends text whose spaces count.
    pub fn preformatted_end(&mut self) {
        self.preformatted -= 1;
        let end = self.text.trim_end().len();
        self.text.truncate(end);
        // A row may have begun behind spaces that are cut now, in text within text.
        self.rows.iter_mut().for_each(|start| *start = (*start).min(end));
        self.break_line(2);
    }

    /// The whole text.
    pub fn finish(self) -> String {
        self.text
    }

    /// Writes what has to be between the text so far and the text to come.
    fn separate(&mut self) {
        let bullet = self.bullet.take();
        if self.text.is_empty() {
            // Nothing to separate from.
        } else if self.border && bullet.is_none() {
            self.text.push_str(" | ");
        } else if self.breaks > 0 {
            let breaks = match &bullet {
                Some(bullet) if !bullet.is_first => 1,
                _ => self.breaks,
            };
            self.text.extend(std::iter::repeat_n('\n', breaks));
        } else if self.space && self.preformatted == 0 {
            self.text.push(' ');
        }
        if let Some(bullet) = bullet {
            self.text.push_str(&bullet.text);
        }
        (self.space, self.breaks, self.border) = (false, 0, false);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spaces_collapse_across_pieces() {
        let mut flow = Flow::default();
        for piece in ["  one ", " two", "three", "\n ", "fo\u{ad}ur\u{a0}", "!"] {
            flow.push(piece);
        }
        assert_eq!(flow.finish(), "one twothree four !");
    }

    #[test]
    fn items_rows_and_lines() {
        let mut flow = Flow::default();
        flow.push("List:");
        flow.break_line(2);
        for (index, item) in ["a", "b"].into_iter().enumerate() {
            flow.item("-", 0, index == 0);
            flow.break_line(2);
            flow.push(item);
            flow.item_end();
        }
        flow.row();
        for cell in ["", "x", "y"] {
            flow.cell();
            flow.push(cell);
        }
        flow.row_end();
        flow.preformatted();
        flow.push("if a:\n    b\n");
        flow.preformatted_end();
        flow.push("end");
        assert_eq!(flow.finish(), "List:\n\n- a\n- b\nx | y\n\nif a:\n    b\n\nend");
    }

    #[test]
    fn a_row_behind_spaces_that_are_cut_keeps_its_borders() {
        let mut flow = Flow::default();
        flow.preformatted();
        flow.push("a\n\n\n\n\n\n");
        flow.row();
        flow.preformatted();
        flow.preformatted_end();
        for cell in ["x", "y"] {
            flow.cell();
            flow.push(cell);
        }
        flow.row_end();
        flow.preformatted_end();
        assert_eq!(flow.finish(), "a\n\nx | y");
    }
}
