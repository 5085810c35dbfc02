//! Progress for the person who waits: a dashboard or a bar on a terminal, a line every few seconds elsewhere.

#[cfg(feature = "dashboard")]
mod dashboard;
pub mod terminal;

use std::fmt;
use std::io::{IsTerminal, stderr, stdin, stdout};
use std::str::FromStr;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::metrics::MetricRecord;

/// Time between two lines when stderr is no terminal.
const LINE_INTERVAL: Duration = Duration::from_secs(10);
/// How much of the shown loss and speed is history.
const SMOOTHING: f64 = 0.95;

/// How a stage shows its progress.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Progress {
    /// The dashboard if there can be one, [`Plain`](Self::Plain) otherwise.
    #[default]
    Auto,
    /// Burn's, over the whole terminal: curves of losses, learning rate, speed and gates. Where there is none,
    /// [`Plain`](Self::Plain).
    Dashboard,
    /// A bar if stderr is a terminal, plain lines on stderr otherwise.
    Plain,
    /// Not at all.
    Hidden,
}

impl Progress {
    /// Why there can be no dashboard, as a sentence for the person who asked for it; `None` if there can.
    pub fn no_dashboard() -> Option<&'static str> {
        if cfg!(not(feature = "dashboard")) {
            return Some("this build has no dashboard: build with --features dashboard, or choose plain");
        }
        let everywhere = stdin().is_terminal() && stdout().is_terminal() && stderr().is_terminal();
        if !everywhere || std::env::var_os("TERM").is_none_or(|term| term == "dumb") {
            return Some("a dashboard needs a terminal, for input and both outputs: choose plain");
        }
        None
    }
}

impl fmt::Display for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Auto => "auto",
            Self::Dashboard => "dashboard",
            Self::Plain => "plain",
            Self::Hidden => "none",
        })
    }
}

impl FromStr for Progress {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let all = [Self::Auto, Self::Dashboard, Self::Plain, Self::Hidden];
        let found = all.into_iter().find(|one| one.to_string() == text);
        found.ok_or_else(|| format!("{text:?} is none of auto, dashboard, plain, none"))
    }
}

/// What one update came to.
pub(crate) struct Update<'a> {
    /// Updates done.
    pub(crate) step: u64,
    /// Names of the sources and their losses, before lambda_m.
    pub(crate) losses: Vec<(&'a str, f64)>,
    /// Their sum, with lambda_m.
    pub(crate) loss: f64,
    pub(crate) lr: f64,
    pub(crate) grad_norm: f64,
    pub(crate) units: f64,
    pub(crate) images: u64,
    pub(crate) seconds: f64,
}

/// What is shown of a running stage.
#[derive(Debug)]
pub(crate) struct View {
    stage: String,
    total: u64,
    output: Output,
    loss: Smoothed,
    images_per_s: Smoothed,
    seconds_per_step: Smoothed,
}

#[derive(Debug)]
enum Output {
    #[cfg(feature = "dashboard")]
    Dashboard(Box<dashboard::Dashboard>),
    Bar(ProgressBar),
    Lines {
        last: Option<Instant>,
    },
    None,
}

impl View {
    /// A stage begins after `step` of `total` updates.
    pub(crate) fn start(progress: Progress, stage: &str, step: u64, total: u64) -> Self {
        let output = match progress {
            Progress::Hidden => Output::None,
            #[cfg(feature = "dashboard")]
            Progress::Auto | Progress::Dashboard if Progress::no_dashboard().is_none() => {
                Output::Dashboard(Box::new(dashboard::Dashboard::open(stage, step, total)))
            }
            _ if !stderr().is_terminal() => Output::Lines { last: None },
            _ => {
                let bar = ProgressBar::with_draw_target(Some(total), ProgressDrawTarget::stderr());
                bar.set_style(bar_style());
                bar.set_prefix(stage.to_owned());
                bar.set_position(step);
                Output::Bar(bar)
            }
        };
        Self {
            stage: stage.to_owned(),
            total,
            output,
            loss: Smoothed::default(),
            images_per_s: Smoothed::default(),
            seconds_per_step: Smoothed::default(),
        }
    }

    /// Whether the person has asked in the dashboard to stop.
    pub(crate) fn stop_requested(&self) -> bool {
        match &self.output {
            #[cfg(feature = "dashboard")]
            Output::Dashboard(dashboard) => dashboard.stop_requested(),
            _ => false,
        }
    }

    /// An update is done.
    pub(crate) fn update(&mut self, update: &Update<'_>) {
        self.loss.add(update.loss);
        self.seconds_per_step.add(update.seconds);
        self.images_per_s.add(update.images as f64 / update.seconds.max(1e-9));
        let message = self.message(update.step);
        match &mut self.output {
            #[cfg(feature = "dashboard")]
            Output::Dashboard(dashboard) => dashboard.update(update),
            Output::Bar(bar) => {
                bar.set_message(message);
                bar.set_position(update.step);
            }
            Output::Lines { last } => {
                let due = last.is_none_or(|last| last.elapsed() >= LINE_INTERVAL);
                if due || update.step == self.total {
                    eprintln!("{}  {}/{}  {message}", self.stage, update.step, self.total);
                    *last = Some(Instant::now());
                }
            }
            Output::None => {}
        }
    }

    /// A record was made: its probes and measurements are news.
    pub(crate) fn record(&mut self, record: &MetricRecord) {
        let measured = record.evaluation.iter().map(|(name, value)| format!("{name} {value:.4}"));
        let measured = measured.collect::<Vec<_>>().join(", ");
        match &mut self.output {
            #[cfg(feature = "dashboard")]
            Output::Dashboard(dashboard) => dashboard.record(record),
            _ if measured.is_empty() => {}
            _ => self.note(&format!("{}/{}  {measured}", record.step, self.total)),
        }
    }

    /// Says something.
    pub(crate) fn note(&mut self, text: &str) {
        match &mut self.output {
            #[cfg(feature = "dashboard")]
            Output::Dashboard(dashboard) => dashboard.note(text),
            Output::Bar(bar) => bar.println(format!("{}  {text}", self.stage)),
            Output::Lines { .. } => eprintln!("{}  {text}", self.stage),
            Output::None => {}
        }
    }

    fn message(&self, step: u64) -> String {
        let left = self.seconds_per_step.value() * self.total.saturating_sub(step) as f64;
        let images = match self.images_per_s.value() {
            rate if rate > 0.0 => format!("  {rate:.0} images/s"),
            _ => String::new(),
        };
        format!("loss {:.4}{images}  {} left", self.loss.value(), duration(left))
    }
}

impl Drop for View {
    /// The stage is over, was stopped or failed: the bar stays on the screen as it is.
    fn drop(&mut self) {
        if let Output::Bar(bar) = &self.output {
            bar.abandon();
        }
    }
}

fn bar_style() -> ProgressStyle {
    let template = "{prefix:>12} {wide_bar:.cyan/dim} {pos}/{len}  {msg}";
    // The template is a constant that indicatif accepts; its default style would do as well.
    ProgressStyle::with_template(template)
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .progress_chars("━╸─")
}

/// `1h 02m`, `2m 05s` or `7s`.
pub fn duration(seconds: f64) -> String {
    let seconds = seconds.round() as u64;
    match (seconds / 3600, seconds / 60 % 60, seconds % 60) {
        (0, 0, s) => format!("{s}s"),
        (0, m, s) => format!("{m}m {s:02}s"),
        (h, m, _) => format!("{h}h {m:02}m"),
    }
}

/// An exponential moving average that is right from its first value on.
#[derive(Debug, Default)]
struct Smoothed {
    sum: f64,
    weight: f64,
}

impl Smoothed {
    fn add(&mut self, value: f64) {
        self.sum = self.sum * SMOOTHING + value;
        self.weight = self.weight * SMOOTHING + 1.0;
    }

    fn value(&self) -> f64 {
        if self.weight > 0.0 { self.sum / self.weight } else { 0.0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_well() {
        assert_eq!([0.4, 7.0, 125.0, 3720.0].map(duration), ["0s", "7s", "2m 05s", "1h 02m"]);
    }

    #[test]
    fn choices_are_written_as_they_read() {
        for text in ["auto", "dashboard", "plain", "none"] {
            assert_eq!(text.parse::<Progress>().unwrap().to_string(), text);
        }
        assert!("bar".parse::<Progress>().unwrap_err().contains("dashboard, plain"));
    }

    #[test]
    fn the_message_has_loss_speed_and_time_left() {
        let mut view = View::start(Progress::Hidden, "contrastive", 10, 20);
        for step in [11, 12] {
            view.update(&Update {
                step,
                losses: vec![("pairs", 2.0)],
                loss: 2.0,
                lr: 1e-3,
                grad_norm: 1.0,
                units: 64.0,
                images: 64,
                seconds: 0.5,
            });
        }
        assert_eq!(view.message(12), "loss 2.0000  128 images/s  4s left");
    }
}
