//! Bytes on disk to batches on the host: shards, pictures, tokens, interleaved sequences.
//!
//! ```text
//! .tar.gz ─ShardReader─▶ Record ─ConceptSet─▶ named pictures ─PageComposer─▶ Document ─sequence─▶ Sequence ┐
//!                                                   │                                  TextTokenizer      ├─collate─▶ HostBatch
//!                                                   └───────────── ImageTransform ─▶ [3, I, I] ───────────┘
//!
//! .html ─interleave─▶ documents in shards
//!
//! clip ─video::frames─▶ pictures in time order ─ImageTransform─▶ [F, 3, I, I]
//! ```
//!
//! Nothing here knows a device or a tensor. Every random decision draws from the generator that the caller passes,
//! so a run's data are a function of its seed.
//!
//! ```
//! use flamingo_core::PreprocessSpec;
//! use flamingo_data::{ImageTransform, SequenceSpec, TextTokenizer, collate, sequence};
//! use rand::SeedableRng;
//!
//! let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(1);
//! let tokenizer = TextTokenizer::train(["cow face", "pig face"], 300)?;
//! let rows = [sequence::pair(0, "cow face", &tokenizer, &SequenceSpec::default(), &mut rng)];
//!
//! let picture = flamingo_data::RgbaImage::new(64, 64);
//! let transform = ImageTransform::eval(PreprocessSpec::imagenet(48));
//! let batch = collate(&rows, 1, 48, tokenizer.special().pad, |_image, slot, pixels| {
//!     let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(slot);
//!     transform.apply(&picture, &mut rng, pixels);
//! });
//! assert_eq!((batch.batch, batch.media), (1, 1));
//! # Ok::<(), flamingo_data::DataError>(())
//! ```

pub mod augment;
pub mod collate;
pub mod concepts;
pub mod document;
pub mod encoder;
pub mod episodes;
pub mod error;
pub mod features;
pub mod image;
pub mod inspect;
pub mod interleave;
pub mod pages;
pub mod pretrained;
pub mod reject;
pub mod sample;
pub mod sequence;
pub mod source;
pub mod store;
pub mod stream;
pub mod text;
pub mod tokenizer;
pub mod transform;
pub mod video;
pub mod webdataset;

mod jpeg;
mod png;
mod resample;
mod webp;
mod wording;

#[cfg(test)]
mod fixtures;
#[cfg(all(test, target_os = "linux"))]
mod hostile;

pub use ::image::RgbaImage;
pub use augment::Augment;
pub use collate::{collate, collate_features};
pub use concepts::{ConceptImage, ConceptSet, Split};
pub use document::{Chunk, Document};
pub use encoder::{PretrainedEncoder, TextEncoder, TokenCount};
pub use episodes::{EpisodeComposer, EpisodeSpec, EpisodeTrial, TrialComposer, TrialSpec};
pub use error::DataError;
pub use features::{FeatureLookup, MediaKey};
pub use image::ImageLimits;
pub use pages::{PageComposer, PageSpec, contrastive_text};
pub use pretrained::{OpenFlamingoTokens, PretrainedTokenizer};
pub use reject::{Reason, Reject, RejectLog};
pub use sample::{Content, Medium, Sample};
pub use sequence::{LossRule, Sequence, SequenceSpec};
pub use source::{Source, SourceSpec};
pub use store::{Location, Store};
pub use stream::{Stream, StreamSpec};
pub use tokenizer::{SpecialTokens, TextTokenizer};
pub use transform::{Fidelity, ImageTransform};
pub use webdataset::{Record, ShardReader, ShardRecords, list_shards};
