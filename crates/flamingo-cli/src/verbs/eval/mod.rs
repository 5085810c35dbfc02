//! `flamingo eval`: how good answers are. One file per verb.

mod score;
mod suite;

use crate::exit::Usage;

/// Measure a model on what it was not trained on, or score predictions
///
/// `flamingo eval --suite fetchable --model MODEL` asks a model on held-out parts of sets that anyone can fetch, with several
/// numbers of examples and under controls.
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
    Score(score::Args),
}

pub fn run(args: &Args) -> anyhow::Result<()> {
    match (&args.verb, args.suite) {
        (Some(Verb::Score(args)), _) => score::run(args),
        (None, Some(suite)) => suite::run(suite, &args.of_suite),
        (None, None) => {
            Err(Usage("name a verb, or a suite, such as --suite fetchable; see --help".to_owned()).into())
        }
    }
}
