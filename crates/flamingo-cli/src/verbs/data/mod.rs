//! `flamingo data`: training data, made and looked at. One file per verb.

mod interleave;

/// Make and look at training data
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    Interleave(interleave::Args),
}

pub fn run(args: &Args) -> anyhow::Result<()> {
    match &args.verb {
        Verb::Interleave(args) => interleave::run(args),
    }
}
