//! The whole model: images and text in, next-token scores out.
//!
//! ```text
//! pixels [B,M,F,3,I,I] ─ encoder (frozen, no graph) ─▶ [B,M,F,P,E] ─ resampler ─▶ [B,M,R,E]
//!                                                                                │ keys, values per gated block
//! ids [B,L] ─ embedding ─▶ [B,L,D] ─┬─ gated block, own image only ◀─────────────┘
//!                                   └▶ frozen block ─▶ … ─▶ [B,L,V]
//! ```

use std::borrow::Cow;

use burn::module::Module;
use burn::tensor::{Device, Int, Tensor};
use flamingo_core::{Batch, MediaAttention, MediaLayout};
use flamingo_lm::{Decoder, LayerHook, NoHook};
use flamingo_nn::is_autodiff;
use flamingo_resampler::{FeatureInput, Resampler};
use flamingo_vision::VisionEncoder;
use flamingo_xattn::{GatedXattnBlock, MediaKv, Sight};

use crate::config::FlamingoConfig;
use crate::error::FlamingoError;

/// A Flamingo; see the [module documentation](self).
#[derive(Module, Debug)]
pub struct Flamingo {
    /// Images to features; never trained here.
    pub vision: VisionEncoder,
    /// Features to visual tokens.
    pub resampler: Resampler,
    /// One for each layer of `xattn_layers`.
    pub xattn: Vec<GatedXattnBlock>,
    /// The language model, of which only the rows of new tokens are trained.
    pub lm: Decoder,
    #[module(skip)]
    xattn_layers: Vec<usize>,
    #[module(skip)]
    attention: MediaAttention,
}

impl FlamingoConfig {
    /// Creates the model on `device`, with random weights and closed gates; nothing is allocated before it is used.
    ///
    /// # Errors
    ///
    /// If the parts' widths do not fit each other.
    pub fn init(&self, device: &Device) -> Result<Flamingo, FlamingoError> {
        self.validate()?;
        let xattn_layers = self.xattn.layers(self.lm.n_layers);
        Ok(Flamingo {
            vision: self.vision.init(device),
            resampler: self.resampler.init(device),
            xattn: xattn_layers.iter().map(|_| self.xattn.init(device)).collect(),
            lm: self.lm.init(device),
            xattn_layers,
            attention: self.xattn.attention,
        })
    }
}

impl Flamingo {
    /// Ready to train: on the graph device, with vision and language model frozen, but for the new tokens' rows and for
    /// adapters ([`flamingo_lm::LoraConfig`]).
    pub fn frozen_for_training(self) -> Self {
        let model = self.tuned_for_training();
        Self { vision: model.vision.valid().no_grad(), ..model }
    }

    /// The same with a vision encoder that learns (the paper's fine-tuning, section 3.2).
    pub fn tuned_for_training(self) -> Self {
        let model = self.train();
        let resampler = model.resampler.map_input(FeatureInput::frozen_statistics);
        let vision = model.vision.with_frozen_statistics();
        Self { vision, resampler, lm: model.lm.frozen(), ..model }
    }

    /// Next-token scores `[B, L, V]` of a batch.
    ///
    /// # Panics
    ///
    /// If the batch's shapes do not fit the model's.
    pub fn forward(&self, batch: &Batch) -> Tensor<3> {
        self.lm.logits(self.hidden(batch))
    }

    /// Hidden states `[B, L, D]` behind the last block, from which [`Decoder::logits`] makes scores.
    pub fn hidden(&self, batch: &Batch) -> Tensor<3> {
        match self.features_of(batch) {
            Some(features) => {
                let media = self.media(self.resample(features));
                self.hidden_with(batch.ids.clone(), &self.see(&media, &batch.media))
            }
            None => self.hidden_with(batch.ids.clone(), &self.see_nothing()),
        }
    }

    /// Hidden states `[B, L, D]` of `ids` `[B, L]`, given what they see.
    pub fn hidden_with(&self, ids: Tensor<2, Int>, seen: &Seen<'_>) -> Tensor<3> {
        self.lm.hidden(ids, seen)
    }

    /// The encoder's features: `[B, M, F, 3, I, I]` to `[B, M, F, P, E]`, with a gradient graph only if it learns.
    pub fn features(&self, pixels: Tensor<6>) -> Tensor<5> {
        let [batch, media, frames, channels, height, width] = pixels.dims();
        let images = pixels.inner().reshape([batch * media * frames, channels, height, width]);
        let images = if is_autodiff(&self.vision) { Tensor::from_inner(images) } else { images };
        let features = self.vision.features(images);
        let [_, positions, d_features] = features.dims();
        features.reshape([batch, media, frames, positions, d_features])
    }

    /// The features `[B, M, F, P, E]` of a batch: those that it brings, without a gradient graph, or else those of its
    /// pixels. `None` for text alone.
    pub fn features_of(&self, batch: &Batch) -> Option<Tensor<5>> {
        match (&batch.features, &batch.pixels) {
            (Some(features), _) => Some(features.clone().inner()),
            (None, pixels) => Some(self.features(pixels.clone()?)),
        }
    }

    /// `[B, M, F, 3, I, I]` to `[B, M, R, E]`.
    pub fn visual_tokens(&self, pixels: Tensor<6>) -> Tensor<4> {
        self.resample(self.features(pixels))
    }

    /// Features `[B, M, F, P, E]` to visual tokens `[B, M, R, E]`, on the resampler's own device.
    pub fn resample(&self, features: Tensor<5>) -> Tensor<4> {
        let features = match self.resampler.is_autodiff() && !features.is_autodiff() {
            true => Tensor::from_inner(features),
            false => features,
        };
        self.resampler.forward(features)
    }

    /// Keys and values of visual tokens `[B, M, R, E]` for every gated block: computed once, read at every step.
    pub fn media(&self, visual: Tensor<4>) -> Media {
        let blocks = self.xattn.iter().map(|block| block.media_kv(visual.clone())).collect();
        let [rows, count, latents, _] = visual.dims();
        Media { blocks, dims: [rows, count, latents] }
    }

    /// What a text whose positions belong to images as `layout` says sees of `media`.
    ///
    /// One row of media may serve all rows of a text.
    pub fn see<'a>(&'a self, media: &'a Media, layout: &MediaLayout) -> Seen<'a> {
        let sight = Sight::new(layout, self.attention, media.dims);
        Seen { model: self, media: Some((Cow::Borrowed(media), sight)) }
    }

    /// [`Flamingo::see`] of media that nobody else needs.
    pub fn see_own(&self, media: Media, layout: &MediaLayout) -> Seen<'_> {
        let sight = Sight::new(layout, self.attention, media.dims);
        Seen { model: self, media: Some((Cow::Owned(media), sight)) }
    }

    /// For text without any image: the attention adds nothing; the gated feed-forward networks still act.
    pub fn see_nothing(&self) -> Seen<'_> {
        Seen { model: self, media: None }
    }

    /// Scores `[B, L, V]` of the bare language model, as if nothing had been added.
    pub fn bare_logits(&self, ids: Tensor<2, Int>) -> Tensor<3> {
        self.lm.forward(ids, &NoHook)
    }

    /// `tanh` of every block's gates: (language-model layer, attention, feed-forward). Nothing if there are no gates.
    pub fn gates(&self) -> Vec<(usize, f32, f32)> {
        let of_layer = |(layer, block): (&usize, &GatedXattnBlock)| {
            block.gates().map(|[attention, ff]| (*layer, attention, ff))
        };
        self.xattn_layers.iter().zip(&self.xattn).filter_map(of_layer).collect()
    }

    /// The same weights with another rule for which images a text position sees.
    pub fn with_attention(self, attention: MediaAttention) -> Self {
        Self { attention, ..self }
    }

    /// Which images a text position sees.
    pub fn attention(&self) -> MediaAttention {
        self.attention
    }

    /// The language-model layers that have a gated block before them.
    pub fn xattn_layers(&self) -> &[usize] {
        &self.xattn_layers
    }
}

/// Images as the gated blocks read them: rows of images in their order, of which all rows have equally many.
#[derive(Debug, Clone)]
pub struct Media {
    blocks: Vec<MediaKv>,
    /// Rows, images of each, tokens of each image.
    dims: [usize; 3],
}

impl Media {
    /// Numbers in the keys and values of all blocks.
    pub fn size(&self) -> usize {
        self.blocks.iter().map(MediaKv::size).sum()
    }

    /// The images of several, in order, as those of one text.
    ///
    /// # Panics
    ///
    /// If there are none, or they are of different models or numbers of rows.
    pub fn beside(parts: &[&Self]) -> Self {
        let [rows, _, latents] = parts[0].dims;
        let count = parts.iter().map(|part| part.dims[1]).sum();
        Self { blocks: Self::joined(parts, MediaKv::beside), dims: [rows, count, latents] }
    }

    /// Texts with as many images each, as the rows of one batch.
    ///
    /// # Panics
    ///
    /// If there are none, or they are of different models or numbers of images.
    pub fn stack(parts: &[&Self]) -> Self {
        let [_, count, latents] = parts[0].dims;
        let rows = parts.iter().map(|part| part.dims[0]).sum();
        Self { blocks: Self::joined(parts, MediaKv::stack), dims: [rows, count, latents] }
    }

    fn joined<'a>(parts: &[&'a Self], join: impl Fn(Vec<&'a MediaKv>) -> MediaKv) -> Vec<MediaKv> {
        let of_block = |block: usize| join(parts.iter().map(|part| &part.blocks[block]).collect());
        (0..parts[0].blocks.len()).map(of_block).collect()
    }
}

/// What a text sees: the hook through which images enter the decoder.
#[derive(Debug)]
pub struct Seen<'a> {
    model: &'a Flamingo,
    media: Option<(Cow<'a, Media>, Sight)>,
}

impl LayerHook for Seen<'_> {
    fn before_layer(&self, layer: usize, hidden: Tensor<3>) -> Tensor<3> {
        let Ok(index) = self.model.xattn_layers.binary_search(&layer) else {
            return hidden;
        };
        let block = &self.model.xattn[index];
        match &self.media {
            Some((media, sight)) => block.forward(hidden, &media.blocks[index], sight),
            None => block.feed(hidden),
        }
    }
}
