//! Names on pages of several held-out images: does a name follow its own image, or any image of its page?
//!
//! A page is `<BOS><image>name<EOC><image>name<EOC>…`. It is read twice, with every image before its own name, and with
//! the images moved on by one place, so that every name follows its neighbour's image while the page as a whole shows the
//! same. A model whose text sees the image just before it alone tells the two apart; one that sees all images of the page
//! finds each name's image on both, but for the first name.

use flamingo_data::Sequence;
use serde::{Deserialize, Serialize};

use super::{Measure, caption_row};
use crate::model::Flamingo;

/// Images of a page.
const PER_PAGE: usize = 4;

/// The figures of all pages.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PageScores {
    /// Names looked at.
    pub n: usize,
    /// Images, and names, of each page.
    pub images_per_page: usize,
    /// Mean negative log-likelihood of a name's token and of its `<EOC>` (nats), after its own image.
    pub nll_right: f64,
    /// The same, with the images of a page moved on by one.
    pub nll_rotated: f64,
    /// Share of names that are likelier after their own image than after their neighbour's; a half is chance.
    pub prefers_own: f64,
}

impl Measure<'_> {
    /// Of pages of `images`; nothing if they are too few for one.
    pub(super) fn pages(&self, model: &Flamingo, images: &[usize]) -> Option<PageScores> {
        let pages = pages_of(images);
        if pages.is_empty() {
            return None;
        }
        let (right, weights) = self.names(model, &pages, 0);
        let (rotated, _) = self.names(model, &pages, 1);
        let tokens: f64 = weights.iter().sum();
        let preferred = right.iter().zip(&rotated).filter(|(right, rotated)| right < rotated).count();
        Some(PageScores {
            n: right.len(),
            images_per_page: PER_PAGE,
            nll_right: right.iter().sum::<f64>() / tokens,
            nll_rotated: rotated.iter().sum::<f64>() / tokens,
            prefers_own: preferred as f64 / right.len() as f64,
        })
    }

    /// The negative log-likelihood of every name of `pages` with the images moved on by `shift`, and its tokens.
    fn names(&self, model: &Flamingo, pages: &[[usize; PER_PAGE]], shift: usize) -> (Vec<f64>, Vec<f64>) {
        let row = |page: &[usize; PER_PAGE]| {
            let item = |place: usize| (self.name(page[place]), Some(page[(place + shift) % PER_PAGE]));
            caption_row(&[0, 1, 2, 3].map(item), self.tokenizer)
        };
        let rows: Vec<Sequence> = pages.iter().map(row).collect();
        let by_name =
            rows.iter().zip(self.token_losses(model, &rows)).flat_map(|(row, losses)| by_name(row, &losses));
        by_name.unzip()
    }
}

/// Pages of images that are far apart in the given order, in which like concepts stand together. What is left over when
/// all pages are full is not used.
fn pages_of(images: &[usize]) -> Vec<[usize; PER_PAGE]> {
    let count = images.len() / PER_PAGE;
    (0..count).map(|page| std::array::from_fn(|place| images[page + place * count])).collect()
}

/// Sum of the losses of each name of a row, and of its weights. `losses` begins with the second token.
fn by_name(row: &Sequence, losses: &[f64]) -> Vec<(f64, f64)> {
    let mut sums = vec![(0.0, 0.0); row.images.len()];
    let tokens = row.media_index[1..].iter().zip(&row.loss_weights[1..]).zip(losses);
    for ((image, weight), loss) in tokens {
        // Before the first image nothing counts.
        if let Some((sum, tokens)) = (*image as usize).checked_sub(1).and_then(|name| sums.get_mut(name)) {
            *sum += loss * f64::from(*weight);
            *tokens += f64::from(*weight);
        }
    }
    sums
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_take_every_image_once_and_neighbours_apart() {
        let images: Vec<usize> = (100..114).collect();
        assert_eq!(pages_of(&images), [[100, 103, 106, 109], [101, 104, 107, 110], [102, 105, 108, 111]]);
        assert!(pages_of(&images[..3]).is_empty());
    }

    #[test]
    fn losses_go_to_the_name_whose_token_they_are_of() {
        // <BOS> <image> a <EOC> <image> b b <EOC>
        let row = Sequence {
            ids: vec![0, 9, 1, 8, 9, 2, 2, 8],
            media_index: vec![0, 1, 1, 1, 2, 2, 2, 2],
            loss_weights: vec![0.0, 0.0, 1.0, 1.0, 0.0, 1.0, 1.0, 1.0],
            images: vec![5, 6],
        };
        let padding = 100.0;
        let losses = [7.0, 1.0, 2.0, 7.0, 10.0, 20.0, 30.0, padding];
        assert_eq!(by_name(&row, &losses), [(3.0, 2.0), (60.0, 3.0)]);
    }
}
