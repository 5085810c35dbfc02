//! Published Flamingo-family checkpoints, loaded whole: OpenFlamingo ([`load_open_flamingo`]) and
//! IDEFICS ([`load_idefics`]).
//!
//! Each is a configuration, read from the files themselves, and a key map put together from those of the parts. Nothing
//! is guessed: a tensor that is missing, left over or of another shape is an error, and what a published file leaves
//! out by design is in the report.

mod idefics;
mod open_flamingo;
mod released;

use flamingo_weights::LoadReport;

use crate::config::FlamingoConfig;
use crate::model::Flamingo;

pub use idefics::{config as idefics_config, load as load_idefics};
pub use open_flamingo::{OpenFlamingoFiles, load as load_open_flamingo};
pub use released::{OpenFlamingoParts, parts_of};

/// A loaded model, and what each of its files gave.
#[derive(Debug)]
pub struct Loaded {
    /// The weights.
    pub model: Flamingo,
    /// Their sizes, and how images are prepared.
    pub config: FlamingoConfig,
    /// One for each file or folder, in the order in which they were read.
    pub reports: Vec<LoadReport>,
}
