//! A run: every case in processes of its own, ours and the peers' in turns.
//!
//! Turns, because a machine is not equally fast all the time: what slows one side in a round slows the other too. Processes,
//! because the memory of a case is the process's, and one case's heap would serve the next.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, bail};
use flamingo::DeviceSpec;

use crate::assets;
use crate::case::{Case, Suite};
use crate::measure::{Effort, Sample};
use crate::peer::{Peer, Peers};
use crate::row::{self, Ceilings, Row, Side};
use crate::table;

/// How to run.
#[derive(Debug)]
pub struct Run {
    pub device: DeviceSpec,
    pub threads: usize,
    /// Processes of each side for a case.
    pub rounds: usize,
    pub effort: Effort,
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

/// Both sides of a case.
struct Measured {
    case: Case,
    ours: Side,
    peers: Vec<(String, Side)>,
}

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
                Ok((ours, peers)) => {
                    eprintln!("{place}: {}", told(&ours, &peers));
                    measured.push(Measured { case, ours, peers });
                }
                Err(error) => {
                    eprintln!("{place}: failed");
                    outcome.failures.push(format!("{error:#}"));
                }
            }
        }
        let ceilings = ceilings(&measured);
        outcome.rows =
            measured.iter().flat_map(|it| row::rows(&it.case, &it.ours, &it.peers, ceilings)).collect();
        Ok(outcome)
    }

    /// Both sides of one case. A peer that fails is left out from then on.
    fn one(
        &self,
        case: &Case,
        assets: &Path,
        failures: &mut Vec<String>,
    ) -> anyhow::Result<(Side, Vec<(String, Side)>)> {
        let mut peers: Vec<(Peer, Vec<Sample>)> = match case.peer {
            Some(_) => self.peers.list.iter().map(|peer| (*peer, Vec::new())).collect(),
            None => Vec::new(),
        };
        let mut ours = Vec::new();
        for _ in 0..self.rounds {
            ours.push(self.ours(case, assets)?);
            peers.retain_mut(|(peer, samples)| {
                match self.peers.measure(*peer, case, self, assets) {
                    Ok(sample) => samples.push(sample),
                    Err(error) => {
                        let what = format!("{} of {}: {error:#}", peer.name(), case.id());
                        // It compiles what it can; what it cannot is no fault of anybody here.
                        if *peer == Peer::TorchCompile {
                            eprintln!("left out: {what}");
                        } else {
                            failures.push(what);
                        }
                        return false;
                    }
                }
                true
            });
        }
        let ours = Side::of(&ours).with_context(|| format!("{} was not repeated", case.id()))?;
        let side = |(peer, samples): (Peer, Vec<Sample>)| Some((peer.name().to_owned(), Side::of(&samples)?));
        Ok((ours, peers.into_iter().filter_map(side).collect()))
    }

    /// A process of ours.
    fn ours(&self, case: &Case, assets: &Path) -> anyhow::Result<Sample> {
        let program = std::env::current_exe().context("this program does not know where it is")?;
        let mut command = Command::new(program);
        command.args(["--measure", &case.id(), "--device", &self.device.to_string()]);
        command.args(["--threads", &self.threads.to_string()]);
        command.args(["--slow-down", &self.effort.slow_down.to_string()]);
        command.arg("--assets").arg(assets);
        if self.quick {
            command.arg("--quick");
        }
        sample(command.env("RAYON_NUM_THREADS", self.threads.to_string()), &case.id())
    }
}

/// Starts a process and reads the sample that is the last line of what it prints.
pub fn sample(command: &mut Command, what: &str) -> anyhow::Result<Sample> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output =
        command.stdin(Stdio::null()).output().with_context(|| format!("{what}: cannot start {program}"))?;
    let words = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    if !output.status.success() {
        bail!("{what} failed ({}): {}", output.status, end(&words(&output.stderr)));
    }
    let text = words(&output.stdout);
    let line = text.lines().next_back().unwrap_or_default();
    serde_json::from_str(line)
        .with_context(|| format!("{what} printed no sample: {line:?} {}", end(&words(&output.stderr))))
}

/// The last lines of what a program complained about.
fn end(text: &str) -> String {
    const LINES: usize = 12;
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(LINES)..].join("\n")
}

/// The best of all sides, at their fastest.
fn ceilings(measured: &[Measured]) -> Ceilings {
    let mut ceilings = Ceilings::default();
    for Measured { case, ours, peers } in measured.iter().filter(|it| it.case.suite == Suite::Ceiling) {
        let sides = std::iter::once(ours).chain(peers.iter().map(|(_, side)| side));
        sides.for_each(|side| ceilings.raise(case.work, side.warm.least));
    }
    ceilings
}

/// A line for those who wait.
fn told(ours: &Side, peers: &[(String, Side)]) -> String {
    let peers = peers.iter().map(|(name, side)| {
        let ratio = ours.warm.median / side.warm.median;
        format!(", {name} {} ms, ratio {ratio:.2}", table::ms(Some(side.warm.median)))
    });
    std::iter::once(format!("{} ms", table::ms(Some(ours.warm.median)))).chain(peers).collect()
}

/// What the system calls its processor, and how many of its cores are used.
pub fn machine(threads: usize) -> String {
    let processors = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = processors.lines().find_map(|line| line.strip_prefix("model name")?.split_once(':'));
    let model = model.map_or(std::env::consts::ARCH, |(_, name)| name.trim());
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    format!("{model}, {cores} cores, {threads} threads, {}", std::env::consts::OS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(unix)]
    #[test]
    fn a_process_prints_its_sample_last_and_its_failure_is_quoted() {
        let shell = |script: &str| sample(Command::new("sh").args(["-c", script]), "a case");
        let good = r#"echo hello; echo '{"cold_ms": 2.0, "warm_ms": [1.0], "start_mb": null, "peak_mb": 3.0, "faults": null}'"#;
        let read = shell(good).unwrap();
        assert_eq!((read.cold_ms, read.warm_ms, read.peak_mb), (2.0, vec![1.0], Some(3.0)));
        let error = shell("echo out of luck >&2; exit 3").unwrap_err().to_string();
        assert!(error.starts_with("a case failed") && error.ends_with("out of luck"), "{error}");
        assert!(shell("echo nothing").unwrap_err().to_string().contains("no sample"));
    }
}
