//! `cargo xtask VERB`: the project's own commands, one file per verb.
//!
//! This crate links no tensors, so it builds in seconds; what needs them it hands to cargo. Everything is built with
//! the whole workspace selected, in one profile, so that training, tests and data recipes share one build of the
//! dependencies: cargo merges features over the *selected* packages, and another selection would mean another build.

mod ablate;
mod needs;
mod parity;
mod tidy;
mod verbs;
mod workspace;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

/// The project's own commands
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Build and run `flamingo train`: all three stages and the report
    #[command(disable_help_flag = true)]
    Train(PassThrough),
    /// Build and run `flamingo caption`: one caption for each image
    #[command(disable_help_flag = true)]
    Caption(PassThrough),
    /// Build and run `flamingo generate`: how a model continues a prompt
    #[command(disable_help_flag = true)]
    Generate(PassThrough),
    /// Build and run `flamingo ask`: a question about images
    #[command(disable_help_flag = true)]
    Ask(PassThrough),
    /// Build and run `flamingo classify`: which of some labels suits an image
    #[command(disable_help_flag = true)]
    Classify(PassThrough),
    /// Build and run `flamingo chat`: a conversation with a model
    #[command(disable_help_flag = true)]
    Chat(PassThrough),
    /// Build and run `flamingo score`: the log-probability of every token of a prompt
    #[command(disable_help_flag = true)]
    Score(PassThrough),
    /// Fetch and prepare the sets of the fetchable suite, then build and run `flamingo eval`: without arguments, the suite
    /// on the model that is kept in datasets/smol
    #[command(disable_help_flag = true)]
    Eval(PassThrough),
    /// Build and run `flamingo inspect`: a model's parts and parameter counts, or what a checkpoint holds
    #[command(disable_help_flag = true)]
    Inspect(PassThrough),
    /// Build and run `flamingo convert`: any checkpoint as one safetensors file
    #[command(disable_help_flag = true)]
    Convert(PassThrough),
    /// Build and run `flamingo doctor`: devices, programs and folders, and whether they work
    #[command(disable_help_flag = true)]
    Doctor(PassThrough),
    /// How fast everything is, beside PyTorch and beside what the machine can do
    #[command(disable_help_flag = true)]
    Bench(PassThrough),
    /// Run every test and documentation example of the workspace
    #[command(disable_help_flag = true)]
    Test(PassThrough),
    /// How far every part is from the program it is compared with; fixtures made anew
    Parity(verbs::parity::Args),
    /// Train the nano model once for each ablation of the paper and each seed, and write docs/ablations.md
    Ablate(verbs::ablate::Args),
    /// Check the rules that the compiler does not
    Tidy,
    /// Make, check or look at datasets, fetch their packages and small weights
    Data(verbs::data::Args),
}

/// Arguments that belong to the program that is started, `--help` included.
#[derive(Debug, Args)]
struct PassThrough {
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "ARGS")]
    args: Vec<OsString>,
}

fn main() -> ExitCode {
    let result = match Cli::parse().verb {
        Verb::Train(PassThrough { args }) => verbs::train::run(args),
        Verb::Caption(PassThrough { args }) => verbs::flamingo::run("caption", args),
        Verb::Generate(PassThrough { args }) => verbs::flamingo::run("generate", args),
        Verb::Ask(PassThrough { args }) => verbs::flamingo::run("ask", args),
        Verb::Classify(PassThrough { args }) => verbs::flamingo::run("classify", args),
        Verb::Chat(PassThrough { args }) => verbs::flamingo::run("chat", args),
        Verb::Score(PassThrough { args }) => verbs::flamingo::run("score", args),
        Verb::Eval(PassThrough { args }) => verbs::eval::run(args),
        Verb::Inspect(PassThrough { args }) => verbs::flamingo::run("inspect", args),
        Verb::Convert(PassThrough { args }) => verbs::flamingo::run("convert", args),
        Verb::Doctor(PassThrough { args }) => verbs::flamingo::run("doctor", args),
        Verb::Bench(PassThrough { args }) => verbs::bench::run(args),
        Verb::Test(PassThrough { args }) => verbs::test::run(args),
        Verb::Parity(args) => verbs::parity::run(args),
        Verb::Ablate(args) => verbs::ablate::run(args),
        Verb::Tidy => verbs::tidy::run(),
        Verb::Data(args) => verbs::data::run(args),
    };
    result.unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::FAILURE
    })
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn flags_after_the_verb_are_passed_on() {
        let cli = Cli::try_parse_from(["cargo xtask", "train", "--help", "--name", "x"]).unwrap();
        let Verb::Train(PassThrough { args }) = cli.verb else { panic!("not train: {:?}", cli.verb) };
        assert_eq!(args, ["--help", "--name", "x"]);
    }
}
