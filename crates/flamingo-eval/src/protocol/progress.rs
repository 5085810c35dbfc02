//! What the person who waits for an evaluation sees: a bar on a terminal, a line every few seconds elsewhere; with the
//! scores so far.

use std::io::{IsTerminal, stderr};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::run::{Stage, Standing};

/// Time between two lines when stderr is no terminal.
const LINE_INTERVAL: Duration = Duration::from_secs(10);

/// See the [module documentation](self).
#[derive(Debug)]
pub struct Bar {
    task: String,
    bar: Option<ProgressBar>,
    stage: Option<Stage>,
    last: Instant,
}

impl Bar {
    /// Of the task of this name.
    pub fn new(task: &str) -> Self {
        let bar = stderr().is_terminal().then(|| {
            let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
            // The template is a constant that indicatif accepts; its default style would do as well.
            let style =
                ProgressStyle::with_template("{prefix:>16} {wide_bar:.cyan/dim} {pos}/{len} {eta}  {msg}")
                    .unwrap_or_else(|_| ProgressStyle::default_bar());
            bar.set_style(style.progress_chars("━╸─"));
            bar
        });
        Self { task: task.to_owned(), bar, stage: None, last: Instant::now() }
    }

    /// Shows how far it is.
    pub fn update(&mut self, standing: &Standing) {
        let Standing { stage, done, of, .. } = standing;
        let new_stage = self.stage.replace(*stage) != Some(*stage);
        match &self.bar {
            Some(bar) => {
                if new_stage {
                    bar.reset();
                    bar.set_length(*of as u64);
                    bar.set_prefix(name(&self.task, *stage));
                }
                bar.set_position(*done as u64);
                bar.set_message(scores(standing));
            }
            None if self.last.elapsed() >= LINE_INTERVAL || done == of => {
                eprintln!("{}  {done}/{of}  {}", name(&self.task, *stage), scores(standing));
                self.last = Instant::now();
            }
            None => {}
        }
    }
}

impl Drop for Bar {
    /// The bar stays on the screen as it is.
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.abandon();
        }
    }
}

fn name(task: &str, stage: Stage) -> String {
    match stage {
        Stage::Features => format!("{task} features"),
        Stage::Answers => task.to_owned(),
    }
}

/// `0: 61.20  4: 63.00`, in hundredths, by shots.
fn scores(standing: &Standing) -> String {
    let one = |(shots, score): (&usize, &f64)| format!("{shots}: {:.2}", 100.0 * score);
    standing.scores.iter().map(one).collect::<Vec<_>>().join("  ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scores_are_told_in_hundredths() {
        let scores_of = [(0, 0.612), (4, 0.63)].into();
        let standing = Standing { stage: Stage::Answers, done: 3, of: 9, scores: scores_of };
        assert_eq!(scores(&standing), "0: 61.20  4: 63.00");
    }
}
