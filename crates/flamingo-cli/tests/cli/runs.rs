//! Training runs that are killed, stopped, starved of disk or locked out: each goes on, and ends bit for bit where one that
//! nobody disturbed does.
//!
//! The run is the nano preset's three stages with few and small batches. `cargo test … -- --ignored --nocapture` runs the long
//! versions, which print what they saw.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::OnceLock;
use std::thread::sleep;
use std::time::{Duration, Instant};

use flamingo::core::seed::derive;
use flamingo::train::Checkpoint;

use super::WORKSPACE;

/// What must be the same at the end, byte for byte.
const RESULTS: [&str; 4] =
    ["model.safetensors", "contrastive.safetensors", "language.safetensors", "tokenizer.json"];

const CONFIG: &str = r#"
[contrastive]
batch = 4
train = { steps = 4, log_every = 1, checkpoint_every = 1 }
[language]
batch = 2
train = { steps = 4, log_every = 1, checkpoint_every = 2 }
[flamingo]
pages_batch = 1
pairs_batch = 4
train = { steps = 40, log_every = 4, checkpoint_every = 3, evaluate_every = 10, keep_best = "heldout_images/nll_right" }
[evaluation]
samples = 4
max_tokens = 2
"#;

/// A folder in which runs of [`CONFIG`] can be made.
fn place() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let emoji = Path::new(WORKSPACE).join("datasets/emoji");
    let data = format!("[data]\nfolders = [{:?}]\n", emoji.canonicalize().unwrap());
    fs::write(dir.path().join("small.toml"), data + CONFIG).unwrap();
    dir
}

/// `flamingo train` with `args`, not yet started.
fn command(place: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_flamingo"));
    command.current_dir(place).args(["train", "--config", "small.toml", "--progress", "none"]).args(args);
    command
}

fn start(place: &Path, args: &[&str]) -> Child {
    command(place, args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn succeeds(output: &Output) {
    assert!(output.status.success(), "{:?}: {}", output.status, text(&output.stderr));
}

/// The results of the run that nobody disturbs, and its seconds.
struct Reference {
    files: Vec<Vec<u8>>,
    losses: Vec<String>,
    seconds: f64,
}

fn reference() -> &'static Reference {
    static REFERENCE: OnceLock<Reference> = OnceLock::new();
    REFERENCE.get_or_init(|| {
        let place = place();
        let started = Instant::now();
        succeeds(&command(place.path(), &["--name", "whole"]).output().unwrap());
        let seconds = started.elapsed().as_secs_f64();
        let run = place.path().join("runs/whole");
        Reference { files: results(&run), losses: losses(&run), seconds }
    })
}

fn results(run: &Path) -> Vec<Vec<u8>> {
    RESULTS.iter().map(|name| fs::read(run.join(name)).unwrap()).collect()
}

/// The records without what a clock says.
fn losses(run: &Path) -> Vec<String> {
    let lines = fs::read_to_string(run.join("metrics.jsonl")).unwrap();
    let timeless = |line: &str| {
        let mut record: serde_json::Value = serde_json::from_str(line).unwrap();
        let fields = record.as_object_mut().unwrap();
        fields.remove("images_per_s");
        fields.remove("elapsed_s");
        record.to_string()
    };
    lines.lines().map(timeless).collect()
}

fn is_the_reference(run: &Path) {
    let expected = reference();
    for ((name, expected), found) in RESULTS.iter().zip(&expected.files).zip(results(run)) {
        assert!(*expected == found, "{name} differs from that of the run that nobody disturbed");
    }
    assert_eq!(losses(run), expected.losses);
    // The folder of the test itself is called so, too.
    let is_scratch =
        |path: &PathBuf| path.file_name().is_some_and(|name| name.to_string_lossy().contains(".tmp"));
    let left: Vec<_> = walk(run).into_iter().filter(is_scratch).collect();
    assert!(left.is_empty(), "{left:?}");
}

fn walk(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { walk(&path) } else { vec![path] }).collect()
}

/// The newest checkpoint of the last stage that has one.
fn newest(run: &Path) -> String {
    let of = |stage: &str| Checkpoint::latest(&run.join("checkpoints").join(stage)).unwrap();
    let found = ["flamingo", "language", "contrastive"].iter().find_map(|stage| of(stage));
    found.map_or("none yet".to_owned(), |one| format!("{} {}", one.state().stage, one.state().step))
}

/// Kills runs with SIGKILL at `kills` random moments in all; a run that ends is looked at, and another begun.
fn kill_at_random_moments(kills: u64) {
    let whole = reference().seconds;
    let seed = u64::from(std::process::id());
    println!("the run that nobody disturbs takes {whole:.1} s; seed {seed}");
    let place = place();
    let (mut killed, mut ended) = (0, 0);
    while killed < kills || ended == 0 {
        let name = format!("run-{ended}");
        let run = place.path().join("runs").join(&name);
        loop {
            let mut child = start(place.path(), &["--name", &name, "--resume"]);
            if killed < kills {
                // Later than that most are over.
                let share = (derive(seed, [killed]) % 1000) as f64 / 1000.0;
                let moment = Instant::now() + Duration::from_secs_f64(0.8 * whole * share);
                while Instant::now() < moment && child.try_wait().unwrap().is_none() {
                    sleep(Duration::from_millis(5));
                }
                if child.try_wait().unwrap().is_none() {
                    child.kill().unwrap();
                    child.wait().unwrap();
                    killed += 1;
                    println!(
                        "kill {killed}: after {:.2} s; newest checkpoint: {}",
                        0.8 * whole * share,
                        newest(&run)
                    );
                    continue;
                }
            }
            succeeds(&child.wait_with_output().unwrap());
            break;
        }
        is_the_reference(&run);
        ended += 1;
        println!("run {ended} ended as the one that nobody disturbed");
    }
}

#[test]
fn a_killed_run_ends_as_one_that_was_not() {
    kill_at_random_moments(3);
}

#[test]
#[ignore = "two minutes"]
fn thirty_kills_do_no_harm() {
    kill_at_random_moments(30);
}

/// Waits until the run in `folder` has recorded updates of the last stage.
fn wait_for_flamingo(folder: &Path, child: &mut Child) {
    let begun = || {
        let records = fs::read_to_string(folder.join("metrics.jsonl")).unwrap_or_default();
        records.contains("\"stage\":\"flamingo\"")
    };
    while !begun() {
        assert!(child.try_wait().unwrap().is_none(), "it ended before");
        sleep(Duration::from_millis(5));
    }
}

/// Starts a run and stops it in its last stage.
#[cfg(unix)]
fn stopped_by(signal: &str, place: &Path, name: &str) -> PathBuf {
    let run = place.join("runs").join(name);
    let mut child = start(place, &["--name", name]);
    wait_for_flamingo(&run, &mut child);
    let sent = Command::new("kill").args([signal, &child.id().to_string()]).status().unwrap();
    assert!(sent.success());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert!(text(&output.stdout).contains("--resume"), "{}", text(&output.stdout));
    assert!(text(&output.stderr).contains("with a checkpoint"), "{}", text(&output.stderr));
    run
}

#[test]
#[cfg(unix)]
fn signals_make_a_checkpoint_and_a_clean_end() {
    let place = place();
    for (signal, name) in [("-INT", "interrupted"), ("-TERM", "terminated")] {
        let run = stopped_by(signal, place.path(), name);
        let step = Checkpoint::latest(&run.join("checkpoints/flamingo")).unwrap().unwrap().state().step;
        assert!((4..40).contains(&step), "{step}");
        succeeds(&command(place.path(), &["--name", name, "--resume"]).output().unwrap());
        is_the_reference(&run);
    }
}

#[test]
#[cfg(unix)]
fn one_folder_has_one_run_at_a_time() {
    let place = place();
    let mut child = start(place.path(), &["--name", "busy"]);
    wait_for_flamingo(&place.path().join("runs/busy"), &mut child);
    let second = command(place.path(), &["--name", "busy", "--resume"]).output().unwrap();
    assert_eq!(second.status.code(), Some(2));
    assert!(text(&second.stderr).contains("in use by another training run"), "{}", text(&second.stderr));
    succeeds(&child.wait_with_output().unwrap());
    is_the_reference(&place.path().join("runs/busy"));
}

/// A limit on the size of files stands for a full disk where nobody may mount one.
#[test]
#[cfg(unix)]
fn a_checkpoint_that_does_not_fit_is_told_and_the_last_one_stays() {
    let place = place();
    let run = stopped_by("-TERM", place.path(), "small");
    let before = Checkpoint::latest(&run.join("checkpoints/flamingo")).unwrap().unwrap();
    // Blocks are of 512 or of 1024 bytes: 2 MB or 4, of which the optimizer's file has more.
    let script = "trap '' XFSZ; ulimit -f 4096; exec \"$0\" train --config small.toml --name small --resume";
    let failed = Command::new("sh")
        .args(["-c", script, env!("CARGO_BIN_EXE_flamingo")])
        .current_dir(place.path())
        .output()
        .unwrap();
    let message = text(&failed.stderr);
    assert_eq!(failed.status.code(), Some(4), "{message}");
    let kept = before.path().file_name().unwrap().to_str().unwrap();
    for part in ["could not be saved (a checkpoint takes", kept, "is whole", "make room", "File too large"] {
        assert!(message.contains(part), "{part:?} is not in: {message}");
    }
    let after = Checkpoint::latest(&run.join("checkpoints/flamingo")).unwrap().unwrap();
    assert_eq!(after.state().step, before.state().step);
    succeeds(&command(place.path(), &["--name", "small", "--resume"]).output().unwrap());
    is_the_reference(&run);
}

/// A real full disk and a real read-only one, where a mount namespace can be had.
#[test]
#[cfg(target_os = "linux")]
fn full_and_read_only_disks_are_told() {
    let place = place();
    fs::create_dir_all(place.path().join("runs/tiny")).unwrap();
    let script = r#"
        mount -t tmpfs -o size=30m none runs/tiny || exit 77
        train() { "$0" train --config small.toml --name tiny --resume "$@"; }
        train; echo "full: $?" >&2
        mount -o remount,ro,size=200m runs/tiny
        train; echo "read-only: $?" >&2
        mount -o remount,rw runs/tiny
        train && cp -r runs/tiny kept
    "#;
    let output = Command::new("unshare")
        .args(["--map-root-user", "--mount", "sh", "-c", script, env!("CARGO_BIN_EXE_flamingo")])
        .current_dir(place.path())
        .output();
    let Some(output) = output.ok().filter(|output| output.status.code() != Some(77)) else {
        eprintln!("skipped: no mount namespace can be had here");
        return;
    };
    let message = text(&output.stderr);
    if message.contains("unshare failed") {
        eprintln!("skipped: {message}");
        return;
    }
    for part in
        ["could not be saved", "No space left on device", "full: 4", "Read-only file system", "read-only: 4"]
    {
        assert!(message.contains(part), "{part:?} is not in: {message}");
    }
    succeeds(&output);
    is_the_reference(&place.path().join("kept"));
}

/// Bytes of main memory that a process holds.
#[cfg(target_os = "linux")]
fn resident(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches("kB").trim().parse::<u64>().unwrap() << 10
}

#[test]
#[cfg(target_os = "linux")]
#[ignore = "two minutes"]
fn memory_stays_flat_over_five_hundred_updates() {
    let place = place();
    let set =
        ["flamingo.train.steps=500", "flamingo.train.log_every=20", "flamingo.train.checkpoint_every=60"]
            .iter()
            .chain(&["flamingo.pairs_batch=16", "flamingo.pages_batch=2"])
            .flat_map(|setting| ["--set", setting]);
    let mut child = start(place.path(), &["--name", "flat"].into_iter().chain(set).collect::<Vec<_>>());
    let metrics = place.path().join("runs/flat/metrics.jsonl");
    let mut series: Vec<(u64, u64)> = Vec::new();
    while child.try_wait().unwrap().is_none() && series.last().is_none_or(|(step, _)| *step < 500) {
        let lines = fs::read_to_string(&metrics).unwrap_or_default();
        let last = lines.lines().last().and_then(|line| serde_json::from_str::<serde_json::Value>(line).ok());
        if let Some(record) = last.filter(|record| record["stage"] == "flamingo") {
            let step = record["step"].as_u64().unwrap();
            let seen = resident(child.id());
            match series.last_mut().filter(|(last, _)| *last == step) {
                Some((_, most)) => *most = seen.max(*most),
                None => series.push((step, seen)),
            }
        }
        sleep(Duration::from_millis(20));
    }
    succeeds(&child.wait_with_output().unwrap());
    println!("update: most MB held until the next record");
    series.iter().for_each(|(step, bytes)| println!("{step}: {:.1}", *bytes as f64 / 1e6));
    let most = |range: std::ops::Range<u64>| {
        series.iter().filter(|(step, _)| range.contains(step)).map(|(_, bytes)| *bytes).max().unwrap()
    };
    let (early, late) = (most(100..250), most(350..500));
    assert!(late as f64 <= 1.05 * early as f64, "{early} bytes, then {late}");
}

#[test]
fn a_dry_run_tells_what_a_run_takes_and_writes_nothing() {
    let place = place();
    let output = command(place.path(), &["--dry-run"]).output().unwrap();
    succeeds(&output);
    let told = text(&output.stdout);
    for part in [
        "steps = 40",
        "contrastive\n",
        "xattn",
        "resampler",
        "frozen",
        "optimizer",
        "activations",
        "time in all",
    ] {
        assert!(told.contains(part), "{part:?} is not in: {told}");
    }
    assert!(!place.path().join("runs").exists());
}
