//! What new tokens see: the hook between the decoder's layers, made for a piece of one text or for many rows at once.

use std::ops::Range;
use std::sync::Arc;

use burn::tensor::Tensor;
use flamingo_core::{MediaAttention, MediaLayout};
use flamingo_lm::LayerHook;

use super::eyes::Image;
use crate::model::{Flamingo, Media, Seen};
use crate::pretrained::Network;

/// Between the layers of a language model, alone or in a Flamingo.
pub(super) enum Sight<'a> {
    /// There are no gated blocks.
    Bare,
    /// Of a Flamingo.
    Seen(Box<Seen<'a>>),
}

impl<'a> Sight<'a> {
    /// Of the tokens of one text, which see image `media_index` (1-based, 0 for none) of `images`.
    pub fn of_text(network: &'a Network, media_index: &[u32], images: &[Arc<Image>]) -> Self {
        let Network::Flamingo { model, .. } = network else { return Self::Bare };
        let last = media_index.iter().copied().max().unwrap_or(0);
        if last == 0 {
            return Self::Seen(Box::new(model.see_nothing()));
        }
        // Images that none of these tokens see are left out.
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
        Self::Seen(Box::new(model.see_own(Media::beside(&media), &layout)))
    }

    /// Of the next `len` tokens of several rows; `visible` are the images of each row's text so far.
    pub fn of_rows(network: &'a Network, visible: &[&[Arc<Image>]], len: usize) -> Self {
        let Network::Flamingo { model, .. } = network else { return Self::Bare };
        let Some(any) = visible.iter().find_map(|row| row.first()) else {
            return Self::Seen(Box::new(model.see_nothing()));
        };
        let seen: Vec<&[Arc<Image>]> = visible.iter().map(|row| &row[seen(model, row.len())]).collect();
        let most = seen.iter().map(|row| row.len()).max().unwrap_or(0);
        let of_row = |row: &[Arc<Image>]| {
            // Rows with fewer images are filled up with one that they do not see.
            let all = row.iter().chain(std::iter::repeat(any)).take(most);
            Media::beside(&all.map(|image| &image.media).collect::<Vec<_>>())
        };
        let alike = |one: &[Arc<Image>], other: &[Arc<Image>]| {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| Arc::ptr_eq(one, other))
        };
        let media = match seen.iter().all(|row| alike(row, seen[0])) {
            // Beams, and candidates: one row of images serves all rows of text.
            true => of_row(seen[0]),
            false => {
                let rows: Vec<Media> = seen.iter().map(|row| of_row(row)).collect();
                Media::stack(&rows.iter().collect::<Vec<_>>())
            }
        };
        let phi: Vec<u32> = seen.iter().flat_map(|row| std::iter::repeat_n(row.len() as u32, len)).collect();
        let layout = MediaLayout::new(&phi, visible.len(), len, &network.device());
        Self::Seen(Box::new(model.see_own(media, &layout)))
    }
}

/// Which of a row's `images` the tokens behind them see.
fn seen(model: &Flamingo, images: usize) -> Range<usize> {
    match model.attention() {
        MediaAttention::Preceding => images.saturating_sub(1)..images,
        MediaAttention::AllPrevious => 0..images,
    }
}

impl LayerHook for Sight<'_> {
    fn before_layer(&self, layer: usize, hidden: Tensor<3>) -> Tensor<3> {
        match self {
            Self::Bare => hidden,
            Self::Seen(seen) => seen.before_layer(layer, hidden),
        }
    }
}
