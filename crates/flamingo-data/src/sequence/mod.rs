//! Pages, pairs and texts as token sequences, by the paper's rules (section 2.4, appendix A.3).
//!
//! - A page is `<BOS>`, its text with `<image>` where its pictures are, and `<EOC>` before every `<image>` (but not
//!   directly after `<BOS>`, where no chunk ends) and at the end:
//!   `<BOS>Cute pics of my pets!<EOC><image>My puppy sitting in the grass.<EOC><image> My cat looking very
//!   dignified.<EOC>`. A random window of `len` tokens is kept, with the first `max_images` pictures *of that window*.
//! - A pair is `<BOS><image>caption<EOC><EOS>`, with a space before the caption half of the time.
//! - A page whose parts count differently in the loss is kept whole, with all its pictures ([`weighted()`]).
//! - A text is `<BOS>text<EOS>`. It never has `<EOC>`, which the language model learns only later.
//!
//! The window drops pictures before it and, beyond `max_images`, within it; the tags of the latter go too. A text
//! whose own picture was dropped sees no picture, rather than somebody else's (the paper leaves this open).

use flamingo_core::TextTie;
use flamingo_core::media::media_index;
use rand::Rng;
use serde::{Deserialize, Serialize};

use crate::document::{Chunk, Document};
use crate::encoder::TextEncoder;
use crate::tokenizer::SpecialTokens;

mod loss;
mod weighted;

use loss::Kind;
pub use loss::LossRule;
pub use weighted::{WeightedDocument, weighted};

/// Lengths and probabilities of sequences.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SequenceSpec {
    /// The most tokens in a sequence (L).
    pub len: usize,
    /// The most images in a sequence (M).
    pub max_images: usize,
    /// Probability that a page's text belongs to the next image instead of the previous one, drawn once a page
    /// whose own layout does not tell ([`Document::tie`]).
    pub p_next: f32,
    /// Probability of a space before the caption of a pair.
    pub p_leading_space: f32,
    /// Which tokens a model learns to predict.
    #[serde(default)]
    pub loss: LossRule,
}

impl Default for SequenceSpec {
    /// The paper's values.
    fn default() -> Self {
        Self { len: 256, max_images: 5, p_next: 0.5, p_leading_space: 0.5, loss: LossRule::Paper }
    }
}

/// One row of a batch, not yet padded.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Sequence {
    /// Token ids `[L]`.
    pub ids: Vec<u32>,
    /// phi `[L]`: 1-based index into `images` of each position's image, 0 for none.
    pub media_index: Vec<u32>,
    /// How much the prediction of each token counts `[L]`: 0 or 1 by the [`LossRule`], times the weight of its text in a
    /// [`WeightedDocument`].
    pub loss_weights: Vec<f32>,
    /// The images, in the order of their `<image>` tokens, as indices into the data set.
    pub images: Vec<usize>,
}

/// A random window of a page.
pub fn interleaved(
    document: &Document,
    tokenizer: &(impl TextEncoder + ?Sized),
    spec: &SequenceSpec,
    rng: &mut impl Rng,
) -> Sequence {
    let tie = document.tie.unwrap_or_else(|| {
        let next = chance(rng, spec.p_next);
        if next { TextTie::Next } else { TextTie::Previous }
    });
    let ids = page_ids(document, tokenizer);
    let images: Vec<usize> = document.images().collect();
    let start = rng.random_range(0..=ids.len().saturating_sub(spec.len));
    window(&ids, &images, start, tie, Kind::Page, spec, tokenizer.special())
}

/// An image and its caption. A caption that is too long loses its end, with `<EOC>` and `<EOS>`.
pub fn pair(
    image: usize,
    caption: &str,
    tokenizer: &(impl TextEncoder + ?Sized),
    spec: &SequenceSpec,
    rng: &mut impl Rng,
) -> Sequence {
    let special = tokenizer.special();
    let space = if chance(rng, spec.p_leading_space) { " " } else { "" };
    let mut ids = vec![special.bos, special.image];
    ids.extend(tokenizer.encode(&format!("{space}{caption}")));
    ids.extend([special.eoc, special.eos]);
    window(&ids, &[image], 0, TextTie::Previous, Kind::Pair, spec, special)
}

/// A text without images; a random window if it is too long.
pub fn text(
    text: &str,
    tokenizer: &(impl TextEncoder + ?Sized),
    spec: &SequenceSpec,
    rng: &mut impl Rng,
) -> Sequence {
    let ids = text_ids(text, tokenizer);
    let start = rng.random_range(0..=ids.len().saturating_sub(spec.len));
    window(&ids, &[], start, TextTie::Previous, Kind::Text, spec, tokenizer.special())
}

/// Texts one after another until `len` tokens are full: language-model training without padding.
pub fn packed(
    mut next_text: impl FnMut() -> String,
    tokenizer: &(impl TextEncoder + ?Sized),
    spec: &SequenceSpec,
) -> Sequence {
    let mut ids = Vec::with_capacity(spec.len);
    while ids.len() < spec.len {
        ids.extend(text_ids(&next_text(), tokenizer));
    }
    window(&ids, &[], 0, TextTie::Previous, Kind::Text, spec, tokenizer.special())
}

fn page_ids(document: &Document, tokenizer: &(impl TextEncoder + ?Sized)) -> Vec<u32> {
    let special = tokenizer.special();
    let mut ids = vec![special.bos];
    for chunk in &document.chunks {
        match chunk {
            Chunk::Text(text) => ids.extend(tokenizer.encode(text)),
            Chunk::Image(_) if ids.len() == 1 => ids.push(special.image),
            Chunk::Image(_) => ids.extend([special.eoc, special.image]),
        }
    }
    ids.push(special.eoc);
    ids
}

fn text_ids(text: &str, tokenizer: &(impl TextEncoder + ?Sized)) -> Vec<u32> {
    let special = tokenizer.special();
    let mut ids = vec![special.bos];
    ids.extend(tokenizer.encode(text));
    ids.push(special.eos);
    ids
}

/// Cuts `spec.len` tokens from `start` on out of a whole sequence, whose images are `images`.
fn window(
    ids: &[u32],
    images: &[usize],
    start: usize,
    tie: TextTie,
    kind: Kind,
    spec: &SequenceSpec,
    special: SpecialTokens,
) -> Sequence {
    let end = ids.len().min(start + spec.len);
    let is_image = |id: &u32| *id == special.image;
    let before = ids[..start].iter().filter(|id| is_image(id)).count();
    let within = ids[start..end].iter().filter(|id| is_image(id)).count();

    let mut sequence = Sequence {
        images: images[before..before + within.min(spec.max_images)].to_vec(),
        ..Sequence::default()
    };
    let phi = media_index(&ids[start..end], special.image, tie);
    for (id, phi) in ids[start..end].iter().zip(phi) {
        let dropped = phi as usize > spec.max_images;
        if dropped && is_image(id) {
            continue;
        }
        sequence.ids.push(*id);
        sequence.media_index.push(if dropped { 0 } else { phi });
    }
    sequence.loss_weights = spec.loss.weights(&sequence.ids, kind, special);
    sequence
}

/// `true` with probability `p`; unlike `Rng::random_bool`, no value of `p` panics.
pub(crate) fn chance(rng: &mut impl Rng, p: f32) -> bool {
    rng.random::<f32>() < p
}

#[cfg(test)]
mod tests;
