//! Charts that reports of runs share.

use std::collections::BTreeMap;

use flamingo_train::MetricRecord;
use flamingo_train::report::{ChartSpec, Series};

/// A line for each source's loss.
pub(crate) fn losses(title: &str, records: &[&MetricRecord]) -> ChartSpec {
    chart(title, records, |record| record.losses.iter().map(|(name, loss)| (name.clone(), *loss)).collect())
}

/// A line for each layer's gate, of the probes whose name begins with `prefix`.
pub(crate) fn gates(title: &str, prefix: &str, records: &[&MetricRecord]) -> ChartSpec {
    chart(title, records, |record| {
        let layer =
            |(name, value): (&String, &f64)| Some((format!("layer {}", name.strip_prefix(prefix)?), *value));
        record.probes.iter().filter_map(layer).collect()
    })
}

/// One line for each name that `values` gives, over the steps.
pub(crate) fn chart(
    title: &str,
    records: &[&MetricRecord],
    values: impl Fn(&MetricRecord) -> Vec<(String, f64)>,
) -> ChartSpec {
    let mut lines: BTreeMap<String, Vec<(f64, f64)>> = BTreeMap::new();
    for record in records {
        for (name, value) in values(record) {
            lines.entry(name).or_default().push((record.step as f64, value));
        }
    }
    ChartSpec {
        title: title.to_owned(),
        x_label: "update".to_owned(),
        y_label: String::new(),
        series: lines.into_iter().map(|(name, points)| Series { name, points }).collect(),
        log_y: false,
    }
}
