//! The `flamingo` command: one file per verb.
//!
//! Exit codes: 0 done, 1 anything not listed, 2 wrong usage, 3 data, 4 weights.

mod caches;
mod exit;
mod verbs;

use clap::{Parser, Subcommand};

/// Train and use Flamingo visual language models.
#[derive(Debug, Parser)]
#[command(name = "flamingo", version)]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    Train(verbs::train::Args),
    Caption(verbs::caption::Args),
    Generate(verbs::generate::Args),
    Ask(verbs::ask::Args),
    Classify(verbs::classify::Args),
    Chat(verbs::chat::Args),
    Score(verbs::score::Args),
    Eval(verbs::eval::Args),
    Inspect(verbs::inspect::Args),
    Convert(verbs::convert::Args),
    Data(verbs::data::Args),
    Doctor(verbs::doctor::Args),
}

fn main() -> std::process::ExitCode {
    // Where the allocator is another, memory is given back as it always was.
    flamingo_malloc::keep_freed();
    let result = match Cli::parse().verb {
        Verb::Train(args) => verbs::train::run(&args),
        Verb::Caption(args) => verbs::caption::run(&args),
        Verb::Generate(args) => verbs::generate::run(&args),
        Verb::Ask(args) => verbs::ask::run(&args),
        Verb::Classify(args) => verbs::classify::run(&args),
        Verb::Chat(args) => verbs::chat::run(&args),
        Verb::Score(args) => verbs::score::run(&args),
        Verb::Eval(args) => verbs::eval::run(&args),
        Verb::Inspect(args) => verbs::inspect::run(&args),
        Verb::Convert(args) => verbs::convert::run(&args),
        Verb::Data(args) => verbs::data::run(&args),
        Verb::Doctor(args) => verbs::doctor::run(&args),
    };
    match result {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {}", exit::message(&error));
            exit::code(&error)
        }
    }
}
