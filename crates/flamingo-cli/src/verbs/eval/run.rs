//! `flamingo eval run`: a benchmark's questions, few-shot.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;

use clap::ValueEnum;
use flamingo_eval::files::FileRecord;
use flamingo_eval::protocol::{Bar, Examples, Given, Journal, Protocol, Settings, Support, TaskResult};
use flamingo_eval::task::{Files, PromptStyle, registry};

use crate::exit::Usage;
use crate::verbs::decoding::LimitsArg;
use crate::verbs::device::DeviceArg;
use crate::verbs::model::ModelArgs;
use crate::verbs::output::print;
use crate::verbs::stop;

/// Ask a model a benchmark's questions with 0 or more examples, and score its answers
///
/// `flamingo eval tasks` lists benchmarks and their files. Everything that decided a score is in the file of --out. An
/// evaluation that was interrupted goes on when the same command is given again.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The benchmark, such as coco
    task: String,
    #[command(flatten)]
    model: ModelArgs,
    /// The benchmark's files, such as karpathy=dataset_coco.json train-images=train2014
    #[arg(long, value_name = "NAME=PATH", num_args = 1.., required = true)]
    files: Vec<String>,
    /// Numbers of examples
    #[arg(long, value_name = "N,N,…", value_delimiter = ',', default_values_t = Settings::default().shots)]
    shots: Vec<usize>,
    /// How often, with other examples each time
    #[arg(long, value_name = "N", default_value_t = Settings::default().trials)]
    trials: usize,
    /// Decides the examples of the first trial; the others have the next ones
    #[arg(long, value_name = "N", default_value_t = Settings::default().seed)]
    seed: u64,
    /// Ask only so many queries, drawn by --seed
    #[arg(long, value_name = "N")]
    queries: Option<usize>,
    /// From how many items examples are drawn: all, a number, or Nx for N of each class [default: all with --rices, else
    /// 2048, but 32x for classes in the paper's style]
    #[arg(long, value_name = "SIZE", value_parser = support)]
    support: Option<Support>,
    /// Whose prompts
    #[arg(long, value_enum, default_value_t = Style::Paper)]
    style: Style,
    /// As examples those whose images are most alike the query's
    #[arg(long, conflicts_with_all = ["same_examples", "examples"])]
    rices: bool,
    /// The same examples for all queries of a trial: faster, as they are read once
    #[arg(long, conflicts_with = "examples")]
    same_examples: bool,
    /// These examples: a file of {SHOTS: {QUERY: [EXAMPLE, …]}}, all by their ids
    #[arg(long, value_name = "FILE")]
    examples: Option<PathBuf>,
    /// Average over so many orders of the examples, with close-ended benchmarks; the paper has 6
    #[arg(long, value_name = "N", default_value_t = Settings::default().ensemble)]
    ensemble: usize,
    /// Most new tokens, instead of the benchmark's own
    #[arg(long, value_name = "N")]
    max_new_tokens: Option<usize>,
    /// Texts followed side by side, instead of the benchmark's own number
    #[arg(long, value_name = "N")]
    beams: Option<usize>,
    /// Prompts that are continued side by side: more are faster and take more memory
    #[arg(long, value_name = "N", default_value_t = Settings::default().batch)]
    batch: usize,
    /// Go on while at most this share of the queries has media that cannot be read
    #[arg(long, value_name = "SHARE", default_value_t = Settings::default().max_reject_rate)]
    max_reject_rate: f64,
    /// Where to keep what --rices compares [default: rices in the project's cache folder]
    #[arg(long, value_name = "FOLDER", requires = "rices")]
    features: Option<PathBuf>,
    /// Write the result here; the answers are kept beside it until then, in FILE.journal.jsonl
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Write the predictions here, as the benchmark's server takes them; with several shots or trials, beside it
    #[arg(long, value_name = "FILE")]
    predictions: Option<PathBuf>,
    #[command(flatten)]
    limits: LimitsArg,
    #[command(flatten)]
    device: DeviceArg,
    /// Print the result's scores as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Style {
    /// The paper's
    Paper,
    /// OpenFlamingo's
    OpenFlamingo,
}

fn support(text: &str) -> Result<Support, String> {
    let wrong = |_| {
        format!("{text:?}: all, a number such as 2048, or a number of each class such as 32x was expected")
    };
    match text.strip_suffix('x') {
        _ if text == "all" => Ok(Support::All),
        Some(number) => number.parse().map(Support::PerClass).map_err(wrong),
        None => text.parse().map(Support::Items).map_err(wrong),
    }
}

pub fn run(args: &Args) -> anyhow::Result<()> {
    let task = registry::find(&args.task)?;
    let settings = args.settings();
    settings.validate()?;
    let given = args.examples.as_deref().map(Given::open).transpose()?;
    let files = args.files()?;
    let items = task.load(&files)?;
    let records = files.iter().map(|(name, path)| FileRecord::of(name, path)).collect::<Result<_, _>>()?;
    let mut engine = args.limits.engine(args.model.open(&args.device.resolve()?)?);
    let mut protocol = Protocol::new(&mut engine, task, &items, settings);
    protocol.files = records;
    protocol.model = args.model.identity()?;
    protocol.given = given;
    protocol.features = args.features.clone();

    let mut journal = Journal::open(&journal_of(&args.out), &protocol.decided()?)?;
    // What was answered is on disk, however it ends.
    let stop = stop::listen(|| eprintln!("stopping; once more to stop at once"), || {})?;
    let mut bar = Bar::new(task.name());
    let result = protocol.run(&mut journal, &mut |standing| {
        bar.update(standing);
        if stop.load(Ordering::Relaxed) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })?;
    drop(bar);
    let Some(result) = result else {
        eprintln!("stopped; the same command goes on");
        return Ok(());
    };
    result.write(&args.out)?;
    if let Some(path) = &args.predictions {
        result.write_predictions(path)?;
    }
    let text = if args.json { serde_json::to_string(&scores(&result))? + "\n" } else { told(&result) };
    Ok(print(&text)?)
}

impl Args {
    fn settings(&self) -> Settings {
        Settings {
            style: match self.style {
                Style::Paper => PromptStyle::Paper,
                Style::OpenFlamingo => PromptStyle::OpenFlamingo,
            },
            shots: self.shots.clone(),
            trials: self.trials,
            seed: self.seed,
            queries: self.queries,
            support: self.support.unwrap_or(Support::Usual),
            examples: match &self.examples {
                Some(_) => Examples::Given,
                None if self.rices => Examples::Similar,
                None if self.same_examples => Examples::Same,
                None => Examples::Random,
            },
            ensemble: self.ensemble,
            max_new_tokens: self.max_new_tokens,
            beams: self.beams,
            batch: self.batch,
            max_reject_rate: self.max_reject_rate,
            ..Settings::default()
        }
    }

    fn files(&self) -> anyhow::Result<Files> {
        let mut files = Files::new();
        for file in &self.files {
            let (name, path) = file.split_once('=').ok_or_else(|| {
                Usage(format!(
                    "--files {file}: NAME=PATH was expected; `flamingo eval tasks {}` lists the names",
                    self.task
                ))
            })?;
            if files.insert(name.to_owned(), path.into()).is_some() {
                return Err(Usage(format!("--files {name}: it is named twice")).into());
            }
        }
        Ok(files)
    }
}

/// Beside the result.
fn journal_of(out: &Path) -> PathBuf {
    let mut name = out.as_os_str().to_owned();
    name.push(".journal.jsonl");
    name.into()
}

/// The scores without answers.
fn scores(result: &TaskResult) -> serde_json::Value {
    let mut value = serde_json::json!(result);
    let trials = value["shots"].as_array_mut().into_iter().flatten();
    for trial in trials.flat_map(|shots| shots["trials"].as_array_mut().into_iter().flatten()) {
        if let Some(trial) = trial.as_object_mut() {
            trial.remove("answers");
        }
    }
    value
}

/// A line for each number of examples, in hundredths.
fn told(result: &TaskResult) -> String {
    let mut text = String::new();
    for shots in &result.shots {
        text += &format!("{} {} shots: ", result.task, shots.shots);
        text += &match (shots.mean, &shots.trials[..]) {
            (Some(mean), [trial]) => {
                let interval = trial
                    .interval
                    .map(|it| format!(", between {:.2} and {:.2}", 100.0 * it.low, 100.0 * it.high));
                format!("{} {:.2}{}", result.metric, 100.0 * mean, interval.unwrap_or_default())
            }
            (Some(mean), trials) => {
                let deviation = 100.0 * shots.deviation.unwrap_or(0.0);
                format!(
                    "{} {:.2}, deviation {deviation:.2} over {} trials",
                    result.metric,
                    100.0 * mean,
                    trials.len()
                )
            }
            (None, trials) => {
                let why = trials.iter().find_map(|trial| trial.unscored.clone()).unwrap_or_default();
                format!("no score: {why}")
            }
        };
        text += &format!(", {} queries\n", shots.trials.first().map_or(0, |trial| trial.queries));
    }
    if let Some(chance) = result.chance {
        text += &format!("chance: {:.2}\n", 100.0 * chance);
    }
    let (out, missing) = (result.left_out.len(), result.support_missing);
    if out + missing > 0 {
        text += &format!(
            "left out: {out} items that cannot be read, and {missing} of the support set that are not there\n"
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn support_sizes_are_read() {
        assert_eq!(support("all"), Ok(Support::All));
        assert_eq!(support("2048"), Ok(Support::Items(2048)));
        assert_eq!(support("32x"), Ok(Support::PerClass(32)));
        assert!(support("many").unwrap_err().contains("32x"));
    }

    #[test]
    fn the_journal_lies_beside_the_result() {
        assert_eq!(journal_of(Path::new("a/b.json")), Path::new("a/b.json.journal.jsonl"));
    }
}
