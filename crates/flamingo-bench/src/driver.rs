//! A run: every case in processes of its own, ours and the peers' in turns.
//!
//! Turns of less than a second or one repetition, because a machine is not equally fast all the time: what slows one side
//! slows the other too. Processes, because the memory of a case is the process's, and one case's heap would serve the next.
//! Those of one case live at the same time; whoever has no turn waits.

use std::path::Path;
use std::process::Command;

use anyhow::Context;
use flamingo::DeviceSpec;

use crate::assets;
use crate::case::{Case, Suite};
use crate::measure::{Effort, Sample};
use crate::peer::{Peer, Peers};
use crate::process::Process;
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
            let mut commands = vec![(case.id(), self.ours(case, assets)?)];
            for (peer, _) in &peers {
                let what = format!("{} of {}", peer.name(), case.id());
                commands.push((what, self.peers.command(*peer, case, self, assets)?));
            }
            let mut results = together(commands, case.pauses()).into_iter();
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
        }
        let ours = Side::of(&ours).with_context(|| format!("{} was not repeated", case.id()))?;
        let side = |(peer, samples): (Peer, Vec<Sample>)| Some((peer.name().to_owned(), Side::of(&samples)?));
        Ok((ours, peers.into_iter().filter_map(side).collect()))
    }

    /// A process of ours.
    fn ours(&self, case: &Case, assets: &Path) -> anyhow::Result<Command> {
        let program = std::env::current_exe().context("this program does not know where it is")?;
        let mut command = Command::new(program);
        command.args(["--measure", &case.id(), "--device", &self.device.to_string()]);
        command.args(["--threads", &self.threads.to_string()]);
        command.args(["--slow-down", &self.effort.slow_down.to_string()]);
        command.arg("--assets").arg(assets);
        if self.quick {
            command.arg("--quick");
        }
        if case.pauses() {
            command.arg("--in-turns");
        }
        command.env("RAYON_NUM_THREADS", self.threads.to_string());
        Ok(command)
    }
}

/// Starts all of them, one when the one before is ready, and lets them work in turns until all have ended; or else one behind
/// the other.
fn together(commands: Vec<(String, Command)>, in_turns: bool) -> Vec<anyhow::Result<Sample>> {
    let start = |(what, mut command): (String, Command)| Process::start(&mut command, what);
    if !in_turns {
        return commands.into_iter().map(|command| start(command)?.finish()).collect();
    }
    let mut processes: Vec<anyhow::Result<Process>> = commands.into_iter().map(start).collect();
    let mut waiting = true;
    while waiting {
        waiting = false;
        for process in &mut processes {
            if let Ok(running) = process {
                match running.turn() {
                    Ok(more) => waiting |= more,
                    Err(error) => *process = Err(error),
                }
            }
        }
    }
    processes.into_iter().map(|process| process?.finish()).collect()
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
        let ratio = ours.over(side).map_or_else(String::new, |ratio| format!(", ratio {:.2}", ratio.median));
        format!(", {name} {} ms{ratio}", table::ms(Some(side.warm.median)))
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

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use crate::process::tests::GOOD;

    #[test]
    fn turns_alternate_and_a_failure_stops_nobody_else() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("log");
        let shell = |name: &str, script: &str| {
            let mut command = Command::new("sh");
            command.args(["-c", script]).env("LOG", &log).env("NAME", name);
            (name.to_owned(), command)
        };
        let turn = "echo ready; read line; echo $NAME >>$LOG;";
        let good = format!("{turn} {turn} {turn} {GOOD}");
        let bad = format!("{turn} exit 3");
        let results = together(vec![shell("a", &good), shell("b", &bad), shell("c", &good)], true);
        assert_eq!(results.iter().map(Result::is_ok).collect::<Vec<_>>(), [true, false, true]);
        assert_eq!(std::fs::read_to_string(&log).unwrap().split_whitespace().collect::<String>(), "abcacac");
        assert!(together(vec![shell("a", GOOD), shell("b", GOOD)], false).iter().all(Result::is_ok));
    }
}
