//! Exit codes by kind of error, for scripts.

use std::fmt;
use std::process::ExitCode;

use flamingo::FlamingoError;
use flamingo::train::TrainError;

/// What was asked for cannot be: the arguments are wrong, or do not suit what is there.
#[derive(Debug)]
pub struct Usage(pub String);

impl fmt::Display for Usage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Usage {}

/// The code for an error that a verb returned.
pub fn code(error: &anyhow::Error) -> ExitCode {
    if error.is::<Usage>() {
        return ExitCode::from(2);
    }
    let Some(error) = error.downcast_ref::<FlamingoError>() else {
        return ExitCode::from(1);
    };
    ExitCode::from(match error {
        FlamingoError::UnknownPreset { .. }
        | FlamingoError::Mismatch { .. }
        | FlamingoError::NoBlocks
        | FlamingoError::Config(_)
        | FlamingoError::Device(_)
        | FlamingoError::GenerateOption { .. }
        | FlamingoError::Train(TrainError::RunExists { .. } | TrainError::Config { .. }) => 2,
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
