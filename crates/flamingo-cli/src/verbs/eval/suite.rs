//! `flamingo eval --suite fetchable`: the curve that anyone can make.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use clap::ValueEnum;
use flamingo::train::write_atomic;
use flamingo_eval::suite::{self, Figure, Sets, SuiteSpec, summaries};

use crate::verbs::device::DeviceArg;
use crate::verbs::model::ModelArgs;
use crate::verbs::output::print;
use crate::verbs::stop;

/// A suite.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum Suite {
    /// Held-out parts of sets that `cargo xtask data prepare` makes: naming, fast binding, questions, categories, captions,
    /// clips
    Fetchable,
}

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    model: ModelArgs,
    #[command(flatten)]
    device: DeviceArg,
    /// Where to write eval.json and eval.html
    #[arg(long, value_name = "DIR", default_value = "runs/eval")]
    out: PathBuf,
    /// Keep the figures that are in eval.json, of the same model, and ask for those that are missing
    #[arg(long)]
    resume: bool,
    /// Where the prepared sets are, instead of your cache folder
    #[arg(long, value_name = "DIR")]
    sets: Option<PathBuf>,
    /// Only these tasks: binding-2-way, binding-5-way, naming-concepts, naming-drawings, questions, category-photos,
    /// category-stamps, captions-photos, video-naming
    #[arg(long, value_name = "A,B,…", value_delimiter = ',')]
    tasks: Vec<String>,
    /// Each draws queries and examples anew
    #[arg(long, value_name = "A,B,…", value_delimiter = ',', default_values_t = SuiteSpec::default().seeds)]
    seeds: Vec<u64>,
    /// Trials of fast binding, for each number of ways and shots and each seed
    #[arg(long, value_name = "N", default_value_t = SuiteSpec::default().trials)]
    trials: usize,
    /// Most queries of every other task, for each seed
    #[arg(long, value_name = "N", default_value_t = SuiteSpec::default().queries)]
    queries: usize,
    /// Most queries under each control (shuffled images, no images, the language model alone)
    #[arg(long, value_name = "N", default_value_t = SuiteSpec::default().controls)]
    controls: usize,
    /// Queries in a row that are asked behind the same examples
    #[arg(long, value_name = "N", default_value_t = SuiteSpec::default().block)]
    block: usize,
}

pub fn run(suite: Suite, args: &Args) -> anyhow::Result<()> {
    let Suite::Fetchable = suite;
    let spec = args.spec()?;
    let folder = match &args.sets {
        Some(folder) => folder.clone(),
        None => flamingo::cache::datasets().context("there is no cache folder; name one with --sets")?,
    };
    let known = if args.resume { known(args)? } else { Vec::new() };
    let stop = stop::listen(|| eprintln!("stopping after this figure; once more to stop at once"), || {})?;
    let model = args.model.open(&args.device.resolve()?)?;
    let mut result = Ok(());
    let figures = suite::run(model, &Sets::new(folder), &spec, known, &stop, |figures| {
        figures.last().into_iter().for_each(|figure| eprintln!("{figure}"));
        // What was measured is never lost, however long the rest takes.
        result = write(&args.out, figures, args);
    })?;
    result?;
    write(&args.out, &figures, args)?;
    print(&table(&figures))?;
    print(&format!("{}\n{}\n", args.out.join(JSON).display(), args.out.join(PAGE).display()))?;
    Ok(())
}

const JSON: &str = "eval.json";
const PAGE: &str = "eval.html";
/// Whose figures they are.
const MODEL: &str = "model.txt";

/// The figures of an earlier call; none if there was none.
fn known(args: &Args) -> anyhow::Result<Vec<Figure>> {
    let (json, model) = (args.out.join(JSON), args.out.join(MODEL));
    if !json.is_file() {
        return Ok(Vec::new());
    }
    let read = |path: &Path| {
        std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
    };
    let (before, now) = (read(&model)?, args.model.name());
    if before.trim() != now {
        bail!("{} has the figures of {}, not of {now}: give another --out", json.display(), before.trim());
    }
    serde_json::from_str(&read(&json)?)
        .with_context(|| format!("{} has no figures of a suite", json.display()))
}

impl Args {
    fn spec(&self) -> anyhow::Result<SuiteSpec> {
        let Self { tasks, seeds, trials, queries, controls, block, .. } = self;
        let spec = SuiteSpec {
            tasks: tasks.clone(),
            seeds: seeds.clone(),
            trials: *trials,
            queries: *queries,
            controls: *controls,
            block: *block,
        };
        spec.validate()?;
        Ok(spec)
    }
}

fn write(out: &Path, figures: &[Figure], args: &Args) -> anyhow::Result<()> {
    std::fs::create_dir_all(out).with_context(|| format!("cannot make {}", out.display()))?;
    let json = serde_json::to_string_pretty(figures)?;
    write_atomic(&out.join(MODEL), format!("{}\n", args.model.name()).as_bytes())?;
    write_atomic(&out.join(JSON), format!("{json}\n").as_bytes())?;
    let seeds: BTreeSet<u64> = figures.iter().map(|figure| figure.seed).collect();
    let numbers = seeds.iter().map(u64::to_string).collect::<Vec<_>>().join(", ");
    let facts = [
        ("model", args.model.name().to_owned()),
        ("seeds", numbers),
        ("version", env!("CARGO_PKG_VERSION").to_owned()),
    ];
    write_atomic(&out.join(PAGE), suite::page(figures, &facts).as_bytes())?;
    Ok(())
}

/// The means over the seeds, a line each.
fn table(figures: &[Figure]) -> String {
    let mut text = format!(
        "{:<18} {:>5}  {:<10} {:>6}  {:<16} {:>6} {:>6}\n",
        "task", "shots", "control", "score", "95 % interval", "chance", "n"
    );
    for summary in summaries(figures) {
        let (low, high) = summary.interval;
        text += &format!(
            "{:<18} {:>5}  {:<10} {:>6.3}  [{low:.3}, {high:.3}]   {:>6.3} {:>6}\n",
            summary.task,
            summary.shots,
            summary.control.name(),
            summary.score,
            summary.chance,
            summary.n
        );
    }
    text
}
