//! `flamingo data`: training data, made and looked at. One file per verb.

mod inspect;
mod interleave;
mod sources;
mod stream;

/// Make and look at training data
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    Inspect(inspect::Args),
    Interleave(interleave::Args),
    Stream(stream::Args),
}

pub fn run(args: &Args) -> anyhow::Result<()> {
    match &args.verb {
        Verb::Inspect(args) => inspect::run(args),
        Verb::Interleave(args) => interleave::run(args),
        Verb::Stream(args) => stream::run(args),
    }
}
