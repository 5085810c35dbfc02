//! `flamingo eval`: how good answers are. One file per verb.

mod run;
mod score;
mod tasks;

/// Ask a model a benchmark's questions, or score predictions
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    Run(Box<run::Args>),
    Tasks(tasks::Args),
    Score(score::Args),
}

pub fn run(args: &Args) -> anyhow::Result<()> {
    match &args.verb {
        Verb::Run(args) => run::run(args),
        Verb::Tasks(args) => tasks::run(args),
        Verb::Score(args) => score::run(args),
    }
}
