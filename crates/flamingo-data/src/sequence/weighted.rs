//! Whole pages whose parts count differently in the loss.

use flamingo_core::TextTie;
use flamingo_core::media::media_index;

use super::{Kind, Sequence, SequenceSpec};
use crate::document::{Chunk, Document};
use crate::encoder::TextEncoder;

/// A page, and how much each of its texts counts in the loss.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct WeightedDocument {
    /// The page. Texts beside each other are one text, in parts that count differently.
    pub document: Document,
    /// For each chunk of the page, by what the loss of its tokens is multiplied; of no meaning for pictures.
    pub weights: Vec<f32>,
}

impl WeightedDocument {
    /// Appends a chunk; a text without a letter is none.
    pub fn push(&mut self, chunk: Chunk, weight: f32) {
        if !matches!(&chunk, Chunk::Text(text) if text.is_empty()) {
            self.document.chunks.push(chunk);
            self.weights.push(weight);
        }
    }
}

/// A page as a sequence, all of it, with all its pictures; `None` if it is longer than `spec.len`.
///
/// The tokens are those of [`interleaved`](super::interleaved), with texts beside each other read as one; they count by
/// `spec.loss`, times the weight of the text that they are from. An `<EOC>` counts as the text before it, and 1 where there
/// is none. Of `spec` nothing else matters.
///
/// # Panics
///
/// If there is not one weight for each chunk.
pub fn weighted(
    page: &WeightedDocument,
    tokenizer: &(impl TextEncoder + ?Sized),
    spec: &SequenceSpec,
) -> Option<Sequence> {
    let WeightedDocument { document, weights } = page;
    assert_eq!(document.chunks.len(), weights.len(), "there must be one weight for each chunk");
    let special = tokenizer.special();
    let mut row = Row { ids: vec![special.bos], weights: vec![1.0] };
    let mut texts: Vec<(&str, f32)> = Vec::new();
    for (chunk, weight) in document.chunks.iter().zip(weights) {
        match chunk {
            Chunk::Text(text) => texts.push((text.as_str(), *weight)),
            Chunk::Image(_) => {
                row.text(&texts, tokenizer);
                if row.ids.len() > 1 {
                    row.push(special.eoc, texts.last().map_or(1.0, |(_, weight)| *weight));
                }
                row.push(special.image, 1.0);
                texts.clear();
            }
        }
    }
    row.text(&texts, tokenizer);
    row.push(special.eoc, texts.last().map_or(1.0, |(_, weight)| *weight));
    if row.ids.len() > spec.len {
        return None;
    }

    let rule = spec.loss.weights(&row.ids, Kind::Page, special);
    let loss_weights = rule.iter().zip(&row.weights).map(|(rule, own)| rule * own).collect();
    let tie = document.tie.unwrap_or(TextTie::Previous);
    let media_index = media_index(&row.ids, special.image, tie);
    Some(Sequence { media_index, loss_weights, images: document.images().collect(), ids: row.ids })
}

struct Row {
    ids: Vec<u32>,
    weights: Vec<f32>,
}

impl Row {
    fn push(&mut self, id: u32, weight: f32) {
        self.ids.push(id);
        self.weights.push(weight);
    }

    /// The tokens of the whole text, as a prompt would have them. A token on the border of two parts is the second's.
    fn text(&mut self, parts: &[(&str, f32)], tokenizer: &(impl TextEncoder + ?Sized)) {
        let whole: String = parts.iter().map(|(text, _)| *text).collect();
        let ids = tokenizer.encode(&whole);
        let (mut end, mut done) = (0, 0);
        for (index, (text, weight)) in parts.iter().enumerate() {
            end += text.len();
            let until = match index + 1 == parts.len() {
                true => ids.len(),
                false => {
                    let before = tokenizer.encode(&whole[..end]);
                    before.iter().zip(&ids).take_while(|(one, other)| one == other).count()
                }
            };
            for id in &ids[done.min(until)..until] {
                self.push(*id, *weight);
            }
            done = done.max(until);
        }
    }
}
