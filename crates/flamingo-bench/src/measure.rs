//! One case, measured in this process: the first call apart from the later ones, memory, page faults.

use std::time::{Duration, Instant};

use anyhow::Context as _;
use flamingo::train::footprint::{peak_resident, resident};
use flamingo_malloc::page_faults;
use serde::{Deserialize, Serialize};

use crate::case::{Case, Context, Prepared};

/// How long to go on with a case.
#[derive(Debug, Clone, Copy)]
pub struct Effort {
    /// Repetitions at the least.
    pub least: usize,
    /// And at the most.
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
    /// The later ones.
    pub warm_ms: Vec<f64>,
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

/// Measures `case`.
pub fn measure(case: &Case, context: &Context, effort: Effort) -> anyhow::Result<Sample> {
    let start = resident();
    let prepared = (case.prepare)(context).with_context(|| format!("cannot prepare {}", case.id()))?;
    let measured = match prepared {
        Prepared::Repeat { call, of } => repeat(call, of, effort),
        Prepared::Timed(run) => timed(run, effort),
    };
    let (cold_ms, warm_ms, faults) = measured.with_context(|| format!("{} failed", case.id()))?;
    let mb = |bytes: u64| bytes as f64 / 1e6;
    Ok(Sample {
        cold_ms,
        warm_ms,
        start_mb: start.map(mb),
        peak_mb: peak_resident().map(mb),
        faults,
        version: None,
    })
}

type Measured = (f64, Vec<f64>, Option<f64>);

fn repeat(
    mut call: Box<dyn FnMut() -> anyhow::Result<()>>,
    of: f64,
    effort: Effort,
) -> anyhow::Result<Measured> {
    let mut once = || {
        let start = Instant::now();
        call()?;
        if effort.slow_down > 0.0 {
            std::thread::sleep(start.elapsed().mul_f64(effort.slow_down / 100.0));
        }
        anyhow::Ok(start.elapsed().as_secs_f64() * 1e3 / of)
    };
    let cold = once()?;
    let before = page_faults();
    let (start, mut warm) = (Instant::now(), Vec::new());
    while warm.len() < effort.least || (warm.len() < effort.most && start.elapsed() < effort.time) {
        warm.push(once()?);
    }
    let faults = faults_since(before, warm.len() as f64 * of);
    Ok((cold, warm, faults))
}

fn timed(
    run: Box<dyn FnOnce(usize) -> anyhow::Result<Vec<f64>>>,
    effort: Effort,
) -> anyhow::Result<Measured> {
    let before = page_faults();
    let mut warm = run(1 + effort.least)?;
    let faults = faults_since(before, warm.len() as f64);
    warm.iter_mut().for_each(|ms| *ms *= 1.0 + effort.slow_down / 100.0);
    let cold = warm.remove(0);
    Ok((cold, warm, faults))
}

fn faults_since(before: Option<u64>, of: f64) -> Option<f64> {
    Some((page_faults()? - before?) as f64 / of)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn effort(slow_down: f64) -> Effort {
        Effort { least: 3, most: 3, time: Duration::ZERO, slow_down }
    }

    #[test]
    fn the_first_call_is_apart_and_a_call_may_do_several() {
        let mut calls = 0;
        let call = move || {
            calls += 1;
            std::thread::sleep(Duration::from_millis(if calls == 1 { 60 } else { 4 }));
            Ok(())
        };
        let (cold, warm, _) = repeat(Box::new(call), 2.0, effort(0.0)).unwrap();
        assert!(cold >= 30.0 && warm.len() == 3, "{cold} {warm:?}");
        assert!(warm.iter().all(|ms| (2.0..25.0).contains(ms)), "{warm:?}");
    }

    #[test]
    fn a_call_that_is_made_slower_takes_longer() {
        let call = || {
            std::thread::sleep(Duration::from_millis(20));
            Ok(())
        };
        let (_, warm, _) = repeat(Box::new(call), 1.0, effort(50.0)).unwrap();
        assert!(warm.iter().all(|ms| *ms >= 30.0), "{warm:?}");
        let (cold, warm, _) = timed(Box::new(|n| Ok(vec![10.0; n])), effort(20.0)).unwrap();
        assert_eq!((cold, warm), (12.0, vec![12.0; 3]));
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn fresh_memory_faults() {
        let before = page_faults();
        let bytes = vec![1u8; 32 << 20];
        assert!(faults_since(before, 1.0).unwrap() > 0.0);
        assert_eq!(bytes.iter().map(|byte| u64::from(*byte)).sum::<u64>(), 32 << 20);
    }
}
