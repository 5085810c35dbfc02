//! Line charts as inline SVG.

use std::fmt::Write;

use super::escape;

/// What to draw.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ChartSpec {
    /// Heading; also the chart's accessible name.
    pub title: String,
    /// Below the horizontal axis.
    pub x_label: String,
    /// Above the vertical axis.
    pub y_label: String,
    /// The lines. Points that cannot be drawn (not finite; not positive on a logarithmic axis) are left out.
    pub series: Vec<Series>,
    /// Whether the vertical axis is logarithmic.
    pub log_y: bool,
}

/// One line of a chart.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Series {
    /// Name in the legend.
    pub name: String,
    /// `(x, y)`, in the order of x.
    pub points: Vec<(f64, f64)>,
}

// Geometry, in SVG units.
const WIDTH: f64 = 960.0;
const HEIGHT: f64 = 320.0;
const LEFT: f64 = 58.0;
const RIGHT: f64 = 12.0;
const TOP: f64 = 26.0;
const BOTTOM: f64 = 42.0;
/// More points than this in a line are averaged in groups: nobody sees them, and pages stay small.
const MAX_POINTS: usize = 400;
/// Lines take these colours of the style sheet in turn.
const COLOURS: usize = 8;

/// A `<figure>` with the chart and its legend.
pub(super) fn render(spec: &ChartSpec) -> String {
    let lines: Vec<Vec<(f64, f64)>> =
        spec.series.iter().map(|series| drawable(&series.points, spec.log_y)).collect();
    let title = escape(&spec.title);
    let mut html = format!("<figure class=\"chart\"><figcaption><h3>{title}</h3>");
    html.push_str(&legend(spec));
    html.push_str("</figcaption>\n");
    match Frame::around(&lines, spec.log_y) {
        Some(frame) => html.push_str(&svg(spec, &frame, &lines)),
        None => html.push_str("<p class=\"empty\">No data.</p>"),
    }
    html.push_str("</figure>\n");
    html
}

/// Names with the last value of each line.
fn legend(spec: &ChartSpec) -> String {
    let items: String = spec
        .series
        .iter()
        .enumerate()
        .map(|(index, series)| {
            let last = series.points.last().map(|(_, y)| number(*y)).unwrap_or_default();
            let colour = index % COLOURS;
            format!("<li><i class=\"c{colour}\"></i>{} <b>{last}</b></li>", escape(&series.name))
        })
        .collect();
    format!("<ul class=\"legend\">{items}</ul>")
}

fn svg(spec: &ChartSpec, frame: &Frame, lines: &[Vec<(f64, f64)>]) -> String {
    let mut svg = format!(
        "<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{}\">\n",
        escape(&spec.title)
    );
    let (right, bottom) = (WIDTH - RIGHT, HEIGHT - BOTTOM);
    for tick in frame.y_ticks() {
        let y = frame.y(tick);
        let _ = writeln!(
            svg,
            "<line class=\"grid\" x1=\"{LEFT}\" x2=\"{right}\" y1=\"{y:.1}\" y2=\"{y:.1}\"></line>\
             <text class=\"end\" x=\"{:.1}\" y=\"{:.1}\">{}</text>",
            LEFT - 8.0,
            y + 4.0,
            number(tick)
        );
    }
    for tick in linear_ticks(frame.x_min, frame.x_max, 8) {
        let _ = writeln!(
            svg,
            "<text class=\"middle\" x=\"{:.1}\" y=\"{:.1}\">{}</text>",
            frame.x(tick),
            bottom + 18.0,
            number(tick)
        );
    }
    let _ = writeln!(
        svg,
        "<line class=\"axis\" x1=\"{LEFT}\" x2=\"{right}\" y1=\"{bottom}\" y2=\"{bottom}\"></line>\
         <text class=\"middle\" x=\"{:.1}\" y=\"{:.1}\">{}</text><text x=\"4\" y=\"14\">{}</text>",
        (LEFT + right) / 2.0,
        HEIGHT - 6.0,
        escape(&spec.x_label),
        escape(&spec.y_label)
    );
    for (index, (series, points)) in spec.series.iter().zip(lines).enumerate() {
        let coordinates: Vec<String> =
            points.iter().map(|(x, y)| format!("{:.1},{:.1}", frame.x(*x), frame.y(*y))).collect();
        let _ = writeln!(
            svg,
            "<polyline class=\"c{}\" points=\"{}\"><title>{}</title></polyline>",
            index % COLOURS,
            coordinates.join(" "),
            escape(&series.name)
        );
    }
    svg.push_str("</svg>\n");
    svg
}

/// The part of the plane that is drawn.
struct Frame {
    x_min: f64,
    x_max: f64,
    y_min: f64,
    y_max: f64,
    log_y: bool,
}

impl Frame {
    /// Around all points with a little air, or `None` if there is no point.
    fn around(lines: &[Vec<(f64, f64)>], log_y: bool) -> Option<Self> {
        let (x_min, x_max) = extent(lines.iter().flatten().map(|(x, _)| *x))?;
        let (low, high) = extent(lines.iter().flatten().map(|(_, y)| *y))?;
        let (y_min, y_max) = if log_y {
            (low / 1.1, high * 1.1)
        } else {
            // A flat line gets a range of its own size.
            let air = if high > low { 0.05 * (high - low) } else { 0.5 * high.abs().max(1e-6) };
            (low - air, high + air)
        };
        let x_max = if x_max > x_min { x_max } else { x_min + 1.0 };
        Some(Self { x_min, x_max, y_min, y_max, log_y })
    }

    fn x(&self, x: f64) -> f64 {
        LEFT + (x - self.x_min) / (self.x_max - self.x_min) * (WIDTH - LEFT - RIGHT)
    }

    fn y(&self, y: f64) -> f64 {
        let scale = |value: f64| if self.log_y { value.ln() } else { value };
        let (low, high) = (scale(self.y_min), scale(self.y_max));
        TOP + (high - scale(y)) / (high - low) * (HEIGHT - TOP - BOTTOM)
    }

    fn y_ticks(&self) -> Vec<f64> {
        if !self.log_y {
            return linear_ticks(self.y_min, self.y_max, 6);
        }
        let decades = self.y_min.log10().floor() as i32..=self.y_max.log10().ceil() as i32;
        let at = |factors: &[f64]| -> Vec<f64> {
            decades
                .clone()
                .flat_map(|exponent| factors.iter().map(move |factor| factor * 10f64.powi(exponent)))
                .filter(|tick| (self.y_min..=self.y_max).contains(tick))
                .collect()
        };
        // Few decades need ticks between them; a fraction of one is best cut evenly.
        match at(&[1.0]).len() {
            3.. => at(&[1.0]),
            _ => match at(&[1.0, 2.0, 5.0]) {
                ticks if ticks.len() >= 3 => ticks,
                _ => linear_ticks(self.y_min, self.y_max, 6),
            },
        }
    }
}

fn extent(values: impl Iterator<Item = f64>) -> Option<(f64, f64)> {
    values.fold(None, |range, value| match range {
        None => Some((value, value)),
        Some((low, high)) => Some((f64::min(low, value), f64::max(high, value))),
    })
}

/// About `count` round numbers within `low..=high`.
fn linear_ticks(low: f64, high: f64, count: usize) -> Vec<f64> {
    let rough = (high - low) / count as f64;
    let magnitude = 10f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0].map(|factor| factor * magnitude).into_iter().find(|step| *step >= rough);
    let step = step.unwrap_or(rough);
    let (first, last) = ((low / step).ceil() as i64, (high / step).floor() as i64);
    (first..=last).map(|index| index as f64 * step).collect()
}

/// The points that can be drawn, averaged in groups if there are many.
fn drawable(points: &[(f64, f64)], log_y: bool) -> Vec<(f64, f64)> {
    let valid: Vec<(f64, f64)> = points
        .iter()
        .copied()
        .filter(|(x, y)| x.is_finite() && y.is_finite() && (!log_y || *y > 0.0))
        .collect();
    let group = valid.len().div_ceil(MAX_POINTS).max(1);
    valid
        .chunks(group)
        .map(|chunk| {
            let count = chunk.len() as f64;
            let (x, y) = chunk.iter().fold((0.0, 0.0), |(x, y), point| (x + point.0, y + point.1));
            (x / count, y / count)
        })
        .collect()
}

/// A number as people write it: `0.0123`, `4.2`, `12k`.
fn number(value: f64) -> String {
    let magnitude = value.abs();
    let text = match magnitude {
        0.0 => return "0".to_owned(),
        m if m >= 1e4 => return format!("{}k", trimmed(format!("{:.1}", value / 1e3))),
        m if m >= 100.0 => format!("{value:.0}"),
        m if m >= 1.0 => format!("{value:.2}"),
        m if m >= 1e-3 => format!("{value:.4}"),
        _ => return format!("{value:.0e}"),
    };
    trimmed(text)
}

fn trimmed(text: String) -> String {
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(points: Vec<(f64, f64)>, log_y: bool) -> ChartSpec {
        let series = vec![Series { name: "s".into(), points }];
        ChartSpec { title: "t".into(), x_label: "x".into(), y_label: "y".into(), series, log_y }
    }

    #[test]
    fn ticks_are_round_and_inside() {
        assert_eq!(linear_ticks(-0.1, 1.02, 6), [0.0, 0.2, 0.4, 0.6000000000000001, 0.8, 1.0]);
        assert_eq!(
            linear_ticks(3.0, 4000.0, 8),
            [500.0, 1000.0, 1500.0, 2000.0, 2500.0, 3000.0, 3500.0, 4000.0]
        );
        let frame = |low, high| Frame { x_min: 0.0, x_max: 1.0, y_min: low, y_max: high, log_y: true };
        assert_eq!(frame(0.5, 300.0).y_ticks().first(), Some(&1.0));
        assert_eq!(frame(0.9, 6.0).y_ticks(), [1.0, 2.0, 5.0]);
        assert!(frame(2.1, 3.0).y_ticks().len() >= 4);
    }

    #[test]
    fn numbers_are_short() {
        let texts = [0.0, 0.6000000000000001, 12_000.0, 4000.0, 1e-5, -2.5, 0.0123].map(number);
        assert_eq!(texts, ["0", "0.6", "12k", "4000", "1e-5", "-2.5", "0.0123"]);
    }

    #[test]
    fn lines_stay_inside_their_frame_and_are_thinned() {
        let points: Vec<(f64, f64)> = (0..5000).map(|x| (f64::from(x), f64::from(x).sin() + 2.0)).collect();
        let drawn = drawable(&points, false);
        assert!(drawn.len() <= MAX_POINTS);
        let frame = Frame::around(std::slice::from_ref(&drawn), true).unwrap();
        assert!(drawn.iter().all(|(x, y)| {
            (LEFT..=WIDTH - RIGHT).contains(&frame.x(*x)) && (TOP..=HEIGHT - BOTTOM).contains(&frame.y(*y))
        }));
    }

    #[test]
    fn odd_data_is_drawn_or_left_out() {
        assert!(render(&spec(vec![], false)).contains("No data."));
        assert!(render(&spec(vec![(1.0, 0.0), (2.0, -1.0)], true)).contains("No data."));
        for html in [
            render(&spec(vec![(1.0, 3.0)], false)),
            render(&spec(vec![(1.0, f64::NAN), (2.0, 0.0), (3.0, 0.0)], false)),
            render(&spec(vec![(1.0, 5.0), (2.0, 5.0)], true)),
        ] {
            assert!(
                html.contains("<polyline") && !html.contains("points=\"NaN") && !html.contains(",NaN"),
                "{html}"
            );
        }
    }
}
