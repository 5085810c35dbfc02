//! The page: sections of charts, tables and pictures.

use std::fmt::Display;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::bars::{self, Bars};
use super::chart::{self, ChartSpec};
use super::escape;

const STYLE: &str = include_str!("style.css");

/// Builds a page from top to bottom.
///
/// ```
/// use flamingo_train::report::ReportPage;
///
/// let mut page = ReportPage::new("A run");
/// page.section("Results", "What it learned.").key_values(&[("steps", "100")]);
/// assert!(page.finish().starts_with("<!doctype html>"));
/// ```
#[derive(Debug, Clone)]
pub struct ReportPage {
    title: String,
    /// Title and number of the sections so far.
    sections: Vec<String>,
    body: String,
}

/// A picture with its facts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Card {
    /// The picture, as a PNG file.
    pub png: Vec<u8>,
    /// What it shows; also the picture's alternative text.
    pub title: String,
    /// Labels and texts, one line each.
    pub lines: Vec<(String, String)>,
    /// Whether the model was right; `None` if that cannot be said.
    pub good: Option<bool>,
}

impl ReportPage {
    /// An empty page.
    pub fn new(title: impl Into<String>) -> Self {
        Self { title: title.into(), sections: Vec::new(), body: String::new() }
    }

    /// Begins a section; `intro` is a paragraph below its title, left out if empty.
    pub fn section(&mut self, title: &str, intro: &str) -> &mut Self {
        if !self.sections.is_empty() {
            self.body.push_str("</section>\n");
        }
        self.sections.push(title.to_owned());
        let number = self.sections.len();
        self.push(format!(
            "<section aria-labelledby=\"s{number}\">\n<h2 id=\"s{number}\">{}</h2>\n",
            escape(title)
        ));
        if !intro.is_empty() {
            self.push(format!("<p>{}</p>\n", escape(intro)));
        }
        self
    }

    /// A line chart.
    pub fn line_chart(&mut self, spec: ChartSpec) -> &mut Self {
        self.push(chart::render(&spec));
        self
    }

    /// Groups of bars.
    pub fn bars(&mut self, groups: &[Bars]) -> &mut Self {
        self.push(bars::render(groups));
        self
    }

    /// A table. Columns of numbers are set to the right.
    pub fn table<H: Display, C: Display>(
        &mut self,
        headers: impl IntoIterator<Item = H>,
        rows: impl IntoIterator<Item = impl IntoIterator<Item = C>>,
    ) -> &mut Self {
        let headers: Vec<String> = headers.into_iter().map(|header| header.to_string()).collect();
        let rows: Vec<Vec<String>> =
            rows.into_iter().map(|row| row.into_iter().map(|cell| cell.to_string()).collect()).collect();
        let class = |column: usize| {
            let mut cells = rows.iter().filter_map(|row| row.get(column)).peekable();
            if cells.peek().is_some() && cells.all(|cell| is_number(cell)) { " class=\"num\"" } else { "" }
        };

        self.push("<div class=\"scroll\"><table>\n<thead><tr>");
        for (column, header) in headers.iter().enumerate() {
            self.push(format!("<th scope=\"col\"{}>{}</th>", class(column), escape(header)));
        }
        self.push("</tr></thead>\n<tbody>\n");
        for row in &rows {
            self.push("<tr>");
            for (column, cell) in row.iter().enumerate() {
                self.push(format!("<td{}>{}</td>", class(column), escape(cell)));
            }
            self.push("</tr>\n");
        }
        self.push("</tbody></table></div>\n");
        self
    }

    /// Pictures side by side.
    pub fn gallery(&mut self, cards: &[Card]) -> &mut Self {
        self.push("<div class=\"gallery\">\n");
        for card in cards {
            self.push(render_card(card));
        }
        self.push("</div>\n");
        self
    }

    /// Short facts.
    pub fn key_values<K: Display, V: Display>(&mut self, facts: &[(K, V)]) -> &mut Self {
        self.push("<dl class=\"facts\">\n");
        for (key, value) in facts {
            let (key, value) = (escape(&key.to_string()), escape(&value.to_string()));
            self.push(format!("<div><dt>{key}</dt><dd>{value}</dd></div>\n"));
        }
        self.push("</dl>\n");
        self
    }

    /// The page as HTML.
    pub fn finish(&self) -> String {
        let end = if self.sections.is_empty() { "" } else { "</section>\n" };
        let title = escape(&self.title);
        let links: String = self
            .sections
            .iter()
            .enumerate()
            .map(|(index, title)| format!("<a href=\"#s{}\">{}</a>", index + 1, escape(title)))
            .collect();
        let navigation = match self.sections.len() {
            0 | 1 => String::new(),
            _ => format!("<nav aria-label=\"Sections\">{links}</nav>\n"),
        };
        format!(
            "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <meta name=\"color-scheme\" content=\"light dark\">\n<title>{title}</title>\n\
             <style>\n{STYLE}</style>\n</head>\n<body>\n<header><h1>{title}</h1>\n{navigation}</header>\n\
             <main>\n{}{end}</main>\n</body>\n</html>\n",
            self.body
        )
    }

    fn push(&mut self, html: impl AsRef<str>) {
        self.body.push_str(html.as_ref());
    }
}

fn render_card(card: &Card) -> String {
    let title = escape(&card.title);
    // A mark beside the colour, for those who do not see it.
    let (class, mark) = match card.good {
        Some(true) => (" good", "<span class=\"mark\" role=\"img\" aria-label=\"right\">✓</span>"),
        Some(false) => (" bad", "<span class=\"mark\" role=\"img\" aria-label=\"wrong\">✗</span>"),
        None => ("", ""),
    };
    let lines: String = card
        .lines
        .iter()
        .map(|(label, text)| format!("<div><dt>{}</dt><dd>{}</dd></div>", escape(label), escape(text)))
        .collect();
    format!(
        "<figure class=\"card{class}\"><img src=\"data:image/png;base64,{}\" alt=\"{title}\">\n\
         <figcaption><h3>{title}{mark}</h3><dl>{lines}</dl></figcaption></figure>\n",
        STANDARD.encode(&card.png)
    )
}

/// Whether a cell reads as a number, perhaps with a unit of one character such as `%`, or is a dash for none.
fn is_number(text: &str) -> bool {
    let digits = text.trim_end_matches(['%', '×', 's']).replace([',', ' '], "");
    digits.parse::<f64>().is_ok() || matches!(text, "–" | "-")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Series;

    fn page() -> String {
        let series = vec![Series {
            name: "a<b".into(),
            points: (1..=2000).map(|x| (x.into(), 1.0 / f64::from(x))).collect(),
        }];
        let chart = ChartSpec {
            title: "Loss \"train\"".into(),
            x_label: "step".into(),
            y_label: "nats".into(),
            series,
            log_y: true,
        };
        let card = Card {
            png: vec![1, 2, 3],
            title: "<script>alert('x')</script>".into(),
            lines: vec![("says".into(), "a & b".into())],
            good: Some(false),
        };
        ReportPage::new("Run & report")
            .section("Curves", "")
            .line_chart(chart)
            .section("Pictures", "Held-out <images>.")
            .gallery(&[card.clone(), Card { good: Some(true), ..card.clone() }, Card { good: None, ..card }])
            .table(["name", "exact", "note"], [["x<y", "12.5%", "1"], ["z", "–", "none"]])
            .key_values(&[("steps", 7)])
            .finish()
    }

    #[test]
    fn text_is_escaped_everywhere() {
        let html = page();
        for raw in ["<script", "x<y", "a<b", "Run & report", "<images>", "Loss \"train\""] {
            assert!(!html.contains(raw), "{raw} is not escaped");
        }
        for escaped in ["&lt;script&gt;alert(&#39;x&#39;)", "x&lt;y", "a &amp; b", "Loss &quot;train&quot;"] {
            assert!(html.contains(escaped), "{escaped} is missing");
        }
    }

    #[test]
    fn tags_are_balanced_and_nothing_is_fetched() {
        let html = page();
        let mut open: Vec<&str> = Vec::new();
        for tag in html.split('<').skip(1).map(|rest| rest.split(['>', ' ', '\n']).next().unwrap()) {
            match tag.strip_prefix('/') {
                Some(name) => assert_eq!(open.pop(), Some(name)),
                None if ["!doctype", "meta", "img"].contains(&tag) => {}
                None => open.push(tag),
            }
        }
        assert!(open.is_empty(), "{open:?}");
        assert!(!html.contains("http") && html.contains("data:image/png;base64,AQID"));
    }

    #[test]
    fn columns_of_numbers_are_set_to_the_right() {
        let html = page();
        assert!(html.contains("<th scope=\"col\" class=\"num\">exact</th>"));
        assert!(html.contains("<td class=\"num\">12.5%</td>") && html.contains("<td>1</td>"));
        assert!(is_number("1,234") && is_number("3.2s") && is_number("–") && !is_number("ssd"));
    }
}
