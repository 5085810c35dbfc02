//! `cargo xtask ablate`: the paper's ablations on the nano preset, several seeds each, into `docs/ablations.md`.
//!
//! Every run is a `flamingo train` of the third stage alone, over towers that all runs share, with a file of
//! `configs/ablations` laid over the preset. What a run came to is written as soon as it ends: whatever stops the
//! command, nothing that was finished is lost, and the same command goes on with what is missing.

use std::collections::VecDeque;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{ExitCode, Stdio};
use std::sync::Mutex;
use std::thread;
use std::time::Instant;

use anyhow::{Context, bail};
use clap::builder::PossibleValuesParser;
use serde_json::Value;

use crate::ablate::list::{self, Job};
use crate::ablate::record::{self, Record};
use crate::ablate::table;
use crate::workspace;

/// Runs of which all folders are below this one, itself in `runs`.
const FOLDER: &str = "ablations";

/// Which runs, and how
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Only these, the baseline included
    #[arg(long, value_name = "NAME", value_parser = PossibleValuesParser::new(list::names()))]
    only: Vec<String>,
    /// Seeds of each: 1 to this number
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..))]
    seeds: u64,
    /// Updates of each run's third stage; ablations that see one source at a time take more. An update is about 0.6 seconds
    /// of one core, so that all runs together take 45 minutes on two cores, or 6 minutes on 16 with --jobs 9
    #[arg(long, default_value_t = 250, value_parser = clap::value_parser!(u64).range(1..))]
    steps: u64,
    /// Runs at once [default: as many as the cores have room for]
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..))]
    jobs: Option<u16>,
    /// Threads of each run
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u16).range(1..))]
    threads: u16,
    /// A `flamingo` that is already built, instead of building it
    #[arg(long, value_name = "PATH")]
    binary: Option<PathBuf>,
    /// A run whose first two stages are finished, instead of training them once for all runs
    #[arg(long, value_name = "DIR")]
    towers: Option<PathBuf>,
    /// Where the figures of every run are gathered [default: docs/ablations.jsonl]
    #[arg(long, value_name = "FILE")]
    results: Option<PathBuf>,
    /// The page that gets the tables [default: docs/ablations.md]
    #[arg(long, value_name = "FILE")]
    table: Option<PathBuf>,
    /// Only make the tables of the figures that are there
    #[arg(long)]
    summarise: bool,
}

pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    let root = workspace::root()?;
    // What is given is relative to where the command was given.
    let file = |given: Option<PathBuf>, default: &str| match given {
        Some(path) => std::path::absolute(&path).with_context(|| format!("{} is no path", path.display())),
        None => Ok(root.join(default)),
    };
    let results = Results {
        file: file(args.results, "docs/ablations.jsonl")?,
        page: file(args.table, "docs/ablations.md")?,
        updates: args.steps,
    };
    let records = record::read(&results.file)?;
    results.write_page(&records)?;
    if args.summarise {
        println!("{} from {} runs", results.page.display(), records.len());
        return Ok(ExitCode::SUCCESS);
    }

    let done = |job: &Job| records.iter().any(|record| record.is_of(job, args.steps));
    let mut pending: VecDeque<Job> = list::jobs(&args.only, args.seeds).into();
    pending.retain(|job| !done(job));
    if pending.is_empty() {
        println!("nothing to do: all runs are in {}", results.file.display());
        return Ok(ExitCode::SUCCESS);
    }
    let binary = match args.binary {
        Some(path) => std::path::absolute(&path).context("--binary")?,
        None => workspace::build(&root, "flamingo", &[])?,
    };
    let towers = args.towers.map(|path| std::path::absolute(&path).context("--towers")).transpose()?;
    let towers = towers.map_or_else(|| train_towers(&root, &binary), Ok)?;
    for name in ["contrastive.json", "language.json"] {
        if !towers.join(name).is_file() {
            bail!("{} has no {name}: give a run whose first two stages are finished", towers.display());
        }
    }
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let threads = usize::from(args.threads);
    let jobs = args.jobs.map_or((cores / threads).max(1), usize::from).min(pending.len());
    let setting =
        Setting { root, binary, updates_of_towers: updates_of(&towers), towers, threads, jobs, cores };
    all(pending, &setting, &results, records)
}

/// How runs are made.
struct Setting {
    root: PathBuf,
    binary: PathBuf,
    towers: PathBuf,
    updates_of_towers: Option<[u64; 2]>,
    threads: usize,
    jobs: usize,
    cores: usize,
}

/// Where their figures go.
struct Results {
    file: PathBuf,
    page: PathBuf,
    updates: u64,
}

impl Results {
    fn write_page(&self, records: &[Record]) -> anyhow::Result<()> {
        let before = match fs::read_to_string(&self.page) {
            Ok(page) => Some(page),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
            Err(error) => return Err(error).with_context(|| format!("cannot read {}", self.page.display())),
        };
        let command = format!("cargo xtask ablate --steps {}", self.updates);
        let part = table::part(records, self.updates, &command);
        record::write_atomic(&self.page, &table::placed(before.as_deref(), &part))
    }
}

/// Makes all of `pending`, several at once. Exit code 1 if one failed; the others are made all the same.
fn all(
    pending: VecDeque<Job>,
    setting: &Setting,
    results: &Results,
    records: Vec<Record>,
) -> anyhow::Result<ExitCode> {
    let count = pending.len();
    println!("{count} runs, {} at once with {} threads each", setting.jobs, setting.threads);
    let start = Instant::now();
    let queue = Mutex::new(pending);
    let records = Mutex::new(records);
    let failures = Mutex::new(Vec::new());
    let next = || queue.lock().ok()?.pop_front();
    let work = || {
        while let Some(job) = next() {
            let name = format!("{}, seed {}", job.ablation.name, job.seed);
            let finished = one(&job, setting, results).and_then(|record| keep(record, &records, results));
            let seconds = start.elapsed().as_secs();
            match finished {
                Ok(()) => println!("{seconds:>6} s  {name}: done"),
                Err(error) => {
                    eprintln!("{seconds:>6} s  {name}: {error:#}");
                    if let Ok(mut failures) = failures.lock() {
                        failures.push(name);
                    }
                }
            }
        }
    };
    thread::scope(|scope| {
        for _ in 0..setting.jobs {
            scope.spawn(work);
        }
    });
    let failures = failures.into_inner().unwrap_or_default();
    println!("{} of {count} runs done; tables: {}", count - failures.len(), results.page.display());
    Ok(if failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Puts a record to the others, on disk too.
fn keep(record: Record, records: &Mutex<Vec<Record>>, results: &Results) -> anyhow::Result<()> {
    // Held while writing: one writer at a time. A thread that panicked before leaves whole records.
    let mut records = records.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    records.push(record);
    record::write(&results.file, &records)?;
    results.write_page(&records)
}

fn one(job: &Job, setting: &Setting, results: &Results) -> anyhow::Result<Record> {
    let name = format!("{FOLDER}/{}-updates/{}-{}", results.updates, job.ablation.name, job.seed);
    let folder = setting.root.join("runs").join(&name);
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    // A run that ended, but whose figures were not gathered, is not made again.
    let report = folder.join("report.json");
    if !report.is_file() {
        let log = folder.with_extension("log");
        let output = File::create(&log).with_context(|| format!("cannot write {}", log.display()))?;
        let mut command = workspace::command(&setting.root, setting.binary.clone());
        let status = command
            .args(arguments(job, &name, results.updates))
            .arg("--towers-from")
            .arg(&setting.towers)
            .env("RAYON_NUM_THREADS", setting.threads.to_string())
            .stdin(Stdio::null())
            .stdout(output.try_clone().context("cannot share the log")?)
            .stderr(output)
            .status()
            .with_context(|| format!("cannot start {}", setting.binary.display()))?;
        if !status.success() {
            bail!("failed ({status}); {} ends with:\n{}", log.display(), end_of(&log));
        }
    }
    let text = fs::read(&report).with_context(|| format!("cannot read {}", report.display()))?;
    Ok(Record {
        ablation: job.ablation.name.to_owned(),
        seed: job.seed,
        updates: results.updates,
        machine: machine(setting.cores),
        threads: setting.threads,
        jobs: setting.jobs,
        towers: setting.updates_of_towers,
        report: serde_json::from_slice(&text)
            .with_context(|| format!("{} is no report", report.display()))?,
    })
}

/// Of `flamingo`, but for the towers.
fn arguments(job: &Job, name: &str, updates: u64) -> Vec<String> {
    let mut arguments: Vec<String> =
        ["train", "--device", "flex", "--resume", "--name", name].map(str::to_owned).into();
    if let Some(config) = job.ablation.config() {
        arguments.extend(["--config".to_owned(), config]);
    }
    let set = format!("flamingo.train.steps={}", updates * job.ablation.updates);
    arguments.extend(["--seed".to_owned(), job.seed.to_string(), "--set".to_owned(), set]);
    arguments
}

/// The first two stages, once.
fn train_towers(root: &Path, binary: &Path) -> anyhow::Result<PathBuf> {
    let name = format!("{FOLDER}/towers");
    let folder = root.join("runs").join(&name);
    if !folder.join("language.json").is_file() {
        println!("training the towers in {}", folder.display());
        let status = workspace::command(root, binary.to_owned())
            .args(["train", "--device", "flex", "--resume", "--until", "language", "--name", &name])
            .stdin(Stdio::null())
            .status()
            .with_context(|| format!("cannot start {}", binary.display()))?;
        if !status.success() {
            bail!("the towers' training failed ({status})");
        }
    }
    Ok(folder)
}

/// Updates of a run's first two stages, if it says.
fn updates_of(towers: &Path) -> Option<[u64; 2]> {
    let config: Value = serde_json::from_slice(&fs::read(towers.join("config.json")).ok()?).ok()?;
    let of = |stage: &str| config[stage]["train"]["steps"].as_u64();
    Some([of("contrastive")?, of("language")?])
}

/// What the system calls its processor, and how many cores may be used.
fn machine(cores: usize) -> String {
    let processors = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = processors.lines().find_map(|line| line.strip_prefix("model name")?.split_once(':'));
    let model = model.map_or(std::env::consts::ARCH, |(_, name)| name.trim());
    format!("{model}, {cores} cores")
}

/// The last lines of a log.
fn end_of(log: &Path) -> String {
    const LINES: usize = 8;
    let text = fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(LINES)..].join("\n")
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Command {
        #[command(flatten)]
        args: Args,
    }

    #[test]
    fn unknown_ablations_and_no_seeds_are_refused() {
        let parse = |args: &[&str]| Command::try_parse_from([&["ablate"], args].concat());
        let args = parse(&["--only", "mlp", "--only", "baseline"]).unwrap().args;
        assert_eq!((args.only.len(), args.seeds, args.threads), (2, 3, 2));
        assert!(parse(&["--only", "mpl"]).unwrap_err().to_string().contains("mlp"));
        assert!(parse(&["--seeds", "0"]).is_err() && parse(&["--jobs", "0"]).is_err());
    }

    #[test]
    fn an_ablation_is_a_file_over_the_preset_and_as_many_batches() {
        let arguments = |name: &str| {
            let job = list::jobs(&[name.to_owned()], 2)[1];
            arguments(&job, "n", 300).join(" ")
        };
        let common = "train --device flex --resume --name n";
        assert_eq!(arguments("baseline"), format!("{common} --seed 2 --set flamingo.train.steps=300"));
        assert_eq!(
            arguments("round-robin"),
            format!(
                "{common} --config configs/ablations/round-robin.toml --seed 2 --set flamingo.train.steps=600"
            )
        );
    }

    /// A program that stands for `flamingo`: writes a report, or fails for the MLP.
    #[cfg(unix)]
    fn stand_in(root: &Path) -> PathBuf {
        use std::os::unix::fs::PermissionsExt;

        let program = root.join("stand-in");
        let script = "#!/bin/sh\ncase \"$*\" in *mlp*) echo out of luck >&2; exit 3;; esac\n\
                      while [ \"$1\" != --name ]; do shift; done\n\
                      echo \"{\\\"threads\\\": $RAYON_NUM_THREADS}\" > \"runs/$2/report.json\"\n";
        fs::write(&program, script).unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        program
    }

    #[cfg(unix)]
    #[test]
    fn what_finished_is_kept_when_another_run_fails() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().to_owned();
        let setting = Setting {
            binary: stand_in(&root),
            towers: root.join("towers"),
            updates_of_towers: None,
            threads: 3,
            jobs: 2,
            cores: 6,
            root: root.clone(),
        };
        let results = Results { file: root.join("r.jsonl"), page: root.join("page.md"), updates: 5 };
        let jobs = list::jobs(&["baseline", "mlp", "every-2nd"].map(str::to_owned), 2);
        let code = all(jobs.clone().into(), &setting, &results, Vec::new()).unwrap();
        assert_eq!(format!("{code:?}"), format!("{:?}", ExitCode::FAILURE));
        let records = record::read(&results.file).unwrap();
        assert_eq!(records.len(), 4);
        assert!(records.iter().all(|record| record.figure("threads") == Some(3.0)));
        let missing: Vec<&Job> =
            jobs.iter().filter(|job| !records.iter().any(|record| record.is_of(job, 5))).collect();
        assert!(missing.len() == 2 && missing.iter().all(|job| job.ablation.name == "mlp"));
        assert!(fs::read_to_string(&results.page).unwrap().contains("| gated block every 2nd layer | 2 |"));
        let error = one(missing[0], &setting, &results).unwrap_err().to_string();
        assert!(error.contains("out of luck"), "{error}");
    }
}
