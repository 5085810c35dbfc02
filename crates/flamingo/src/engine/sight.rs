//! What new tokens see: the hook between the decoder's layers, made for a piece of one text or for many rows at once.

use std::sync::Arc;

use burn::tensor::Tensor;
use flamingo_core::{MediaAttention, MediaLayout};
use flamingo_lm::LayerHook;

use super::eyes::Image;
use crate::model::{Flamingo, Media, Seen};
use crate::pretrained::Network;

/// What new tokens see; [`Sight::hook`] shows it to them.
pub(super) struct Sight<'a> {
    model: Option<&'a Flamingo>,
    media: Option<(Media, MediaLayout)>,
}

/// Between the layers of a language model, alone or in a Flamingo.
pub(super) enum Hook<'a> {
    Bare,
    Seen(Seen<'a>),
}

impl<'a> Sight<'a> {
    /// Of the tokens of one text, whose images are `media_index` (1-based, 0 for none) of `images`.
    pub fn of_text(network: &'a Network, media_index: &[u32], images: &[Arc<Image>]) -> Self {
        let Network::Flamingo { model, .. } = network else { return Self::blind(None) };
        let last = media_index.iter().copied().max().unwrap_or(0);
        if last == 0 {
            return Self::blind(Some(model));
        }
        // Images that no token of this piece belongs to are left out, unless later text sees them too.
        let first = match model.attention() {
            MediaAttention::Preceding => {
                media_index.iter().copied().filter(|phi| *phi > 0).min().unwrap_or(1)
            }
            MediaAttention::AllPrevious => 1,
        };
        let media: Vec<&Media> =
            images[first as usize - 1..last as usize].iter().map(|image| &image.media).collect();
        let phi: Vec<u32> = media_index.iter().map(|phi| (phi + 1).saturating_sub(first)).collect();
        let layout = MediaLayout::new(&phi, 1, phi.len(), &network.device());
        Self { model: Some(model), media: Some((Media::beside(&media), layout)) }
    }

    /// Of the next `len` tokens of several rows; `visible` are the images of each row's text so far.
    pub fn of_rows(network: &'a Network, visible: &[&[Arc<Image>]], len: usize) -> Self {
        let Network::Flamingo { model, .. } = network else { return Self::blind(None) };
        let seen = |row: &&'_ [Arc<Image>]| match model.attention() {
            MediaAttention::Preceding => row.len().saturating_sub(1)..row.len(),
            MediaAttention::AllPrevious => 0..row.len(),
        };
        let most = visible.iter().map(|row| seen(row).len()).max().unwrap_or(0);
        let Some(any) = visible.iter().find_map(|row| row.first()) else {
            return Self::blind(Some(model));
        };
        // Rows with fewer images are filled up with one that they do not see.
        let media: Vec<Media> = visible
            .iter()
            .map(|row| {
                let own = row[seen(row)].iter();
                let all: Vec<&Media> =
                    own.chain(std::iter::repeat(any)).take(most).map(|image| &image.media).collect();
                Media::beside(&all)
            })
            .collect();
        let of_row = |row: &&[Arc<Image>]| std::iter::repeat_n(seen(row).len() as u32, len);
        let phi: Vec<u32> = visible.iter().flat_map(of_row).collect();
        let layout = MediaLayout::new(&phi, visible.len(), len, &network.device());
        Self { model: Some(model), media: Some((Media::rows(&media), layout)) }
    }

    fn blind(model: Option<&'a Flamingo>) -> Self {
        Self { model, media: None }
    }

    /// For one pass of the decoder.
    pub fn hook(&self) -> Hook<'_> {
        match (self.model, &self.media) {
            (None, _) => Hook::Bare,
            (Some(model), None) => Hook::Seen(model.see_nothing()),
            (Some(model), Some((media, layout))) => Hook::Seen(model.see(media, layout)),
        }
    }
}

impl LayerHook for Hook<'_> {
    fn before_layer(&self, layer: usize, hidden: Tensor<3>) -> Tensor<3> {
        match self {
            Self::Bare => hidden,
            Self::Seen(seen) => seen.before_layer(layer, hidden),
        }
    }
}
