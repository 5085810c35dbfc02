//! A report as one HTML page that needs nothing else: no scripts, no fonts, no files beside it.

mod bars;
mod chart;
mod page;

pub use bars::Bars;
pub use chart::{ChartSpec, Series};
pub use page::{Card, ReportPage};

/// Escapes text for HTML content and double-quoted attributes.
pub(crate) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
    }
    escaped
}
