//! Episodes: prompts in which invented words are bound to pictures, so that only the examples can tell what a word means.
//!
//! After the open-ended few-shot task of Frozen (Tsimpoukelli et al. 2021, section 4.3): 2 to 5 *ways* (classes, each with a
//! word of its own), some *shots* (pictures with their words) of each, and then *queries*. As text:
//!
//! ```text
//! <BOS><image>dax<EOC><image>wug<EOC><image>wug<EOC><image>dax<EOC><image>wug<EOC>
//!        cow           pig           pig, drawn      cow, drawn      pig
//!                                    otherwise       otherwise
//! ```
//!
//! - [`EpisodeComposer`] makes them of training pictures, to be trained on. A word counts in the loss where its class was
//!   shown before; where it comes first, nobody can know it.
//! - [`TrialComposer`] makes [`EpisodeTrial`]s of concepts that were held out, to measure with. Their words are never in a
//!   training episode: [`InventedWords`] keeps every fifth word for them.
//!
//! Both write an example as [`Form`] says, whose templates are also those of prompts: what is trained is what is asked.

mod classes;
mod compose;
mod form;
mod spec;
mod trials;
mod words;

pub use compose::{Episode, EpisodeComposer, Shown};
pub use form::{Form, Naming};
pub use spec::{EpisodeSpec, FormShares};
pub use trials::{EpisodeTrial, TrialComposer, TrialShot, TrialSpec, TrialStyles};
pub use words::{InventedWords, Purpose};

#[cfg(test)]
mod tests;
