//! `flamingo eval`: how good answers are. One file per verb.

mod run;
mod score;
mod suite;
mod tasks;

use crate::exit::Usage;

/// Measure a model on what it was not trained on, or score predictions
///
/// `flamingo eval run TASK` asks a benchmark's questions from its official files. `flamingo eval --suite fetchable` asks a model
/// on held-out parts of sets that anyone can fetch, with several numbers of examples and under controls.
#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Args {
    #[command(subcommand)]
    verb: Option<Verb>,
    /// The suite to ask
    #[arg(long, value_name = "NAME")]
    suite: Option<suite::Suite>,
    #[command(flatten)]
    of_suite: suite::Args,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    Run(Box<run::Args>),
    Tasks(tasks::Args),
    Score(score::Args),
}

pub fn run(args: &Args) -> anyhow::Result<()> {
    match (&args.verb, args.suite) {
        (Some(Verb::Run(args)), _) => run::run(args),
        (Some(Verb::Tasks(args)), _) => tasks::run(args),
        (Some(Verb::Score(args)), _) => score::run(args),
        (None, Some(suite)) => suite::run(suite, &args.of_suite),
        (None, None) => {
            Err(Usage("name a verb, or a suite, such as --suite fetchable; see --help".to_owned()).into())
        }
    }
}
