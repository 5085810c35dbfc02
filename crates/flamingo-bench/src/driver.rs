//! A run: every case in processes of its own, ours and the peers' in turns.
//!
//! Turns of a fraction of a second or one repetition, because a machine is not equally fast all the time: what slows one side
//! slows the other too. Processes, because the memory of a case is the process's, and one case's heap would serve the next;
//! and several of each side, because two processes of one program are not equally fast. Those of one round live at the same
//! time; whoever has no turn waits.

use std::path::Path;
use std::process::Command;

use anyhow::Context;
use flamingo::DeviceSpec;

use crate::assets;
use crate::case::{Case, Suite};
use crate::measure::{Effort, Sample};
use crate::peer::{Peer, Peers};
use crate::row::{self, Ceilings, Row, Side};
use crate::statistics::Summary;
use crate::table;
use crate::turns::{Patience, one_by_one, together};

/// How to run.
#[derive(Debug)]
pub struct Run {
    pub device: DeviceSpec,
    pub threads: usize,
    /// Processes of each side for a case at the most: two that agree are enough.
    pub rounds: usize,
    pub effort: Effort,
    pub patience: Patience,
    pub peers: Peers,
    pub quick: bool,
}

/// What a run came to.
#[derive(Debug, Default)]
pub struct Outcome {
    pub rows: Vec<Row>,
    /// What could not be measured, and why.
    pub failures: Vec<String>,
}

/// Ours, and each peer's.
type Sides = (Side, Vec<(String, Side)>);

impl Run {
    /// Measures all `cases`. One that fails is a line among the failures.
    pub fn all(&self, cases: Vec<Case>) -> anyhow::Result<Outcome> {
        let folder = tempfile::tempdir().context("cannot make a temporary folder")?;
        if cases.iter().any(|case| matches!(case.suite, Suite::Data | Suite::Eval)) {
            eprintln!("making pictures and shards");
            assets::make(folder.path()).context("cannot make pictures and shards")?;
        }
        let (mut outcome, mut measured, count) = (Outcome::default(), Vec::new(), cases.len());
        for (index, case) in cases.into_iter().enumerate() {
            let place = format!("[{}/{count}] {}", index + 1, case.id());
            match self.one(&case, folder.path(), &mut outcome.failures) {
                Ok(sides) => {
                    eprintln!("{place}: {}", told(&sides));
                    measured.push((case, sides));
                }
                Err(error) => {
                    eprintln!("{place}: failed");
                    outcome.failures.push(format!("{error:#}"));
                }
            }
        }
        let ceilings = ceilings(&measured);
        let rows = measured.iter().flat_map(|(case, (ours, peers))| row::rows(case, ours, peers, ceilings));
        outcome.rows = rows.collect();
        Ok(outcome)
    }

    /// Both sides of one case. A peer that fails is left out from then on.
    fn one(&self, case: &Case, assets: &Path, failures: &mut Vec<String>) -> anyhow::Result<Sides> {
        let does = self.peers.list.iter().filter(|peer| peer.does(case));
        let mut peers: Vec<(Peer, Vec<Sample>)> = does.map(|peer| (*peer, Vec::new())).collect();
        let mut ours = Vec::new();
        loop {
            let mut results = self.round(case, &peers, assets, ours.len())?.into_iter();
            ours.push(results.next().context("nothing was started")??);
            peers.retain_mut(|(peer, samples)| match results.next() {
                Some(Ok(sample)) => {
                    samples.push(sample);
                    true
                }
                Some(Err(error)) => {
                    // It compiles what it can; what it cannot is no fault of anybody here.
                    if *peer == Peer::TorchCompile {
                        eprintln!("left out: {error:#}");
                    } else {
                        failures.push(format!("{error:#}"));
                    }
                    false
                }
                None => false,
            });
            let sides = sides(&ours, &peers).with_context(|| format!("{} was not repeated", case.id()))?;
            if ours.len() == self.rounds || agree(&sides) {
                return Ok(sides);
            }
        }
    }

    /// A process of each side: our result first. We begin in every other round only, since who begins is slower in some
    /// cases: two processes of one program differed by a tenth in `micro/adamw`.
    fn round(
        &self,
        case: &Case,
        peers: &[(Peer, Vec<Sample>)],
        assets: &Path,
        before: usize,
    ) -> anyhow::Result<Vec<anyhow::Result<Sample>>> {
        let this = std::env::current_exe().context("this program does not know where it is")?;
        let mut commands = vec![(case.id(), self.build(&this, case, assets))];
        for (peer, _) in peers {
            let command = match &self.peers.build {
                Some(other) if *peer == Peer::Build => self.build(other, case, assets),
                _ => self.peers.torch(*peer, case, self, assets)?,
            };
            commands.push((format!("{} of {}", peer.name(), case.id()), command));
        }
        let backwards = before % 2 == 1;
        let ours = if backwards { commands.len() - 1 } else { 0 };
        if backwards {
            commands.reverse();
        }
        let mut results = if case.pauses() {
            together(commands, ours, self.patience)
        } else {
            one_by_one(commands, ours, self.patience)
        };
        if backwards {
            results.reverse();
        }
        Ok(results)
    }

    /// A process of this program, as it was built here or elsewhere.
    fn build(&self, program: &Path, case: &Case, assets: &Path) -> Command {
        let mut command = Command::new(program);
        command.args(["--measure", &case.id(), "--device", &self.device.to_string()]);
        command.args(["--threads", &self.threads.to_string()]);
        command.args(["--slow-down", &self.effort.slow_down.to_string()]);
        command.arg("--assets").arg(assets);
        if self.quick {
            command.arg("--quick");
        }
        command.arg("--in-turns");
        command.env("RAYON_NUM_THREADS", self.threads.to_string());
        command
    }
}

/// What all processes of each side came to.
fn sides(ours: &[Sample], peers: &[(Peer, Vec<Sample>)]) -> Option<Sides> {
    let side = |(peer, samples): &(Peer, Vec<Sample>)| Some((peer.name().to_owned(), Side::of(samples)?));
    Some((Side::of(ours)?, peers.iter().filter_map(side).collect()))
}

/// Whether there are two rounds, and all are alike in every ratio, or in our times where nobody is compared.
fn agree((ours, peers): &Sides) -> bool {
    /// Percent of the median.
    const ALIKE: f64 = 3.0;
    let alike = |peer: Option<&Side>| {
        let medians = ours.medians(peer);
        let most = medians.iter().copied().fold(f64::MIN, f64::max);
        Summary::of(&medians)
            .is_some_and(|it| it.count >= 2 && (most - it.least) / it.median * 100.0 <= ALIKE)
    };
    match peers.as_slice() {
        [] => alike(None),
        peers => peers.iter().all(|(_, side)| alike(Some(side))),
    }
}

/// The best of all sides, at their fastest.
fn ceilings(measured: &[(Case, Sides)]) -> Ceilings {
    let mut ceilings = Ceilings::default();
    for (case, (ours, peers)) in measured.iter().filter(|(case, _)| case.suite == Suite::Ceiling) {
        let sides = std::iter::once(ours).chain(peers.iter().map(|(_, side)| side));
        sides.for_each(|side| ceilings.raise(case.work, side.warm.least));
    }
    ceilings
}

/// A line for those who wait.
fn told((ours, peers): &Sides) -> String {
    let peers = peers.iter().map(|(name, side)| {
        let ratio = ours.over(side).map_or_else(String::new, |ratio| format!(", ratio {:.2}", ratio.median));
        format!(", {name} {} ms{ratio}", table::ms(Some(side.warm.median)))
    });
    std::iter::once(format!("{} ms", table::ms(Some(ours.warm.median)))).chain(peers).collect()
}

/// What the system calls its processor, its vectors, and how many of its cores are used.
pub fn machine(threads: usize) -> String {
    let processors = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = processors.lines().find_map(|line| line.strip_prefix("model name")?.split_once(':'));
    let model = model.map_or(std::env::consts::ARCH, |(_, name)| name.trim());
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let vectors = vectors().map_or_else(String::new, |name| format!(" with {name}"));
    format!("{model}{vectors}, {cores} cores, {threads} threads, {}", std::env::consts::OS)
}

/// The widest of the kinds that differ between processors of one name, as virtual machines have it; ratios differ with them.
fn vectors() -> Option<&'static str> {
    #[cfg(target_arch = "x86_64")]
    {
        if std::arch::is_x86_feature_detected!("avx512f") {
            return Some("AVX-512");
        }
        if std::arch::is_x86_feature_detected!("avx2") {
            return Some("AVX2");
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_rounds_that_agree_are_enough() {
        let sample = |ms: f64| row::tests::sample(1.0, &[ms], 1.0);
        let agree = |ours: &[f64], peer: &[f64]| {
            let of = |numbers: &[f64]| Side::of(&numbers.iter().copied().map(sample).collect::<Vec<_>>());
            let peers = of(peer).map(|side| ("a".to_owned(), side));
            agree(&(of(ours).unwrap(), peers.into_iter().collect()))
        };
        assert!(!agree(&[10.0], &[]) && agree(&[10.0, 10.2], &[]) && !agree(&[10.0, 10.5], &[]));
        // The machine became slower for both.
        assert!(agree(&[10.0, 15.0], &[5.0, 7.5]) && !agree(&[10.0, 10.0], &[5.0, 7.5]));
        assert!(!agree(&[10.0, 10.0, 11.0], &[5.0, 5.0, 5.0]));
    }
}
