//! Bars: some numbers of one kind beside each other.

use std::fmt::Write;

use super::escape;

/// A group of bars with a scale of its own: the longest is full.
#[derive(Debug, Clone, PartialEq)]
pub struct Bars {
    /// What the group is.
    pub label: String,
    /// Whose bar, and how much; not negative.
    pub bars: Vec<(String, f64)>,
}

/// Groups below each other, as HTML.
pub(super) fn render(groups: &[Bars]) -> String {
    let mut html = "<div class=\"bars\">\n".to_owned();
    for group in groups {
        let most = group.bars.iter().map(|(_, value)| *value).fold(0.0, f64::max);
        let _ = writeln!(html, "<div class=\"group\">{}</div>", escape(&group.label));
        for (name, value) in &group.bars {
            let width = if most > 0.0 { value / most * 100.0 } else { 0.0 };
            let _ = writeln!(
                html,
                "<div class=\"bar\"><span>{}</span><i style=\"width:{width:.1}%\"></i><b>{}</b></div>",
                escape(name),
                number(*value)
            );
        }
    }
    html + "</div>\n"
}

/// Three digits that count.
fn number(value: f64) -> String {
    match value {
        _ if value >= 100.0 => format!("{value:.0}"),
        _ if value >= 10.0 => format!("{value:.1}"),
        _ if value >= 1.0 => format!("{value:.2}"),
        _ => format!("{value:.4}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_bar_of_a_group_is_full() {
        let group = |label: &str, values: &[f64]| Bars {
            label: label.to_owned(),
            bars: values.iter().map(|value| ("a&b".to_owned(), *value)).collect(),
        };
        let html = render(&[group("one", &[200.0, 50.0]), group("two", &[0.0])]);
        assert!(html.contains("width:100.0%\"></i><b>200<") && html.contains("width:25.0%\"></i><b>50.0<"));
        assert!(html.contains("width:0.0%") && html.contains("a&amp;b"), "{html}");
    }
}
