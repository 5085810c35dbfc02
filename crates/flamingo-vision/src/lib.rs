//! Images to a grid of features: the encoders, other people's weights for them, and contrastive pre-training.
//!
//! In a Flamingo the encoder is frozen; only [`VisionEncoder::features`] is called, on a device without a gradient
//! graph. The text tower and the projections of [`ContrastiveModel`] exist for pre-training (paper, appendix B.1.3) and
//! for retrieval.
//!
//! | family | published weights that load | who freezes it |
//! |---|---|---|
//! | [`NfNet`] | [`families::nfnet`]: timm's `dm_nfnet_f0` to `f6` | Flamingo |
//! | [`Vit`] | [`families::clip`]: open_clip, OpenAI, transformers | OpenFlamingo, IDEFICS |
//! | [`EfficientNet`] | [`families::efficientnet`]: timm, `efficientnet-lite-pytorch` | small models of one's own |

pub mod block;
pub mod contrastive;
pub mod efficientnet;
pub mod encoder;
pub mod error;
pub mod families;
pub mod nfnet;
mod padding;
pub mod scaled_conv;
pub mod text_tower;
pub mod vit;

pub use block::EncoderBlock;
pub use contrastive::{ContrastiveConfig, ContrastiveModel, contrastive_loss};
pub use efficientnet::{EfficientNet, EfficientNetConfig};
pub use encoder::{FeatureTap, VisionConfig, VisionEncoder};
pub use error::VisionError;
pub use nfnet::{NfActivation, NfNet, NfNetConfig};
pub use scaled_conv::NfVariant;
pub use text_tower::{TextTower, TextTowerConfig};
pub use vit::{Vit, VitConfig};
