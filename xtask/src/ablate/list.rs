//! Which ablations there are, and what the paper found (table 3, 4 shots, mean over five development benchmarks).

/// The paper's "overall score" of Flamingo-3B as it is.
pub const PAPER_BASELINE: f64 = 70.7;

/// One change to the model or its training.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Ablation {
    /// On the command line; that of its file in `configs/ablations`, if it has one.
    pub name: &'static str,
    /// In the table.
    pub title: &'static str,
    /// The paper's overall score with it.
    pub paper: f64,
    /// Updates, as a multiple of the baseline's: as many as it takes to see as many batches.
    pub updates: u64,
}

const fn ablation(name: &'static str, title: &'static str, paper: f64) -> Ablation {
    Ablation { name, title, paper, updates: 1 }
}

/// All of them, the baseline first.
pub const ABLATIONS: [Ablation; 9] = [
    ablation("baseline", "baseline", PAPER_BASELINE),
    ablation("no-gates", "no tanh gates", 66.5),
    ablation("attend-all", "text sees all images before it", 63.5),
    ablation("pairs-only", "no interleaved data", 53.4),
    // Each update takes a batch of one of two sources.
    Ablation { updates: 2, ..ablation("round-robin", "round-robin updates", 62.9) },
    ablation("every-2nd", "gated block every 2nd layer", 68.2),
    ablation("every-4th", "gated block every 4th layer", 68.8),
    ablation("mlp", "MLP as resampler", 66.6),
    ablation("transformer", "plain transformer as resampler", 66.7),
];

/// Names, for the command line.
pub fn names() -> [&'static str; ABLATIONS.len()] {
    ABLATIONS.map(|ablation| ablation.name)
}

impl Ablation {
    /// Its file, relative to the workspace; the baseline is the preset itself.
    pub fn config(&self) -> Option<String> {
        (self.name != ABLATIONS[0].name).then(|| format!("configs/ablations/{}.toml", self.name))
    }
}

/// A run that is to be made.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Job {
    /// What is changed.
    pub ablation: Ablation,
    /// The run's seed.
    pub seed: u64,
}

/// All runs of the ablations in `only` (all, if that is empty): seed by seed, so that what is there when time runs out
/// compares.
pub fn jobs(only: &[String], seeds: u64) -> Vec<Job> {
    let wanted = |ablation: &&Ablation| only.is_empty() || only.iter().any(|name| name == ablation.name);
    let of_seed =
        |seed| ABLATIONS.iter().filter(wanted).map(move |ablation| Job { ablation: *ablation, seed });
    (1..=seeds).flat_map(of_seed).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_file_is_an_ablation_and_every_ablation_has_its_file() {
        let folder =
            std::path::Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("configs/ablations");
        let files = std::fs::read_dir(folder).unwrap();
        let files: BTreeSet<String> = files
            .map(|file| format!("configs/ablations/{}", file.unwrap().file_name().into_string().unwrap()))
            .collect();
        assert_eq!(files, ABLATIONS.iter().filter_map(Ablation::config).collect());
    }

    #[test]
    fn runs_come_seed_by_seed() {
        let names: Vec<String> = ["mlp", "baseline"].map(str::to_owned).into();
        let found: Vec<(&str, u64)> =
            jobs(&names, 2).iter().map(|job| (job.ablation.name, job.seed)).collect();
        assert_eq!(found, [("baseline", 1), ("mlp", 1), ("baseline", 2), ("mlp", 2)]);
        assert_eq!(jobs(&[], 3).len(), 27);
    }
}
