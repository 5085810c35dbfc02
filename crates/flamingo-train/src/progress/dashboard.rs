//! Burn's terminal dashboard, fed by the training loop.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use burn_train::Interrupter;
use burn_train::logger::TrainingProgressLogger;
use burn_train::metric::{
    MetricAttributes, MetricDefinition, MetricEntry, MetricId, NumericAttributes, NumericEntry,
    SerializedEntry,
};
use burn_train::renderer::tui::TuiMetricsRendererWrapper;
use burn_train::renderer::{MetricState, MetricsRenderer, MetricsRendererTraining};

use super::{Update, terminal};
use crate::metrics::MetricRecord;

/// The dashboard of one stage, on the terminal from [`open`](Self::open) until it is dropped.
pub(super) struct Dashboard {
    /// `None` only while it is dropped.
    renderer: Option<TuiMetricsRendererWrapper>,
    interrupter: Interrupter,
    known: BTreeSet<String>,
    /// Updates that were done before.
    first: u64,
}

impl fmt::Debug for Dashboard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dashboard").field("known", &self.known).finish_non_exhaustive()
    }
}

/// Where a number comes from.
#[derive(Clone, Copy)]
enum Of {
    Training,
    Evaluation,
}

impl Dashboard {
    pub(super) fn open(stage: &str, step: u64, total: u64) -> Self {
        let interrupter = Interrupter::new();
        terminal::before();
        let mut renderer = TuiMetricsRendererWrapper::new(interrupter.clone(), None);
        terminal::after();
        let label = match step {
            0 => stage.to_owned(),
            done => format!("{stage}, after {done} of {total} updates"),
        };
        // Burn counts items in epochs, and reckons the time left from what this process has done: there is one epoch, of
        // the updates still to do.
        renderer.start(1, 1, None, Some(&label));
        renderer.start_split("train", (total - step).try_into().unwrap_or(usize::MAX));
        Self { renderer: Some(renderer), interrupter, known: BTreeSet::new(), first: step }
    }

    /// Whether the person chose to stop.
    pub(super) fn stop_requested(&self) -> bool {
        self.interrupter.should_stop()
    }

    pub(super) fn update(&mut self, update: &Update<'_>) {
        for (source, loss) in &update.losses {
            self.show(Of::Training, &format!("loss {source}"), *loss);
        }
        if update.losses.len() > 1 {
            self.show(Of::Training, "loss, weighted sum", update.loss);
        }
        let seconds = update.seconds.max(1e-9);
        self.show(Of::Training, "learning rate", update.lr);
        self.show(Of::Training, "tokens or pairs a second", update.units / seconds);
        if update.images > 0 {
            self.show(Of::Training, "images a second", update.images as f64 / seconds);
        }
        self.show(Of::Training, "gradient norm", update.grad_norm);
        if let Some(renderer) = &mut self.renderer {
            renderer.update_split((update.step - self.first).try_into().unwrap_or(usize::MAX));
        }
    }

    pub(super) fn record(&mut self, record: &MetricRecord) {
        for (name, value) in &record.evaluation {
            self.show(Of::Evaluation, name, *value);
        }
        for (name, value) in record.extra.iter().chain(&record.probes) {
            self.show(Of::Training, name, *value);
        }
    }

    pub(super) fn note(&mut self, text: &str) {
        if let Some(renderer) = &mut self.renderer {
            renderer.log_event_training(text.to_owned());
        }
    }

    fn show(&mut self, of: Of, name: &str, value: f64) {
        let Some(renderer) = &mut self.renderer else { return };
        let metric_id = MetricId::new(Arc::new(name.to_owned()));
        if self.known.insert(name.to_owned()) {
            renderer.register_metric(MetricDefinition {
                metric_id: metric_id.clone(),
                name: Arc::new(name.to_owned()),
                description: None,
                attributes: MetricAttributes::Numeric(NumericAttributes {
                    unit: None,
                    higher_is_better: false,
                }),
            });
        }
        let entry = MetricEntry::new(metric_id, SerializedEntry::new(readable(value), value.to_string()));
        let state = MetricState::Numeric(entry, Some(NumericEntry::Value(value)));
        match of {
            Of::Training => renderer.update_train(state),
            Of::Evaluation => renderer.update_valid(state),
        }
    }
}

impl Drop for Dashboard {
    fn drop(&mut self) {
        // Closes the second screen, or finds it closed: a panic does so before it is told.
        self.renderer = None;
        terminal::closed();
    }
}

/// Four figures, whatever the size.
fn readable(value: f64) -> String {
    match value.abs() {
        size if size != 0.0 && !(1e-3..1e6).contains(&size) => format!("{value:.3e}"),
        size if size >= 100.0 => format!("{value:.0}"),
        _ => format!("{value:.4}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_any_size_are_readable() {
        let texts = [0.0, 2.34567, -0.5, 3e-4, 1234.5, 2e7].map(readable);
        assert_eq!(texts, ["0.0000", "2.3457", "-0.5000", "3.000e-4", "1234", "2.000e7"]);
    }
}
