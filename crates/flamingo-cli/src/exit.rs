//! Exit codes by kind of error, for scripts.

use std::fmt;
use std::process::ExitCode;

use flamingo::FlamingoError;
use flamingo::data::DataError;
use flamingo::train::TrainError;
use flamingo_eval::EvalError;

/// What was asked for cannot be: the arguments are wrong, or do not suit what is there.
#[derive(Debug)]
pub struct Usage(pub String);

impl fmt::Display for Usage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Usage {}

/// An error and its causes in one line; a cause that is told already is not told again.
pub fn message(error: &anyhow::Error) -> String {
    let mut message = error.to_string();
    for cause in error.chain().skip(1).map(ToString::to_string) {
        if !message.ends_with(&cause) {
            message = format!("{message}: {cause}");
        }
    }
    message
}

/// The code for an error that a verb returned.
pub fn code(error: &anyhow::Error) -> ExitCode {
    if error.is::<Usage>() {
        return ExitCode::from(2);
    }
    if let Some(error) = error.downcast_ref::<EvalError>() {
        return match error {
            EvalError::Model(error) => of_model(error),
            EvalError::UnknownMetric { .. }
            | EvalError::UnknownTask { .. }
            | EvalError::Needs { .. }
            | EvalError::Setting { .. }
            | EvalError::OtherSettings { .. }
            | EvalError::Busy { .. } => ExitCode::from(2),
            _ => ExitCode::from(3),
        };
    }
    error.downcast_ref::<FlamingoError>().map_or(ExitCode::from(1), of_model)
}

fn of_model(error: &FlamingoError) -> ExitCode {
    ExitCode::from(match error {
        FlamingoError::UnknownPreset { .. }
        | FlamingoError::Mismatch { .. }
        | FlamingoError::NoBlocks
        | FlamingoError::Config(_)
        | FlamingoError::Device(_)
        | FlamingoError::GenerateOption { .. }
        | FlamingoError::Data(DataError::Interleave { .. } | DataError::OtherRun { .. })
        | FlamingoError::Train(
            TrainError::RunExists { .. }
            | TrainError::RunBusy { .. }
            | TrainError::Config { .. }
            | TrainError::Device(_),
        ) => 2,
        FlamingoError::Data(_)
        | FlamingoError::Prompt { .. }
        | FlamingoError::PromptFile { .. }
        | FlamingoError::TooLong { .. }
        | FlamingoError::NoToken { .. } => 3,
        FlamingoError::Folder { .. }
        | FlamingoError::Train(_)
        | FlamingoError::Published { .. }
        | FlamingoError::NoSuchModel { .. }
        | FlamingoError::Offline { .. }
        | FlamingoError::Hub { .. }
        | FlamingoError::Scores { .. }
        | FlamingoError::Weights(_)
        | FlamingoError::Language(_)
        | FlamingoError::Vision(_) => 4,
        _ => 1,
    })
}

#[cfg(test)]
mod tests {
    use anyhow::anyhow;

    use super::*;

    #[test]
    fn causes_are_told_once() {
        let error = anyhow!("no such file").context("cat.png: no such file").context("cannot attach");
        assert_eq!(message(&error), "cannot attach: cat.png: no such file");
        assert_eq!(message(&anyhow!("b").context("a")), "a: b");
    }
}
