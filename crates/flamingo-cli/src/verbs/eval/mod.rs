//! `flamingo eval`: how good answers are. One file per verb.

mod score;

/// Score predictions
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    Score(score::Args),
}

pub fn run(args: &Args) -> anyhow::Result<()> {
    match &args.verb {
        Verb::Score(args) => score::run(args),
    }
}
