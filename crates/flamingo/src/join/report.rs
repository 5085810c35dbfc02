//! The report of a run that joins two models: `report.json` for programs, `report.html` for people, a table for the
//! console.

use std::collections::BTreeMap;
use std::fmt;

use flamingo_train::report::{Card, ReportPage};
use flamingo_train::{MetricRecord, RunDir, write_atomic};
use serde::{Deserialize, Serialize};

use super::binding::BindingScores;
use super::heldout::HeldoutScores;
use super::profile::TimeSplit;
use crate::error::FlamingoError;
use crate::pretrained::folder::write_json;
use crate::run::charts;

/// What a run came to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct JoinReport {
    /// Of the run.
    pub seed: u64,
    /// Updates.
    pub steps: u64,
    /// Seconds of training, without start-up and the cache of features.
    pub seconds: f64,
    /// Where they went: milliseconds of an update, by part.
    pub split: TimeSplit,
    /// Parameters that were trained.
    pub trained: usize,
    /// Parameters of the towers.
    pub frozen: usize,
    /// `tanh` of each block's gates: language-model layer, attention, feed-forward.
    pub gates: Vec<(usize, f32, f32)>,
    /// Held-out sequences, by set.
    pub heldout: BTreeMap<String, HeldoutScores>,
    /// Invented words bound to held-out pictures.
    pub binding: Vec<BindingScores>,
    /// Captions of pictures that were never trained on.
    pub captions: Vec<ShownCaption>,
}

/// A caption and what it is a caption of.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ShownCaption {
    /// The set.
    pub set: String,
    /// What the picture shows, as its set says.
    pub title: String,
    /// What the model says.
    pub says: String,
    /// The picture, as a PNG file.
    #[serde(skip)]
    pub png: Vec<u8>,
}

impl JoinReport {
    /// Writes `report.json` and `report.html`.
    pub(super) fn write(&self, dir: &RunDir, metrics: &[MetricRecord]) -> Result<(), FlamingoError> {
        write_json(&dir.join("report.json"), self)?;
        Ok(write_atomic(&dir.join("report.html"), self.page(metrics).as_bytes())?)
    }

    fn page(&self, metrics: &[MetricRecord]) -> String {
        let mut page = ReportPage::new("Flamingo run: two published models joined");
        page.section(
            "Does the model look?",
            "Held-out sequences with their own images, with other sequences' images, and without: mean negative \
             log-likelihood of the tokens that count, in nats.",
        );
        page.table(HEADERS, self.rows());
        page.section(
            "Does it learn from its prompt?",
            "Invented words, never trained on, are bound to pictures of held-out concepts and asked for again, the query \
             drawn in another style: how often the right word is the likeliest, with the images as they belong, with those \
             of the examples shuffled, and without images.",
        );
        page.table(BINDING, self.binding_rows());
        let metrics: Vec<&MetricRecord> = metrics.iter().collect();
        page.section("Loss", "By source, as recorded during training.");
        page.line_chart(charts::losses("loss", &metrics));
        page.section(
            "Gates",
            "tanh of the gates of each gated block (figure 6 of the paper); both start at 0.",
        );
        page.line_chart(charts::gates("Attention gates", "gate.attention.", &metrics));
        page.line_chart(charts::gates("Feed-forward gates", "gate.ff.", &metrics));
        page.section("Captions", "Pictures that were never trained on; the first answer, good or bad.");
        let card = |caption: &ShownCaption| Card {
            png: caption.png.clone(),
            title: caption.title.clone(),
            lines: vec![("says".to_owned(), caption.says.clone()), ("set".to_owned(), caption.set.clone())],
            good: None,
        };
        page.gallery(&self.captions.iter().map(card).collect::<Vec<_>>());
        page.section("Time and size", "Milliseconds of an update, each part waited for.");
        page.table(
            ["part", "ms"],
            self.split.parts().map(|(part, ms)| vec![part.to_owned(), format!("{ms:.1}")]),
        );
        page.key_values(&[
            ("updates", self.steps.to_string()),
            ("seconds of training", format!("{:.0}", self.seconds)),
            ("parameters trained", self.trained.to_string()),
            ("parameters frozen", self.frozen.to_string()),
        ]);
        page.finish()
    }

    fn rows(&self) -> Vec<Vec<String>> {
        let row = |(name, scores): (&String, &HeldoutScores)| {
            let nats = |value: f64| format!("{value:.3}");
            vec![
                name.replace('_', " "),
                scores.sequences.to_string(),
                nats(scores.right),
                nats(scores.shuffled),
                nats(scores.no_image),
            ]
        };
        self.heldout.iter().map(row).collect()
    }

    fn binding_rows(&self) -> Vec<Vec<String>> {
        let row = |scores: &BindingScores| {
            let percent = |share: f64| format!("{:.1} %", 100.0 * share);
            vec![
                format!("{}-way, {}-shot", scores.ways, scores.shots),
                scores.trials[0].to_string(),
                percent(scores.right),
                percent(scores.shuffled),
                percent(scores.no_image),
                percent(1.0 / scores.ways as f64),
            ]
        };
        self.binding.iter().map(row).collect()
    }
}

const BINDING: [&str; 6] = ["binding", "trials", "right", "shuffled", "no image", "chance"];
const HEADERS: [&str; 5] = ["held-out set", "sequences", "right", "shuffled", "no image"];

impl fmt::Display for JoinReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let line = |cells: &[String]| {
            let columns = cells.iter().enumerate().map(|(index, cell)| match index {
                0 => format!("{cell:<26}"),
                _ => format!("{cell:>11}"),
            });
            columns.collect::<String>()
        };
        writeln!(f, "{}", line(&HEADERS.map(str::to_owned)))?;
        for row in self.rows() {
            writeln!(f, "{}", line(&row))?;
        }
        writeln!(f, "\n{}", line(&BINDING.map(str::to_owned)))?;
        for row in self.binding_rows() {
            writeln!(f, "{}", line(&row))?;
        }
        writeln!(f)?;
        for ShownCaption { set, title, says, .. } in &self.captions {
            writeln!(f, "{set:<18} {title:<34} {says}")?;
        }
        let parts = self.split.parts().map(|(part, ms)| format!("{part} {ms:.0}"));
        writeln!(f, "\n{} updates in {:.0} s; ms each: {}", self.steps, self.seconds, parts.join(", "))
    }
}
