//! Pages, pairs and texts as token sequences, by the paper's rules (section 2.4, appendix A.3).
//!
//! - A page is `<BOS>`, its text with `<image>` where its pictures are, and `<EOC>` before every `<image>` (but not
//!   directly after `<BOS>`, where no chunk ends) and at the end:
//!   `<BOS>Cute pics of my pets!<EOC><image>My puppy sitting in the grass.<EOC><image> My cat looking very
//!   dignified.<EOC>`. A random window of `len` tokens is kept, with the first `max_images` pictures *of that window*.
//! - A pair is `<BOS><image>caption<EOC><EOS>`, with a space before the caption half of the time.
//! - A text is `<BOS>text<EOS>`. It never has `<EOC>`, which the language model learns only later.
//!
//! The window drops pictures before it and, beyond `max_images`, within it; the tags of the latter go too. A text
//! whose own picture was dropped sees no picture, rather than somebody else's (the paper leaves this open).

use flamingo_core::TextTie;
use flamingo_core::media::media_index;
use rand::Rng;
use serde::{Deserialize, Serialize};

use crate::document::{Chunk, Document};
use crate::tokenizer::{SpecialTokens, TextTokenizer};

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
}

impl Default for SequenceSpec {
    /// The paper's values.
    fn default() -> Self {
        Self { len: 256, max_images: 5, p_next: 0.5, p_leading_space: 0.5 }
    }
}

/// One row of a batch, not yet padded.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Sequence {
    /// Token ids `[L]`.
    pub ids: Vec<u32>,
    /// phi `[L]`: 1-based index into `images` of each position's image, 0 for none.
    pub media_index: Vec<u32>,
    /// How much the prediction of each token counts `[L]`: 0 for the first token, `<image>`, `<PAD>` and `<BOS>`,
    /// which nobody has to predict; 1 for the rest.
    pub loss_weights: Vec<f32>,
    /// The images, in the order of their `<image>` tokens, as indices into the data set.
    pub images: Vec<usize>,
}

/// A random window of a page.
pub fn interleaved(
    document: &Document,
    tokenizer: &TextTokenizer,
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
    window(&ids, &images, start, tie, spec, tokenizer.special())
}

/// An image and its caption. A caption that is too long loses its end, with `<EOC>` and `<EOS>`.
pub fn pair(
    image: usize,
    caption: &str,
    tokenizer: &TextTokenizer,
    spec: &SequenceSpec,
    rng: &mut impl Rng,
) -> Sequence {
    let special = tokenizer.special();
    let space = if chance(rng, spec.p_leading_space) { " " } else { "" };
    let mut ids = vec![special.bos, special.image];
    ids.extend(tokenizer.encode(&format!("{space}{caption}")));
    ids.extend([special.eoc, special.eos]);
    window(&ids, &[image], 0, TextTie::Previous, spec, special)
}

/// A text without images; a random window if it is too long.
pub fn text(text: &str, tokenizer: &TextTokenizer, spec: &SequenceSpec, rng: &mut impl Rng) -> Sequence {
    let ids = text_ids(text, tokenizer);
    let start = rng.random_range(0..=ids.len().saturating_sub(spec.len));
    window(&ids, &[], start, TextTie::Previous, spec, tokenizer.special())
}

/// Texts one after another until `len` tokens are full: language-model training without padding.
pub fn packed(
    mut next_text: impl FnMut() -> String,
    tokenizer: &TextTokenizer,
    spec: &SequenceSpec,
) -> Sequence {
    let mut ids = Vec::with_capacity(spec.len);
    while ids.len() < spec.len {
        ids.extend(text_ids(&next_text(), tokenizer));
    }
    window(&ids, &[], 0, TextTie::Previous, spec, tokenizer.special())
}

fn page_ids(document: &Document, tokenizer: &TextTokenizer) -> Vec<u32> {
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

fn text_ids(text: &str, tokenizer: &TextTokenizer) -> Vec<u32> {
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
        let unpredicted = sequence.ids.is_empty() || [special.image, special.pad, special.bos].contains(id);
        sequence.ids.push(*id);
        sequence.media_index.push(if dropped { 0 } else { phi });
        sequence.loss_weights.push(if unpredicted { 0.0 } else { 1.0 });
    }
    sequence
}

/// `true` with probability `p`; unlike `Rng::random_bool`, no value of `p` panics.
pub(crate) fn chance(rng: &mut impl Rng, p: f32) -> bool {
    rng.random::<f32>() < p
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use super::*;
    use crate::fixtures::rng;
    use proptest::prelude::*;

    static TOKENIZER: LazyLock<TextTokenizer> = LazyLock::new(|| {
        TextTokenizer::train(["cow face: animal, moo", "my puppy in the grass"], 320).unwrap()
    });

    /// Ids in a readable form.
    fn show(ids: &[u32]) -> String {
        let special = TOKENIZER.special();
        ids.iter()
            .map(|id| match *id {
                id if id == special.bos => "<BOS>".to_owned(),
                id if id == special.eos => "<EOS>".to_owned(),
                id if id == special.image => "<image>".to_owned(),
                id if id == special.eoc => "<EOC>".to_owned(),
                id => TOKENIZER.decode(&[id]),
            })
            .collect()
    }

    fn page(chunks: Vec<Chunk>, tie: TextTie) -> Document {
        Document { chunks, tie: Some(tie) }
    }

    fn words(text: &str) -> Chunk {
        Chunk::Text(text.to_owned())
    }

    #[test]
    fn a_page_looks_like_the_papers_figure_7() {
        let chunks = vec![
            words("Cute pics!"),
            Chunk::Image(7),
            words("My puppy."),
            Chunk::Image(3),
            words(" My cat."),
        ];
        let spec = SequenceSpec::default();
        let sequence = interleaved(&page(chunks, TextTie::Previous), &TOKENIZER, &spec, &mut rng(0));
        assert_eq!(show(&sequence.ids), "<BOS>Cute pics!<EOC><image>My puppy.<EOC><image> My cat.<EOC>");
        assert_eq!(sequence.images, [7, 3]);
        let first = sequence.media_index.iter().position(|phi| *phi == 1).unwrap();
        assert_eq!(sequence.ids[first], TOKENIZER.special().image, "a tag belongs to its own image");
    }

    #[test]
    fn no_chunk_ends_before_an_image_that_opens_the_page() {
        let document = page(vec![Chunk::Image(0), Chunk::Image(1)], TextTie::Previous);
        let sequence = interleaved(&document, &TOKENIZER, &SequenceSpec::default(), &mut rng(0));
        assert_eq!(show(&sequence.ids), "<BOS><image><EOC><image><EOC>");
        assert_eq!(sequence.loss_weights, [0.0, 0.0, 1.0, 0.0, 1.0]);
    }

    #[test]
    fn pairs_have_their_end_tokens_and_a_space_half_of_the_time() {
        let mut rng = rng(1);
        let spec = SequenceSpec::default();
        let mut spaced = 0;
        for _ in 0..200 {
            let sequence = pair(9, "cow <EOC> face", &TOKENIZER, &spec, &mut rng);
            let shown = show(&sequence.ids);
            spaced += usize::from(shown == "<BOS><image> cow <EOC> face<EOC><EOS>");
            assert!(
                shown.replace("<image> ", "<image>") == "<BOS><image>cow <EOC> face<EOC><EOS>",
                "{shown}"
            );
            assert_eq!(sequence.images, [9]);
            assert!(sequence.media_index[0] == 0 && sequence.media_index[1..].iter().all(|phi| *phi == 1));
            assert_eq!(sequence.loss_weights[..3], [0.0, 0.0, 1.0]);
        }
        assert!((70..130).contains(&spaced), "{spaced}");
        let short = pair(9, "cow face", &TOKENIZER, &SequenceSpec { len: 3, ..spec }, &mut rng);
        assert_eq!(short.ids.len(), 3);
    }

    #[test]
    fn texts_have_no_chunk_token_and_packing_leaves_no_gap() {
        let spec = SequenceSpec { len: 40, ..SequenceSpec::default() };
        let whole = text("cow face", &TOKENIZER, &spec, &mut rng(0));
        assert_eq!(show(&whole.ids), "<BOS>cow face<EOS>");
        assert!(whole.images.is_empty() && whole.media_index.iter().all(|phi| *phi == 0));
        assert_eq!(text(&"moo ".repeat(100), &TOKENIZER, &spec, &mut rng(0)).ids.len(), 40);

        let full = packed(|| "moo".to_owned(), &TOKENIZER, &spec);
        assert_eq!(full.ids.len(), 40);
        let bos = TOKENIZER.special().bos;
        for (id, weight) in full.ids.iter().zip(&full.loss_weights) {
            assert_eq!(*weight == 0.0, *id == bos);
        }
    }

    #[test]
    fn placement_augmentation_turns_whole_pages_that_do_not_tell() {
        let document = Document { chunks: vec![words("moo"), Chunk::Image(0), words("cow")], tie: None };
        let (mut rng, spec) = (rng(2), SequenceSpec::default());
        let mut turned = 0;
        for _ in 0..400 {
            let phi = interleaved(&document, &TOKENIZER, &spec, &mut rng).media_index;
            let (first, last) = (phi[0], *phi.last().unwrap());
            assert!((first, last) == (0, 1) || (first, last) == (1, 0), "{phi:?}");
            turned += usize::from(first == 1);
        }
        assert!((160..240).contains(&turned), "{turned}");
    }

    #[test]
    fn text_whose_image_lies_outside_the_window_sees_none() {
        let special = TOKENIZER.special();
        let (image, text) = (special.image, 100);
        let ids = [special.bos, image, text, text, image, text, image, text, special.eoc];
        let spec = SequenceSpec { len: 7, max_images: 1, ..SequenceSpec::default() };
        let cut = window(&ids, &[10, 11, 12], 2, TextTie::Previous, &spec, special);
        assert_eq!(cut.ids, [text, text, image, text, text, special.eoc]);
        assert_eq!(cut.media_index, [0, 0, 1, 1, 0, 0]);
        assert_eq!(cut.images, [11]);
        assert_eq!(cut.loss_weights, [0.0, 1.0, 0.0, 1.0, 1.0, 1.0]);
        let cut = window(&ids, &[10, 11, 12], 2, TextTie::Next, &spec, special);
        assert_eq!(cut.media_index, [1, 1, 1, 0, 0, 0]);
    }

    /// The rules position by position, as one would explain them.
    fn slow_window(
        ids: &[u32],
        images: &[usize],
        start: usize,
        tie: TextTie,
        spec: &SequenceSpec,
    ) -> Sequence {
        let special = TOKENIZER.special();
        let inside: Vec<usize> = (start..ids.len()).take(spec.len).collect();
        let tags: Vec<usize> = inside.iter().copied().filter(|at| ids[*at] == special.image).collect();
        let kept: Vec<usize> = tags.iter().copied().take(spec.max_images).collect();
        let mut sequence = Sequence::default();
        for at in &kept {
            let number = (0..*at).filter(|earlier| ids[*earlier] == special.image).count();
            sequence.images.push(images[number]);
        }
        for at in inside {
            let id = ids[at];
            if id == special.image && !kept.contains(&at) {
                continue;
            }
            let own = match tie {
                TextTie::Previous => tags.iter().rev().find(|tag| **tag <= at),
                TextTie::Next => tags.iter().find(|tag| **tag >= at),
            };
            let phi = own.and_then(|own| kept.iter().position(|tag| tag == own)).map_or(0, |place| place + 1);
            let first = sequence.ids.is_empty();
            let predicted = !first && id != special.image && id != special.pad && id != special.bos;
            sequence.ids.push(id);
            sequence.media_index.push(phi as u32);
            sequence.loss_weights.push(f32::from(u8::from(predicted)));
        }
        sequence
    }

    /// `<EOC>` before every image that does not open the page, and at the end; built by text, not by ids.
    fn slow_page(chunks: &[Chunk]) -> String {
        let marked: String = chunks
            .iter()
            .map(|chunk| match chunk {
                Chunk::Text(text) => text.clone(),
                Chunk::Image(_) => "<EOC><image>".to_owned(),
            })
            .collect();
        let marked = marked.strip_prefix("<EOC>").unwrap_or(&marked);
        format!("<BOS>{marked}<EOC>")
    }

    fn chunks() -> impl Strategy<Value = Vec<Chunk>> {
        let text = "[a-z ]{1,12}".prop_map(Chunk::Text);
        let image = (0usize..100).prop_map(Chunk::Image);
        prop::collection::vec(prop_oneof![text, image], 0..14)
    }

    fn ties() -> impl Strategy<Value = TextTie> {
        prop_oneof![Just(TextTie::Previous), Just(TextTie::Next)]
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn windows_follow_the_rules(
            chunks in chunks(), tie in ties(), len in 1usize..40, max_images in 0usize..5, place in 0.0f64..1.0,
        ) {
            let document = page(chunks, tie);
            let ids = page_ids(&document, &TOKENIZER);
            let images: Vec<usize> = document.images().collect();
            let spec = SequenceSpec { len, max_images, ..SequenceSpec::default() };
            let start = (place * (ids.len().saturating_sub(len) + 1) as f64) as usize;
            let fast = window(&ids, &images, start, tie, &spec, TOKENIZER.special());
            prop_assert_eq!(&fast, &slow_window(&ids, &images, start, tie, &spec));
            prop_assert!(fast.ids.len() <= len && fast.images.len() <= max_images);
            let tags = fast.ids.iter().filter(|id| **id == TOKENIZER.special().image).count();
            prop_assert_eq!(tags, fast.images.len());
        }

        #[test]
        fn chunks_end_where_they_should(chunks in chunks()) {
            let document = page(chunks, TextTie::Previous);
            prop_assert_eq!(show(&page_ids(&document, &TOKENIZER)), slow_page(&document.chunks));
        }

        #[test]
        fn a_drawn_window_is_one_of_the_possible_ones(chunks in chunks(), len in 1usize..30, seed: u64) {
            let document = page(chunks, TextTie::Previous);
            let ids = page_ids(&document, &TOKENIZER);
            let images: Vec<usize> = document.images().collect();
            let spec = SequenceSpec { len, ..SequenceSpec::default() };
            let drawn = interleaved(&document, &TOKENIZER, &spec, &mut rng(seed));
            let found = (0..=ids.len().saturating_sub(len))
                .any(|start| drawn == slow_window(&ids, &images, start, TextTie::Previous, &spec));
            prop_assert!(found);
        }
    }
}
