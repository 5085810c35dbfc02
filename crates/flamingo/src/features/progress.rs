//! What the person who waits for a cache sees: a bar on a terminal, a line every few seconds elsewhere.

use std::io::{IsTerminal, stderr};
use std::time::{Duration, Instant};

use flamingo_train::Progress;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Time between two lines when stderr is no terminal.
const LINE_INTERVAL: Duration = Duration::from_secs(10);

pub(super) struct View {
    total: Option<u64>,
    start: Instant,
    output: Output,
}

enum Output {
    Bar(ProgressBar),
    Lines { last: Instant },
    None,
}

impl View {
    /// `total` is the number of media, if it is known.
    pub(super) fn start(progress: Progress, total: Option<u64>) -> Self {
        let start = Instant::now();
        let output = match progress {
            Progress::Hidden => Output::None,
            // A dashboard is for updates.
            _ if !stderr().is_terminal() => Output::Lines { last: start },
            _ => {
                let bar = ProgressBar::with_draw_target(total, ProgressDrawTarget::stderr());
                bar.set_style(style(total.is_some()));
                bar.set_prefix("features");
                Output::Bar(bar)
            }
        };
        Self { total, start, output }
    }

    /// `seen` media were looked at, of which `added` are new.
    pub(super) fn update(&mut self, seen: u64, added: u64) {
        let rate = added as f64 / self.start.elapsed().as_secs_f64().max(1e-9);
        match &mut self.output {
            Output::Bar(bar) => {
                bar.set_position(seen);
                bar.set_message(format!("{added} new  {rate:.1}/s"));
            }
            Output::Lines { last } if last.elapsed() >= LINE_INTERVAL => {
                let of = self.total.map_or_else(String::new, |total| format!("/{total}"));
                eprintln!("features  {seen}{of}  {added} new  {rate:.1}/s");
                *last = Instant::now();
            }
            Output::Lines { .. } | Output::None => {}
        }
    }
}

impl Drop for View {
    /// The bar stays on the screen as it is.
    fn drop(&mut self) {
        if let Output::Bar(bar) = &self.output {
            bar.abandon();
        }
    }
}

fn style(bar: bool) -> ProgressStyle {
    let template = match bar {
        true => "{prefix:>12} {wide_bar:.cyan/dim} {pos}/{len}  {msg}",
        false => "{prefix:>12} {spinner} {pos}  {msg}",
    };
    // The templates are constants that indicatif accepts; its default style would do as well.
    ProgressStyle::with_template(template)
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .progress_chars("━╸─")
}
