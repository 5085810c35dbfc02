//! The processes of a case take turns until their ratio is known.

use std::process::Command;
use std::time::{Duration, Instant};

use crate::measure::Sample;
use crate::process::Process;
use crate::statistics::{Summary, ratios};

/// How many turns to give.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// Never less than so many.
    pub least: usize,
    /// So many are enough once ...
    pub enough: usize,
    /// ... the median's standard error is below this, as a share of it: of our times over those of each peer, or of our times
    /// if there is no peer.
    pub error: f64,
    /// When to stop in any case.
    pub time: Duration,
}

impl Patience {
    /// Whether turns of these medians will do: ours and each peer's. `spent` is the time since the first began.
    fn is_over(&self, ours: &[f64], peers: &[&[f64]], spent: Duration) -> bool {
        if ours.len() < self.least {
            return false;
        }
        let error = match peers {
            [] => Summary::of(ours).map(|summary| summary.error()),
            peers => {
                let errors = peers.iter().filter_map(|peer| Some(Summary::of(&ratios(ours, peer))?.error()));
                errors.reduce(f64::max)
            }
        };
        spent >= self.time || (ours.len() >= self.enough && error.is_some_and(|error| error <= self.error))
    }
}

/// Starts all of these, one when the one before is ready, and gives them turns. If the one at place `ours` fails, nobody goes on;
/// who else fails is left out.
pub fn together(
    commands: Vec<(String, Command)>,
    ours: usize,
    patience: Patience,
) -> Vec<anyhow::Result<Sample>> {
    let start = |(what, mut command): (String, Command)| Process::start(&mut command, what);
    let mut processes: Vec<anyhow::Result<Process>> = commands.into_iter().map(start).collect();
    let mut medians = vec![Vec::new(); processes.len()];
    let begin = Instant::now();
    while processes[ours].is_ok() {
        for (process, medians) in processes.iter_mut().zip(&mut medians) {
            if let Ok(running) = process {
                match running.turn() {
                    Ok(median) => medians.push(median),
                    Err(error) => *process = Err(error),
                }
            }
        }
        let peers = processes.iter().zip(&medians).enumerate();
        let peers = peers.filter(|(place, (process, _))| *place != ours && process.is_ok());
        let peers: Vec<&[f64]> = peers.map(|(_, (_, medians))| medians.as_slice()).collect();
        if patience.is_over(&medians[ours], &peers, begin.elapsed()) {
            break;
        }
    }
    processes.into_iter().map(|process| process?.finish()).collect()
}

/// The same for those that cannot wait for a turn: one behind the other has all of its turns.
pub fn one_by_one(
    commands: Vec<(String, Command)>,
    ours: usize,
    patience: Patience,
) -> Vec<anyhow::Result<Sample>> {
    let mut results = Vec::new();
    for (place, command) in commands.into_iter().enumerate() {
        results.extend(together(vec![command], 0, patience));
        if place == ours && results.last().is_some_and(Result::is_err) {
            break;
        }
    }
    results
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Patience = Patience { least: 2, enough: 4, error: 0.02, time: Duration::from_secs(3600) };

    #[test]
    fn turns_go_on_until_the_ratio_is_known() {
        let over = |ours: &[f64], peers: &[&[f64]]| PATIENCE.is_over(ours, peers, Duration::ZERO);
        // The machine becomes twice as slow; the ratio stays.
        let (ours, peer) = ([10.0, 10.0, 20.0, 20.0], [5.0, 5.0, 10.0, 10.0]);
        assert!(over(&ours, &[&peer]));
        assert!(!over(&ours, &[]));
        assert!(!over(&ours[..3], &[&peer[..3]]));
        assert!(!over(&ours, &[&peer, &[5.0, 5.0, 10.0, 20.0]]));
        let spent = |ours: &[f64]| PATIENCE.is_over(ours, &[], PATIENCE.time);
        assert!(spent(&[1.0, 2.0]) && !spent(&[1.0]));
    }

    #[cfg(unix)]
    #[test]
    fn turns_alternate_and_a_failure_of_a_peer_stops_nobody_else() {
        use crate::process::tests::{GOOD, TURN_GIVEN};
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("log");
        let shell = |name: &str, script: &str| {
            let mut command = Command::new("sh");
            command.args(["-c", script]).env("LOG", &log).env("NAME", name);
            (name.to_owned(), command)
        };
        let good = format!("while {TURN_GIVEN} do echo $NAME >>$LOG; done; {GOOD}");
        let bad = format!("{TURN_GIVEN} exit 3");
        let lived =
            |results: Vec<anyhow::Result<Sample>>| results.iter().map(Result::is_ok).collect::<Vec<_>>();
        let results = together(vec![shell("a", &good), shell("b", &bad), shell("c", &good)], 2, PATIENCE);
        assert_eq!(lived(results), [true, false, true]);
        assert_eq!(std::fs::read_to_string(&log).unwrap().split_whitespace().collect::<String>(), "acacacac");
        // Without us there is no ratio.
        let results = together(vec![shell("b", &bad), shell("c", &good)], 0, PATIENCE);
        assert_eq!(lived(results), [false, true]);
    }

    #[cfg(unix)]
    #[test]
    fn behind_a_failure_of_ours_nobody_is_started() {
        use crate::process::tests::{GOOD, TURN_GIVEN};
        let shell = |script: &str| {
            let mut command = Command::new("sh");
            command.args(["-c", script]);
            ("a".to_owned(), command)
        };
        let good = format!("while {TURN_GIVEN} do :; done; {GOOD}");
        let lived = |ours| {
            let commands = vec![shell(&good), shell("exit 3"), shell(&good)];
            one_by_one(commands, ours, PATIENCE).iter().map(Result::is_ok).collect::<Vec<_>>()
        };
        assert_eq!(lived(0), [true, false, true]);
        assert_eq!(lived(1), [true, false]);
    }
}
