//! Which text position sees which image: the paper's function phi (section 2.3, appendix A.1.3).

use std::sync::Arc;

use burn::tensor::{Bool, Device, Int, Tensor, TensorData};
use serde::{Deserialize, Serialize};

/// Which image of the sequence a text position belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TextTie {
    /// The last image at or before the position; none before the first image.
    Previous,
    /// The next image at or after the position; none after the last image (placement augmentation, appendix
    /// A.3.2: chosen for a whole page with probability `p_next`).
    Next,
}

/// Which images a position may attend to, given its own image phi.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MediaAttention {
    /// Only image phi (the paper's model).
    Preceding,
    /// Images 1 to phi (the paper's ablation; 7.2 points worse there).
    AllPrevious,
}

/// phi for every text position: 1-based index of its image, 0 for none.
///
/// The `<image>` token belongs to its own image, as in OpenFlamingo (inclusive cumulative sum).
pub fn media_index(ids: &[u32], image_token: u32, tie: TextTie) -> Vec<u32> {
    let mut seen = 0;
    let inclusive: Vec<u32> = ids
        .iter()
        .map(|id| {
            seen += u32::from(*id == image_token);
            seen
        })
        .collect();
    match tie {
        TextTie::Previous => inclusive,
        TextTie::Next => ids
            .iter()
            .zip(inclusive)
            .map(|(id, count)| if *id == image_token { count } else { count + 1 })
            .map(|next| if next > seen { 0 } else { next })
            .collect(),
    }
}

/// phi of a batch, on a device.
#[derive(Debug, Clone)]
pub struct MediaLayout {
    /// `[B, L]`: 1-based index of each position's image, 0 for none.
    pub index: Tensor<2, Int>,
    /// The same on the host, row-major: where attention is planned, nothing is read back from the device.
    phi: Arc<[u32]>,
}

impl MediaLayout {
    /// From host values, row-major `[B, L]`.
    ///
    /// # Panics
    ///
    /// If `index.len() != batch * len`.
    pub fn new(index: &[u32], batch: usize, len: usize, device: &Device) -> Self {
        let values: Vec<i32> = index.iter().map(|phi| *phi as i32).collect();
        Self { index: Tensor::from_data(TensorData::new(values, [batch, len]), device), phi: index.into() }
    }

    /// Host values, row-major `[B, L]`.
    pub fn phi(&self) -> &[u32] {
        &self.phi
    }

    /// The attention mask of a cross-attention over `media` images of `latents` tokens each.
    ///
    /// Returns `[B, 1, L, M*R]`, `true` where attention is **blocked** (Burn's convention). A row without an image is
    /// blocked everywhere: Burn's attention then returns zero, which is the paper's rule.
    pub fn blocked(&self, attention: MediaAttention, media: usize, latents: usize) -> Tensor<4, Bool> {
        let [batch, len] = self.index.dims();
        let device = self.index.device();
        let key_media = Tensor::<1, Int>::arange(1..media as i64 + 1, &device)
            .reshape([1, 1, media, 1])
            .expand([batch, len, media, latents])
            .reshape([batch, 1, len, media * latents]);
        let phi = self.index.clone().reshape([batch, 1, len, 1]).expand([batch, 1, len, media * latents]);
        match attention {
            MediaAttention::Preceding => key_media.not_equal(phi),
            MediaAttention::AllPrevious => key_media.greater(phi),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const IMG: u32 = 9;

    #[test]
    fn previous_counts_images_so_far_including_the_tag() {
        assert_eq!(media_index(&[1, IMG, 2, 3, IMG, 4], IMG, TextTie::Previous), [0, 1, 1, 1, 2, 2]);
    }

    #[test]
    fn next_ties_text_to_the_image_after_it() {
        assert_eq!(media_index(&[1, IMG, 2, 3, IMG, 4], IMG, TextTie::Next), [1, 1, 2, 2, 2, 0]);
    }

    #[test]
    fn text_alone_sees_nothing_in_either_tie() {
        assert_eq!(media_index(&[1, 2], IMG, TextTie::Previous), [0, 0]);
        assert_eq!(media_index(&[1, 2], IMG, TextTie::Next), [0, 0]);
    }

    #[cfg(feature = "flex")]
    #[test]
    fn masks_block_all_but_the_own_or_earlier_images() {
        let device = Device::flex();
        let layout = MediaLayout::new(&[0, 1, 2], 1, 3, &device);
        let only: Vec<bool> =
            layout.blocked(MediaAttention::Preceding, 2, 1).into_data().iter::<bool>().collect();
        assert_eq!(only, [true, true, false, true, true, false]);
        let all: Vec<bool> =
            layout.blocked(MediaAttention::AllPrevious, 2, 1).into_data().iter::<bool>().collect();
        assert_eq!(all, [true, true, false, true, false, false]);
    }
}
