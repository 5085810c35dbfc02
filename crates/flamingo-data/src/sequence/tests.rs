//! The rules of sequences, against examples and against a slow and obvious version.

use std::sync::LazyLock;

use super::*;
use crate::TextTokenizer;
use crate::fixtures::rng;
use proptest::prelude::*;

static TOKENIZER: LazyLock<TextTokenizer> =
    LazyLock::new(|| TextTokenizer::train(["cow face: animal, moo", "my puppy in the grass"], 320).unwrap());

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
    let chunks =
        vec![words("Cute pics!"), Chunk::Image(7), words("My puppy."), Chunk::Image(3), words(" My cat.")];
    let spec = SequenceSpec::default();
    let sequence = interleaved(&page(chunks, TextTie::Previous), &*TOKENIZER, &spec, &mut rng(0));
    assert_eq!(show(&sequence.ids), "<BOS>Cute pics!<EOC><image>My puppy.<EOC><image> My cat.<EOC>");
    assert_eq!(sequence.images, [7, 3]);
    let first = sequence.media_index.iter().position(|phi| *phi == 1).unwrap();
    assert_eq!(sequence.ids[first], TOKENIZER.special().image, "a tag belongs to its own image");
}

#[test]
fn no_chunk_ends_before_an_image_that_opens_the_page() {
    let document = page(vec![Chunk::Image(0), Chunk::Image(1)], TextTie::Previous);
    let sequence = interleaved(&document, &*TOKENIZER, &SequenceSpec::default(), &mut rng(0));
    assert_eq!(show(&sequence.ids), "<BOS><image><EOC><image><EOC>");
    assert_eq!(sequence.loss_weights, [0.0, 0.0, 1.0, 0.0, 1.0]);
}

#[test]
fn pairs_have_their_end_tokens_and_a_space_half_of_the_time() {
    let mut rng = rng(1);
    let spec = SequenceSpec::default();
    let mut spaced = 0;
    for _ in 0..200 {
        let sequence = pair(9, "cow <EOC> face", &*TOKENIZER, &spec, &mut rng);
        let shown = show(&sequence.ids);
        spaced += usize::from(shown == "<BOS><image> cow <EOC> face<EOC><EOS>");
        assert!(shown.replace("<image> ", "<image>") == "<BOS><image>cow <EOC> face<EOC><EOS>", "{shown}");
        assert_eq!(sequence.images, [9]);
        assert!(sequence.media_index[0] == 0 && sequence.media_index[1..].iter().all(|phi| *phi == 1));
        assert_eq!(sequence.loss_weights[..3], [0.0, 0.0, 1.0]);
    }
    assert!((70..130).contains(&spaced), "{spaced}");
    let short = pair(9, "cow face", &*TOKENIZER, &SequenceSpec { len: 3, ..spec }, &mut rng);
    assert_eq!(short.ids.len(), 3);
}

#[test]
fn texts_have_no_chunk_token_and_packing_leaves_no_gap() {
    let spec = SequenceSpec { len: 40, ..SequenceSpec::default() };
    let whole = text("cow face", &*TOKENIZER, &spec, &mut rng(0));
    assert_eq!(show(&whole.ids), "<BOS>cow face<EOS>");
    assert!(whole.images.is_empty() && whole.media_index.iter().all(|phi| *phi == 0));
    assert_eq!(text(&"moo ".repeat(100), &*TOKENIZER, &spec, &mut rng(0)).ids.len(), 40);

    let full = packed(|| "moo".to_owned(), &*TOKENIZER, &spec);
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
        let phi = interleaved(&document, &*TOKENIZER, &spec, &mut rng).media_index;
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
    let cut = window(&ids, &[10, 11, 12], 2, TextTie::Previous, Kind::Page, &spec, special);
    assert_eq!(cut.ids, [text, text, image, text, text, special.eoc]);
    assert_eq!(cut.media_index, [0, 0, 1, 1, 0, 0]);
    assert_eq!(cut.images, [11]);
    assert_eq!(cut.loss_weights, [0.0, 1.0, 0.0, 1.0, 1.0, 1.0]);
    let cut = window(&ids, &[10, 11, 12], 2, TextTie::Next, Kind::Page, &spec, special);
    assert_eq!(cut.media_index, [1, 1, 1, 0, 0, 0]);
}

/// The rules position by position, as one would explain them.
fn slow_window(ids: &[u32], images: &[usize], start: usize, tie: TextTie, spec: &SequenceSpec) -> Sequence {
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
        let predicted = !first && id != special.image && id != special.bos;
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

/// OpenFlamingo's rule for pages as its training loop does it: label by label, with loops that run ahead.
fn slow_open_flamingo(ids: &[u32]) -> Vec<f32> {
    let special = TOKENIZER.special();
    let mut scored = vec![true; ids.len()];
    let until_image = |from: usize, scored: &mut Vec<bool>| {
        let mut at = from;
        while at < ids.len() && ids[at] != special.image {
            scored[at] = false;
            at += 1;
        }
    };
    until_image(0, &mut scored);
    for end in (0..ids.len()).filter(|at| ids[*at] == special.eoc) {
        until_image(end + 1, &mut scored);
    }
    let counts = |at: usize| scored[at] && at > 0 && ids[at] != special.image;
    (0..ids.len()).map(|at| f32::from(u8::from(counts(at)))).collect()
}

/// What `train_one_epoch` of OpenFlamingo itself made of these ids (pad 0, bos 1, eos 2, image 9, eoc 8).
#[test]
fn masks_are_those_of_open_flamingo() {
    let special = SpecialTokens { pad: 0, bos: 1, eos: 2, image: 9, eoc: 8 };
    let page = [1, 5, 6, 8, 9, 5, 6, 8, 7, 9, 9, 5, 8, 9, 6];
    let weights = LossRule::OpenFlamingo.weights(&page, Kind::Page, special);
    assert_eq!(weights, [0., 0., 0., 0., 0., 1., 1., 1., 0., 0., 0., 1., 1., 0., 1.]);
    let pair = [1, 9, 5, 6, 8, 2];
    let weights = LossRule::OpenFlamingo.weights(&pair, Kind::Pair, special);
    assert_eq!(weights, [0., 0., 1., 1., 1., 1.]);
    assert_eq!(LossRule::Paper.weights(&page, Kind::Page, special)[..5], [0., 1., 1., 1., 0.]);
}

#[test]
fn an_end_is_learnt_though_it_is_also_the_beginning_or_the_padding() {
    let special = SpecialTokens { pad: 1, bos: 1, eos: 1, image: 9, eoc: 8 };
    let weights = LossRule::Paper.weights(&[1, 9, 5, 8, 1], Kind::Pair, special);
    assert_eq!(weights, [0., 0., 1., 1., 1.]);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn windows_follow_the_rules(
        chunks in chunks(), tie in ties(), len in 1usize..40, max_images in 0usize..5, place in 0.0f64..1.0,
    ) {
        let document = page(chunks, tie);
        let ids = page_ids(&document, &*TOKENIZER);
        let images: Vec<usize> = document.images().collect();
        let spec = SequenceSpec { len, max_images, ..SequenceSpec::default() };
        let start = (place * (ids.len().saturating_sub(len) + 1) as f64) as usize;
        let fast = window(&ids, &images, start, tie, Kind::Page, &spec, TOKENIZER.special());
        prop_assert_eq!(&fast, &slow_window(&ids, &images, start, tie, &spec));
        prop_assert!(fast.ids.len() <= len && fast.images.len() <= max_images);
        let tags = fast.ids.iter().filter(|id| **id == TOKENIZER.special().image).count();
        prop_assert_eq!(tags, fast.images.len());
    }

    #[test]
    fn open_flamingo_scores_what_its_loops_leave(
        chunks in chunks(), len in 1usize..40, max_images in 0usize..5, seed: u64,
    ) {
        let loss = LossRule::OpenFlamingo;
        let spec = SequenceSpec { len, max_images, loss, ..SequenceSpec::default() };
        let row = interleaved(&page(chunks, TextTie::Previous), &*TOKENIZER, &spec, &mut rng(seed));
        prop_assert_eq!(&row.loss_weights, &slow_open_flamingo(&row.ids));
    }

    #[test]
    fn chunks_end_where_they_should(chunks in chunks()) {
        let document = page(chunks, TextTie::Previous);
        prop_assert_eq!(show(&page_ids(&document, &*TOKENIZER)), slow_page(&document.chunks));
    }

    #[test]
    fn a_drawn_window_is_one_of_the_possible_ones(chunks in chunks(), len in 1usize..30, seed: u64) {
        let document = page(chunks, TextTie::Previous);
        let ids = page_ids(&document, &*TOKENIZER);
        let images: Vec<usize> = document.images().collect();
        let spec = SequenceSpec { len, ..SequenceSpec::default() };
        let drawn = interleaved(&document, &*TOKENIZER, &spec, &mut rng(seed));
        let found = (0..=ids.len().saturating_sub(len))
            .any(|start| drawn == slow_window(&ids, &images, start, TextTie::Previous, &spec));
        prop_assert!(found);
    }
}
