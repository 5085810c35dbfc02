//! One encoder of any family: what the rest of a Flamingo sees of its vision side.

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use flamingo_core::device::on_worker;
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};

use crate::efficientnet::{EfficientNet, EfficientNetConfig};
use crate::nfnet::{NfNet, NfNetConfig};
use crate::vit::{Vit, VitConfig};

/// Which tensor is a convolutional encoder's output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FeatureTap {
    /// The last stage (width 1536 for NFNet-F0 to F6, 320 for EfficientNet-Lite0).
    Stages,
    /// After the final convolution and its activation (3072 and 1280): timm's `forward_features`.
    Final,
}

impl FeatureTap {
    /// The grid of features, flattened row by row: the last stage's output `[N, C, h, w]`, which `finish` takes through
    /// the final convolution, to `[N, P, E]`.
    pub(crate) fn features(
        self,
        stages: Tensor<4>,
        finish: impl FnOnce(Tensor<4>) -> Tensor<4>,
    ) -> Tensor<3> {
        let grid = match self {
            FeatureTap::Stages => stages,
            FeatureTap::Final => finish(stages),
        };
        grid.flatten::<3>(2, 3).swap_dims(1, 2)
    }
}

/// An encoder's family and sizes; `kind` in configuration files.
///
/// A table without a `kind` is an NFNet: files from before there were others have none.
///
/// ```
/// use flamingo_vision::{VisionConfig, families::clip};
///
/// let config = VisionConfig::Vit(clip::named("ViT-L-14")?);
/// assert_eq!((config.d_features(), config.n_positions(224)), (1024, 256));
/// # Ok::<(), flamingo_vision::VisionError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum VisionConfig {
    /// Normaliser-free residual network, the paper's.
    Nfnet(NfNetConfig),
    /// Vision transformer, CLIP's.
    Vit(VitConfig),
    /// EfficientNet-Lite.
    Efficientnet(EfficientNetConfig),
}

/// What [`VisionConfig`] reads once a `kind` is there.
#[derive(Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
enum Tagged {
    Nfnet(NfNetConfig),
    Vit(VitConfig),
    Efficientnet(EfficientNetConfig),
}

impl<'de> Deserialize<'de> for VisionConfig {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut table = Map::deserialize(deserializer)?;
        table.entry("kind").or_insert_with(|| "nfnet".into());
        let tagged = serde_json::from_value(Value::Object(table)).map_err(D::Error::custom)?;
        Ok(match tagged {
            Tagged::Nfnet(config) => Self::Nfnet(config),
            Tagged::Vit(config) => Self::Vit(config),
            Tagged::Efficientnet(config) => Self::Efficientnet(config),
        })
    }
}

impl VisionConfig {
    /// Width of the features (E).
    pub fn d_features(&self) -> usize {
        match self {
            Self::Nfnet(config) => config.d_features(),
            Self::Vit(config) => config.d_features(),
            Self::Efficientnet(config) => config.d_features(),
        }
    }

    /// Width of [`VisionEncoder::pooled`].
    pub fn d_pooled(&self) -> usize {
        match self {
            Self::Nfnet(config) => config.final_width,
            Self::Vit(config) => config.d_pooled(),
            Self::Efficientnet(config) => config.final_width,
        }
    }

    /// Positions (P) of an image of `size` pixels.
    pub fn n_positions(&self, size: usize) -> usize {
        match self {
            Self::Nfnet(config) => config.n_positions(size),
            Self::Vit(config) => config.n_positions(),
            Self::Efficientnet(config) => config.n_positions(size),
        }
    }

    /// The only side that images may have, in pixels; `None` where any will do.
    pub fn image_size(&self) -> Option<usize> {
        match self {
            Self::Vit(config) => Some(config.image_size),
            Self::Nfnet(_) | Self::Efficientnet(_) => None,
        }
    }

    /// Blocks.
    pub fn n_layers(&self) -> usize {
        match self {
            Self::Nfnet(config) => config.depths.iter().sum(),
            Self::Vit(config) => config.n_layers,
            Self::Efficientnet(config) => config.stages.iter().map(|stage| stage.depth).sum(),
        }
    }

    /// Attention heads; `None` for the convolutional families.
    pub fn n_heads(&self) -> Option<usize> {
        match self {
            Self::Vit(config) => Some(config.n_heads),
            Self::Nfnet(_) | Self::Efficientnet(_) => None,
        }
    }

    /// Creates the encoder on `device`.
    pub fn init(&self, device: &Device) -> VisionEncoder {
        match self {
            Self::Nfnet(config) => VisionEncoder::Nfnet(config.init(device)),
            Self::Vit(config) => VisionEncoder::Vit(config.init(device)),
            Self::Efficientnet(config) => VisionEncoder::Efficientnet(config.init(device)),
        }
    }
}

impl From<NfNetConfig> for VisionConfig {
    fn from(config: NfNetConfig) -> Self {
        Self::Nfnet(config)
    }
}

impl From<VitConfig> for VisionConfig {
    fn from(config: VitConfig) -> Self {
        Self::Vit(config)
    }
}

impl From<EfficientNetConfig> for VisionConfig {
    fn from(config: EfficientNetConfig) -> Self {
        Self::Efficientnet(config)
    }
}

/// An encoder of any family.
#[derive(Module, Debug)]
pub enum VisionEncoder {
    /// Normaliser-free residual network.
    Nfnet(NfNet),
    /// Vision transformer.
    Vit(Vit),
    /// EfficientNet-Lite.
    Efficientnet(EfficientNet),
}

impl VisionEncoder {
    /// With what is counted, not learned, left out of training: the statistics of batch normalisation.
    pub fn with_frozen_statistics(self) -> Self {
        match self {
            Self::Efficientnet(net) => Self::Efficientnet(net.with_frozen_statistics()),
            other => other,
        }
    }

    /// The grid of features, flattened row by row: what a resampler reads.
    ///
    /// # Shapes
    ///
    /// `[N, 3, I, I]` (normalised) to `[N, P, E]`.
    ///
    /// # Panics
    ///
    /// If the images have not the only side that the encoder takes (see [`VisionConfig::image_size`]).
    pub fn features(&self, images: Tensor<4>) -> Tensor<3> {
        on_worker(&images.device(), || match self {
            Self::Nfnet(net) => net.features(images),
            Self::Vit(vit) => vit.features(images),
            Self::Efficientnet(net) => net.features(images),
        })
    }

    /// One vector per image: what contrastive training projects and classifiers read.
    ///
    /// # Shapes
    ///
    /// `[N, 3, I, I]` (normalised) to `[N, d_pooled]`.
    ///
    /// # Panics
    ///
    /// As [`VisionEncoder::features`].
    pub fn pooled(&self, images: Tensor<4>) -> Tensor<2> {
        on_worker(&images.device(), || match self {
            Self::Nfnet(net) => net.pooled(images),
            Self::Vit(vit) => vit.pooled(images),
            Self::Efficientnet(net) => net.pooled(images),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::families::clip;

    fn round_trip(config: &VisionConfig) -> VisionConfig {
        serde_json::from_str(&serde_json::to_string(config).unwrap()).unwrap()
    }

    #[test]
    fn every_family_round_trips_under_its_kind() {
        let configs = [
            VisionConfig::from(NfNetConfig::nano()),
            clip::named("ViT-B-32").unwrap().into(),
            EfficientNetConfig::lite(2).into(),
        ];
        for (config, kind) in configs.iter().zip(["nfnet", "vit", "efficientnet"]) {
            assert_eq!(serde_json::to_value(config).unwrap()["kind"], kind);
            assert_eq!(&round_trip(config), config);
        }
    }

    #[test]
    fn a_table_without_a_kind_is_an_nfnet() {
        let old = serde_json::to_string(&NfNetConfig::nano()).unwrap();
        assert_eq!(
            serde_json::from_str::<VisionConfig>(&old).unwrap(),
            VisionConfig::Nfnet(NfNetConfig::nano())
        );
    }

    #[test]
    fn unknown_fields_are_named() {
        let mut table = serde_json::to_value(VisionConfig::from(NfNetConfig::nano())).unwrap();
        table["patch_size"] = 14.into();
        let error = serde_json::from_value::<VisionConfig>(table).unwrap_err().to_string();
        assert!(error.contains("unknown field `patch_size`"), "{error}");
    }
}
