//! Images to a grid of features: the NFNet encoder, and the contrastive pre-training that makes it useful.
//!
//! In a Flamingo the encoder is frozen; only [`NfNet::features`] is called, on a device without a gradient graph. The
//! text tower and the projections of [`ContrastiveModel`] exist for pre-training (paper, appendix B.1.3) and for
//! retrieval.

pub mod contrastive;
pub mod nfnet;
pub mod scaled_conv;
pub mod text_tower;

pub use contrastive::{ContrastiveConfig, ContrastiveModel, contrastive_loss};
pub use nfnet::{FeatureTap, NfActivation, NfNet, NfNetConfig};
pub use scaled_conv::NfVariant;
pub use text_tower::{TextTower, TextTowerConfig};
