//! Progress for the person who waits: a bar on a terminal, a line every few seconds elsewhere.

use std::io::{IsTerminal, stderr};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Time between two lines when stderr is no terminal.
const LINE_INTERVAL: Duration = Duration::from_secs(10);
/// How much of the shown loss and speed is history.
const SMOOTHING: f64 = 0.95;

/// How a stage shows its progress.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Progress {
    /// A bar if stderr is a terminal, plain lines on stderr otherwise.
    #[default]
    Auto,
    /// Not at all.
    Hidden,
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
    Bar(ProgressBar),
    Lines { last: Option<Instant> },
    None,
}

impl View {
    /// A stage begins after `step` of `total` updates.
    pub(crate) fn start(progress: Progress, stage: &str, step: u64, total: u64) -> Self {
        let output = match progress {
            Progress::Hidden => Output::None,
            Progress::Auto if !stderr().is_terminal() => Output::Lines { last: None },
            Progress::Auto => {
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

    /// An update is done: `step` updates now, `loss` summed over sources with their weights.
    pub(crate) fn update(&mut self, step: u64, loss: f64, images: u64, seconds: f64) {
        self.loss.add(loss);
        self.seconds_per_step.add(seconds);
        self.images_per_s.add(images as f64 / seconds.max(1e-9));
        let message = self.message(step);
        match &mut self.output {
            Output::Bar(bar) => {
                bar.set_message(message);
                bar.set_position(step);
            }
            Output::Lines { last } => {
                let due = last.is_none_or(|last| last.elapsed() >= LINE_INTERVAL);
                if due || step == self.total {
                    eprintln!("{}  {step}/{}  {message}", self.stage, self.total);
                    *last = Some(Instant::now());
                }
            }
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
fn duration(seconds: f64) -> String {
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
    fn the_message_has_loss_speed_and_time_left() {
        let mut view = View::start(Progress::Hidden, "contrastive", 10, 20);
        view.update(11, 2.0, 64, 0.5);
        view.update(12, 2.0, 64, 0.5);
        assert_eq!(view.message(12), "loss 2.0000  128 images/s  4s left");
    }
}
