//! The report of a run: `report.json` for programs, `report.html` for people, a short table for the console.

use std::collections::BTreeMap;
use std::fmt;
use std::io::Cursor;

use flamingo_data::ConceptSet;
use flamingo_train::report::{Card, ReportPage};
use flamingo_train::{MetricRecord, RunDir, write_atomic};
use image::{ImageFormat, RgbaImage, imageops};
use serde::{Deserialize, Serialize};

use super::charts;
use super::config::RunConfig;
use super::evaluate::{Evaluation, PageScores, SplitEvaluation, SplitScores};
use crate::error::FlamingoError;
use crate::inspect::Summary;
use crate::pretrained::folder::write_json;
use crate::stages::Stage;

/// What a run came to.
#[derive(Debug, Clone)]
pub struct Report {
    figures: Figures,
    evaluation: Evaluation,
    shown: usize,
}

/// `report.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Figures {
    seed: u64,
    stages: BTreeMap<String, StageTime>,
    params: Params,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    heldout_pages: Option<PageScores>,
    #[serde(flatten)]
    splits: BTreeMap<String, SplitScores>,
}

/// What a stage took.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct StageTime {
    /// Seconds of training, without start-up.
    pub seconds: f64,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
struct Params {
    trained: usize,
    frozen: usize,
}

impl Report {
    pub(super) fn new(
        config: &RunConfig,
        stages: BTreeMap<String, StageTime>,
        evaluation: Evaluation,
    ) -> Result<Self, FlamingoError> {
        let summary = Summary::new("run", &config.model, None)?;
        let splits =
            evaluation.splits.iter().map(|split| (split.name.to_owned(), split.scores.clone())).collect();
        let params = Params { trained: summary.trained, frozen: summary.frozen };
        let heldout_pages = evaluation.pages.clone();
        let figures = Figures { seed: config.seed, stages, params, heldout_pages, splits };
        Ok(Self { figures, evaluation, shown: config.evaluation.shown })
    }

    /// Writes `report.json` and `report.html`.
    pub(super) fn write(
        &self,
        dir: &RunDir,
        set: &ConceptSet,
        metrics: &[MetricRecord],
    ) -> Result<(), FlamingoError> {
        write_json(&dir.join("report.json"), &self.figures)?;
        Ok(write_atomic(&dir.join("report.html"), self.page(set, metrics).as_bytes())?)
    }

    fn page(&self, set: &ConceptSet, metrics: &[MetricRecord]) -> String {
        let mut page = ReportPage::new("Flamingo run");
        page.section(
            "Does the image matter?",
            "Captions of pictures with the right image, with another concept's image, and with none. Negative \
             log-likelihoods are means over caption tokens, in nats; exact is the share of greedy captions that are \
             exactly the name; R@1 is contrastive image-to-text retrieval among all names of the row.",
        );
        page.table(HEADERS, self.rows());
        if let Some(scores) = &self.evaluation.pages {
            page.section(
                "Does each name follow its own image?",
                "Names on pages of several held-out images: negative log-likelihood with every image before its name, and \
                 with the images of a page moved on by one; the share of names that are likelier after their own.",
            );
            page.table(PAGE_HEADERS, [page_row(scores)]);
        }
        page.section("Held-out images", "Known concepts, in a drawing style in which they were never seen.");
        page.gallery(&self.cards("heldout_images", set));
        page.section("Held-out concepts", "Concepts that were never seen in any style.");
        page.gallery(&self.cards("heldout_concepts", set));
        page.section("Loss", "Each stage's sources, as recorded during training.");
        for stage in Stage::ALL {
            let of_stage: Vec<&MetricRecord> =
                metrics.iter().filter(|record| record.stage == stage.name()).collect();
            page.line_chart(charts::losses(&format!("{stage}: loss"), &of_stage));
        }
        let measured: Vec<&MetricRecord> =
            metrics.iter().filter(|record| !record.evaluation.is_empty()).collect();
        for stage in Stage::ALL {
            let of_stage: Vec<&MetricRecord> =
                measured.iter().copied().filter(|record| record.stage == stage.name()).collect();
            if !of_stage.is_empty() {
                page.section("Measured during training", "On held-out images, every few updates.");
                page.line_chart(charts::chart(&format!("{stage}: evaluations"), &of_stage, |record| {
                    record.evaluation.iter().map(|(name, value)| (name.clone(), *value)).collect()
                }));
            }
        }
        page.section(
            "Gates",
            "tanh of the gates of each gated block (figure 6 of the paper); both start at 0.",
        );
        let records: Vec<&MetricRecord> = metrics.iter().collect();
        for (title, prefix) in [("Attention gates", "gate.attention."), ("Feed-forward gates", "gate.ff.")] {
            page.line_chart(charts::gates(title, prefix, &records));
        }
        page.section("Time and size", "");
        let seconds = self
            .figures
            .stages
            .iter()
            .map(|(name, stage)| vec![name.clone(), format!("{:.0}", stage.seconds)]);
        page.table(["stage", "seconds"], seconds);
        let Params { trained, frozen } = self.figures.params;
        page.key_values(&[("parameters trained", trained), ("parameters frozen", frozen)]);
        page.finish()
    }

    fn cards(&self, split: &str, set: &ConceptSet) -> Vec<Card> {
        let Some(split) = self.evaluation.splits.iter().find(|candidate| candidate.name == split) else {
            return Vec::new();
        };
        split
            .images
            .iter()
            .zip(&split.captions)
            .take(self.shown)
            .map(|(image, caption)| {
                let picture = &set.images()[*image];
                Card {
                    png: png(&picture.image),
                    title: picture.name.clone(),
                    lines: vec![
                        ("says".to_owned(), caption.text.clone()),
                        ("style".to_owned(), picture.style.clone()),
                    ],
                    good: Some(caption.text == picture.name),
                }
            })
            .collect()
    }

    fn rows(&self) -> Vec<Vec<String>> {
        let row = |SplitEvaluation { name, scores, .. }: &SplitEvaluation| {
            let nats = |value: f64| format!("{value:.2}");
            let percent = |value: f64| format!("{:.1} %", 100.0 * value);
            vec![
                name.replace('_', " "),
                scores.n.to_string(),
                nats(scores.nll_right),
                nats(scores.nll_shuffled),
                nats(scores.nll_no_image),
                percent(scores.exact_right),
                percent(scores.exact_shuffled),
                percent(scores.retrieval_r1),
                percent(scores.retrieval_chance),
            ]
        };
        self.evaluation.splits.iter().map(row).collect()
    }
}

const PAGE_HEADERS: [&str; 5] = ["names", "images a page", "NLL right", "rotated", "prefers own"];

fn page_row(scores: &PageScores) -> Vec<String> {
    vec![
        scores.n.to_string(),
        scores.images_per_page.to_string(),
        format!("{:.2}", scores.nll_right),
        format!("{:.2}", scores.nll_rotated),
        format!("{:.1} %", 100.0 * scores.prefers_own),
    ]
}

const HEADERS: [&str; 9] =
    ["", "n", "NLL right", "shuffled", "no image", "exact right", "shuffled", "R@1", "chance"];

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let line = |cells: &[String]| {
            let columns = cells.iter().enumerate().map(|(index, cell)| match index {
                0 => format!("{cell:<18}"),
                1 => format!("{cell:>4}"),
                _ => format!("{cell:>12}"),
            });
            columns.collect::<String>()
        };
        writeln!(f, "{}", line(&HEADERS.map(str::to_owned)))?;
        for row in self.rows() {
            writeln!(f, "{}", line(&row))?;
        }
        if let Some(scores) = &self.evaluation.pages {
            let row =
                PAGE_HEADERS.iter().zip(page_row(scores)).map(|(header, cell)| format!("{header} {cell}"));
            writeln!(f, "held-out pages: {}", row.collect::<Vec<_>>().join(", "))?;
        }
        let times = self.figures.stages.iter().map(|(name, stage)| format!("{name} {:.0} s", stage.seconds));
        writeln!(f, "\n{}", times.collect::<Vec<_>>().join(", "))
    }
}

/// The picture on white, as a PNG file.
pub(crate) fn png(picture: &RgbaImage) -> Vec<u8> {
    let mut paper = RgbaImage::from_pixel(picture.width(), picture.height(), image::Rgba([255; 4]));
    imageops::overlay(&mut paper, picture, 0, 0);
    let mut file = Cursor::new(Vec::new());
    // Writing into memory a picture that was just made cannot fail.
    let _ = paper.write_to(&mut file, ImageFormat::Png);
    file.into_inner()
}
