//! Training sequences, back as text: special tokens in sight, images in their places, and each text in the colour of the
//! image that it sees.

use rand::Rng;
use rand::seq::IndexedRandom;

use super::html::{escape, medium};
use crate::encoder::TextEncoder;
use crate::sample::{Content, Sample};
use crate::sequence::{self, Sequence, SequenceSpec};

/// Colours that the style sheet has for images; later images begin again with the first.
const COLOURS: u32 = 8;

/// A figure for each of the first `most` samples that make a sequence, with the window that `rng` draws.
pub(super) fn figures(
    samples: &[Sample],
    most: usize,
    tokenizer: &dyn TextEncoder,
    rng: &mut impl Rng,
) -> Vec<String> {
    let spec = SequenceSpec::default();
    let drawn = samples.iter().take(most).filter_map(|sample| {
        let sequence = match &sample.content {
            Content::Page(document) => sequence::interleaved(document, tokenizer, &spec, rng),
            Content::Pair(captions) => sequence::pair(0, captions.choose(rng)?, tokenizer, &spec, rng),
            Content::Text(text) => sequence::text(text, tokenizer, &spec, rng),
        };
        Some(figure(sample, &sequence, tokenizer))
    });
    drawn.collect()
}

fn figure(sample: &Sample, sequence: &Sequence, tokenizer: &dyn TextEncoder) -> String {
    let special = tokenizer.special();
    let mut images = sequence.images.iter();
    let mut body = String::new();
    let mut at = 0;
    while at < sequence.ids.len() {
        let (id, phi, counts) = (sequence.ids[at], sequence.media_index[at], sequence.loss_weights[at] > 0.0);
        let name = [
            (special.image, "<image>"),
            (special.eoc, "<EOC>"),
            (special.bos, "<BOS>"),
            (special.eos, "<EOS>"),
            (special.pad, "<PAD>"),
        ];
        let class = class(phi, counts);
        if let Some((_, name)) = name.into_iter().find(|(special, _)| *special == id) {
            body.push_str(&format!("<b class=\"{class}\">{}</b>", escape(name)));
            if id == special.image {
                let shown = images.next().and_then(|image| sample.media.get(*image)).map(medium);
                body.push_str(&format!("<span class=\"{class}\">{}</span>", shown.unwrap_or_default()));
            }
            at += 1;
            continue;
        }
        let alike = |at: &usize| {
            let other = sequence.ids[*at];
            sequence.media_index[*at] == phi
                && (sequence.loss_weights[*at] > 0.0) == counts
                && name.iter().all(|(special, _)| *special != other)
        };
        let end = (at..sequence.ids.len()).take_while(alike).count() + at;
        let text = escape(&tokenizer.decode(&sequence.ids[at..end]));
        body.push_str(&format!("<span class=\"{class}\">{text}</span>"));
        at = end;
    }
    format!(
        "<figure><figcaption>{}: {} tokens, {} images</figcaption><div class=\"text\">{body}</div></figure>",
        escape(&sample.key),
        sequence.ids.len(),
        sequence.images.len()
    )
}

/// The colour of the image that is seen; `free` for what nobody has to predict.
fn class(phi: u32, counts: bool) -> String {
    let colour = if phi == 0 { "none".to_owned() } else { format!("s{}", (phi - 1) % COLOURS) };
    if counts { colour } else { format!("{colour} free") }
}
