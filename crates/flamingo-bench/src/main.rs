//! `flamingo-bench`: how fast everything is, beside PyTorch and beside what the machine can do.
//!
//! ```text
//! cases (suites/) ──▶ a process for each (process.rs), ours and the peer's in turns (turns.rs) ───▶ rows (row.rs)
//!    │                      measures itself (measure.rs)                                                │
//!    └─ work, counted from the configuration (count.rs) ─▶ share of the ceilings ───────────────────────┤
//!                                                                           table.rs, page.rs, JSON, baseline.rs
//! ```
//!
//! `cargo xtask bench` builds this with the backends that are asked for, makes the peers' Python environment, and starts it.
//! Exit codes: 0 done, 1 slower than the baseline allows, or a case failed, 2 wrong usage.

mod assets;
mod baseline;
mod case;
mod count;
mod driver;
mod measure;
mod page;
mod peer;
mod process;
mod row;
mod sizes;
mod statistics;
mod suites;
mod table;
mod turns;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use clap::Parser;
use flamingo::DeviceSpec;
use flamingo::core::device::is_flex;

use crate::case::{Case, Context, Suite};
use crate::driver::Run;
use crate::measure::Effort;
use crate::peer::Peer;
use crate::turns::Patience;

/// How fast everything is: each case in a process of its own, beside PyTorch if asked for
#[derive(Debug, Parser)]
#[command(name = "cargo xtask bench", bin_name = "cargo xtask bench")]
#[command(group = clap::ArgGroup::new("before").args(["baseline", "against_build"]).multiple(true))]
struct Args {
    /// Only these suites
    #[arg(long, value_name = "SUITE")]
    suite: Vec<Suite>,
    /// Only cases whose name (SUITE/CASE) contains this
    #[arg(long, value_name = "TEXT")]
    case: Vec<String>,
    /// Where to compute: auto, flex, wgpu, vulkan, metal, cuda or rocm, with :N for the N-th such device
    #[arg(long, default_value = "flex")]
    device: DeviceSpec,
    /// Threads of each side [default: as many as there are cores]
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..))]
    threads: Option<u16>,
    /// Do the same work in PyTorch too, in turns with ours
    #[arg(long, value_name = "PEER")]
    against: Vec<Peer>,
    /// The interpreter of the peers; it has the packages of crates/flamingo-bench/torch/requirements.txt. `cargo xtask
    /// bench` makes an environment with them if this is not given
    #[arg(long, value_name = "PATH", requires = "against")]
    python: Option<PathBuf>,
    /// Compare with another build of this program too, in turns: an earlier commit's, or one with other settings. It gets
    /// the same arguments
    #[arg(long, value_name = "PROGRAM")]
    against_build: Option<PathBuf>,
    /// Processes of each side for every case at the most; two whose ratios (or times, if nobody is compared) are within 3 %
    /// are enough
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..))]
    rounds: u16,
    /// A glance: one process of each side, a few repetitions. The figures are rough
    #[arg(long)]
    quick: bool,
    /// Write the rows as a JSON list
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Write a page with bars
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Compare with the rows that an earlier --json wrote
    #[arg(long, value_name = "FILE")]
    baseline: Option<PathBuf>,
    /// Exit code 1 if a case is more than so many percent slower: its median than the baseline's, which the machine's own speed is
    /// part of, or than the other build in turns
    #[arg(long, value_name = "PCT", requires = "before")]
    fail_above: Option<f64>,
    /// List the cases with what they compute
    #[arg(long)]
    list: bool,
    /// What the processes of single cases are told: measure this one and print the sample
    #[arg(long, hide = true, value_name = "CASE")]
    measure: Option<String>,
    /// For --measure: wait to be told before each turn
    #[arg(long, hide = true)]
    in_turns: bool,
    /// For --measure: the folder of pictures and shards
    #[arg(long, hide = true, value_name = "DIR")]
    assets: Option<PathBuf>,
    /// Makes every repetition so many percent slower, to try --fail-above with
    #[arg(long, hide = true, value_name = "PCT", default_value_t = 0.0)]
    slow_down: f64,
}

fn main() -> ExitCode {
    // As the `flamingo` command does.
    flamingo_malloc::keep_freed();
    match run(&Args::parse()) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let most = if args.quick { 10 } else { 200 };
    let effort = Effort { most, time: Duration::from_millis(150), slow_down: args.slow_down };
    let patience = if args.quick {
        Patience { least: 3, enough: 3, error: 0.0, time: Duration::ZERO }
    } else {
        Patience { least: 3, enough: 9, error: 0.015, time: Duration::from_secs(5) }
    };
    if let Some(name) = &args.measure {
        let case = suites::find(name)?;
        let mut alone = 0..patience.least;
        let turn = |ms| if args.in_turns { measure::await_turn(ms) } else { Ok(alone.next().is_some()) };
        let sample = measure::measure(&case, &args.context()?, effort, turn)?;
        println!("{}", serde_json::to_string(&sample)?);
        return Ok(ExitCode::SUCCESS);
    }
    let cases = suites::select(&args.suite, &args.case)?;
    if args.list {
        print!("{}", listed(&cases));
        return Ok(ExitCode::SUCCESS);
    }
    // Before anything is measured: a baseline that cannot be read should not cost an hour.
    let before = args.baseline.as_deref().map(baseline::read).transpose()?;

    let threads = args.threads.map_or_else(cores, usize::from);
    let run = Run {
        device: args.device,
        threads,
        rounds: if args.quick { 1 } else { usize::from(args.rounds) },
        effort,
        patience,
        peers: peer::Peers::new(&args.against, args.python.as_deref(), args.against_build.as_deref())?,
        quick: args.quick,
    };
    let outcome = run.all(cases)?;
    let machine = driver::machine(threads);
    print!("\n{machine}, {}\n{}", args.device, table::render(&outcome.rows));
    if let Some(path) = &args.json {
        write(path, &(serde_json::to_string_pretty(&outcome.rows)? + "\n"))?;
    }
    if let Some(path) = &args.html {
        write(path, &page::render(&outcome.rows, &machine, &command_line()))?;
    }
    let mut good = outcome.failures.is_empty();
    for failure in &outcome.failures {
        eprintln!("error: {failure}");
    }
    let comparison = before.map(|before| baseline::compare(&before, &outcome.rows));
    if let Some(comparison) = &comparison {
        print!("\n{comparison}");
    }
    if let Some(limit) = args.fail_above {
        let than_before = comparison.iter().flat_map(|all| all.slower_than(limit)).map(ToString::to_string);
        for slower in than_before.chain(baseline::slower_than_build(&outcome.rows, limit)) {
            eprintln!("error: {slower}");
            good = false;
        }
    }
    Ok(if good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

impl Args {
    /// What a case that is measured in this process is told.
    fn context(&self) -> anyhow::Result<Context> {
        let device = self.device.resolve()?;
        let threads = self.threads.map_or_else(cores, usize::from);
        Ok(Context {
            is_cpu: is_flex(&device),
            device,
            threads,
            assets: self.assets.clone().unwrap_or_default(),
        })
    }
}

/// One line for each case.
fn listed(cases: &[Case]) -> String {
    let line = |case: &Case| {
        let work = case.work;
        format!(
            "{:<28} {:>9.3} GFLOP {:>9.1} MB  {}\n",
            case.id(),
            work.flops / 1e9,
            work.bytes / 1e6,
            case.about
        )
    };
    cases.iter().map(line).collect()
}

fn write(path: &std::path::Path, text: &str) -> anyhow::Result<()> {
    flamingo::train::write_atomic(path, text.as_bytes())
        .with_context(|| format!("cannot write {}", path.display()))
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// What a person would write to run this again.
fn command_line() -> String {
    let mut command = "cargo xtask bench".to_owned();
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        // Where the interpreter is, is nobody else's matter.
        if argument == "--python" {
            arguments.next();
        } else {
            command = command + " " + &argument;
        }
    }
    command
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn command_line_is_consistent() {
        Args::command().debug_assert();
        let parse = |args: &[&str]| Args::try_parse_from([&["bench"], args].concat());
        assert!(parse(&["--fail-above", "10"]).is_err());
        assert!(parse(&["--fail-above", "10", "--baseline", "before.json"]).is_ok());
        assert!(parse(&["--fail-above", "10", "--against-build", "bench"]).is_ok());
        assert!(parse(&["--python", "py"]).is_err());
        assert!(parse(&["--suite", "trian"]).unwrap_err().to_string().contains("train"));
        let args = parse(&["--against", "torch", "--against", "torch-compile", "--suite", "micro"]).unwrap();
        assert_eq!((args.against.len(), args.suite.len()), (2, 1));
    }

    #[test]
    fn cases_are_listed_with_what_they_compute() {
        let text = listed(&suites::select(&[Suite::Micro], &["gemm-1024".to_owned()]).unwrap());
        assert!(text.contains("micro/gemm-1024") && text.contains("2.147 GFLOP"), "{text}");
    }
}
