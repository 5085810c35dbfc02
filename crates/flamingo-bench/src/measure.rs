//! One case, measured in this process: the first call apart from the later ones, memory, page faults.

use std::io::{self, Write};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use flamingo::train::footprint::{peak_resident, resident};
use flamingo_malloc::page_faults;
use serde::{Deserialize, Serialize};

use crate::case::{Case, Context, Prepared};
use crate::statistics::Summary;

/// What a process prints when it is ready for its next turn, with the milliseconds that came of what was before: the first
/// repetition, or the median of a turn. It then waits for a line, [`TURN`] or [`END`].
pub const READY: &str = "ready";

/// It is its turn.
pub const TURN: &str = "turn";

/// There are no more turns.
pub const END: &str = "end";

/// How long a turn is.
#[derive(Debug, Clone, Copy)]
pub struct Effort {
    /// Repetitions at the most; at the least there is one.
    pub most: usize,
    /// When to stop between the two.
    pub time: Duration,
    /// Percent by which every repetition is made slower: for trying whether a slower program is noticed.
    pub slow_down: f64,
}

/// What a process found out; peers print the same.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Sample {
    /// The first one, in which tables are made, threads are started and caches are cold.
    pub cold_ms: f64,
    /// The later ones, of each turn.
    pub turns_ms: Vec<Vec<f64>>,
    /// Memory before anything of the case was made, in MB.
    pub start_mb: Option<f64>,
    /// The most that the process ever held, in MB.
    pub peak_mb: Option<f64>,
    /// Page faults of a warm repetition.
    pub faults: Option<f64>,
    /// What a peer is.
    #[serde(default)]
    pub version: Option<String>,
}

/// Measures `case`; `turn` is told what came of what was before, in ms, and returns when it is its turn (true) or there are no
/// more (false).
pub fn measure(
    case: &Case,
    context: &Context,
    effort: Effort,
    turn: impl FnMut(f64) -> io::Result<bool>,
) -> anyhow::Result<Sample> {
    let start = resident();
    let prepared = (case.prepare)(context).with_context(|| format!("cannot prepare {}", case.id()))?;
    let mut log = Log {
        effort,
        turn,
        cold_ms: None,
        turns_ms: Vec::new(),
        begin: Instant::now(),
        faults: None,
        gone: None,
    };
    let of = repeat(prepared, effort.slow_down, &mut |ms| log.note(ms))
        .with_context(|| format!("{} failed", case.id()))?;
    let faults = page_faults();
    if let Some(error) = log.gone {
        return Err(error).context("cannot ask for a turn");
    }
    let cold_ms = log.cold_ms.context("nothing was repeated")?;
    let count = log.turns_ms.iter().flatten().count() as f64 * of;
    let mb = |bytes: u64| bytes as f64 / 1e6;
    Ok(Sample {
        cold_ms,
        turns_ms: log.turns_ms,
        start_mb: start.map(mb),
        peak_mb: peak_resident().map(mb),
        faults: faults.zip(log.faults).map(|(end, begin)| (end - begin) as f64 / count),
        version: None,
    })
}

/// Tells `goes_on` the milliseconds of each repetition until it says no. Gives how many of the case a repetition is, by whose
/// times it was divided.
fn repeat(prepared: Prepared, slow_down: f64, goes_on: &mut dyn FnMut(f64) -> bool) -> anyhow::Result<f64> {
    match prepared {
        Prepared::Repeat { mut call, of } => loop {
            let start = Instant::now();
            call()?;
            if slow_down > 0.0 {
                std::thread::sleep(start.elapsed().mul_f64(slow_down / 100.0));
            }
            if !goes_on(start.elapsed().as_secs_f64() * 1e3 / of) {
                return Ok(of);
            }
        },
        Prepared::Timed(run) => run(&mut |ms| goes_on(ms * (1.0 + slow_down / 100.0))).map(|()| 1.0),
    }
}

/// Repetitions as they come.
struct Log<T> {
    effort: Effort,
    turn: T,
    cold_ms: Option<f64>,
    turns_ms: Vec<Vec<f64>>,
    /// Of this turn.
    begin: Instant,
    /// Page faults before the first turn.
    faults: Option<u64>,
    /// Why nobody gives turns any more.
    gone: Option<io::Error>,
}

impl<T: FnMut(f64) -> io::Result<bool>> Log<T> {
    /// Whether to go on.
    fn note(&mut self, ms: f64) -> bool {
        let Effort { most, time, .. } = self.effort;
        let came_to = match self.turns_ms.last_mut() {
            None => {
                self.cold_ms = Some(ms);
                self.faults = page_faults();
                ms
            }
            Some(turn) => {
                turn.push(ms);
                if turn.len() < most && self.begin.elapsed() < time {
                    return true;
                }
                Summary::of(turn).map_or(ms, |summary| summary.median)
            }
        };
        let more = (self.turn)(came_to).unwrap_or_else(|error| {
            self.gone = Some(error);
            false
        });
        if more {
            self.turns_ms.push(Vec::new());
            self.begin = Instant::now();
        }
        more
    }
}

/// Waits until whoever started this process gives it a turn (true) or says that there are no more (false).
///
/// # Errors
///
/// Of the kind `UnexpectedEof` if nobody gives any, of `InvalidData` if something else is said.
pub fn await_turn(came_to: f64) -> io::Result<bool> {
    println!("{READY} {came_to}");
    io::stdout().flush()?;
    let mut line = String::new();
    match io::stdin().read_line(&mut line)? {
        0 => Err(io::Error::new(io::ErrorKind::UnexpectedEof, "whoever gives the turns is gone")),
        _ if line.trim() == TURN => Ok(true),
        _ if line.trim() == END => Ok(false),
        _ => Err(io::Error::new(io::ErrorKind::InvalidData, format!("{line:?} is neither {TURN} nor {END}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::case::Suite;
    use crate::count::Work;

    const EFFORT: Effort = Effort { most: 2, time: Duration::from_secs(60), slow_down: 0.0 };

    /// Three turns.
    fn three() -> impl FnMut(f64) -> io::Result<bool> {
        let mut given = 0;
        move |_| {
            given += 1;
            Ok(given <= 3)
        }
    }

    fn case(make: impl Fn() -> Prepared + 'static) -> Case {
        let prepare = Box::new(move |_: &Context| Ok(make()));
        Case { suite: Suite::Micro, name: "a", about: "", work: Work::default(), peer: None, prepare }
    }

    fn context() -> Context {
        Context { device: burn::tensor::Device::flex(), is_cpu: true, threads: 1, assets: Default::default() }
    }

    /// A call that takes 60 ms the first time and 4 later.
    fn slow_first() -> Prepared {
        let mut calls = 0;
        let call = move || {
            calls += 1;
            std::thread::sleep(Duration::from_millis(if calls == 1 { 60 } else { 4 }));
            Ok(())
        };
        Prepared::Repeat { call: Box::new(call), of: 2.0 }
    }

    #[test]
    fn the_first_call_is_apart_and_the_others_come_in_turns() {
        let mut told = Vec::new();
        let mut turns = three();
        let turn = |ms| {
            told.push(ms);
            turns(ms)
        };
        let sample = measure(&case(slow_first), &context(), EFFORT, turn).unwrap();
        let median = |turn: &Vec<f64>| (turn[0] + turn[1]) / 2.0;
        assert_eq!((told[0], told[1], told.len()), (sample.cold_ms, median(&sample.turns_ms[0]), 4));
        assert!(sample.cold_ms >= 30.0 && sample.turns_ms.len() == 3, "{sample:?}");
        assert!(sample.turns_ms.iter().all(|turn| turn.len() == 2), "{sample:?}");
        assert!(sample.turns_ms.iter().flatten().all(|ms| (2.0..25.0).contains(ms)), "{sample:?}");
        // Who has no time has one repetition a turn.
        let hasty = Effort { time: Duration::ZERO, ..EFFORT };
        let sample = measure(&case(slow_first), &context(), hasty, three()).unwrap();
        assert_eq!(sample.turns_ms.iter().map(Vec::len).collect::<Vec<_>>(), [1, 1, 1]);
    }

    #[test]
    fn a_turn_that_is_not_given_is_an_error() {
        let turn = |_| Err(io::Error::new(io::ErrorKind::UnexpectedEof, "whoever gives the turns is gone"));
        let error = measure(&case(slow_first), &context(), EFFORT, turn).unwrap_err();
        let error = format!("{error:#}");
        assert!(error.contains("turns is gone"), "{error}");
    }

    #[test]
    fn a_call_that_is_made_slower_takes_longer() {
        let call = || {
            std::thread::sleep(Duration::from_millis(20));
            Ok(())
        };
        let slower = Effort { slow_down: 50.0, ..EFFORT };
        let sample = measure(&case(move || Prepared::each(call)), &context(), slower, three()).unwrap();
        assert!(sample.turns_ms.iter().flatten().all(|ms| *ms >= 30.0), "{sample:?}");
        let timed = || {
            Prepared::Timed(Box::new(|goes_on| {
                while goes_on(10.0) {}
                Ok(())
            }))
        };
        let slower = Effort { slow_down: 20.0, ..EFFORT };
        let sample = measure(&case(timed), &context(), slower, three()).unwrap();
        assert_eq!((sample.cold_ms, sample.turns_ms), (12.0, vec![vec![12.0; 2]; 3]));
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn fresh_memory_faults() {
        let make = || {
            Prepared::each(|| {
                let bytes = vec![1u8; 32 << 20];
                assert_eq!(bytes.iter().map(|byte| u64::from(*byte)).sum::<u64>(), 32 << 20);
                Ok(())
            })
        };
        let sample = measure(&case(make), &context(), EFFORT, three()).unwrap();
        assert!(sample.faults.unwrap() > 0.0);
    }
}
