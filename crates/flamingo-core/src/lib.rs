//! The vocabulary that all Flamingo crates share.
//!
//! Nothing here computes a model: this crate says which device to use ([`DeviceSpec`]), which text position sees
//! which image ([`MediaLayout`]), what a batch is ([`HostBatch`] on the host, [`Batch`] on a device), how an
//! encoder wants its images ([`PreprocessSpec`]) and how a partial configuration file is laid over a complete
//! preset ([`overlay()`]).
//!
//! # Dimension letters
//!
//! The same everywhere in the workspace: **B** batch, **L** text tokens, **S** key length, **M** media per
//! sequence, **F** frames per media, **P** patches (grid positions) per frame, **R** latents per media, **D** width
//! of the language model, **E** width of the vision encoder, **H** heads, **K** head dim, **V** vocabulary, **I**
//! image side in pixels.

pub mod batch;
pub mod cache;
pub mod device;
pub mod media;
pub mod nearest;
pub mod overlay;
pub mod precision;
pub mod preprocess;
pub mod probe;
pub mod seed;

pub use batch::{Batch, HostBatch, HostFeatures};
pub use device::{DeviceError, DeviceSpec};
pub use media::{MediaAttention, MediaLayout, TextTie};
pub use overlay::{OverlayError, overlay, overlay_value};
pub use precision::Precision;
pub use preprocess::{Alpha, Filter, PreprocessSpec, Resize};
